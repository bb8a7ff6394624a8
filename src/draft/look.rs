//! One server, asked what it is, whom it follows and who follows it.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use crate::accounts::Flavour;

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct View {
    pub flavour: Flavour,
    pub version: String,
    /// The same for every way to reach the server, another for every server.
    pub identity: String,
    pub server_id: u64,
    pub is_writable: bool,
    /// Transactions have identifiers that replicas keep.
    pub has_gtids: bool,
    /// Whom it follows, `host:port` as it says; several with more than one source.
    pub sources: Vec<String>,
    pub followers: Vec<Follower>,
    /// From where binary logs are being read.
    pub dump_hosts: Vec<String>,
}

/// A replica as its source lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    pub server_id: u64,
    /// `None`: it has no `report_host`.
    pub host: Option<String>,
    pub port: u16,
}

/// More rows of one answer are not looked at.
const MOST_ROWS: usize = 10_000;

// === impl View ===

impl View {
    pub async fn of(conn: &mut Conn) -> mysql_async::Result<Self> {
        let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
        let version = version.unwrap_or_default();
        let flavour = Flavour::from_version(&version);
        let (identity, gtids) = match flavour {
            Flavour::MySql => ("@@server_uuid", "@@global.gtid_mode = 'ON'"),
            Flavour::MariaDb => ("CONCAT_WS(':', @@server_id, @@hostname, @@port)", "1"),
        };
        let sql = format!("SELECT {identity}, @@server_id, @@global.read_only, {gtids}");
        let row: Option<(String, u64, String, u64)> = conn.query_first(sql).await?;
        let (identity, server_id, read_only, gtids) = row.unwrap_or_default();
        Ok(Self {
            flavour,
            version,
            identity,
            server_id,
            is_writable: matches!(read_only.as_str(), "0" | "OFF"),
            has_gtids: gtids != 0,
            sources: sources(conn, flavour).await?,
            followers: followers(conn).await?,
            dump_hosts: dump_hosts(conn).await?,
        })
    }
}

async fn sources(conn: &mut Conn, flavour: Flavour) -> mysql_async::Result<Vec<String>> {
    let rows = match flavour {
        Flavour::MySql => either(conn, "SHOW REPLICA STATUS", "SHOW SLAVE STATUS").await?,
        Flavour::MariaDb => bounded(conn, "SHOW ALL SLAVES STATUS").await?,
    };
    let source = |row: &Row| {
        let host = text(row, &["Source_Host", "Master_Host"]).filter(|host| !host.is_empty())?;
        let port = text(row, &["Source_Port", "Master_Port"])?;
        Some(address(&host, port.parse().ok()?))
    };
    let mut sources: Vec<_> = rows.iter().filter_map(source).collect();
    sources.dedup();
    Ok(sources)
}

async fn followers(conn: &mut Conn) -> mysql_async::Result<Vec<Follower>> {
    let rows = either(conn, "SHOW REPLICAS", "SHOW SLAVE HOSTS").await?;
    let follower = |row: &Row| {
        Some(Follower {
            server_id: text(row, &["Server_id"])?.parse().ok()?,
            host: text(row, &["Host"]).filter(|host| !host.is_empty()),
            port: text(row, &["Port"])?.parse().ok()?,
        })
    };
    Ok(rows.iter().filter_map(follower).collect())
}

async fn dump_hosts(conn: &mut Conn) -> mysql_async::Result<Vec<String>> {
    let rows = bounded(conn, "SHOW PROCESSLIST").await?;
    let host = |row: &Row| {
        text(row, &["Command"]).filter(|command| command.starts_with("Binlog Dump"))?;
        let place = text(row, &["Host"])?;
        // Behind the last colon stands the port that the replica connected from, which says nothing.
        Some(
            place
                .rsplit_once(':')
                .map_or(place.as_str(), |(host, _)| host)
                .to_owned(),
        )
    };
    let mut hosts: Vec<_> = rows.iter().filter_map(host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    Ok(hosts)
}

/// In today's words, or in those of older servers.
async fn either(conn: &mut Conn, new: &str, old: &str) -> mysql_async::Result<Vec<Row>> {
    match bounded(conn, new).await {
        Err(mysql_async::Error::Server(error)) if error.code == 1064 => bounded(conn, old).await,
        answered => answered,
    }
}

async fn bounded(conn: &mut Conn, sql: &str) -> mysql_async::Result<Vec<Row>> {
    let mut rows: Vec<Row> = conn.query(sql).await?;
    rows.truncate(MOST_ROWS);
    Ok(rows)
}

/// The first of these columns, letters of either case, as text.
fn text(row: &Row, names: &[&str]) -> Option<String> {
    let is_named = |column: &mysql_async::Column| {
        let name = column.name_str();
        names.iter().any(|each| name.eq_ignore_ascii_case(each))
    };
    let place = row.columns_ref().iter().position(is_named)?;
    match row.as_ref(place)? {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        _ => None,
    }
}

/// As the configuration writes it.
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
