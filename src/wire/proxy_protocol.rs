//! The PROXY protocol, versions 1 (a line of text) and 2 (binary): who the client of a client is.
//!
//! A balancer sends the header before anything else. Whoever may send one may pretend to be any address, so
//! only trusted networks are asked for it. Extensions (TLVs) and their checksum are passed over.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::bytes::{Put, Reader, Result};

const V1_START: &[u8] = b"PROXY ";
/// The longest line that version 1 allows, its end included.
const V1_MAX: usize = 107;
const V2_START: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;
/// Enough for the addresses and generous extensions; more is somebody playing.
const V2_MAX: usize = 4096;

const V2_LOCAL: u8 = 0x20;
const V2_PROXY: u8 = 0x21;
const V2_TCP4: u8 = 0x11;
const V2_TCP6: u8 = 0x21;

/// What the first bytes of a connection are. `length` is how many of them the header takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// All is well so far, but the header has not ended.
    NeedMore,
    Proxied {
        source: SocketAddr,
        destination: SocketAddr,
        length: usize,
    },
    /// The balancer speaks for itself, or cannot say for whom: the connection's own addresses are the ones.
    Local {
        length: usize,
    },
    Invalid(&'static str),
}

// === impl ProxyHeader ===

impl ProxyHeader {
    /// Looks at the bytes received so far, which are never more than 4 KiB before this decides.
    pub fn parse(bytes: &[u8]) -> Self {
        if starts_alike(bytes, V2_START) {
            parse_v2(bytes)
        } else if starts_alike(bytes, V1_START) {
            parse_v1(bytes)
        } else {
            Self::Invalid("it does not start with a PROXY header")
        }
    }
}

/// Whether `bytes` and `start` agree as far as both go.
fn starts_alike(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(left, right)| left == right)
}

fn parse_v1(bytes: &[u8]) -> ProxyHeader {
    let window = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < V1_MAX {
            ProxyHeader::NeedMore
        } else {
            ProxyHeader::Invalid("a PROXY line does not end")
        };
    };
    let length = end + 2;
    let Some(line) = window.get(V1_START.len()..end) else {
        return ProxyHeader::Invalid("a PROXY line is too short");
    };
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return ProxyHeader::Local { length };
    }
    match v1_addresses(line) {
        Some((source, destination)) => ProxyHeader::Proxied {
            source,
            destination,
            length,
        },
        None => ProxyHeader::Invalid("a PROXY line has no valid addresses"),
    }
}

fn v1_addresses(line: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let family = words.next()?;
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse().ok().map(IpAddr::V4),
            "TCP6" => word.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (address()?, address()?);
    let mut port = || -> Option<u16> {
        let word = words.next()?;
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse().ok().filter(|_| digits)
    };
    let (source_port, destination_port) = (port()?, port()?);
    if words.next().is_some() {
        return None;
    }
    Some((
        SocketAddr::new(source, source_port),
        SocketAddr::new(destination, destination_port),
    ))
}

fn parse_v2(bytes: &[u8]) -> ProxyHeader {
    let Some(fixed) = bytes.first_chunk::<V2_FIXED>() else {
        return ProxyHeader::NeedMore;
    };
    let &[.., command, family, high, low] = fixed;
    if command != V2_LOCAL && command != V2_PROXY {
        return ProxyHeader::Invalid("a PROXY header has an unknown version or command");
    }
    let length = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > V2_MAX {
        return ProxyHeader::Invalid("a PROXY header is too long");
    }
    let Some(body) = bytes.get(V2_FIXED..length) else {
        return ProxyHeader::NeedMore;
    };
    if command == V2_LOCAL {
        return ProxyHeader::Local { length };
    }
    let addresses = match family {
        V2_TCP4 => v2_addresses::<4>(body),
        V2_TCP6 => v2_addresses::<16>(body),
        // Unspecified, or Unix sockets: there is nothing that could be an account's host.
        0x00 | 0x31 => return ProxyHeader::Local { length },
        _ => return ProxyHeader::Invalid("a PROXY header is of a family that is not TCP"),
    };
    match addresses {
        Ok((source, destination)) => ProxyHeader::Proxied {
            source,
            destination,
            length,
        },
        Err(_) => ProxyHeader::Invalid("a PROXY header is too short for its addresses"),
    }
}

fn v2_addresses<const N: usize>(body: &[u8]) -> Result<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let mut reader = Reader::new(body);
    let mut address = [0; N];
    address.copy_from_slice(reader.bytes(N)?);
    let source = IpAddr::from(address);
    address.copy_from_slice(reader.bytes(N)?);
    let destination = IpAddr::from(address);
    // Ports are in network order, unlike anything in MySQL's protocol.
    let source_port = reader.u16()?.swap_bytes();
    let destination_port = reader.u16()?.swap_bytes();
    Ok((
        SocketAddr::new(source, source_port),
        SocketAddr::new(destination, destination_port),
    ))
}

// === writing ===

/// Appends a header of version 1.
pub fn put_v1(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) {
    let (source_ip, destination_ip) = of_one_family(source.ip(), destination.ip());
    let family = if source_ip.is_ipv4() { "TCP4" } else { "TCP6" };
    let (source_port, destination_port) = (source.port(), destination.port());
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "PROXY {family} {source_ip} {destination_ip} {source_port} {destination_port}\r\n"
    );
}

/// Appends a header of version 2.
pub fn put_v2(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) {
    let (source_ip, destination_ip) = of_one_family(source.ip(), destination.ip());
    let mut body = Vec::with_capacity(36);
    for ip in [source_ip, destination_ip] {
        match ip {
            IpAddr::V4(ip) => body.put_bytes(&ip.octets()),
            IpAddr::V6(ip) => body.put_bytes(&ip.octets()),
        }
    }
    body.put_bytes(&source.port().to_be_bytes());
    body.put_bytes(&destination.port().to_be_bytes());
    let family = if source_ip.is_ipv4() { V2_TCP4 } else { V2_TCP6 };
    put_v2_parts(out, V2_PROXY, family, &body);
}

/// Appends a header of version 2 for a connection that we make for ourselves, such as a probe.
pub fn put_v2_local(out: &mut Vec<u8>) {
    put_v2_parts(out, V2_LOCAL, 0, &[]);
}

fn put_v2_parts(out: &mut Vec<u8>, command: u8, family: u8, body: &[u8]) {
    out.put_bytes(V2_START);
    out.put_u8(command);
    out.put_u8(family);
    out.put_bytes(&(body.len() as u16).to_be_bytes());
    out.put_bytes(body);
}

/// A header has one family for both addresses. A listener on `::` sees clients of version 4 as mapped ones:
/// those go back to what they are, and where the two still differ, the other is mapped.
fn of_one_family(source: IpAddr, destination: IpAddr) -> (IpAddr, IpAddr) {
    match (source.to_canonical(), destination.to_canonical()) {
        (IpAddr::V4(source), IpAddr::V6(destination)) => (mapped(source), IpAddr::V6(destination)),
        (IpAddr::V6(source), IpAddr::V4(destination)) => (IpAddr::V6(source), mapped(destination)),
        same => same,
    }
}

fn mapped(ip: Ipv4Addr) -> IpAddr {
    let ip: Ipv6Addr = ip.to_ipv6_mapped();
    IpAddr::V6(ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxied(source: &str, destination: &str, length: usize) -> ProxyHeader {
        ProxyHeader::Proxied {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            length,
        }
    }

    #[test]
    fn lines_of_version_1() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 3306\r\nrest";
        assert_eq!(
            ProxyHeader::parse(line),
            proxied("192.0.2.1:56324", "198.51.100.7:3306", 46)
        );
        let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n";
        assert_eq!(
            ProxyHeader::parse(line),
            proxied("[2001:db8::1]:1", "[2001:db8::2]:65535", 44)
        );
        assert_eq!(
            ProxyHeader::parse(b"PROXY UNKNOWN\r\n"),
            ProxyHeader::Local { length: 15 }
        );
        assert_eq!(
            ProxyHeader::parse(b"PROXY UNKNOWN a b\r\n"),
            ProxyHeader::Local { length: 19 }
        );
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"PROXY\r\n",
            b"PROXY \r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c123456789012",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b12345678901",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            &[&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat(),
        ] {
            assert!(
                matches!(ProxyHeader::parse(bytes), ProxyHeader::Invalid(_)),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn headers_of_version_2() {
        let header =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\x01\x02\x03\x04\x05\x06\x07\x08\0\x50\x0c\xea\x04\0\0rest";
        assert_eq!(
            ProxyHeader::parse(header),
            proxied("1.2.3.4:80", "5.6.7.8:3306", 31)
        );
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x02xx";
        assert_eq!(ProxyHeader::parse(local), ProxyHeader::Local { length: 18 });
        let unix = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8"[..], &[0; 216]].concat();
        assert_eq!(ProxyHeader::parse(&unix), ProxyHeader::Local { length: 232 });
        let mut out = Vec::new();
        put_v2_local(&mut out);
        assert_eq!(ProxyHeader::parse(&out), ProxyHeader::Local { length: 16 });
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_needs_more_until_its_end(
            source in any::<SocketAddr>(),
            destination in any::<SocketAddr>(),
            binary in any::<bool>(),
        ) {
            let mut out = Vec::new();
            if binary {
                put_v2(&mut out, source, destination);
            } else {
                put_v1(&mut out, source, destination);
            }
            for end in 0..out.len() {
                prop_assert_eq!(ProxyHeader::parse(&out[..end]), ProxyHeader::NeedMore, "{}", end);
            }
            let ProxyHeader::Proxied { source: s, destination: d, length } = ProxyHeader::parse(&out) else {
                return Err(TestCaseError::fail("not a header"));
            };
            prop_assert_eq!(length, out.len());
            prop_assert_eq!((s.ip().to_canonical(), s.port()), (source.ip().to_canonical(), source.port()));
            prop_assert_eq!(
                (d.ip().to_canonical(), d.port()),
                (destination.ip().to_canonical(), destination.port())
            );
        }

        #[test]
        fn any_bytes_are_survived(tail in proptest::collection::vec(any::<u8>(), 0..100), binary in any::<bool>()) {
            let start = if binary { &V2_START[..] } else { V1_START };
            let _ = ProxyHeader::parse(&[start, &tail].concat());
            let _ = ProxyHeader::parse(&tail);
        }
    }
}
