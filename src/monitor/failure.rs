//! What an error of a probe says about the server.

use std::io;

use mysql_async::{DriverError, Error, IoError};

use crate::backend::BackendError;
use crate::topology::{Class, Failure};

/// A server's own texts are cut here.
const LONGEST: usize = 300;

/// An error of a probe that may have just connected.
pub(super) fn of_error(error: &Error) -> Failure {
    let (class, code) = match error {
        Error::Server(error) => (of_code(error.code), Some(error.code)),
        Error::Io(IoError::Io(_)) | Error::Driver(DriverError::ConnectionClosed) => {
            (Class::Unreachable, None)
        }
        _ => (Class::Other, None),
    };
    let message = match error {
        Error::Server(error) => error.message.clone(),
        Error::Io(IoError::Io(error)) => error.to_string(),
        error => error.to_string(),
    };
    failure(class, code, &message)
}

pub(super) fn of_greeting(error: &BackendError) -> Failure {
    let (class, code) = match error {
        BackendError::Refused { code, .. } => (of_code(*code), Some(*code)),
        BackendError::Connect { .. } | BackendError::Lost { .. } => (Class::Unreachable, None),
        BackendError::ConnectTimeout { .. } => (Class::Timeout, None),
        _ => (Class::Other, None),
    };
    failure(class, code, &error.to_string())
}

pub(super) fn late(limit: std::time::Duration) -> Failure {
    failure(Class::Timeout, None, &format!("no answer within {limit:?}"))
}

/// Whether the server is there and lets others in, for all that can be told: it is the monitor that it does not
/// like, or that cannot do what this server wants.
pub(super) fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Server(error) => of_code(error.code) == Class::Denied,
        Error::Io(IoError::Tls(_)) => true,
        Error::Io(IoError::Io(error)) => error.kind() == io::ErrorKind::InvalidData,
        Error::Driver(error) => !matches!(error, DriverError::ConnectionClosed),
        _ => false,
    }
}

fn failure(class: Class, code: Option<u16>, message: &str) -> Failure {
    let message: String = message.chars().take(LONGEST).collect();
    Failure {
        class,
        code,
        message: message.into(),
    }
}

fn of_code(code: u16) -> Class {
    match code {
        // Of the server, of an account, by an account's limits.
        1040 | 1203 | 1226 => Class::TooManyConnections,
        // A wrong password, a plugin, no password, an expired one, a locked account (twice), no privilege.
        1044 | 1045 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118 | 4151 | 1142 | 1227 => Class::Denied,
        1053 | 1077 | 1079 | 1927 => Class::Stopping,
        1021 | 1114 => Class::DiskFull,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::ServerError;

    use super::*;

    fn server(code: u16) -> Error {
        Error::Server(ServerError {
            code,
            message: "é".repeat(1000),
            state: "HY000".to_owned(),
        })
    }

    #[test]
    fn a_full_server_is_no_refusal_and_a_wrong_password_is() {
        assert_eq!(of_error(&server(1040)).class, Class::TooManyConnections);
        assert!(!is_refusal(&server(1040)) && is_refusal(&server(1045)));
        // Nobody at all may come from this host.
        assert!(!is_refusal(&server(1129)) && !is_refusal(&server(1130)));
        assert_eq!(of_error(&server(1021)).class, Class::DiskFull);
        assert_eq!(of_error(&server(1045)).message.chars().count(), LONGEST);
        let lost = Error::Io(IoError::Io(io::ErrorKind::ConnectionRefused.into()));
        assert_eq!(of_error(&lost).class, Class::Unreachable);
        assert!(!is_refusal(&lost));
    }
}
