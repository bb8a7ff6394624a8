//! The host part of accounts: which clients it means, and which of several accounts is the most specific.
//!
//! MySQL and MariaDB order accounts differently, and only MySQL knows `10.0.0.0/8`.

use std::net::{IpAddr, Ipv4Addr};

use super::{ClientAddress, Flavour};
use crate::util::like;

/// What MariaDB's order takes for the longest host.
const LONGEST_HOST: usize = 255;

/// A host pattern as an account stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One IPv4 address.
    Address(Ipv4Addr),
    Cidr {
        base: u32,
        mask: u32,
    },
    Netmask {
        base: u32,
        mask: u32,
    },
    /// A name, an IPv6 address or a pattern of either.
    Text,
}

/// Sorts accounts by the server's order: the first that matches the client is the one that counts.
pub type Rank = (u64, u64, u64, u64, u64);

// === impl HostPattern ===

impl HostPattern {
    pub fn parse(text: &str, flavour: Flavour) -> Self {
        Self {
            text: text.to_ascii_lowercase(),
            form: Form::parse(text, flavour),
        }
    }

    /// Whether the client is meant. `name` is what DNS calls it, if anything.
    pub fn matches(&self, address: ClientAddress, name: Option<&str>) -> bool {
        let ip = address.ip();
        match (self.form, ip) {
            (Form::Address(own), Some(IpAddr::V4(ip))) => ip == own,
            (Form::Cidr { base, mask } | Form::Netmask { base, mask }, Some(IpAddr::V4(ip))) => {
                ip.to_bits() & mask == base
            }
            (Form::Text, ip) => {
                let matches = |subject: &str| like(self.text.as_bytes(), subject.as_bytes());
                self.text.is_empty()
                    || ip.is_some_and(|ip| matches(&ip.to_string()))
                    || name.is_some_and(|name| matches(&name.to_ascii_lowercase()))
            }
            _ => false,
        }
    }

    /// The place of an account with this host in the server's order; `anonymous` when its user is empty.
    pub fn rank(&self, anonymous: bool, flavour: Flavour) -> Rank {
        match flavour {
            Flavour::MySql => self.mysql_rank(anonymous),
            Flavour::MariaDb => self.mariadb_rank(anonymous),
        }
    }

    /// The host, when it is a name that DNS could know: neither a pattern nor an address.
    pub fn dns_name(&self) -> Option<&str> {
        let plain = self.form == Form::Text && !self.text.contains(['%', '_', '\\', ':', '/']);
        (plain && !self.text.is_empty() && self.text != "localhost").then_some(self.text.as_str())
    }

    /// Addresses, networks and netmasks first, larger masks before smaller; then by where the first wildcard is.
    fn mysql_rank(&self, anonymous: bool) -> Rank {
        let user = u64::from(anonymous);
        let (kind, mask) = match self.form {
            Form::Address(_) => (0, u32::MAX),
            Form::Cidr { mask, .. } => (1, mask),
            Form::Netmask { mask, .. } => (2, mask),
            Form::Text => return (3, self.wildcard_place(), user, 0, 0),
        };
        (kind, u64::from(!mask), self.wildcard_place(), user, 0)
    }

    /// 0 without wildcards, more the earlier the first one is, most for any host at all.
    fn wildcard_place(&self) -> u64 {
        match self.text.as_str() {
            "%" => return 128,
            "" => return 129,
            _ => {}
        }
        let mut bytes = self.text.bytes().enumerate();
        while let Some((place, byte)) = bytes.next() {
            match byte {
                b'\\' => _ = bytes.next(),
                b'%' | b'_' => return 128 - (place as u64 + 1).min(127),
                _ => {}
            }
        }
        0
    }

    /// By how many hosts the pattern could mean: first what one `%` may stand for, then the number of `_`.
    fn mariadb_rank(&self, anonymous: bool) -> Rank {
        let user = u64::from(anonymous);
        let Counts {
            literal,
            single,
            many,
            prefix,
        } = Counts::of(&self.text);
        let open = match many {
            0 => 0,
            _ => (LONGEST_HOST as u64).saturating_sub(literal + single),
        };
        match open > single {
            true => (2 * open + 1, many, single, prefix, user),
            false => (2 * single, open, many, prefix, user),
        }
    }
}

// === impl Form ===

impl Form {
    fn parse(text: &str, flavour: Flavour) -> Self {
        if let Ok(address) = text.parse() {
            return Self::Address(address);
        }
        let Some((base, mask)) = text.split_once('/') else {
            return Self::Text;
        };
        let Ok(base) = base.parse::<Ipv4Addr>().map(Ipv4Addr::to_bits) else {
            return Self::Text;
        };
        if let Ok(mask) = mask.parse::<Ipv4Addr>().map(Ipv4Addr::to_bits) {
            return Self::Netmask { base, mask };
        }
        match (mask.parse::<u32>(), flavour) {
            (Ok(bits @ 0..=32), Flavour::MySql) => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                Self::Cidr {
                    base: base & mask,
                    mask,
                }
            }
            _ => Self::Text,
        }
    }
}

/// The parts of a pattern.
#[derive(Default)]
struct Counts {
    literal: u64,
    single: u64,
    /// Runs of `%`.
    many: u64,
    /// Literal characters before the first wildcard; 0 without any.
    prefix: u64,
}

// === impl Counts ===

impl Counts {
    fn of(text: &str) -> Self {
        let mut counts = Self::default();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if matches!(byte, b'%' | b'_') && counts.many + counts.single == 0 {
                counts.prefix = counts.literal;
            }
            match byte {
                b'%' => {
                    counts.many += 1;
                    while bytes.next_if_eq(&b'%').is_some() {}
                }
                b'_' => counts.single += 1,
                _ => {
                    if byte == b'\\' {
                        bytes.next();
                    }
                    counts.literal += 1;
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, address: &str) -> bool {
        let address = ClientAddress::Ip(address.parse().unwrap());
        HostPattern::parse(pattern, Flavour::MySql).matches(address, Some("App-1.example.com"))
    }

    #[test]
    fn patterns_mean_what_the_server_takes_them_for() {
        for (pattern, expected) in [
            ("%", true),
            ("", true),
            ("10.1.2.3", true),
            ("10.1.2.%", true),
            ("10.1.2._", true),
            ("10.1.2.__", false),
            ("10.1._.3", true),
            ("10.1.2.30", false),
            ("10.1.0.0/255.255.0.0", true),
            ("10.1.2.0/255.255.255.0", true),
            ("10.1.0.0/16", true),
            ("10.2.0.0/16", false),
            ("0.0.0.0/0", true),
            ("app-1.example.com", true),
            ("%.Example.com", true),
            ("app-_.example.com", true),
            ("app\\-1.example.com", true),
            ("localhost", false),
        ] {
            assert_eq!(matches(pattern, "10.1.2.3"), expected, "{pattern}");
            assert_eq!(matches(pattern, "::ffff:10.1.2.3"), expected, "{pattern}");
        }
        assert!(matches("2001:db8::%", "2001:DB8::1"));
        let socket = |pattern| {
            HostPattern::parse(pattern, Flavour::MySql).matches(ClientAddress::Local, Some("localhost"))
        };
        assert!(socket("localhost") && socket("%"));
        assert!(!socket("127.0.0.1") && !socket("10.0.0.0/8"));
        assert!(
            !HostPattern::parse("10.0.0.0/8", Flavour::MariaDb)
                .matches(ClientAddress::Ip("10.1.2.3".parse().unwrap()), None)
        );
    }

    fn sorted(flavour: Flavour, hosts: &[(&'static str, bool)]) -> Vec<(&'static str, bool)> {
        let mut hosts = hosts.to_vec();
        hosts.sort_by_key(|(host, anonymous)| HostPattern::parse(host, flavour).rank(*anonymous, flavour));
        hosts
    }

    fn hosts(hosts: &[&'static str]) -> Vec<(&'static str, bool)> {
        hosts.iter().map(|host| (*host, false)).collect()
    }

    /// Asked of a server, by logging in and dropping the account that it chose until none was left.
    #[test]
    fn mysql_takes_addresses_first_and_names_before_patterns() {
        let expected = hosts(&[
            "127.0.0.1",
            "127.0.0.0/24",
            "127.0.0.0/16",
            "127.0.0.0/255.255.255.0",
            "127.0.0.0/255.0.0.0",
            "localhost",
            "127.0.0._",
            "127.0._.1",
            "local%",
            "127.%",
            "1%1",
            "_27.0.0.1",
            "%",
            "",
        ]);
        let shuffled: Vec<_> = expected.iter().rev().copied().collect();
        assert_eq!(sorted(Flavour::MySql, &shuffled), expected);
    }

    /// Asked of a server as above.
    #[test]
    fn mariadb_takes_the_pattern_that_means_fewer_hosts() {
        let expected = hosts(&[
            "localhost",
            "_27.0.0.1",
            "127.0._.1",
            "127.0.0._",
            "127.0.0.%",
            "local%",
            "%host",
            "127.%",
            "1%1",
            "%",
        ]);
        let shuffled: Vec<_> = expected.iter().rev().copied().collect();
        assert_eq!(sorted(Flavour::MariaDb, &shuffled), expected);
    }

    #[test]
    fn an_anonymous_account_of_a_better_host_comes_before_a_named_one() {
        let expected = [
            ("localhost", false),
            ("localhost", true),
            ("%", false),
            ("%", true),
        ];
        let shuffled: Vec<_> = expected.iter().rev().copied().collect();
        for flavour in [Flavour::MySql, Flavour::MariaDb] {
            assert_eq!(sorted(flavour, &shuffled), expected);
        }
    }
}
