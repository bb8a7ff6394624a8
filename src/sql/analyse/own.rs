//! Finds the statements that the proxy answers itself.

use super::super::dialect::Dialect;
use super::super::features::Features;
use super::super::flags::Flags;
use super::super::lexer::TokenKind;
use super::super::own::{Own, Setting};
use super::super::verb::Verb;
use super::head::Head;

const BAD_SHOW: &str = "SHOW SPLITRAIL takes one of SESSION, GTID, HOLDS, VARIABLES, STATUS and COUNTERS";
const BAD_SET: &str = "SET splitrail.name = value takes a string, a number, a word or DEFAULT, and no other variable \
    may be set with it";

pub(super) fn detect(text: &[u8], dialect: Dialect, features: &Features) -> Option<Own> {
    if features.has(Flags::BROKEN | Flags::SEVERAL | Flags::STORED_PROGRAM | Flags::VERSION_COMMENT) {
        // EXPLAIN ROUTE is about any statement, also of these kinds.
        return (features.verb == Verb::Explain)
            .then(|| explain(text, dialect))
            .flatten();
    }
    match features.verb {
        Verb::Explain => explain(text, dialect),
        Verb::Show => show(text, dialect),
        Verb::Set if !features.has(Flags::SET_STATEMENT) => set(text, dialect),
        _ => None,
    }
}

/// `EXPLAIN route` and `EXPLAIN route name` describe a table of that name.
fn explain(text: &[u8], dialect: Dialect) -> Option<Own> {
    let mut head = Head::new(text, dialect);
    if !head.skip("explain") || !head.is("route") {
        return None;
    }
    let start = head.token().end;
    head.next();
    let first = head.token();
    let alone = matches!(
        first.kind,
        TokenKind::Word
            | TokenKind::QuotedName
            | TokenKind::String
            | TokenKind::Symbol(b'.' | b';')
            | TokenKind::End
    );
    head.next();
    let ends = head.is_end() || head.is_symbol(b';');
    (!alone || (!ends && first.kind == TokenKind::Word) || is_whole(text.get(first.start..first.end)?))
        .then_some(Own::ExplainRoute {
            statement: start..text.len(),
        })
}

/// A reserved-looking word that is a statement of its own.
fn is_whole(word: &[u8]) -> bool {
    [&b"commit"[..], b"rollback", b"begin"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

fn show(text: &[u8], dialect: Dialect) -> Option<Own> {
    let mut head = Head::new(text, dialect);
    if !head.skip("show") || !head.skip("splitrail") {
        return None;
    }
    let own = match () {
        () if head.is("session") => Own::ShowSession,
        () if head.is("gtid") => Own::ShowGtid,
        () if head.is("holds") => Own::ShowHolds,
        () if head.is("variables") => Own::ShowVariables,
        () if head.is("status") => Own::ShowStatus,
        () if head.is("counters") => Own::ShowCounters,
        () => return Some(Own::Malformed(BAD_SHOW)),
    };
    head.next();
    head.skip_symbol(b';');
    Some(if head.is_end() {
        own
    } else {
        Own::Malformed(BAD_SHOW)
    })
}

fn set(text: &[u8], dialect: Dialect) -> Option<Own> {
    let mut head = Head::new(text, dialect);
    if !head.skip("set") {
        return None;
    }
    let mut settings = Vec::new();
    loop {
        let Some(name) = name(&mut head) else {
            // Of several assignments the first says whose they are.
            return (!settings.is_empty()).then_some(Own::Malformed(BAD_SET));
        };
        let Some(value) = value(&mut head, dialect) else {
            return Some(Own::Malformed(BAD_SET));
        };
        settings.push(Setting { name, value });
        if head.is_end() || (head.skip_symbol(b';') && head.is_end()) {
            return Some(Own::SetSplitrail(settings.into()));
        }
        if settings.len() == 16 || !head.skip_symbol(b',') {
            return Some(Own::Malformed(BAD_SET));
        }
    }
}

/// `[SESSION | LOCAL | @@ | @@session.] splitrail.name`, up to the equals sign.
fn name(head: &mut Head<'_>) -> Option<Box<str>> {
    let sign = head.token().kind == TokenKind::SystemSign;
    if sign {
        head.next();
    }
    if head.skip_any(&["session", "local"]) && sign && !head.skip_symbol(b'.') {
        return None;
    }
    if !head.skip("splitrail") || !head.skip_symbol(b'.') || head.token().kind != TokenKind::Word {
        return None;
    }
    let name = std::str::from_utf8(head.bytes()).ok()?.to_ascii_lowercase();
    head.next();
    Some(name.into())
}

/// The value behind the equals sign; `None` inside for DEFAULT.
fn value(head: &mut Head<'_>, dialect: Dialect) -> Option<Option<Box<str>>> {
    if head.token().kind == TokenKind::Assign {
        head.next();
    } else if !head.skip_symbol(b'=') {
        return None;
    }
    let value = match head.token().kind {
        TokenKind::Word if head.is("default") => None,
        TokenKind::Word | TokenKind::Number => Some(std::str::from_utf8(head.bytes()).ok()?.into()),
        TokenKind::String => Some(unquote(head.bytes(), dialect)?),
        _ => return None,
    };
    head.next();
    Some(value)
}

/// Values of ours have no use for escapes: a string with one is refused rather than misread.
fn unquote(literal: &[u8], dialect: Dialect) -> Option<Box<str>> {
    let (&quote, rest) = literal.split_first()?;
    let inner = rest.strip_suffix(&[quote])?;
    let plain = |&byte: &u8| byte != quote && (byte != b'\\' || dialect.no_backslash_escapes);
    if !inner.iter().all(plain) {
        return None;
    }
    Some(std::str::from_utf8(inner).ok()?.into())
}
