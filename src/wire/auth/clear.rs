//! `mysql_clear_password`: the password itself, ended by a zero. Only for channels that nobody can read.

/// What is sent: also the answer to a full `caching_sha2_password` exchange on a secure channel.
pub fn reply(password: &[u8]) -> Vec<u8> {
    let mut reply = Vec::with_capacity(password.len() + 1);
    reply.extend_from_slice(password);
    reply.push(0);
    reply
}

/// The password in a reply: all before the zero that must end it. A zero inside makes it invalid.
pub fn password(reply: &[u8]) -> Option<&[u8]> {
    let (&last, password) = reply.split_last()?;
    (last == 0 && !password.contains(&0)).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_ends_with_its_only_zero() {
        assert_eq!(password(&reply(b"secret")), Some(&b"secret"[..]));
        assert_eq!(password(b"\0"), Some(&b""[..]));
        assert_eq!(password(b""), None);
        assert_eq!(password(b"secret"), None);
        assert_eq!(password(b"se\0cret\0"), None);
    }
}
