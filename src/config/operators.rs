//! What the places for operators have in common: an address on this machine unless they are meant for others, and a
//! list of who may come.

use std::net::IpAddr;

use super::Address;
use super::destination;
use super::reader::{Field, Section};

const DEFAULT_HOST: &str = "127.0.0.1";

/// Where such a place is, by `address` and `remote`; `None`: it is off. `what` is what problems call it.
pub(super) fn address(section: &Section<'_>, port: u16, what: &str) -> Option<Address> {
    let field = section.field("address");
    let remote = section.field("remote").choice_or(false);
    let address = if !field.is_given() {
        Some(Address::Tcp {
            host: DEFAULT_HOST.to_owned(),
            port,
        })
    } else if field.literal() == Some("off") {
        None
    } else {
        field.address(Some(port))
    };
    if let Some(address) = &address {
        destination::check_address(&field, address);
    }
    if let Some(Address::Tcp { host, .. }) = &address
        && !remote
        && !is_local(host)
    {
        let help = "write `remote: true` if it is meant for other machines, else 127.0.0.1";
        field.report(format!("other machines could reach the {what}"), help);
    }
    address
}

/// A host that is this machine whatever the network.
pub(super) fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Tells the reader which settings an item has where there is no item to say so.
pub(super) fn name_settings(field: &Field<'_>, names: &[&str]) {
    if !field.is_given() || field.has_no_items() {
        field.absent_item().nothing(|section| {
            for name in names {
                section.field(name);
            }
        });
    }
}
