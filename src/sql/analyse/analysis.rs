//! Puts the facts about a text together from the scan, the class, the tables and the hints.

use super::super::dialect::{Dialect, Flavour};
use super::super::digest;
use super::super::facts::{Class, Facts, Table};
use super::super::features::Features;
use super::super::flags::Flags;
use super::super::hint::Hint;
use super::super::lexer::{Lexer, TokenKind};
use super::super::reason::Reason;
use super::super::scan::scan;
use super::super::verb::Verb;
use super::class::{self, Verdict};
use super::own;
use super::second;
use super::tables;

/// All facts about `text`, from the text alone. Never fails: what is not understood is a write.
pub fn analyse(text: &[u8], dialect: Dialect) -> Facts {
    let mut lexer = Lexer::new(text, dialect);
    while lexer.next_token().kind != TokenKind::End {}
    let hint = Hint::of(text, &lexer);
    let (
        features,
        Verdict {
            mut class,
            mut reason,
            calls,
            information_schema,
            ..
        },
    ) = verdict(text, dialect, &lexer);
    let own = own::detect(text, dialect, &features);
    let mut tables = tables::of(text, dialect, &features);
    if own.is_some() {
        (class, reason) = (Class::Session, Reason::Own);
    } else if class.is_read() && !same_in_every_version(text, dialect, &features, class) {
        (class, reason) = (Class::Write, Reason::VersionComment);
    }
    const PARSED: [Verb; 4] = [Verb::Select, Verb::Table, Verb::Values, Verb::Explain];
    if class.is_read()
        && features.verbs.is_subset_of(&PARSED)
        && let Some(opinion) = second::opinion(text, dialect)
    {
        if !opinion.is_query {
            (class, reason) = (Class::Write, Reason::SecondOpinion);
        }
        tables = union(tables, opinion.tables);
    }
    if !calls.is_empty() || features.has(Flags::VERSION_COMMENT | Flags::UNKNOWN_CALL) {
        tables = None;
    }
    // MariaDB lists the temporary tables of the session there.
    if information_schema && dialect.flavour == Flavour::MariaDb {
        tables = None;
    }
    let shape = digest::digest_text(text, dialect);
    Facts {
        features,
        class,
        reason,
        tables: tables.map(Into::into),
        calls: if class == Class::ReadIf {
            calls.into()
        } else {
            Box::default()
        },
        hint,
        own,
        digest: digest::number(&shape),
        shape: shape.into(),
    }
}

/// Either may miss what the other finds.
fn union(one: Option<Vec<Table>>, other: Option<Vec<Table>>) -> Option<Vec<Table>> {
    let (Some(mut all), Some(other)) = (one, other) else {
        return None;
    };
    all.extend(other);
    all.sort_unstable();
    all.dedup();
    Some(all)
}

fn verdict(text: &[u8], dialect: Dialect, lexer: &Lexer<'_>) -> (Features, Verdict) {
    if !lexer.met_code_comment() || lexer.is_broken() {
        let verdict = class::of_text(text, dialect);
        return (verdict.features, verdict);
    }
    let code = class::code(text, dialect);
    (scan(text, dialect), class::of_text(&code, dialect))
}

/// Whether servers that run all, or no version comments, take the text for the same.
fn same_in_every_version(text: &[u8], dialect: Dialect, features: &Features, class: Class) -> bool {
    !features.has(Flags::VERSION_COMMENT)
        || [Dialect::OLDEST_SERVER, u32::MAX].iter().all(|&version| {
            let dialect = Dialect { version, ..dialect };
            class::of_text(&class::code(text, dialect), dialect).class == class
        })
}
