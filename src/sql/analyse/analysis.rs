//! Puts the facts about a text together from the scan, the class, the tables and the hints.

use super::super::dialect::Dialect;
use super::super::digest;
use super::super::facts::{Class, Facts};
use super::super::features::Features;
use super::super::flags::Flags;
use super::super::hint::Hint;
use super::super::lexer::{Lexer, TokenKind};
use super::super::reason::Reason;
use super::class::{self, Verdict};
use super::own;

/// All facts about `text`, from the text alone. Never fails: what is not understood is a write.
pub fn analyse(text: &[u8], dialect: Dialect) -> Facts {
    let Verdict {
        features,
        mut class,
        mut reason,
        calls,
        ..
    } = class::of_text(text, dialect);
    let hint = hint(text, dialect);
    let own = own::detect(text, dialect, &features);
    if own.is_some() {
        (class, reason) = (Class::Session, Reason::Own);
    } else if class.is_read() && !same_in_every_version(text, dialect, &features, class) {
        (class, reason) = (Class::Write, Reason::VersionComment);
    }
    Facts {
        features,
        class,
        reason,
        tables: None,
        calls: if class == Class::ReadIf {
            calls.into()
        } else {
            Box::default()
        },
        hint,
        own,
        digest: digest::number(text, dialect),
    }
}

/// Whether servers that run all, or no version comments, take the text for the same.
fn same_in_every_version(text: &[u8], dialect: Dialect, features: &Features, class: Class) -> bool {
    !features.has(Flags::VERSION_COMMENT)
        || [Dialect::OLDEST_SERVER, u32::MAX]
            .iter()
            .all(|&version| class::of_text(text, Dialect { version, ..dialect }).class == class)
}

fn hint(text: &[u8], dialect: Dialect) -> Hint {
    let mut lexer = Lexer::new(text, dialect);
    while lexer.next_token().kind != TokenKind::End {}
    Hint::of(text, &lexer)
}
