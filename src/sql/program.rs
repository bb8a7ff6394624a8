//! Stored procedures: which one a CALL names, and whether a body leaves anything on its connection that no server
//! reports. What servers do report (variables, the schema, a transaction) is not asked for here.

use super::dialect::Dialect;
use super::facts::Table;
use super::lexer::{Lexer, Token, TokenKind};
use super::tokens::Tokens;

/// Words that are part of all that leaves something, and of much that does not. Sorted.
///
/// Temporary tables, texts that are prepared or run, locks by name, roles, locks that outlive their statement,
/// variables that the next statement consumes, and other procedures, which may do all of that.
const LEAVE: &[&str] = &[
    "backup",
    "call",
    "deallocate",
    "execute",
    "flush",
    "get_lock",
    "gtid_next",
    "identity",
    "insert_id",
    "instance",
    "last_insert_id",
    "lock",
    "prepare",
    "pseudo_thread_id",
    "rand_seed1",
    "rand_seed2",
    "resource",
    "role",
    "skip_replication",
    "temporary",
    "timestamp",
    "xa",
];

/// The procedure that the text calls, if calling it is all that it does.
pub fn called_procedure(text: &[u8], dialect: Dialect) -> Option<Table> {
    let mut tokens = Tokens::new(text, dialect);
    if !tokens.take_word("CALL") {
        return None;
    }
    let name = tokens.table()?;
    let ends = matches!(
        tokens.next_token().kind,
        TokenKind::Symbol(b'(' | b';') | TokenKind::End
    );
    ends.then_some(name)
}

/// Whether a procedure with this body leaves nothing unsaid. In doubt it does not.
pub fn leaves_nothing(body: &[u8], dialect: Dialect) -> bool {
    let mut lexer = Lexer::new(body, dialect);
    let mut before: Option<Token> = None;
    loop {
        let token = lexer.next_token();
        match token.kind {
            TokenKind::End => return !lexer.is_broken() && !lexer.met_code_comment(),
            TokenKind::UserVariable | TokenKind::SystemSign => return false,
            TokenKind::Word if leaves(word(body, token), before.map(|before| word(body, before))) => {
                return false;
            }
            _ => {}
        }
        before = Some(token);
    }
}

fn word(body: &[u8], token: Token) -> &[u8] {
    body.get(token.start..token.end).unwrap_or_default()
}

fn leaves(word: &[u8], before: Option<&[u8]>) -> bool {
    let lower = word.to_ascii_lowercase();
    let Ok(lower) = std::str::from_utf8(&lower) else {
        return false;
    };
    // DECLARE EXIT HANDLER, which is no HANDLER of a table.
    let declares = |before: &[u8]| {
        [&b"exit"[..], b"continue", b"undo"]
            .iter()
            .any(|kind| before.eq_ignore_ascii_case(kind))
    };
    if lower == "handler" {
        return !before.is_some_and(declares);
    }
    lower.starts_with("session_track_") || LEAVE.binary_search(&lower).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidy(body: &str) -> bool {
        leaves_nothing(body.as_bytes(), Dialect::default())
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(LEAVE.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn plain_work_leaves_nothing() {
        for body in [
            "SELECT * FROM t",
            "BEGIN DECLARE n INT DEFAULT 0; DECLARE EXIT HANDLER FOR SQLEXCEPTION ROLLBACK; \
             START TRANSACTION; INSERT INTO t (a) VALUES (n); SELECT COUNT(*) INTO n FROM t; COMMIT; END",
            "BEGIN /* no temporary table, and no @variable */ SET time_zone = '+01:00'; SELECT 'call x' AS `lock`; END",
        ] {
            assert!(tidy(body), "{body}");
        }
    }

    #[test]
    fn what_no_server_reports_is_found() {
        for body in [
            "SET @a = 1",
            "SELECT 1 INTO @a",
            "SET @@sql_mode = ''",
            "CREATE TEMPORARY TABLE t AS SELECT 1",
            "BEGIN DECLARE n INT; SELECT GET_LOCK('a', 1) INTO n; END",
            "CALL other()",
            "BEGIN PREPARE p FROM 'SELECT 1'; END",
            "EXECUTE IMMEDIATE 'SELECT 1'",
            "SET ROLE ALL",
            "SET timestamp = 1",
            "FLUSH TABLES WITH READ LOCK",
            "HANDLER t OPEN",
            "BEGIN /*!50000 SET @a = 1 */; END",
            "SELECT 'open",
        ] {
            assert!(!tidy(body), "{body}");
        }
    }

    #[test]
    fn a_call_names_its_procedure() {
        let called = |text: &str| {
            let found = called_procedure(text.as_bytes(), Dialect::default());
            found.map(|found| found.to_string())
        };
        assert_eq!(called("CALL p()").as_deref(), Some("p"));
        assert_eq!(
            called("/* x */ call `Shop`.p (1, @a);").as_deref(),
            Some("Shop.p")
        );
        assert_eq!(called("CALL p").as_deref(), Some("p"));
        assert_eq!(called("SELECT p()"), None);
        assert_eq!(called("CALL a.b.c()"), None);
    }
}
