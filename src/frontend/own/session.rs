//! SHOW SPLITRAIL SESSION, GTID and VARIABLES: what the proxy knows of the session that asks.

use super::holds::ends_with;
use super::story::{Story, text};
use crate::session::Preferences;
use crate::session::Session;
use crate::wire::Status;
use crate::wire::result::ResultSet;

/// All that is shown of a session and is not in it.
#[derive(Debug)]
pub struct Shown<'a> {
    pub session: &'a Session,
    pub id: u32,
    pub user: &'a [u8],
    /// `None` for a Unix socket.
    pub address: Option<std::net::SocketAddr>,
    pub listener: &'a str,
    /// Where its writes go.
    pub home: &'a str,
    /// Where the connection goes that it holds.
    pub held: Option<&'a str>,
    /// The consistency level in force.
    pub level: &'static str,
    /// The rules that the session's statements may match.
    pub rules: String,
    /// Why its transaction could not be run again elsewhere; none: it could. `None`: there is none.
    pub replayable: Option<Result<(), String>>,
    /// Statements of all sessions that wait for a primary.
    pub parked: usize,
}

/// The longest value of a variable that is shown whole.
const LONGEST_VALUE: usize = 1024;

// === impl Shown ===

impl Shown<'_> {
    pub fn show(&self) -> ResultSet {
        let session = self.session;
        let mut story = Story::new();
        story.tell("id", self.id.to_string());
        story.tell("user", text(self.user));
        let address = self.address.map(|address| address.to_string());
        story.tell_or("address", address, "a Unix socket");
        story.tell("listener", self.listener);
        story.tell_or("schema", session.state.schema.as_deref().map(text), "none");
        story.tell("primary", self.home);
        story.tell_or("holds a connection to", self.held.map(str::to_owned), "none");
        for hold in session.holds.iter() {
            let why = format!("{}; it ends with {}", hold.text(), ends_with(hold));
            story.explain("hold", hold.name(), why);
        }
        story.tell("transaction", self.transaction());
        match &self.replayable {
            None => {}
            Some(Ok(())) => story.tell("replayable", "yes"),
            Some(Err(why)) => story.explain("replayable", "no", why.clone()),
        }
        story.tell("consistency", self.level);
        let rules = Some(&self.rules).filter(|rules| !rules.is_empty());
        story.tell_or("rules", rules.cloned(), "none");
        story.tell_or("gtid", position(session), "none");
        story.tell("statements that wait for a primary", self.parked.to_string());
        story.tell("prepared statements", session.statements.len().to_string());
        for (name, value) in session.state.variables.iter() {
            let value = value.get(..LONGEST_VALUE).unwrap_or(value);
            story.tell(&format!("variable {}", text(name)), text(value));
        }
        for (name, value) in session.preferences.list() {
            if let Some(value) = value {
                story.tell(&format!("splitrail.{name}"), value);
            }
        }
        story.0
    }

    fn transaction(&self) -> &'static str {
        let status = self.session.status;
        match () {
            () if status.has(Status::IN_READ_ONLY_TRANSACTION) => "under way, read only",
            () if status.has(Status::IN_TRANSACTION) => "under way",
            () if status.has(Status::AUTOCOMMIT) => "none",
            () => "none; autocommit is off",
        }
    }
}

fn position(session: &Session) -> Option<String> {
    let position = session.seen.position();
    (!position.is_empty()).then(|| position.to_string())
}

/// What another session can be given to see all that this one has.
pub fn gtid(session: &Session) -> ResultSet {
    let mut rows = ResultSet::new(&["gtid"]);
    rows.push([Some(position(session).unwrap_or_default())]);
    rows
}

/// The session's own settings; NULL for what follows the configuration.
pub fn variables(preferences: &Preferences) -> ResultSet {
    let mut rows = ResultSet::new(&["Variable_name", "Value"]);
    for (name, value) in preferences.list() {
        rows.push([Some(format!("splitrail.{name}")), value]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gtid::Position;
    use crate::session::Hold;
    use crate::sql::Dialect;

    fn shown(session: &Session) -> Vec<(String, String, String)> {
        let shown = Shown {
            session,
            id: 7,
            user: b"app",
            address: None,
            listener: "main",
            home: "db1",
            held: (!session.holds.is_empty()).then_some("db1"),
            level: "session",
            rules: "reports, slow".to_owned(),
            replayable: Some(Err("there are temporary tables".to_owned())),
            parked: 3,
        };
        let field = |value: &Option<Vec<u8>>| text(value.as_deref().unwrap_or_default());
        let rows = shown.show();
        let rows = rows.rows().iter();
        rows.map(|row| (field(&row[0]), field(&row[1]), field(&row[2])))
            .collect()
    }

    #[test]
    fn a_session_is_told_what_it_is_and_why_it_holds_a_connection() {
        let mut session = Session::new(Dialect::default());
        session.set_variable(b"sql_mode", b"ANSI_QUOTES");
        session.state.set_schema(b"shop");
        session.holds.insert(Hold::NamedLock);
        session.preferences.set("trace", Some("1"), false).unwrap();
        let rows = shown(&session);
        let value = |item: &str| rows.iter().find(|row| row.0 == item).map(|row| row.1.as_str());
        assert_eq!(value("id"), Some("7"));
        assert_eq!(value("schema"), Some("shop"));
        assert_eq!(value("rules"), Some("reports, slow"));
        assert_eq!(value("address"), Some("a Unix socket"));
        assert_eq!(value("holds a connection to"), Some("db1"));
        assert_eq!(value("variable sql_mode"), Some("ANSI_QUOTES"));
        assert_eq!(value("splitrail.trace"), Some("1"));
        assert_eq!(value("splitrail.route"), None);
        assert_eq!(value("gtid"), Some("none"));
        assert_eq!(value("replayable"), Some("no"));
        assert_eq!(value("statements that wait for a primary"), Some("3"));
        assert!(
            rows.iter()
                .any(|row| row.0 == "hold" && row.2.contains("RELEASE_LOCK"))
        );
    }

    #[test]
    fn the_position_is_one_row_in_the_servers_notation() {
        let mut session = Session::new(Dialect::default());
        assert_eq!(gtid(&session).rows(), [[Some(Vec::new())]]);
        session.seen.follow(&Position::parse(true, b"0-1-42").unwrap());
        assert_eq!(gtid(&session).rows(), [[Some(b"0-1-42".to_vec())]]);
    }

    #[test]
    fn settings_left_alone_are_null() {
        let mut preferences = Preferences::default();
        preferences.set("consistency", Some("strong"), false).unwrap();
        let rows = variables(&preferences);
        let find = |name: &[u8]| rows.rows().iter().find(|row| row[0].as_deref() == Some(name));
        assert_eq!(
            find(b"splitrail.consistency").unwrap()[1].as_deref(),
            Some(&b"strong"[..])
        );
        assert_eq!(find(b"splitrail.max_lag").unwrap()[1], None);
    }
}
