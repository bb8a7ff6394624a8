//! What a switchover leaves on the servers while it is under way, for whoever starts after it was cut short: a row
//! says that a proxy, and no operator, made the primary read-only, and a lock lives for as long as that proxy is
//! connected. Rows are only added, so that the account needs no more rights than the epoch's rows take.

use std::time::Duration;

use mysql_async::Row;

use super::control::{Control, Trouble};
use super::scene::Member;

/// The latest row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    /// The one that the change was to begin. A reign with this number or a later one makes the row history.
    pub(super) epoch: u64,
    /// The primary that was to be replaced; the identity may be empty.
    pub(super) from_uuid: String,
    pub(super) from: String,
    pub(super) to: String,
}

const CREATE: &str = "CREATE DATABASE IF NOT EXISTS splitrail; CREATE TABLE IF NOT EXISTS splitrail.changes (\
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, \
    state VARCHAR(16) NOT NULL, from_uuid VARCHAR(64) NOT NULL, from_name VARCHAR(255) NOT NULL, \
    to_name VARCHAR(255) NOT NULL, at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), \
    done_by VARCHAR(255) NOT NULL) ENGINE=InnoDB";
const READ: &str = "SELECT state, CAST(epoch AS CHAR), from_uuid, from_name, to_name FROM splitrail.changes \
    ORDER BY id DESC LIMIT 1";
const BEGUN: &str = "begun";
const ENDED: &str = "ended";

/// Held on the primary that is to be replaced, by the connection through which it is.
const LOCK: &str = "splitrail.change";
/// How long the server of a proxy that was killed may take to notice.
const NOTICE: Duration = Duration::from_secs(2);

/// No such table, no such database.
const MISSING: [u16; 2] = [1146, 1049];

// === impl Marker ===

impl Marker {
    /// Whether nobody else is changing the primary: from now on it is us.
    pub(super) async fn lock(control: &Control) -> Result<bool, Trouble> {
        let sql = format!("SELECT CAST(GET_LOCK('{LOCK}', {}) AS CHAR)", NOTICE.as_secs());
        let limit = NOTICE + Duration::from_secs(1);
        let answer = control.ask(&sql, limit).await?;
        Ok(answer.as_deref() == Some("1"))
    }

    pub(super) async fn unlock(control: &Control) {
        // Without the connection there is no lock either.
        let _ = control.run(&format!("DO RELEASE_LOCK('{LOCK}')")).await;
    }

    pub(super) async fn begin(&self, control: &Control) -> Result<(), Trouble> {
        self.add(BEGUN, control).await
    }

    /// The change is undone; one that is done has its epoch's row.
    pub(super) async fn end(&self, control: &Control) -> Result<(), Trouble> {
        self.add(ENDED, control).await
    }

    async fn add(&self, state: &str, control: &Control) -> Result<(), Trouble> {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let insert = format!(
            "INSERT INTO splitrail.changes (epoch, state, from_uuid, from_name, to_name, done_by) \
             VALUES ({}, '{state}', {}, {}, {}, CURRENT_USER())",
            self.epoch,
            quoted(&self.from_uuid),
            quoted(&self.from),
            quoted(&self.to),
        );
        match control.run(&insert).await {
            Err(Trouble::Refused { code, .. }) if MISSING.contains(&code) => {
                control.run(&format!("{CREATE}; {insert}")).await.map(|_| ())
            }
            done => done.map(|_| ()),
        }
    }

    /// The change that a server knows to be under way, if it is not over.
    pub(super) async fn read(control: &Control) -> Result<Option<Self>, Trouble> {
        match control.run(READ).await {
            Ok(sets) => Ok(sets.iter().flatten().next().and_then(Self::of)),
            Err(Trouble::Refused { code, .. }) if MISSING.contains(&code) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    fn of(row: &Row) -> Option<Self> {
        let text = |place: usize| -> Option<String> { row.get_opt(place)?.ok() };
        (text(0)? == BEGUN).then_some(())?;
        Some(Self {
            epoch: text(1)?.parse().ok()?,
            from_uuid: text(2)?,
            from: text(3)?,
            to: text(4)?,
        })
    }

    /// Whether this is the server that was to be replaced: by identity where it is known, else by name.
    pub(super) fn is_from(&self, member: &Member) -> bool {
        let uuid = member.status.as_deref().map_or("", |status| &status.uuid);
        match (self.from_uuid.as_str(), uuid) {
            ("", _) | (_, "") => *self.from == *member.name,
            (was, is) => was == is,
        }
    }
}
