//! Smooth weighted round robin: over a cycle everybody has exactly as many turns as it weighs, well mixed.

use super::weight::Candidate;

/// The credit of each server, by its index.
#[derive(Debug, Default)]
pub(super) struct Turns {
    credit: Vec<i64>,
}

// === impl Turns ===

impl Turns {
    /// Whose turn it is among those that `weigh` more than nothing.
    pub(super) fn next(
        &mut self,
        candidates: &[Candidate],
        weigh: impl Fn(&Candidate) -> u64,
    ) -> Option<usize> {
        let total = candidates.iter().map(&weigh).fold(0, u64::saturating_add);
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let mut best: Option<(usize, usize, i64)> = None;
        for (position, candidate) in candidates.iter().enumerate() {
            let weight = weigh(candidate);
            if weight == 0 {
                continue;
            }
            let credit = self.credit(candidate.index);
            // Within a cycle nobody's credit leaves these bounds. It does after weights were lowered or servers
            // went away, and must not starve or favour anybody for long.
            *credit = (*credit).clamp(-total, total);
            *credit = credit.saturating_add(i64::try_from(weight).unwrap_or(i64::MAX));
            if best.is_none_or(|(_, _, most)| *credit > most) {
                best = Some((position, candidate.index, *credit));
            }
        }
        let (position, index, _) = best?;
        let credit = self.credit(index);
        *credit = credit.saturating_sub(total);
        Some(position)
    }

    fn credit(&mut self, index: usize) -> &mut i64 {
        if index >= self.credit.len() {
            self.credit.resize(index + 1, 0);
        }
        &mut self.credit[index]
    }
}
