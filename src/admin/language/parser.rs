//! From tokens to a command.

use thiserror::Error;

use super::command::{Command, Reload, ServerSetting};
use super::list::{DESCRIBED, FIRST_WORDS};
use super::query::{Query, Source};
use super::small_talk;
use super::tokens::{Placed, Token, tokens};
use crate::config::{Switchover, parse_duration};
use crate::topology::Admin;
use crate::util::suggest::nearest;

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Bad {
    #[error("{0}")]
    Malformed(String),
    #[error("`{what}` is no command{}", did_you_mean(.suggestion))]
    Unknown {
        what: String,
        suggestion: Option<&'static str>,
    },
}

/// What SHOW TABLES shows, and what its column is called.
pub const TABLE_NAMES: &str = "tables_in_splitrail";

fn did_you_mean(suggestion: &Option<&'static str>) -> String {
    match suggestion {
        Some(word) => format!("; did you mean {}? HELP lists all commands", word.to_uppercase()),
        None => "; HELP lists all commands".to_owned(),
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    next: usize,
}

/// Reads one command. A `;` may end it.
pub fn parse(text: &str) -> Result<Command, Bad> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
    };
    while parser.takes_last_semicolon() {}
    if parser.tokens.is_empty() {
        return Ok(Command::Nothing);
    }
    let command = parser.command()?;
    if parser.next < parser.tokens.len() {
        return Err(parser.unexpected("the end"));
    }
    Ok(command)
}

// === impl Parser: tokens ===

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    /// Where the next token begins in the text.
    pub(super) fn at(&self) -> usize {
        let next = self.tokens.get(self.next);
        next.map_or(self.text.len(), |placed| placed.at)
    }

    /// The text from a place to the next token.
    pub(super) fn text_since(&self, from: usize) -> &str {
        self.text.get(from..self.at()).unwrap_or_default()
    }

    pub(super) fn takes(&mut self, keyword: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is_next);
        is_next
    }

    pub(super) fn takes_mark(&mut self, mark: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Mark(next)) if *next == mark);
        self.next += usize::from(is_next);
        is_next
    }

    pub(super) fn expects(&mut self, keyword: &str) -> Result<(), Bad> {
        match self.takes(keyword) {
            true => Ok(()),
            false => Err(self.unexpected(keyword)),
        }
    }

    pub(super) fn expects_mark(&mut self, mark: &str) -> Result<(), Bad> {
        match self.takes_mark(mark) {
            true => Ok(()),
            false => Err(self.unexpected(mark)),
        }
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String, Bad> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.next += 1;
                Ok(word)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// A word or a quoted text.
    pub(super) fn value(&mut self, what: &str) -> Result<String, Bad> {
        let sign = if self.takes_mark("-") { "-" } else { "" };
        match self.peek() {
            Some(Token::Word(value) | Token::Text(value)) => {
                let value = format!("{sign}{value}");
                self.next += 1;
                Ok(value)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, Bad> {
        let value = self.value(what)?;
        let wrong = || Bad::Malformed(format!("`{value}` is not {what}"));
        value.parse().map_err(|_| wrong())
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Bad {
        let found = self.text.get(self.at()..).unwrap_or_default();
        let found: String = found.chars().take(40).collect();
        Bad::Malformed(match found.is_empty() {
            true => format!("{wanted} is missing at the end"),
            false => format!("expected {wanted} near '{found}'"),
        })
    }

    pub(super) fn skip_rest(&mut self) {
        self.next = self.tokens.len();
    }

    /// `*`, or a table's `x.*`.
    pub(super) fn takes_all_columns(&mut self) -> bool {
        let token = |place: usize| self.tokens.get(self.next + place).map(|placed| &placed.token);
        let is_qualified = matches!(token(0), Some(Token::Word(_)))
            && token(1) == Some(&Token::Mark("."))
            && token(2) == Some(&Token::Mark("*"));
        self.next += if is_qualified { 2 } else { 0 };
        self.takes_mark("*")
    }

    /// Whether what comes is no column: a number, a text, a function or a variable.
    pub(super) fn is_at_expression(&self) -> bool {
        let token = |place: usize| self.tokens.get(self.next + place).map(|placed| &placed.token);
        match token(0) {
            Some(Token::Word(word)) => {
                word.starts_with(|first: char| first.is_ascii_digit())
                    || word.eq_ignore_ascii_case("NULL")
                    || token(1) == Some(&Token::Mark("("))
            }
            Some(Token::Text(_)) => true,
            Some(Token::Mark(mark)) => matches!(*mark, "@@" | "@"),
            None => false,
        }
    }

    fn is_at_end(&self) -> bool {
        self.next >= self.tokens.len()
    }

    fn takes_last_semicolon(&mut self) -> bool {
        let is_last = matches!(self.tokens.last(), Some(placed) if placed.token == Token::Mark(";"));
        if is_last {
            self.tokens.pop();
        }
        is_last
    }
}

// === impl Parser: commands ===

impl Parser<'_> {
    fn command(&mut self) -> Result<Command, Bad> {
        let first = self.word("a command")?;
        match first.to_ascii_uppercase().as_str() {
            "HELP" => match self.is_at_end() {
                true => Ok(Command::Help(None)),
                false => self.value("a word").map(|word| Command::Help(Some(word))),
            },
            "SHOW" => self.show(),
            "SELECT" => self.select(),
            "DESCRIBE" | "DESC" => self.describe(false),
            "EXPLAIN" => self.explain(),
            "PROMOTE" => {
                self.expects("CHECK")?;
                self.takes("TO");
                Ok(Command::PromoteCheck(self.name_if_any()?))
            }
            "SWITCHOVER" => self.switchover(),
            "FAILOVER" => {
                let to = self.target()?;
                let force = self.takes("FORCE");
                if !self.is_at_end() {
                    return Err(self.unexpected("TO server, FORCE or the end"));
                }
                Ok(Command::Failover { to, force })
            }
            "REJOIN" => {
                let server = self.value("a server")?;
                let discard = self.takes("DISCARD");
                Ok(Command::Rejoin { server, discard })
            }
            "PAUSE" => self.pause(true),
            "RESUME" => self.pause(false),
            "DRAIN" => self.state(Admin::Drain),
            "MAINTENANCE" => self.state(Admin::Maintenance),
            "SET" => self.set(),
            "KILL" => self.kill(),
            "RESET" => {
                self.expects("STATS")?;
                Ok(Command::ResetStats)
            }
            "RELOAD" => self.reload(),
            "SAVE" => {
                self.expects("CONFIG")?;
                let to = self.takes("TO").then(|| self.path());
                to.transpose().map(Command::SaveConfig)
            }
            "USE" | "BEGIN" | "START" | "COMMIT" | "ROLLBACK" => Ok(self.nothing()),
            _ => Err(unknown(&first)),
        }
    }

    fn show(&mut self) -> Result<Command, Bad> {
        for word in ["FULL", "EXTENDED", "GLOBAL", "SESSION", "ALL"] {
            // SHOW SESSION VARIABLES is a question for variables; SHOW SESSION 7 is one for a session.
            let is_scope = !matches!(self.tokens.get(self.next + 1).map(|placed| &placed.token),
                Some(Token::Word(next)) if next.bytes().all(|each| each.is_ascii_digit()));
            if word != "SESSION" || is_scope && self.next + 1 < self.tokens.len() {
                self.takes(word);
            }
        }
        let is_full = self.text_since(0).to_ascii_uppercase().contains("FULL");
        if self.takes("SESSION") {
            return self.number("a session's id").map(Command::Session);
        }
        if self.takes("COLUMNS") || self.takes("FIELDS") {
            if !self.takes("IN") {
                self.expects("FROM")?;
            }
            return self.describe(is_full);
        }
        if let Some(command) = self.show_of_server()? {
            return Ok(command);
        }
        let table = self.table()?;
        self.skip_database()?;
        let query = match table.as_str() {
            "tables" => Self::show_tables(is_full),
            _ => Query::of(&table),
        };
        query.read_rest(self).map(Command::Query)
    }

    fn describe(&mut self, is_full: bool) -> Result<Command, Bad> {
        let table = self.table()?;
        self.skip_database()?;
        let mut query = Query {
            source: Source::Describe(table),
            ..Query::default()
        };
        if !is_full {
            query.columns = DESCRIBED[..DESCRIBED.len() - 3]
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
        }
        query.read_rest(self).map(Command::Query)
    }

    fn select(&mut self) -> Result<Command, Bad> {
        let is_word = |placed: &Placed, wanted: &str| matches!(&placed.token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        let from = self.tokens.iter().position(|placed| is_word(placed, "FROM"));
        let behind = from.and_then(|from| self.tokens.get(from + 1));
        if from.is_none() || behind.is_some_and(|behind| is_word(behind, "DUAL")) {
            let items = small_talk::items(self)?;
            if self.takes("FROM") {
                self.expects("DUAL")?;
            }
            if self.takes("LIMIT") {
                self.number::<u64>("a number of rows")?;
            }
            return Ok(Command::SmallTalk(items));
        }
        let mut query = Query::default();
        query.read_columns(self)?;
        self.expects("FROM")?;
        query.source = Source::Table(self.table()?);
        self.skip_alias()?;
        query.read_rest(self).map(Command::Query)
    }

    fn explain(&mut self) -> Result<Command, Bad> {
        if !self.takes("ROUTE") {
            let is_statement = matches!(self.peek(), Some(Token::Word(word))
                if ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"].iter().any(|verb| word.eq_ignore_ascii_case(verb)));
            return match is_statement {
                true => Err(Bad::Malformed(
                    "write EXPLAIN ROUTE before a statement".to_owned(),
                )),
                false => self.describe(false),
            };
        }
        let statement = self.text.get(self.at()..).unwrap_or_default().trim();
        let statement = statement.trim_end_matches(';').trim_end();
        if statement.is_empty() {
            return Err(self.unexpected("a statement"));
        }
        self.next = self.tokens.len();
        Ok(Command::ExplainRoute(statement.to_owned()))
    }

    /// In quotes, or as it is: nothing comes behind it.
    fn path(&mut self) -> Result<String, Bad> {
        if let (Some(Token::Text(_)), true) = (self.peek(), self.next + 1 == self.tokens.len()) {
            return self.value("a path");
        }
        let path = self.text.get(self.at()..).unwrap_or_default();
        let path = path.trim().trim_end_matches(';').trim_end().to_owned();
        if path.is_empty() {
            return Err(self.unexpected("a path"));
        }
        self.skip_rest();
        Ok(path)
    }

    fn switchover(&mut self) -> Result<Command, Bad> {
        let to = self.target()?;
        let mut timeout = None;
        if self.takes("TIMEOUT") {
            let value = self.value("a duration")?;
            let plain = value.parse().ok().map(std::time::Duration::from_secs);
            let duration = plain.or_else(|| parse_duration(&value));
            let wrong = || Bad::Malformed(format!("`{value}` is not a duration; write 10s or 1m"));
            let given = duration.ok_or_else(wrong)?;
            if !Switchover::TIMEOUT.contains(&given) {
                let why = format!("`{value}` is out of range; TIMEOUT is from 1s to 1h");
                return Err(Bad::Malformed(why));
            }
            timeout = Some(given);
        }
        let force = self.takes("FORCE");
        if !self.is_at_end() {
            return Err(self.unexpected("TO server, TIMEOUT duration, FORCE or the end"));
        }
        Ok(Command::Switchover { to, timeout, force })
    }

    fn target(&mut self) -> Result<Option<String>, Bad> {
        match self.takes("TO") {
            true => self.value("a server").map(Some),
            false => Ok(None),
        }
    }

    fn name_if_any(&mut self) -> Result<Option<String>, Bad> {
        match self.is_at_end() {
            true => Ok(None),
            false => self.value("a server").map(Some),
        }
    }

    /// PAUSE and RESUME.
    fn pause(&mut self, paused: bool) -> Result<Command, Bad> {
        if self.takes("FAILOVER") {
            return Ok(Command::FailoverPaused(paused));
        }
        if self.takes("LISTENER") {
            let listener = self.value("a listener")?;
            return Ok(Command::ListenerPaused { listener, paused });
        }
        match paused {
            true => Err(self.unexpected("FAILOVER or LISTENER")),
            false => self.state(Admin::Online),
        }
    }

    fn state(&mut self, state: Admin) -> Result<Command, Bad> {
        self.takes("SERVER");
        Ok(Command::SetServer {
            server: self.value("a server")?,
            setting: ServerSetting::State(state),
        })
    }

    fn set(&mut self) -> Result<Command, Bad> {
        if !self.takes("SERVER") {
            return Ok(self.nothing());
        }
        let server = self.value("a server")?;
        let what = self.word("WEIGHT, STATE or MAX_CONNECTIONS")?;
        self.takes_mark("=");
        let setting = match what.to_ascii_uppercase().as_str() {
            "WEIGHT" => ServerSetting::Weight(self.number("a weight")?),
            "MAX_CONNECTIONS" => ServerSetting::MaxConnections(self.number("a number of connections")?),
            "STATE" => {
                let word = self.value("a state")?;
                let states = [Admin::Online, Admin::Drain, Admin::Maintenance];
                let state = states
                    .into_iter()
                    .find(|state| state.word().eq_ignore_ascii_case(&word));
                let wrong = || Bad::Malformed(format!("`{word}` is not online, drain or maintenance"));
                ServerSetting::State(state.ok_or_else(wrong)?)
            }
            _ => {
                let what = format!("a server has no `{what}`: write WEIGHT, STATE or MAX_CONNECTIONS");
                return Err(Bad::Malformed(what));
            }
        };
        Ok(Command::SetServer { server, setting })
    }

    fn kill(&mut self) -> Result<Command, Bad> {
        let query = self.takes("QUERY");
        if !query {
            self.takes("CONNECTION");
        }
        let id = self.number("a session's id")?;
        Ok(Command::Kill { id, query })
    }

    fn reload(&mut self) -> Result<Command, Bad> {
        for what in [Reload::Tls, Reload::Accounts, Reload::Config] {
            if self.takes(what.word()) {
                return Ok(Command::Reload(what));
            }
        }
        Err(self.unexpected("TLS, ACCOUNTS or CONFIG"))
    }

    fn nothing(&mut self) -> Command {
        self.skip_rest();
        Command::Nothing
    }
}

fn unknown(word: &str) -> Bad {
    let known = nearest(word, FIRST_WORDS.iter().copied());
    Bad::Unknown {
        what: word.chars().take(64).collect(),
        suggestion: known.and_then(|known| FIRST_WORDS.iter().find(|word| **word == known).copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::{Condition, Operator, Order};
    use super::super::small_talk::{Expression, Item};
    use super::*;
    use std::time::Duration;

    fn query(text: &str) -> Query {
        match parse(text) {
            Ok(Command::Query(query)) => query,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn tables_are_shown_or_selected_from() {
        assert_eq!(query("show servers;"), Query::of("servers"));
        assert_eq!(query("SELECT * FROM `servers`"), Query::of("servers"));
        assert_eq!(
            query("SELECT * FROM splitrail.servers WHERE 1=1"),
            Query::of("servers")
        );
        assert_eq!(query("SHOW FAILOVER ANALYSIS"), Query::of("failover_analysis"));
        assert_eq!(query("SHOW TABLES").columns, ["tables_in_splitrail"]);
        assert_eq!(query("SHOW FULL TABLES FROM splitrail").columns.len(), 2);
        assert_eq!(
            query("SELECT * FROM information_schema.tables"),
            Query::of("tables")
        );
        assert_eq!(
            query("SHOW SESSION VARIABLES LIKE 'x%'").like.as_deref(),
            Some("x%")
        );
        let asked = query(
            "SELECT server, lag_ms FROM servers WHERE role != 'primary' AND lag_ms > 10 AND problem IS NOT NULL \
             ORDER BY lag_ms DESC, server LIMIT 1, 2",
        );
        assert_eq!(asked.columns, ["server", "lag_ms"]);
        assert_eq!(asked.conditions.len(), 3);
        assert_eq!(
            asked.conditions[0],
            Condition {
                operator: Operator::Unequal,
                ..Condition::equal("role", "primary")
            }
        );
        assert_eq!(asked.conditions[2].operator, Operator::IsNot);
        assert_eq!(
            asked.order[0],
            Order {
                column: "lag_ms".to_owned(),
                descending: true
            }
        );
        assert_eq!(asked.limit, Some((1, 2)));
        assert!(query("select count(*) from sessions").count);
        assert_eq!(
            query("DESC servers").source,
            Source::Describe("servers".to_owned())
        );
        assert_eq!(
            query("SHOW COLUMNS FROM servers LIKE 'l%'").source,
            Source::Describe("servers".to_owned())
        );
    }

    #[test]
    fn commands_are_understood() {
        let to = |name: &str| Some(name.to_owned());
        assert_eq!(
            parse("SWITCHOVER TO db2 TIMEOUT 1500ms FORCE"),
            Ok(Command::Switchover {
                to: to("db2"),
                timeout: Some(Duration::from_millis(1500)),
                force: true
            })
        );
        assert_eq!(
            parse("switchover"),
            Ok(Command::Switchover {
                to: None,
                timeout: None,
                force: false
            })
        );
        assert_eq!(
            parse("REJOIN db1 DISCARD"),
            Ok(Command::Rejoin {
                server: "db1".to_owned(),
                discard: true
            })
        );
        assert_eq!(parse("PROMOTE CHECK"), Ok(Command::PromoteCheck(None)));
        assert_eq!(parse("PROMOTE CHECK db2"), Ok(Command::PromoteCheck(to("db2"))));
        assert_eq!(parse("PAUSE FAILOVER"), Ok(Command::FailoverPaused(true)));
        let path = Some("/a/b c.yaml".to_owned());
        assert_eq!(
            parse("SAVE CONFIG TO '/a/b c.yaml'"),
            Ok(Command::SaveConfig(path))
        );
        assert_eq!(
            parse("SAVE CONFIG TO '/a/b c.yaml';"),
            parse("save config to /a/b c.yaml ;")
        );
        assert_eq!(parse("SAVE CONFIG"), Ok(Command::SaveConfig(None)));
        let state = |server: &str, state| Command::SetServer {
            server: server.to_owned(),
            setting: ServerSetting::State(state),
        };
        assert_eq!(parse("DRAIN db2"), Ok(state("db2", Admin::Drain)));
        assert_eq!(parse("RESUME db2"), Ok(state("db2", Admin::Online)));
        assert_eq!(
            parse("SET SERVER db2 STATE = maintenance"),
            Ok(state("db2", Admin::Maintenance))
        );
        assert_eq!(
            parse("SET SERVER db2 WEIGHT = 7"),
            Ok(Command::SetServer {
                server: "db2".to_owned(),
                setting: ServerSetting::Weight(7)
            })
        );
        assert_eq!(parse("KILL 12"), Ok(Command::Kill { id: 12, query: false }));
        assert_eq!(parse("KILL QUERY 12"), Ok(Command::Kill { id: 12, query: true }));
        assert_eq!(parse("SHOW SESSION 12"), Ok(Command::Session(12)));
        assert_eq!(
            parse("EXPLAIN ROUTE SELECT 'a;b' FROM t;"),
            Ok(Command::ExplainRoute("SELECT 'a;b' FROM t".to_owned()))
        );
    }

    #[test]
    fn clients_small_talk_is_understood() {
        for text in [
            "SET NAMES utf8mb4",
            "set autocommit=0",
            "USE x",
            "COMMIT",
            "",
            "-- x",
            "/*!40101 SET x=1 */",
        ] {
            assert_eq!(parse(text), Ok(Command::Nothing), "{text}");
        }
        let items = |text: &str| match parse(text) {
            Ok(Command::SmallTalk(items)) => items,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(
            items("select @@version_comment limit 1"),
            [Item {
                expression: Expression::Variable("version_comment".to_owned()),
                name: "@@version_comment".to_owned(),
            }]
        );
        let asked = items(
            "/* mysql-connector-j */SELECT  @@session.auto_increment_increment AS a, @@sql_mode b, USER()",
        );
        assert_eq!(asked[0].name, "a");
        assert_eq!(asked[1].name, "b");
        assert_eq!(asked[2].expression, Expression::Function("user".to_owned()));
        assert_eq!(asked[2].name, "USER()");
        assert_eq!(
            items("SELECT 1")[0].expression,
            Expression::Number("1".to_owned())
        );
    }

    #[test]
    fn slips_are_told_with_a_suggestion() {
        let told = |text: &str| parse(text).unwrap_err().to_string();
        assert!(told("SWITCHOVR TO db2").contains("did you mean SWITCHOVER?"));
        assert!(told("frobnicate").contains("HELP lists"));
        assert!(told("SWITCHOVER TO").contains("a server is missing"));
        assert!(told("SWITCHOVER TO db2 NOW").contains("near 'NOW'"));
        for outside in ["0", "500ms", "2h", "3601"] {
            let why = told(&format!("SWITCHOVER TIMEOUT {outside}"));
            assert!(why.contains("from 1s to 1h"), "{why}");
        }
        for within in ["1s", "1h", "3600"] {
            assert!(parse(&format!("SWITCHOVER TIMEOUT {within}")).is_ok(), "{within}");
        }
        assert!(told("switchover too db2").contains("expected TO server"));
        assert!(told("SET SERVER db1 COLOUR = 2").contains("WEIGHT"));
        assert!(told("SHOW servers WHERE role ~ 'x'").contains("LIKE"));
        assert!(told("KILL everybody").contains("a session's id"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            words in proptest::collection::vec(
                proptest::sample::select(&["SHOW", "SELECT", "servers", "FROM", "WHERE", "a", "=", "'x'", "(", ")",
                    "LIMIT", "1", ",", "ORDER", "BY", "SET", "SERVER", "EXPLAIN", "ROUTE", "SESSION", ";", "@@", "*"][..]),
                0..12)
        ) {
            let _ = parse(&words.join(" "));
        }
    }
}
