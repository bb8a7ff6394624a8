//! What the driver says went wrong, for people: its own words wrap those of the server and of the system.

use mysql_async::{Error, IoError};

pub fn in_short(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("{} {}", error.code, error.message),
        Error::Io(IoError::Io(error)) => error.to_string(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_adds_is_left_out() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(in_short(&Error::Io(IoError::Io(refused))), "connection refused");
    }
}
