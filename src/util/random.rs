//! Random numbers for choosing, not for secrets: fast, seedable, and the same on every machine.

/// A generator of the xorshift family, with a multiplication that hides its linearity.
#[derive(Debug, Clone)]
pub struct Random {
    /// Never zero, because it would stay zero.
    state: u64,
}

// === impl Random ===

impl Random {
    /// Seeds that differ in one bit give unlike sequences.
    pub fn new(seed: u64) -> Self {
        Self {
            state: scatter(seed).max(1),
        }
    }

    pub fn number(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `bound`; 0 when there is no such number.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: as fair as 64 bits allow, and no division.
        let product = u128::from(self.number()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

/// Spreads the bits of a number over all bits of another; no two numbers become one.
pub fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_bound_comes_up_alike() {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let mut counts = [0_u32; 7];
            for _ in 0..70_000 {
                counts[usize::try_from(random.below(7)).unwrap()] += 1;
            }
            assert!(
                counts.iter().all(|count| (9_500..10_500).contains(count)),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn a_seed_repeats_its_sequence() {
        let sequence = |seed| {
            let mut random = Random::new(seed);
            [random.number(), random.number(), random.number()]
        };
        assert_eq!(sequence(0), sequence(0));
        assert_ne!(sequence(0), sequence(1));
        assert_eq!(Random::new(1).below(0), 0);
    }
}
