//! The temporary tables that a session has, by name.

use crate::sql::{Table, TableChange};

/// Schema and name, as they were written.
type FullName = (Box<[u8]>, Box<[u8]>);

#[derive(Debug, Default)]
pub struct TemporaryTables {
    names: Vec<FullName>,
    /// There are others, or some of these go by other names by now.
    more: bool,
}

/// More than these are not told apart.
pub const MAX_NAMED: usize = 32;

// === impl TemporaryTables ===

impl TemporaryTables {
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.more
    }

    /// A statement was run that changes tables; `schema` is where it finds those without one.
    pub fn change(&mut self, change: &TableChange, schema: Option<&[u8]>) {
        let full = |table: &Table| -> FullName {
            let schema = table.schema.as_deref().or(schema).unwrap_or_default();
            (Box::from(schema), table.name.clone())
        };
        match change {
            TableChange::CreateTemporary(_) if self.more => {}
            TableChange::CreateTemporary(table) => {
                let name = full(table);
                if self.names.contains(&name) {
                    return;
                }
                self.names.push(name);
                if self.names.len() > MAX_NAMED {
                    self.lose_track();
                }
            }
            // A name in other letters may be the same to the server: then it is kept for too long, and no harm done.
            TableChange::Drop(tables) => self
                .names
                .retain(|name| !tables.iter().any(|table| full(table) == *name)),
            TableChange::Rename if !self.is_empty() => self.lose_track(),
            TableChange::Rename => {}
        }
    }

    /// From here on every table may be a temporary one.
    pub fn lose_track(&mut self) {
        self.more = true;
        self.names.clear();
    }

    /// Whether a statement with these tables may mean a temporary one. Schemas are not compared: what a table
    /// without one means to a prepared statement was decided earlier.
    pub fn are_touched_by(&self, tables: Option<&[Table]>) -> bool {
        let Some(tables) = tables.filter(|_| !self.more) else {
            return !self.is_empty();
        };
        let alike = |one: &[u8], two: &[u8]| {
            let other_letters = !one.is_ascii() && !two.is_ascii();
            one.eq_ignore_ascii_case(two) || other_letters
        };
        let is_named = |table: &Table| self.names.iter().any(|(_, name)| alike(name, &table.name));
        tables.iter().any(is_named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, table_change};

    fn run(tables: &mut TemporaryTables, sql: &str) {
        let change = table_change(sql.as_bytes(), Dialect::default()).unwrap();
        tables.change(&change, Some(b"db"));
    }

    fn touched(tables: &TemporaryTables, names: &[&str]) -> bool {
        let named: Vec<_> = names
            .iter()
            .map(|name| Table {
                schema: None,
                name: name.as_bytes().into(),
            })
            .collect();
        tables.are_touched_by(Some(&named))
    }

    #[test]
    fn tables_come_and_go_by_name() {
        let mut tables = TemporaryTables::default();
        assert!(!tables.are_touched_by(None));
        run(&mut tables, "CREATE TEMPORARY TABLE a (a INT)");
        run(&mut tables, "CREATE TEMPORARY TABLE IF NOT EXISTS db.a (a INT)");
        run(&mut tables, "CREATE TEMPORARY TABLE b (a INT)");
        assert!(tables.are_touched_by(None) && touched(&tables, &["c", "A"]) && !touched(&tables, &["c"]));
        run(&mut tables, "DROP TABLE other.a, a");
        assert!(!touched(&tables, &["a"]) && touched(&tables, &["b"]));
        run(&mut tables, "DROP TEMPORARY TABLE IF EXISTS b");
        assert!(tables.is_empty());
        run(&mut tables, "RENAME TABLE a TO b");
        assert!(tables.is_empty());
    }

    #[test]
    fn what_is_not_known_touches_everything() {
        let mut tables = TemporaryTables::default();
        run(&mut tables, "CREATE TEMPORARY TABLE a (a INT)");
        run(&mut tables, "ALTER TABLE a RENAME b");
        assert!(touched(&tables, &["c"]));
        run(&mut tables, "DROP TABLE a");
        assert!(!tables.is_empty());
        let mut many = TemporaryTables::default();
        for index in 0..=MAX_NAMED {
            assert!(!touched(&many, &["c"]));
            run(&mut many, &format!("CREATE TEMPORARY TABLE t{index} (a INT)"));
        }
        assert!(touched(&many, &["c"]));
    }
}
