//! Addresses of listeners and servers: `host:port` or `unix:/path`.

use std::fmt;
use std::path::PathBuf;

/// Where to listen or to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// The host is a name or an IP address, IPv6 without brackets.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

// === impl Address ===

impl Address {
    /// Longest path that fits into a `sockaddr_un`, with its final zero.
    pub(super) const LONGEST_UNIX_PATH: usize = 107;

    /// Reads what a command line says: `host:port`, `[v6]:port` or `unix:/path`.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::parse(text, None).map_err(|error| error.to_string())
    }

    /// Reads `host:port`, `[v6]:port`, `unix:/path`, and `host` alone where there is a default port.
    pub(super) fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::parse_unix(path);
        }
        if text.starts_with('/') {
            return Err(AddressError::BarePath);
        }
        let (host, port) = split_port(text)?;
        let port = match (port, default_port) {
            (Some(port), _) => port
                .parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(AddressError::Port)?,
            (None, Some(port)) => port,
            (None, None) => return Err(AddressError::NoPort),
        };
        if !is_host(host) {
            return Err(AddressError::Host);
        }
        Ok(Self::Tcp {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    fn parse_unix(path: &str) -> Result<Self, AddressError> {
        if !path.starts_with('/') || path.len() < 2 || path.contains('\0') {
            return Err(AddressError::RelativePath);
        }
        if path.len() > Self::LONGEST_UNIX_PATH {
            return Err(AddressError::LongPath);
        }
        Ok(Self::Unix(PathBuf::from(path)))
    }

    /// The host name or IP address; `None` for a Unix socket.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("a socket path is written `unix:/path`")]
    BarePath,
    #[error("a socket path must be absolute: `unix:/run/splitrail.sock`")]
    RelativePath,
    #[error("a socket path may have at most {} bytes", Address::LONGEST_UNIX_PATH)]
    LongPath,
    #[error("the port must be between 1 and 65535")]
    Port,
    #[error("give the port too: `host:port`")]
    NoPort,
    #[error("write an IPv6 address in brackets: `[::1]:3306`")]
    BareIpv6,
    #[error("write `host:port`, `[IPv6]:port` or `unix:/path`; a host is an IP address or a DNS name")]
    Host,
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(AddressError::BareIpv6)?;
        host.parse::<std::net::Ipv6Addr>()
            .map_err(|_| AddressError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(AddressError::Host),
        };
    }
    if text.matches(':').count() > 1 {
        return Err(AddressError::BareIpv6);
    }
    Ok(match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

/// An IP address or a name that DNS could hold. All-digit labels are left to IP addresses: `10.0.0.300` is a slip.
fn is_host(host: &str) -> bool {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in [
            "db1:3306",
            "10.0.0.1:3306",
            "[::1]:3306",
            "unix:/run/m.sock",
            "a-b_c.example.com:1",
        ] {
            assert_eq!(Address::parse(text, None).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("DB1", Some(3306)).unwrap().to_string(), "db1:3306");
        assert_eq!(
            Address::parse("[::1]", Some(3306)).unwrap().to_string(),
            "[::1]:3306"
        );
    }

    #[test]
    fn slips_are_named() {
        let error = |text: &str| Address::parse(text, None).unwrap_err();
        assert_eq!(error("db1"), AddressError::NoPort);
        assert_eq!(error("db1:0"), AddressError::Port);
        assert_eq!(error("db1:65536"), AddressError::Port);
        assert_eq!(error("db1:"), AddressError::Port);
        assert_eq!(error("::1:3306"), AddressError::BareIpv6);
        assert_eq!(error("[::1:3306"), AddressError::BareIpv6);
        assert_eq!(error("[db1]:3306"), AddressError::Host);
        assert_eq!(error("10.0.0.300:3306"), AddressError::Host);
        assert_eq!(error(":3306"), AddressError::Host);
        assert_eq!(error("*:3306"), AddressError::Host);
        assert_eq!(error("a b:3306"), AddressError::Host);
        assert_eq!(error("/run/m.sock"), AddressError::BarePath);
        assert_eq!(error("unix:run/m.sock"), AddressError::RelativePath);
        assert_eq!(
            error(&format!("unix:/{}", "x".repeat(107))),
            AddressError::LongPath
        );
    }
}
