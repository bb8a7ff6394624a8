//! Where the admin port is, who asks there, and one connection to it.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row};
use thiserror::Error;

use crate::config::{Address, AdminRole, AdminUser, Config};
use crate::util::driver::in_short;

/// Which proxy, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The proxy's configuration, which says where its admin port is and who may log in
    #[arg(short, long, default_value = "proxy.yaml")]
    pub config: PathBuf,
    /// The admin port, instead of the configuration's: host:port or unix:/path
    #[arg(long, requires = "user")]
    pub address: Option<String>,
    /// An admin user
    #[arg(long)]
    pub user: Option<String>,
    /// A file with the admin user's password; - is standard input
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Error)]
pub enum ClientError {
    /// The proxy said no.
    #[error("{code}: {message}")]
    Refused { code: u16, message: String },
    #[error("{0}")]
    Unreachable(String),
}

pub struct Connection {
    conn: Conn,
}

/// What a command is answered with.
#[derive(Debug, Default)]
pub struct Rows {
    pub columns: Vec<String>,
    /// Whether a column's values are numbers.
    pub numeric: Vec<bool>,
    pub rows: Vec<Vec<Option<String>>>,
    /// Said instead of rows.
    pub info: String,
}

/// How long the proxy may take to let anybody in.
const PATIENCE: Duration = Duration::from_secs(10);

// === impl Target ===

impl Target {
    pub async fn connect(&self) -> Result<Connection, ClientError> {
        Connection::open(self.options()?).await
    }

    /// Where and as whom. A password on standard input can be read once.
    pub fn options(&self) -> Result<OptsBuilder, ClientError> {
        let configured = match &self.address {
            Some(_) => None,
            None => Some(self.configured()?),
        };
        let address = match (&self.address, &configured) {
            (Some(text), _) => Address::read(text).map_err(ClientError::Unreachable)?,
            (None, Some((address, _))) => address.clone(),
            (None, None) => return Err(ClientError::Unreachable("give --address".to_owned())),
        };
        let (user, password) = self.login(configured.map(|(_, user)| user))?;
        let options = OptsBuilder::default()
            .prefer_socket(false)
            .max_allowed_packet(Some(1 << 26))
            .wait_timeout(Some(28_800))
            .user(Some(user))
            .pass(Some(password));
        Ok(match address {
            Address::Tcp { host, port } => options.ip_or_hostname(reachable(host)).tcp_port(port),
            Address::Unix(path) => options.socket(Some(path.display().to_string())),
        })
    }

    /// The port of the configuration, and who may do most there.
    fn configured(&self) -> Result<(Address, AdminUser), ClientError> {
        let config = Config::load(&self.config).map_err(|problems| {
            let help = "without the file: --address, --user and --password-file";
            ClientError::Unreachable(format!("{problems}\n  {help}"))
        })?;
        let users = &config.admin.users;
        let user = match &self.user {
            Some(name) => users.iter().find(|user| user.name == *name),
            None => users
                .iter()
                .find(|user| user.role == AdminRole::Operate)
                .or(users.first()),
        };
        let stranger = AdminUser {
            name: self.user.clone().unwrap_or_default(),
            password: "".into(),
            role: AdminRole::Read,
        };
        let file = self.config.display();
        match (config.admin.address.clone(), user) {
            (Some(address), Some(user)) => Ok((address, user.clone())),
            (Some(address), None) if self.user.is_some() && self.password_file.is_some() => {
                Ok((address, stranger))
            }
            (None, _) => Err(ClientError::Unreachable(format!(
                "{file}: `admin.address` is off"
            ))),
            (_, None) => Err(ClientError::Unreachable(format!(
                "{file}: there are no `admin.users` to log in as, or none of that name\n  help: add `admin: {{users: [{{name: ops, password: \"..\", role: operate}}]}}` and start the proxy again"
            ))),
        }
    }

    fn login(&self, configured: Option<AdminUser>) -> Result<(String, String), ClientError> {
        let user = configured.as_ref().map(|user| user.name.clone());
        let user = self.user.clone().or(user).unwrap_or_default();
        let password = match &self.password_file {
            None => configured
                .as_ref()
                .and_then(|user| user.password.expose_text())
                .map(str::to_owned)
                .or_else(|| std::env::var("SPLITRAIL_PASSWORD").ok()),
            Some(path) => {
                let text = match path.to_str() {
                    Some("-") => std::io::read_to_string(std::io::stdin()),
                    _ => std::fs::read_to_string(path),
                };
                let unreadable =
                    |error| ClientError::Unreachable(format!("{} cannot be read: {error}", path.display()));
                let text = text.map_err(unreadable)?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        let none = || ClientError::Unreachable("give --password-file, or SPLITRAIL_PASSWORD".to_owned());
        Ok((user, password.ok_or_else(none)?))
    }
}

/// An address that listens everywhere is reached at home.
fn reachable(host: String) -> String {
    match host.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "::1".to_owned(),
        _ => host,
    }
}

// === impl Connection ===

impl Connection {
    pub async fn open(options: OptsBuilder) -> Result<Self, ClientError> {
        let opts = Opts::from(options);
        let place = match opts.socket() {
            Some(path) => format!("unix:{path}"),
            None => format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port()),
        };
        let told = |why: String| ClientError::Unreachable(format!("the admin port at {place}: {why}"));
        match tokio::time::timeout(PATIENCE, Conn::new(opts)).await {
            Ok(Ok(conn)) => Ok(Self { conn }),
            Ok(Err(error)) => Err(told(in_short(&error))),
            Err(_) => Err(told("no answer".to_owned())),
        }
    }

    pub async fn ask(&mut self, command: &str) -> Result<Rows, ClientError> {
        let refused = |error: mysql_async::Error| match error {
            mysql_async::Error::Server(error) => ClientError::Refused {
                code: error.code,
                message: error.message,
            },
            error => ClientError::Unreachable(in_short(&error)),
        };
        let mut result = self.conn.query_iter(command).await.map_err(refused)?;
        let columns = result.columns();
        let columns = columns.as_deref().unwrap_or_default();
        let mut rows = Rows {
            columns: columns
                .iter()
                .map(|column| column.name_str().into_owned())
                .collect(),
            numeric: columns
                .iter()
                .map(|column| column.column_type().is_numeric_type())
                .collect(),
            ..Rows::default()
        };
        let found: Vec<Row> = result.collect().await.map_err(refused)?;
        rows.rows = found.into_iter().map(texts).collect();
        drop(result);
        rows.info = self.conn.info().into_owned();
        Ok(rows)
    }

    pub async fn leave(self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.conn.disconnect()).await;
    }
}

fn texts(row: Row) -> Vec<Option<String>> {
    let text = |value: mysql_async::Value| match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    };
    row.unwrap().into_iter().map(text).collect()
}

// === impl Rows ===

impl Rows {
    /// A field by its column's name; empty where there is none.
    pub fn get(&self, row: usize, column: &str) -> &str {
        let place = self.columns.iter().position(|name| name == column);
        let row = self.rows.get(row);
        let field = place.zip(row).and_then(|(place, row)| row.get(place)?.as_deref());
        field.unwrap_or_default()
    }
}
