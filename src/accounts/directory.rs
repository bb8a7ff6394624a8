//! The primary's own accounts, read anew for every login.
//!
//! A task of each thread asks the primary over a connection of its own. Logins that come while a query is under way are answered by
//! the next one together, so that every login is judged by rows read after it began, and many logins at once
//! take few queries.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Statement};
use tokio::net::lookup_host;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::ClientAddress;
use super::account::Account;
use super::host::HostPattern;
use super::refusal::{self, Flavour, Refusal};
use super::rows::{self, AccountRow, Tables};
use super::source::Source;
use crate::util::driver::in_short;

/// Logins that wait for an answer; one more waits for a place.
const QUEUE: usize = 1024;

/// Logins that one query answers at most.
const BATCH: usize = 256;

/// Host names that one login looks up at most.
const MOST_NAMES: usize = 8;

/// How long DNS may take for each.
const DNS_TIMEOUT: Duration = Duration::from_secs(1);

/// No server has an account with a longer name.
const LONGEST_USER: usize = 512;

/// Where the accounts are, and how long reading them may take: connecting, and each query.
#[derive(Clone)]
pub struct Whereabouts {
    /// The primary of the day.
    pub source: watch::Receiver<Source>,
    pub timeout: Duration,
}

/// A handle to the task that reads accounts; the task ends when the last one is dropped.
#[derive(Clone)]
pub struct Directory {
    requests: mpsc::Sender<Request>,
}

struct Request {
    user: Vec<u8>,
    address: ClientAddress,
    /// One answer serves all the logins that it was asked for.
    answer: oneshot::Sender<Result<Arc<Answer>, Refusal>>,
}

/// The task. It alone owns the connection, and drops it when anything goes wrong with it.
struct Reader {
    requests: mpsc::Receiver<Request>,
    place: Whereabouts,
    connection: Option<Connection>,
    /// Why the accounts cannot be read, as the log has it.
    told: Option<String>,
}

struct Connection {
    conn: Conn,
    flavour: Flavour,
    tables: Tables,
    /// The question after accounts, which is long; `None` where the server prepares no more.
    accounts: Option<Statement>,
}

/// What was read for some logins.
struct Answer {
    flavour: Flavour,
    resolves: bool,
    rows: Vec<AccountRow>,
    /// The host patterns of all accounts, read only when some login has no account of its own.
    hosts: Vec<HostPattern>,
}

/// Why accounts could not be read, for the log.
struct Failure {
    why: String,
    /// What the server answered: asking again would not help.
    code: Option<u16>,
}

/// There is no such table.
const NO_TABLE: u16 = 1146;
/// That, or no such column, or no right to read it, or the question is too long for the server: nobody can be let in
/// until somebody mends that.
const UNREADABLE: [u16; 5] = [NO_TABLE, 1054, 1142, 1143, 1153];
/// The tables are not those that the connection has found, or change faster than it can prepare its statement anew.
const TABLES_CHANGED: [u16; 2] = [NO_TABLE, 1615];
/// The server has as many prepared statements as it may.
const NO_MORE_STATEMENTS: u16 = 1461;

// === impl Directory ===

impl Directory {
    /// Starts the task on the current runtime.
    pub fn open(place: &Whereabouts) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE);
        let reader = Reader {
            requests: receiver,
            place: place.clone(),
            connection: None,
            told: None,
        };
        tokio::spawn(reader.run());
        Self { requests }
    }

    /// The account that the server would choose for this name and address, as it is now. A name that nobody has
    /// is given an account that no password fits.
    pub async fn find(&self, user: &[u8], address: ClientAddress) -> Result<Account, Refusal> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            user: user[..user.len().min(LONGEST_USER)].to_vec(),
            address,
            answer,
        };
        let stopped = || refusal::server_unreachable("the primary", "the account reader has stopped");
        self.requests.send(request).await.map_err(|_| stopped())?;
        let answer = answered.await.map_err(|_| stopped())??;
        answer.account(user, address).await
    }
}

// === impl Reader ===

impl Reader {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.requests.recv_many(&mut batch, BATCH).await > 0 {
            batch.retain(|request| !request.answer.is_closed());
            let answer = self.read(&batch).await.map(Arc::new);
            let server = self.place.source.borrow().server.clone();
            self.tell(&server, answer.as_ref().err());
            for request in batch.drain(..) {
                let answer = match &answer {
                    Ok(answer) => Ok(Arc::clone(answer)),
                    Err(failure) => Err(failure.refusal(&server)),
                };
                // The client may have gone meanwhile.
                let _ = request.answer.send(answer);
            }
        }
    }

    /// One line for each change: while the primary is away, every login asks.
    fn tell(&mut self, server: &str, failure: Option<&Failure>) {
        let why = failure.map(|failure| &failure.why);
        if why == self.told.as_ref() {
            return;
        }
        match why {
            Some(reason) => warn!(server, reason, "cannot read the accounts"),
            None => info!(server, "the accounts can be read again"),
        }
        self.told = why.cloned();
    }

    /// A connection that was open already may have died unnoticed: then a new one is tried, once.
    async fn read(&mut self, batch: &[Request]) -> Result<Answer, Failure> {
        if self.place.source.has_changed().unwrap_or(false) {
            self.connection = None;
        }
        if let Some(connection) = self.connection.take() {
            match self.read_over(connection, batch).await {
                Err(failure) if failure.code.is_none_or(|code| TABLES_CHANGED.contains(&code)) => {
                    debug!(reason = failure.why, "connecting anew");
                }
                result => return result,
            }
        }
        let connection = self.connect().await?;
        self.read_over(connection, batch).await
    }

    async fn connect(&mut self) -> Result<Connection, Failure> {
        let source = self.place.source.borrow_and_update().clone();
        let mut conn = self.in_time(source.connect()).await?;
        let version: Option<String> = self.in_time(conn.query_first("select @@version")).await?;
        let flavour = Flavour::from_version(&version.unwrap_or_default());
        let tables = self.tables(&mut conn, flavour, &source.server).await?;
        let accounts = match self.in_time(conn.prep(tables.accounts_query())).await {
            Ok(statement) => Some(statement),
            Err(failure) if failure.code == Some(NO_MORE_STATEMENTS) => None,
            Err(failure) => return Err(failure),
        };
        Ok(Connection {
            conn,
            flavour,
            tables,
            accounts,
        })
    }

    /// What there is to read, and what of it may be read: that is for the server to say, and silence says nothing.
    async fn tables(&self, conn: &mut Conn, flavour: Flavour, server: &str) -> Result<Tables, Failure> {
        let mut tables = Tables::of(flavour);
        if let Err(failure) = self.in_time(conn.query_drop(tables.probe())).await {
            match failure.code {
                Some(NO_TABLE) if flavour == Flavour::MariaDb => tables.are_old(),
                _ => return Err(failure),
            }
        }
        tables.with_schemas = true;
        if let Err(failure) = self.in_time(conn.query_drop(tables.probe())).await {
            if !failure.code.is_some_and(|code| UNREADABLE.contains(&code)) {
                return Err(failure);
            }
            let reason = failure.why;
            warn!(
                server,
                reason, "rights in schemas cannot be read: connections that are open keep theirs"
            );
            tables.with_schemas = false;
        }
        Ok(tables)
    }

    /// The connection is kept only after it did all that was asked of it.
    async fn read_over(&mut self, mut connection: Connection, batch: &[Request]) -> Result<Answer, Failure> {
        let flavour = connection.flavour;
        let names = rows::names(batch.iter().map(|request| &request.user[..]));
        let found: Vec<Vec<u8>> = match &connection.accounts {
            Some(statement) => {
                let parameters = (names.into_bytes(),);
                self.in_time(connection.conn.exec(statement, parameters)).await?
            }
            None => {
                let query = connection.tables.accounts_query_of(&names);
                self.in_time(connection.conn.query(query)).await?
            }
        };
        let mut answer = Answer {
            flavour,
            resolves: found.first().is_none_or(|row| rows::resolves(row)),
            rows: found
                .iter()
                .filter_map(|row| AccountRow::read(flavour, row))
                .collect(),
            hosts: Vec::new(),
        };
        if batch.iter().any(|request| !answer.is_sure_of(request)) {
            let query = connection.tables.hosts_query();
            let found: Vec<Vec<u8>> = self.in_time(connection.conn.query(query)).await?;
            answer.resolves = found.first().is_none_or(|row| rows::resolves(row));
            let hosts = found.iter().filter_map(|row| rows::host(row));
            answer.hosts = hosts.map(|host| HostPattern::parse(&host, flavour)).collect();
        }
        self.connection = Some(connection);
        Ok(answer)
    }

    async fn in_time<T>(&self, call: impl Future<Output = mysql_async::Result<T>>) -> Result<T, Failure> {
        match timeout(self.place.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Failure {
                code: match &error {
                    Error::Server(error) => Some(error.code),
                    _ => None,
                },
                why: in_short(&error),
            }),
            Err(_) => Err(Failure {
                code: None,
                why: format!("no answer within {:?}", self.place.timeout),
            }),
        }
    }
}

// === impl Failure ===

impl Failure {
    fn refusal(&self, server: &str) -> Refusal {
        match self.code {
            Some(code) if UNREADABLE.contains(&code) => refusal::accounts_unreadable(server, &self.why),
            _ => refusal::server_unreachable(server, &self.why),
        }
    }
}

// === impl Answer ===

impl Answer {
    /// Whether some account is for the login without knowing more of the client's name.
    fn is_sure_of(&self, request: &Request) -> bool {
        let name = request.address.name(self.resolves);
        rows::choose(&self.rows, &request.user, request.address, name, self.flavour).is_some()
    }

    async fn account(&self, user: &[u8], address: ClientAddress) -> Result<Account, Refusal> {
        let own = rows::hosts_of(&self.rows, user, self.flavour).collect::<Vec<_>>();
        let name = self.name(address, own.iter().chain(&self.hosts)).await;
        let name = name.as_deref();
        if let Some(account) = rows::choose(&self.rows, user, address, name, self.flavour) {
            return Ok(account);
        }
        let host = address.label(name);
        match self.hosts.iter().any(|pattern| pattern.matches(address, name)) {
            true => Ok(Account::unknown(user, host, self.flavour)),
            false => Err(refusal::host_not_allowed(self.flavour, &host)),
        }
    }

    /// The client's name, if it is one that these patterns spell out. A server asks DNS for the name of the
    /// address; this asks for the addresses of the names, which needs no trust in whoever names addresses.
    async fn name(
        &self,
        address: ClientAddress,
        patterns: impl Iterator<Item = &HostPattern>,
    ) -> Option<String> {
        if let Some(name) = address.name(self.resolves) {
            return Some(name.to_owned());
        }
        if !self.resolves {
            return None;
        }
        let client = address.ip()?;
        for name in patterns.filter_map(HostPattern::dns_name).take(MOST_NAMES) {
            let found = timeout(DNS_TIMEOUT, lookup_host((name, 0))).await;
            let Ok(Ok(mut addresses)) = found else { continue };
            if addresses.any(|found| found.ip().to_canonical() == client) {
                return Some(name.to_owned());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::OptsBuilder;

    use super::*;

    fn answer(hosts: &[&str], resolves: bool) -> Answer {
        let flavour = Flavour::MySql;
        Answer {
            flavour,
            resolves,
            rows: Vec::new(),
            hosts: hosts
                .iter()
                .map(|host| HostPattern::parse(host, flavour))
                .collect(),
        }
    }

    #[tokio::test]
    async fn a_host_without_any_account_is_told_so() {
        let address = ClientAddress::Ip("10.1.2.3".parse().unwrap());
        let stranger = answer(&["10.2.%", "localhost"], true)
            .account(b"u", address)
            .await;
        let refusal = stranger.err().unwrap();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (
                1130,
                "Host '10.1.2.3' is not allowed to connect to this MySQL server"
            )
        );
        let unknown = answer(&["10.1.%"], true).account(b"u", address).await.unwrap();
        assert_eq!(unknown.client_host, "10.1.2.3");
    }

    #[tokio::test]
    async fn the_own_machine_has_a_name_only_where_names_count() {
        let address = ClientAddress::Ip("127.0.0.1".parse().unwrap());
        let account = answer(&["localhost"], true).account(b"u", address).await;
        assert_eq!(account.unwrap().client_host, "localhost");
        assert_eq!(
            answer(&["localhost"], false)
                .account(b"u", address)
                .await
                .err()
                .unwrap()
                .code,
            1130
        );
    }

    /// A server that is not there, asked by many at once.
    #[tokio::test]
    async fn without_a_server_every_login_is_refused_in_time() {
        let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(1);
        let source = Source {
            server: "db1".to_owned(),
            opts: opts.into(),
            plain_too: false,
        };
        let (_keep, source) = watch::channel(source);
        let timeout = Duration::from_secs(1);
        let directory = Directory::open(&Whereabouts { source, timeout });
        let logins = (0..64).map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move { directory.find(b"u", ClientAddress::Local).await })
        });
        for login in logins.collect::<Vec<_>>() {
            assert_eq!(login.await.unwrap().err().unwrap().code, 1158);
        }
    }
}
