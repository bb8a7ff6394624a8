//! What clients tried, what they were told and what they saw: all that a run leaves to be judged.

use std::collections::BTreeMap;
use std::fmt;

use tokio::time::Instant;

/// A value that is written once in a run: the client in its upper half, a count in its lower one.
pub type Token = u64;

/// Where the count of a token begins.
const COUNT: u32 = 32;

pub fn token(client: u64, count: u64) -> Token {
    client << COUNT | count
}

pub fn client_of(token: Token) -> u64 {
    token >> COUNT
}

/// Something that a client did.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Login,
    /// The token, in a statement of its own.
    Write(Token),
    /// One more on the client's own counter, in a statement of its own.
    Count,
    /// The token twice, and one more on the client's counter, in one transaction.
    Transaction(Token),
    /// The same, taken back.
    Rollback(Token),
    Read,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Acknowledged,
    /// It did not happen, as far as the client was told.
    Refused(Problem),
    /// It may have happened.
    Unknown(Problem),
}

/// Why something did not work.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The server's or the proxy's code; none when the connection was lost or nothing came.
    pub code: Option<u16>,
    pub text: String,
}

/// What a read saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// All counters by client.
    Counters(BTreeMap<u64, u64>),
    /// The newest token of the client itself; 0: none.
    Newest(Token),
    /// Tokens of transactions of which half is there.
    Halves(Vec<Token>),
}

/// One thing that one client did, in the order of its doing.
#[derive(Clone, Debug)]
pub struct Operation {
    pub client: u64,
    /// Counts the client's connections: promises to a session end with it.
    pub session: u32,
    pub action: Action,
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
    pub seen: Option<Seen>,
}

/// What one server has in the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Each token with the server that executed its insert.
    pub writes: BTreeMap<Token, u32>,
    /// How many halves of each token there are, and the server that executed the first.
    pub halves: BTreeMap<Token, (u32, u32)>,
    pub counters: BTreeMap<u64, u64>,
}

// === impl Operation ===

impl Operation {
    pub fn is_acknowledged(&self) -> bool {
        self.outcome == Outcome::Acknowledged
    }

    pub fn may_write(&self) -> bool {
        matches!(
            self.action,
            Action::Write(_) | Action::Count | Action::Transaction(_)
        )
    }

    pub fn problem(&self) -> Option<&Problem> {
        match &self.outcome {
            Outcome::Acknowledged => None,
            Outcome::Refused(problem) | Outcome::Unknown(problem) => Some(problem),
        }
    }

    /// The server that executed it, where that can be told.
    pub fn server(&self, content: &Content) -> Option<u32> {
        match self.action {
            Action::Write(token) => content.writes.get(&token).copied(),
            Action::Transaction(token) => content.halves.get(&token).map(|(_, server)| *server),
            _ => None,
        }
    }
}

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
