//! What a statement does to tables by name, as far as it matters to temporary ones: they come, go, and change
//! their names.

use super::dialect::Dialect;
use super::facts::Table;
use super::lexer::TokenKind;
use super::tokens::Tokens;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableChange {
    /// CREATE TEMPORARY TABLE, whether it was there already or not.
    CreateTemporary(Table),
    /// DROP TABLE, with or without TEMPORARY: none of these is a temporary one any more.
    Drop(Vec<Table>),
    /// RENAME TABLE, or an ALTER TABLE that may be one.
    Rename,
}

/// `None` for everything else, and for what cannot be read.
pub fn table_change(text: &[u8], dialect: Dialect) -> Option<TableChange> {
    let mut tokens = Tokens::new(text, dialect);
    let change = if tokens.take_word("CREATE") {
        created(&mut tokens).map(TableChange::CreateTemporary)
    } else if tokens.take_word("DROP") {
        dropped(&mut tokens).map(TableChange::Drop)
    } else if tokens.take_word("ALTER") {
        renames(&mut tokens).then_some(TableChange::Rename)
    } else {
        tokens.take_word("RENAME").then_some(TableChange::Rename)
    };
    change.filter(|_| !tokens.are_broken())
}

fn created(tokens: &mut Tokens<'_>) -> Option<Table> {
    if tokens.take_word("OR") && !tokens.take_word("REPLACE") {
        return None;
    }
    let is_table =
        tokens.take_word("TEMPORARY") && (tokens.take_word("TABLE") || tokens.take_word("SEQUENCE"));
    if !is_table || (tokens.take_word("IF") && !tokens.take_words(&["NOT", "EXISTS"])) {
        return None;
    }
    tokens.table()
}

fn dropped(tokens: &mut Tokens<'_>) -> Option<Vec<Table>> {
    tokens.take_word("TEMPORARY");
    let is_table = tokens.take_word("TABLE") || tokens.take_word("TABLES");
    if !is_table || (tokens.take_word("IF") && !tokens.take_word("EXISTS")) {
        return None;
    }
    let mut tables = vec![tokens.table()?];
    while tokens.take_symbol(b',') {
        tables.push(tokens.table()?);
    }
    Some(tables)
}

fn renames(tokens: &mut Tokens<'_>) -> bool {
    loop {
        let token = tokens.next_token();
        if token.kind == TokenKind::End {
            return false;
        }
        if tokens.is_word(token, "RENAME") {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        let show = |tables: &[Table]| {
            let names: Vec<_> = tables.iter().map(ToString::to_string).collect();
            names.join(" ")
        };
        Some(match table_change(text.as_bytes(), Dialect::default())? {
            TableChange::CreateTemporary(table) => format!("+{}", show(&[table])),
            TableChange::Drop(tables) => format!("-{}", show(&tables)),
            TableChange::Rename => "~".to_owned(),
        })
    }

    #[test]
    fn names_are_found() {
        for (text, expected) in [
            ("CREATE TEMPORARY TABLE t (a INT)", Some("+t")),
            (
                "create or replace temporary table if not exists a.`b``c` as select 1",
                Some("+a.b`c"),
            ),
            ("/*! CREATE TEMPORARY TABLE t */ SELECT 1", Some("+t")),
            ("DROP TABLE t", Some("-t")),
            ("DROP TEMPORARY TABLES IF EXISTS a.t, u RESTRICT", Some("-a.t u")),
            ("ALTER TABLE t RENAME TO u", Some("~")),
            ("RENAME TABLE t TO u", Some("~")),
            ("ALTER TABLE t ADD a INT", None),
            ("CREATE TABLE t (a INT)", None),
            ("DROP VIEW t", None),
            ("DROP TABLE IF t", None),
            ("CREATE TEMPORARY TABLE 'x'", None),
            ("DROP TABLE t /* ", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }
}
