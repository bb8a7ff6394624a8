//! What a scan must say about statements, as tables, and what must hold for any text.

mod any_text;
mod flags;
mod kills;
mod spans;
mod verbs;

use super::*;

const MYSQL: Dialect = Dialect {
    flavour: Flavour::MySql,
    version: 90_700,
    charset: Charset::Utf8,
    no_backslash_escapes: false,
    ansi_quotes: false,
};
const MARIADB: Dialect = Dialect {
    flavour: Flavour::MariaDb,
    version: 101_106,
    ..MYSQL
};

fn mysql(text: &str) -> Features {
    scan(text.as_bytes(), MYSQL)
}

fn mariadb(text: &str) -> Features {
    scan(text.as_bytes(), MARIADB)
}
