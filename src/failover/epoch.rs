//! The row that each new primary gets: who it is, and where its own history begins. It replicates like any other
//! row, so that seeing it elsewhere proves that the new primary is followed, and it survives the proxy.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::Row;

use super::control::{Control, Trouble};
use crate::gtid::Position;

/// A reign.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Epoch {
    pub(super) number: u64,
    /// `server_uuid` or `server_uid`; may be empty.
    pub(super) uuid: String,
    pub(super) server_id: u32,
    /// The server's name in the configuration.
    pub(super) name: Arc<str>,
    /// What it had when its reign began: all that is newer and was not written by it is not in its history.
    pub(super) fork: Position,
}

const CREATE: &str = "CREATE DATABASE IF NOT EXISTS splitrail; CREATE TABLE IF NOT EXISTS splitrail.epoch (\
    epoch BIGINT UNSIGNED NOT NULL PRIMARY KEY, primary_uuid VARCHAR(64) NOT NULL, \
    primary_id INT UNSIGNED NOT NULL, primary_name VARCHAR(255) NOT NULL, fork LONGTEXT NOT NULL, \
    at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), done_by VARCHAR(255) NOT NULL) ENGINE=InnoDB";

/// Reigns that are read back.
const READ: &str = "SELECT CAST(epoch AS CHAR), primary_uuid, CAST(primary_id AS CHAR), primary_name, fork \
    FROM splitrail.epoch ORDER BY splitrail.epoch.epoch DESC LIMIT 64";

/// No such table, no such database.
const MISSING: [u16; 2] = [1146, 1049];

// === impl Epoch ===

impl Epoch {
    /// Writes the row on the new primary, and makes its table if it has to.
    pub(super) async fn write(&self, control: &Control, limit: Duration) -> Result<(), Trouble> {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let insert = format!(
            "INSERT INTO splitrail.epoch (epoch, primary_uuid, primary_id, primary_name, fork, done_by) \
             VALUES ({}, {}, {}, {}, {}, CURRENT_USER())",
            self.number,
            quoted(&self.uuid),
            self.server_id,
            quoted(&self.name),
            quoted(&self.fork.to_string()),
        );
        match control.run_within(&insert, limit).await {
            Err(Trouble::Refused { code, .. }) if MISSING.contains(&code) => {
                let both = format!("{CREATE}; {insert}");
                control.run_within(&both, limit).await.map(|_| ())
            }
            done => done.map(|_| ()),
        }
    }

    /// The reigns that a server knows of, the latest first; none where there is no table.
    pub(super) async fn read(control: &Control, mariadb: bool) -> Result<Vec<Self>, Trouble> {
        match control.run(READ).await {
            Ok(sets) => Ok(sets
                .iter()
                .flatten()
                .filter_map(|row| Self::of(row, mariadb))
                .collect()),
            Err(Trouble::Refused { code, .. }) if MISSING.contains(&code) => Ok(Vec::new()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether a server has the row.
    pub(super) async fn is_seen(&self, control: &Control) -> Result<bool, Trouble> {
        let look = format!(
            "SELECT CAST(COUNT(*) AS CHAR) FROM splitrail.epoch WHERE epoch = {}",
            self.number
        );
        let sets = control.run(&look).await?;
        Ok(sets.iter().flatten().any(|row| text(row, 0) == "1"))
    }

    fn of(row: &Row, mariadb: bool) -> Option<Self> {
        Some(Self {
            number: text(row, 0).parse().ok()?,
            uuid: text(row, 1),
            server_id: text(row, 2).parse().ok()?,
            name: text(row, 3).into(),
            fork: Position::parse(mariadb, text(row, 4).as_bytes()).ok()?,
        })
    }
}

fn text(row: &Row, place: usize) -> String {
    let text: Option<Option<String>> = row.get_opt(place).and_then(Result::ok);
    text.flatten().unwrap_or_default()
}
