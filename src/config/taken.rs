//! Who listens where: two that want the same port are told before one of them fails to open it.

use std::net::IpAddr;

use super::Address;
use super::reader::Field;

/// Addresses by who asked for them first.
#[derive(Default)]
pub(super) struct Taken {
    places: Vec<Place>,
}

struct Place {
    address: Address,
    /// What holders are called, e.g. "listener `main`".
    holder: String,
    /// `None`: nobody wrote the address.
    line: Option<usize>,
}

// === impl Taken ===

impl Taken {
    /// Reports `address` on `field` when somebody before has it, or all addresses with its port.
    pub(super) fn claim(&mut self, field: &Field<'_>, holder: &str, address: &Address) {
        let first = self.places.iter().find(|place| collide(&place.address, address));
        if let Some(first) = first {
            let place = match first.line {
                Some(line) => format!("on {}", field.context.sources.tell(line, field.line)),
                None => "by default".to_owned(),
            };
            let message = if first.address == *address {
                format!("the address `{address}` is used twice")
            } else {
                format!("`{address}` and `{}` cannot both be listened at", first.address)
            };
            let help = format!("give each its own; {} has it, {place}", first.holder);
            field.report(message, help);
        }
        self.places.push(Place {
            address: address.clone(),
            holder: holder.to_owned(),
            line: field.is_given().then_some(field.line),
        });
    }
}

/// Whether one of them keeps the other from being opened. Names are compared as such: what they stand for is known only
/// where the proxy runs.
fn collide(one: &Address, other: &Address) -> bool {
    let (
        Address::Tcp { host, port },
        Address::Tcp {
            host: other_host,
            port: other_port,
        },
    ) = (one, other)
    else {
        return one == other;
    };
    if port != other_port {
        return false;
    }
    match (host.parse::<IpAddr>(), other_host.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other || includes(one, other) || includes(other, one),
        _ => host == other_host,
    }
}

/// `[::]` takes IPv4 as well, as Linux does unless told otherwise.
fn includes(all: IpAddr, one: IpAddr) -> bool {
    all.is_unspecified() && (all.is_ipv6() || one.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_has_its_port_at_every_address() {
        let collide = |one: &str, other: &str| {
            let read = |text: &str| Address::read(text).unwrap();
            let found = collide(&read(one), &read(other));
            assert_eq!(found, super::collide(&read(other), &read(one)), "{one} {other}");
            found
        };
        for (one, other) in [
            ("a:1", "A:1"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "127.0.0.1:1"),
            ("[::]:1", "0.0.0.0:1"),
            ("[::]:1", "[::1]:1"),
            ("[::1]:1", "[0:0:0:0:0:0:0:1]:1"),
            ("unix:/a", "unix:/a"),
        ] {
            assert!(collide(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("a:1", "a:2"),
            ("a:1", "b:1"),
            ("0.0.0.0:1", "127.0.0.1:2"),
            ("0.0.0.0:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.2:1"),
            ("unix:/a", "unix:/b"),
            ("unix:/a", "a:1"),
        ] {
            assert!(!collide(one, other), "{one} {other}");
        }
    }
}
