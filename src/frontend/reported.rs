//! User variables into which the server has put what only it knew: `GET DIAGNOSTICS @state = RETURNED_SQLSTATE`. It runs
//! where the statement before it ran, and its variables have to be wherever the session goes next.

use super::client::Client;
use crate::backend::BackendError;
use crate::sql::{Literal, UserAssignment};
use crate::util::hexadecimal;
use crate::wire::command::Command;

// === impl Client ===

impl Client {
    /// Asks the connection at hand for their values, before it goes to others. One whose answer cannot be taken along
    /// does not go anywhere.
    pub async fn fetch_reported(&mut self) -> Result<(), BackendError> {
        let names = std::mem::take(&mut self.session.reported);
        let Some(connection) = self.connection.as_mut().filter(|_| !names.is_empty()) else {
            return Ok(());
        };
        let body = connection.as_query(&question(&names));
        // It asks for counts as another session would.
        connection.sessions.last = u64::MAX;
        let heard = match connection.send(Command::QUERY, &body).await {
            Ok(()) => connection.hear(b"").await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = heard {
            self.connection = None;
            return Err(error);
        }
        let told = &connection.told;
        let assignment = |name: Box<[u8]>| {
            let value = told.get(&name).map_or(Some(Literal::Null), value)?;
            Some(UserAssignment { name, value })
        };
        let assignments: Option<Vec<_>> = names.into_iter().map(assignment).collect();
        let known = assignments.is_some_and(|all| self.session.learn_user_variables(&all));
        match &mut self.connection {
            Some(connection) if known => {
                connection.state.user_variables = self.session.state.user_variables.clone();
            }
            _ => {
                tracing::debug!(
                    client = self.id,
                    "what user variables were set to cannot be told elsewhere"
                );
                self.connection = None;
            }
        }
        Ok(())
    }

    /// The same where the session holds another connection than the one at hand: that one gets them.
    pub async fn take_reported_home(&mut self) {
        if self.session.reported.is_empty() || self.fetch_reported().await.is_err() {
            return;
        }
        let wanted = &self.session.state.user_variables;
        if let Some(held) = &mut self.aside
            && held.restore_user_variables(wanted).await.is_err()
        {
            // Whoever uses it next finds out.
            tracing::debug!(
                client = self.id,
                "the held connection did not take the user variables"
            );
        }
    }
}

/// A row for each variable: its name, and how its value is written elsewhere.
fn question(names: &[Box<[u8]>]) -> Vec<u8> {
    let mut sql = Vec::new();
    for name in names {
        let between: &[u8] = if sql.is_empty() {
            b"SELECT '"
        } else {
            b" UNION ALL SELECT '"
        };
        sql.extend_from_slice(between);
        sql.extend_from_slice(name);
        sql.extend_from_slice(b"',CONCAT(");
        for (before, after) in [
            (&b"CHARSET(@`"[..], &b"`),' ',"[..]),
            (b"COLLATION(@`", b"`),' ',"),
            (b"HEX(CONVERT(@`", b"` USING utf8mb4)))"),
        ] {
            sql.extend_from_slice(before);
            sql.extend_from_slice(name);
            sql.extend_from_slice(after);
        }
    }
    sql
}

/// What is told of one of them: its character set, its collation, and its text in digits.
fn value(told: &[u8]) -> Option<Literal> {
    let mut parts = told.splitn(3, |byte| *byte == b' ');
    let (charset, collation, digits) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = hexadecimal::read(std::str::from_utf8(digits).ok()?)?;
    if charset != b"binary" {
        let is_same = matches!(charset, b"utf8mb4" | b"utf8mb3" | b"utf8") || bytes.is_ascii();
        return is_same.then(|| Literal::Text {
            bytes: bytes.into(),
            charset: Some(charset.into()),
            collation: Some(collation.into()),
        });
    }
    let digits = bytes.strip_prefix(b"-").unwrap_or(&bytes);
    let is_number = (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| Literal::Exact(bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_taken_along_and_other_bytes_are_not() {
        assert_eq!(
            value(b"binary binary 2D3132"),
            Some(Literal::Exact(b"-12"[..].into()))
        );
        for told in [
            &b"binary binary 00ff"[..],
            b"binary binary",
            b"binary binary ",
            b"latin1 latin1_bin C3A9",
            b"",
        ] {
            assert_eq!(value(told), None, "{}", String::from_utf8_lossy(told));
        }
        let text = value(b"utf8mb3 utf8mb3_general_ci C3A9");
        let Some(Literal::Text {
            bytes,
            charset,
            collation,
        }) = text
        else {
            panic!("{text:?}");
        };
        assert_eq!(
            (&*bytes, charset.as_deref()),
            ("\u{e9}".as_bytes(), Some(&b"utf8mb3"[..]))
        );
        assert_eq!(collation.as_deref(), Some(&b"utf8mb3_general_ci"[..]));
    }

    #[test]
    fn each_variable_has_a_row() {
        let sql = question(&[b"a"[..].into(), b"b"[..].into()]);
        let row = |name: &str| {
            format!(
                "SELECT '{name}',CONCAT(CHARSET(@`{name}`),' ',COLLATION(@`{name}`),' ',HEX(CONVERT(@`{name}` USING utf8mb4)))"
            )
        };
        assert_eq!(
            String::from_utf8(sql).unwrap(),
            format!("{} UNION ALL {}", row("a"), row("b"))
        );
    }
}
