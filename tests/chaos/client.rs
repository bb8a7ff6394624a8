//! An application: it writes values that nobody else writes, alone and in transactions, counts, reads what it and
//! others wrote, connects again when it must, and remembers all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use splitrail::util::Random;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::history::{Action, Operation, Outcome, Problem, Seen, Token, token};

/// Longer than a statement is parked; who waits longer was forgotten.
const PATIENCE: Duration = Duration::from_secs(25);
const BETWEEN_LOGINS: Duration = Duration::from_millis(25);
/// Up to so long between two operations, and between two statements of a transaction.
const THINKS: u64 = 12;
const IN_TRANSACTION: u64 = 15;

/// What the proxy says when it cannot know whether a write happened.
const UNKNOWN: [&str; 2] = ["it is not known", "outcome is unknown"];

/// The tables of a run, in this database.
pub fn tables(database: &str) -> [String; 6] {
    [
        format!("CREATE DATABASE {database}"),
        format!(
            "CREATE TABLE {database}.writes (token BIGINT PRIMARY KEY, client INT NOT NULL, server INT NOT NULL \
             DEFAULT 0, KEY (client, token))"
        ),
        format!(
            "CREATE TABLE {database}.halves (token BIGINT, half INT, client INT NOT NULL, server INT NOT NULL \
             DEFAULT 0, PRIMARY KEY (token, half), KEY (client))"
        ),
        format!("CREATE TABLE {database}.counters (client INT PRIMARY KEY, n BIGINT NOT NULL)"),
        // Replication by rows carries what the trigger wrote on the server that executed the statement.
        format!(
            "CREATE TRIGGER {database}.writes_by BEFORE INSERT ON {database}.writes FOR EACH ROW SET NEW.server = \
             @@server_id"
        ),
        format!(
            "CREATE TRIGGER {database}.halves_by BEFORE INSERT ON {database}.halves FOR EACH ROW SET NEW.server = \
             @@server_id"
        ),
    ]
}

pub struct Client {
    pub number: u64,
    pub options: OptsBuilder,
    pub database: String,
    pub random: Random,
    /// True: end.
    pub stop: watch::Receiver<bool>,
    connection: Option<Conn>,
    session: u32,
    count: u64,
    history: Vec<Operation>,
}

/// How far something got.
enum Failure {
    /// Before anything that lasts was sent.
    Before(Problem),
    /// When it may have lasted.
    Within(Problem),
}

// === impl Client ===

impl Client {
    pub fn new(
        number: u64,
        options: OptsBuilder,
        database: &str,
        seed: u64,
        stop: watch::Receiver<bool>,
    ) -> Client {
        Client {
            number,
            options,
            database: database.to_owned(),
            random: Random::new(seed ^ number << 17),
            stop,
            connection: None,
            session: 0,
            count: 0,
            history: Vec::new(),
        }
    }

    pub async fn run(mut self) -> Vec<Operation> {
        while !*self.stop.borrow() {
            if self.connection.is_none() && !self.login().await {
                sleep(BETWEEN_LOGINS).await;
                continue;
            }
            self.step().await;
            sleep(Duration::from_millis(self.random.below(THINKS))).await;
        }
        if let Some(connection) = self.connection.take() {
            let _ = timeout(Duration::from_secs(1), connection.disconnect()).await;
        }
        self.history
    }

    async fn login(&mut self) -> bool {
        let began = Instant::now();
        let outcome = match timeout(PATIENCE, Conn::new(self.options.clone())).await {
            Ok(Ok(connection)) => {
                self.connection = Some(connection);
                self.session += 1;
                Outcome::Acknowledged
            }
            Ok(Err(error)) => Outcome::Refused(problem(error)),
            Err(_) => Outcome::Refused(no_answer()),
        };
        let works = outcome == Outcome::Acknowledged;
        // That it works is no news.
        if !works {
            self.remember(Action::Login, began, outcome, None);
        }
        works
    }

    async fn step(&mut self) {
        let began = Instant::now();
        let dice = self.random.below(100);
        let (action, result) = match dice {
            0..40 => {
                let token = self.next();
                let sql = format!(
                    "INSERT INTO {}.writes (token, client) VALUES ({token}, {})",
                    self.database, self.number
                );
                (Action::Write(token), self.statement(&sql).await)
            }
            40..55 => {
                let sql = self.one_more();
                (Action::Count, self.statement(&sql).await)
            }
            55..75 => {
                let token = self.next();
                (
                    Action::Transaction(token),
                    self.transaction(token, "COMMIT").await,
                )
            }
            75..79 => {
                let token = self.next();
                (Action::Rollback(token), self.transaction(token, "ROLLBACK").await)
            }
            _ => {
                let (outcome, seen) = match self.read(dice).await {
                    Ok(seen) => (Outcome::Acknowledged, Some(seen)),
                    Err(problem) => (Outcome::Refused(problem), None),
                };
                return self.remember(Action::Read, began, outcome, seen);
            }
        };
        let outcome = match result {
            Ok(()) => Outcome::Acknowledged,
            Err(Failure::Before(problem)) => Outcome::Refused(problem),
            Err(Failure::Within(problem)) if is_answer(&problem) => Outcome::Refused(problem),
            Err(Failure::Within(problem)) => Outcome::Unknown(problem),
        };
        self.remember(action, began, outcome, None);
    }

    fn next(&mut self) -> Token {
        self.count += 1;
        token(self.number, self.count)
    }

    fn one_more(&self) -> String {
        let (database, number) = (&self.database, self.number);
        format!("UPDATE {database}.counters SET n = n + 1 WHERE client = {number}")
    }

    async fn statement(&mut self, sql: &str) -> Result<(), Failure> {
        self.run_one(sql).await.map_err(Failure::Within)
    }

    async fn transaction(&mut self, token: Token, end: &str) -> Result<(), Failure> {
        let (database, number) = (self.database.clone(), self.number);
        let half = |half: u32| {
            format!("INSERT INTO {database}.halves (token, half, client) VALUES ({token}, {half}, {number})")
        };
        let mut statements = vec!["BEGIN".to_owned(), half(1)];
        if self.random.below(2) == 0 {
            statements.push(format!(
                "SELECT n FROM {database}.counters WHERE client = {number}"
            ));
        }
        statements.extend([half(2), self.one_more()]);
        for sql in statements {
            if let Err(problem) = self.run_one(&sql).await {
                // The proxy or the server may have ended the transaction, or not: this one does.
                if self.connection.is_some() {
                    let _ = self.run_one("ROLLBACK").await;
                }
                return Err(Failure::Before(problem));
            }
            sleep(Duration::from_millis(self.random.below(IN_TRANSACTION))).await;
        }
        let ended = self.run_one(end).await;
        if ended.is_err() && self.connection.is_some() {
            let _ = self.run_one("ROLLBACK").await;
        }
        ended.map_err(Failure::Within)
    }

    async fn read(&mut self, dice: u64) -> Result<Seen, Problem> {
        let (database, number) = (self.database.clone(), self.number);
        Ok(match dice % 3 {
            0 => {
                let rows: Vec<(u64, u64)> = self
                    .rows(&format!("SELECT client, n FROM {database}.counters"))
                    .await?;
                Seen::Counters(BTreeMap::from_iter(rows))
            }
            1 => {
                let sql =
                    format!("SELECT COALESCE(MAX(token), 0) FROM {database}.writes WHERE client = {number}");
                let rows: Vec<u64> = self.rows(&sql).await?;
                Seen::Newest(rows.first().copied().unwrap_or(0))
            }
            _ => {
                let sql = format!(
                    "SELECT token FROM {database}.halves WHERE client = {number} GROUP BY token HAVING COUNT(*) <> 2"
                );
                Seen::Halves(self.rows(&sql).await?)
            }
        })
    }

    async fn run_one(&mut self, sql: &str) -> Result<(), Problem> {
        self.rows::<mysql_async::Row>(sql).await.map(drop)
    }

    /// One statement, as text or prepared. A lost connection is given up.
    async fn rows<T>(&mut self, sql: &str) -> Result<Vec<T>, Problem>
    where
        T: mysql_async::prelude::FromRow + Send + 'static,
    {
        let prepared = self.random.below(4) == 0 && !sql.starts_with(['B', 'R', 'C']);
        let Some(connection) = self.connection.as_mut() else {
            return Err(lost("there is no connection"));
        };
        let answer = async {
            if prepared {
                connection.exec(sql, ()).await
            } else {
                connection.query(sql).await
            }
        };
        let problem = match timeout(PATIENCE, answer).await {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(error)) => problem(error),
            Err(_) => no_answer(),
        };
        if problem.code.is_none() {
            self.connection = None;
        }
        Err(problem)
    }

    fn remember(&mut self, action: Action, began: Instant, outcome: Outcome, seen: Option<Seen>) {
        self.history.push(Operation {
            client: self.number,
            session: self.session,
            action,
            began,
            ended: Instant::now(),
            outcome,
            seen,
        });
    }
}

/// Whether it says that nothing happened, and not that nothing is known.
fn is_answer(problem: &Problem) -> bool {
    problem
        .code
        .is_some_and(|code| !matches!(code, 2006 | 2013 | 1053 | 1317 | 3024 | 1927 | 1180))
        && !UNKNOWN.iter().any(|words| problem.text.contains(words))
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Server(error) => Problem {
            code: Some(error.code),
            text: error.message,
        },
        other => lost(&other.to_string()),
    }
}

fn lost(text: &str) -> Problem {
    Problem {
        code: None,
        text: text.to_owned(),
    }
}

fn no_answer() -> Problem {
    lost("no answer")
}
