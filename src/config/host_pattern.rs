//! The host part of an account: `%`, `10.0.%`, `10.0.0.0/255.255.255.0`, `10.0.0.0/8`, `app-_.example.com`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::Network;
use crate::util::like;

/// Longest host part that a server stores.
const LONGEST: usize = 255;

/// Which clients an account is for, by the rules of the servers' own accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// `address & mask == base`: the servers' netmask form, IPv4 only.
    Netmask {
        base: u32,
        mask: u32,
    },
    Network(Network),
    /// `%` any run, `_` any one character, `\` takes the next one literally; letters of either case.
    Wildcard,
}

// === impl HostPattern ===

impl HostPattern {
    /// `None` when no client could ever match it.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST
            || text
                .chars()
                .any(|each| each.is_control() || each == ' ' || each == '@')
        {
            return None;
        }
        // A server takes an empty host for any host.
        let text = if text.is_empty() { "%" } else { text };
        let form = match text.split_once('/') {
            None => Form::Wildcard,
            Some((base, mask)) => match (base.parse::<Ipv4Addr>(), mask.parse::<Ipv4Addr>()) {
                (Ok(base), Ok(mask)) if base.to_bits() & !mask.to_bits() == 0 => Form::Netmask {
                    base: base.to_bits(),
                    mask: mask.to_bits(),
                },
                (Ok(_), Ok(_)) => return None,
                _ => Form::Network(text.parse().ok()?),
            },
        };
        Some(Self {
            text: text.to_ascii_lowercase(),
            form,
        })
    }

    /// Whether a client at this address, which DNS may call `name`, is meant. `None` as address: a Unix socket,
    /// which is `localhost`.
    pub fn matches(&self, address: Option<IpAddr>, name: Option<&str>) -> bool {
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return self.form == Form::Wildcard && like(self.text.as_bytes(), b"localhost");
        };
        match (&self.form, address) {
            (Form::Netmask { base, mask }, IpAddr::V4(address)) => address.to_bits() & mask == *base,
            (Form::Netmask { .. }, IpAddr::V6(_)) => false,
            (Form::Network(network), address) => network.contains(address),
            (Form::Wildcard, address) => {
                let matches = |subject: &str| like(self.text.as_bytes(), subject.as_bytes());
                matches(&address.to_string()) || name.is_some_and(|name| matches(&name.to_ascii_lowercase()))
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, client: &str) -> bool {
        HostPattern::parse(pattern)
            .unwrap()
            .matches(Some(client.parse().unwrap()), Some("App-1.example.com"))
    }

    #[test]
    fn patterns_match_as_a_server_matches_them() {
        assert!(matches("%", "10.1.2.3"));
        assert!(matches("", "10.1.2.3"));
        assert!(matches("10.1.%", "10.1.2.3"));
        assert!(!matches("10.2.%", "10.1.2.3"));
        assert!(matches("10.1.2._", "10.1.2.3"));
        assert!(!matches("10.1.2._", "10.1.2.33"));
        assert!(matches("10.1.2.3", "::ffff:10.1.2.3"));
        assert!(matches("APP-_.example.com", "10.1.2.3"));
        assert!(matches("%.example.com", "10.1.2.3"));
        assert!(!matches("%.example.org", "10.1.2.3"));
        assert!(matches("10.1.0.0/255.255.0.0", "10.1.2.3"));
        assert!(matches("10.1.0.0/16", "10.1.2.3"));
        assert!(!matches("10.1.0.0/16", "10.2.2.3"));
        assert!(matches("%a%b%", "::a:b"));
    }

    #[test]
    fn a_socket_is_localhost() {
        let socket = |text: &str| HostPattern::parse(text).unwrap().matches(None, None);
        assert!(socket("localhost") && socket("%") && socket("local%"));
        assert!(!socket("127.0.0.1") && !socket("0.0.0.0/0"));
    }

    #[test]
    fn patterns_that_match_nobody_are_refused() {
        for text in ["10.0.0.1/255.0.0.0", "10.0.0.0/99", "a b", "user@host", "db/24"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }
}
