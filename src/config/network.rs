//! A range of IP addresses, as `10.0.0.0/8` or a single address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Every address whose first `prefix` bits are those of `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// What is wrong with a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("write an IP address or a network such as `10.0.0.0/8`")]
    Form,
    #[error("the prefix is longer than the address")]
    Prefix,
    #[error("the address has bits set beyond the prefix")]
    HostBits,
}

// === impl Network ===

impl Network {
    /// Whether the address lies within. An IPv4 address that arrives on an IPv6 socket counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                masked(base.to_bits().into(), self.prefix, 32)
                    == masked(address.to_bits().into(), self.prefix, 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                masked(base.to_bits(), self.prefix, 128) == masked(address.to_bits(), self.prefix, 128)
            }
            _ => false,
        }
    }
}

impl Network {
    /// Whether every address of the other lies within.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix
            && self.base.is_ipv4() == other.base.is_ipv4()
            && self.contains(other.base)
    }
}

/// The first `prefix` of the `width` low bits of `bits`.
fn masked(bits: u128, prefix: u8, width: u8) -> u128 {
    bits.checked_shr(u32::from(width - prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| NetworkError::Form)?;
        let (bits, width) = match base {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let prefix = match prefix {
            Some(prefix) => prefix.parse::<u8>().map_err(|_| NetworkError::Form)?,
            None => width,
        };
        if prefix > width {
            return Err(NetworkError::Prefix);
        }
        let kept = masked(bits, prefix, width)
            .checked_shl(u32::from(width - prefix))
            .unwrap_or(0);
        if kept != bits {
            return Err(NetworkError::HostBits);
        }
        Ok(Self { base, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn contains_what_shares_the_prefix() {
        assert!(network("10.0.0.0/8").contains("10.255.1.2".parse().unwrap()));
        assert!(!network("10.0.0.0/8").contains("11.0.0.0".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("1.2.3.4".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(network("::/0").contains("::1".parse().unwrap()));
        assert!(network("127.0.0.1").contains("::ffff:127.0.0.1".parse().unwrap()));
        assert!(network("2001:db8::/32").contains("2001:db8:1::".parse().unwrap()));
    }

    #[test]
    fn slips_are_named() {
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NetworkError::Prefix));
        assert_eq!("10.0.0.1/8".parse::<Network>(), Err(NetworkError::HostBits));
        assert_eq!("db1".parse::<Network>(), Err(NetworkError::Form));
        assert_eq!("10.0.0.0/".parse::<Network>(), Err(NetworkError::Form));
    }
}
