//! From the fields of a server's answers to what it says about itself. Pure.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::fields::Fields;
use super::lag;
use crate::gtid::{Malformed, Position};
use crate::topology::{Channel, ChannelTls, SemiSync, Status, Thread, ThreadState};

/// What does not change while a connection lasts.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    pub(super) mariadb: bool,
    pub(super) version: String,
    pub(super) uuid: String,
    /// The monitor's account, as the server calls it.
    pub(super) user: String,
    /// Its query cache is on.
    pub(super) keeps_results: bool,
    /// Nobody had set `read_only` when the monitor connected: it is as the server was started.
    pub(super) started_so: bool,
}

/// What one probe was told.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) variables: Fields,
    pub(super) counters: Fields,
    /// A row for each channel; `None`: may not be seen.
    pub(super) replication: Option<Vec<Fields>>,
    /// What has arrived, a row for each channel, where that is not among the above.
    pub(super) received: Vec<Fields>,
    /// The age of the oldest transaction that is being applied.
    pub(super) applying: Option<Duration>,
}

/// Servers with more sources than this are not expected.
const MOST_CHANNELS: usize = 256;

/// A position that cannot be read counts as empty: the server is no worse for it, but nobody knows what it has.
pub(super) fn status(identity: &Identity, answers: &Answers) -> (Status, Option<Malformed>) {
    let (mariadb, variables) = (identity.mariadb, &answers.variables);
    let mut malformed = None;
    let mut position = |row: &Fields, names: &[&str]| {
        let text = row.bytes(names).unwrap_or_default();
        Position::parse(mariadb, text).unwrap_or_else(|error| {
            malformed = Some(error);
            Position::Empty
        })
    };
    let executed = position(variables, &["executed"]);
    let applied = mariadb.then(|| position(variables, &["applied"]));
    let logged = position(variables, &["logged"]);
    let channels = answers.replication.as_ref().map(|rows| {
        let rows = rows.iter().take(MOST_CHANNELS);
        let channels = rows.map(|row| {
            let retrieved = position(row, &["retrieved_gtid_set", "gtid_io_pos"]);
            let name = row.text(&["channel_name"]);
            let mut received = answers.received.iter();
            let received = received.find(|row| row.text(&["channel_name"]) == name);
            channel(row, received.unwrap_or(row), retrieved)
        });
        channels.collect::<Vec<_>>()
    });
    let mut counted = executed.clone();
    counted.merge(&logged);
    let follows = channels.as_ref().is_none_or(|channels| !channels.is_empty());
    let shown = shown(counted, applied.as_ref(), follows, variables);
    let reached = applied.as_ref().unwrap_or(&executed);
    let (lag, lag_source) = match malformed {
        None => lag::judge(channels.as_deref().unwrap_or_default(), reached, answers.applying),
        Some(_) => lag::judge(&without_gtid(channels.as_deref()), reached, answers.applying),
    };
    let read_only = variables.flag(&["read_only"]).unwrap_or(false);
    let status = Status {
        version: identity.version.clone(),
        mariadb,
        uuid: identity.uuid.clone(),
        server_id: small(variables, &["server_id"]),
        uptime: answers.counters.number(&["uptime"]).map(Duration::from_secs),
        read_only,
        read_only_from_start: read_only && identity.started_so,
        super_read_only: variables.flag(&["super_read_only"]).unwrap_or(false),
        shown: shown.filter(|_| malformed.is_none()),
        executed,
        applied,
        channels,
        semi_sync: semi_sync(&answers.counters),
        lag,
        lag_source,
    };
    (status, malformed)
}

/// All that a read can have seen, if that is known: what is `counted`, and what is visible a moment before it is.
fn shown(
    mut counted: Position,
    applied: Option<&Position>,
    follows: bool,
    variables: &Fields,
) -> Option<Position> {
    let Some(applied) = applied else {
        let owned = without_owners(variables.bytes(&["owned"]).unwrap_or_default());
        counted.merge(&Position::parse(false, &owned).ok()?);
        return Some(counted);
    };
    counted.merge(applied);
    // What is replicated and not logged again is shown before any position says so.
    (!follows || variables.flag(&["relogs"]) == Some(true)).then_some(counted)
}

/// `gtid_owned` names the thread behind each transaction: `uuid:5#17:6#18`.
fn without_owners(text: &[u8]) -> Vec<u8> {
    let mut is_owner = false;
    let keep = |byte: &&u8| {
        is_owner = **byte == b'#' || (is_owner && byte.is_ascii_digit());
        !is_owner
    };
    text.iter().filter(keep).copied().collect()
}

/// Channels of which positions say nothing.
fn without_gtid(channels: Option<&[Channel]>) -> Vec<Channel> {
    let mut channels = channels.unwrap_or_default().to_vec();
    for channel in &mut channels {
        channel.by_gtid = false;
    }
    channels
}

fn channel(row: &Fields, received: &Fields, retrieved: Position) -> Channel {
    let thread = |running: &[&str], code: &str, message: &str| Thread {
        state: match row.text(running).as_str() {
            "Yes" => ThreadState::Running,
            "Connecting" | "Preparing" => ThreadState::Connecting,
            _ => ThreadState::Stopped,
        },
        code: small(row, &[code]),
        message: row.text(&[message]),
    };
    let by_gtid = match row.bytes(&["using_gtid"]) {
        Some(using) => using != b"No",
        None => row.flag(&["auto_position"]).unwrap_or(false),
    };
    let behind = row.number(&["seconds_behind_source", "seconds_behind_master"]);
    Channel {
        name: row.text(&["channel_name", "connection_name"]),
        source_host: row.text(&["source_host", "master_host"]),
        source_port: small(row, &["source_port", "master_port"]),
        source_id: small(row, &["source_server_id", "master_server_id"]),
        source_uuid: row.text(&["source_uuid", "master_uuid"]),
        io: thread(
            &["replica_io_running", "slave_io_running"],
            "last_io_errno",
            "last_io_error",
        ),
        sql: thread(
            &["replica_sql_running", "slave_sql_running"],
            "last_sql_errno",
            "last_sql_error",
        ),
        retrieved,
        by_gtid,
        behind: behind.map(Duration::from_secs),
        delay: Duration::from_secs(row.number(&["sql_delay"]).unwrap_or_default()),
        heard: heard(row, received),
        heartbeat: period(&received.text(&["slave_heartbeat_period"])),
        filtered: FILTERS.iter().any(|name| !row.text(&[name]).is_empty()),
        user: row.text(&["source_user", "master_user"]),
        tls: ChannelTls {
            on: row
                .flag(&["source_ssl_allowed", "master_ssl_allowed"])
                .unwrap_or(false),
            verify: row
                .flag(&["source_ssl_verify_server_cert", "master_ssl_verify_server_cert"])
                .unwrap_or(false),
            ca: row.text(&["source_ssl_ca_file", "master_ssl_ca_file"]),
            certificate: row.text(&["source_ssl_cert", "master_ssl_cert"]),
            key: row.text(&["source_ssl_key", "master_ssl_key"]),
        },
    }
}

/// With any of these set, a replica leaves out some of what its source sends.
const FILTERS: [&str; 8] = [
    "replicate_do_db",
    "replicate_ignore_db",
    "replicate_do_table",
    "replicate_ignore_table",
    "replicate_wild_do_table",
    "replicate_wild_ignore_table",
    "replicate_do_domain_ids",
    "replicate_ignore_domain_ids",
];

/// Heartbeats and how far the source's binary log was read, in one number that differs when either does.
fn heard(row: &Fields, received: &Fields) -> Option<u64> {
    let heartbeats = received.number(&["slave_received_heartbeats"])?;
    let read = row.number(&["read_source_log_pos", "read_master_log_pos"]);
    let log = row.text(&["source_log_file", "master_log_file"]);
    Some(FixedState::default().hash_one((heartbeats, read, log)))
}

/// `1.000`, in seconds.
fn period(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok()?;
    let period = Duration::try_from_secs_f64(seconds).ok()?;
    (!period.is_zero()).then_some(period)
}

fn semi_sync(counters: &Fields) -> SemiSync {
    SemiSync {
        source: counters.flag(&["rpl_semi_sync_source_status", "rpl_semi_sync_master_status"]),
        waiting: small(
            counters,
            &[
                "rpl_semi_sync_source_wait_sessions",
                "rpl_semi_sync_master_wait_sessions",
            ],
        ),
        new_words: counters.flag(&["rpl_semi_sync_source_status"]).is_some()
            || counters.flag(&["rpl_semi_sync_replica_status"]).is_some(),
        clients: small(
            counters,
            &["rpl_semi_sync_source_clients", "rpl_semi_sync_master_clients"],
        ),
        replica: counters.flag(&["rpl_semi_sync_replica_status", "rpl_semi_sync_slave_status"]),
    }
}

/// A number; 0 where there is none, or none that fits.
fn small<T: TryFrom<u64> + Default>(row: &Fields, names: &[&str]) -> T {
    let number = row.number(names).and_then(|number| T::try_from(number).ok());
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Lag, LagSource};

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn a_replica_of_mysql() {
        let executed = format!("{UUID}:1-5");
        let identity = Identity {
            version: "9.7.4".to_owned(),
            uuid: UUID.to_owned(),
            ..Identity::default()
        };
        let answers = Answers {
            variables: [
                ("server_id", "2"),
                ("read_only", "1"),
                ("super_read_only", "1"),
                ("executed", &*executed),
            ]
            .into(),
            counters: [
                ("Uptime", "77"),
                ("Rpl_semi_sync_replica_status", "ON"),
                ("Rpl_semi_sync_source_status", "OFF"),
            ]
            .into(),
            replication: Some(vec![
                [
                    ("Source_Host", "db1"),
                    ("Source_Port", "3306"),
                    ("Source_Server_Id", "1"),
                    ("Source_UUID", UUID),
                    ("Replica_IO_Running", "Yes"),
                    ("Replica_SQL_Running", "No"),
                    ("Last_SQL_Errno", "1062"),
                    ("Last_SQL_Error", "Duplicate entry"),
                    ("Retrieved_Gtid_Set", &*executed),
                    ("Auto_Position", "1"),
                    ("SQL_Delay", "3"),
                ]
                .into(),
            ]),
            ..Answers::default()
        };
        let (status, malformed) = status(&identity, &answers);
        assert_eq!(malformed, None);
        assert!(status.read_only && status.super_read_only && status.applied.is_none());
        assert_eq!(
            (status.server_id, status.uptime),
            (2, Some(Duration::from_secs(77)))
        );
        assert_eq!(
            (status.lag, status.lag_source),
            (Lag::Infinite, LagSource::Threads)
        );
        let semi_sync = SemiSync {
            source: Some(false),
            clients: 0,
            waiting: 0,
            replica: Some(true),
            new_words: true,
        };
        assert_eq!(status.semi_sync, semi_sync);
        let channel = &status.channels.unwrap()[0];
        assert_eq!((channel.source_host.as_str(), channel.source_port), ("db1", 3306));
        assert_eq!(
            channel.trouble().unwrap(),
            "the SQL thread is stopped: 1062 Duplicate entry"
        );
        assert!(channel.by_gtid && channel.retrieved == status.executed && channel.delay.as_secs() == 3);
    }

    #[test]
    fn a_replica_of_mariadb_is_where_its_applier_is() {
        let identity = Identity {
            mariadb: true,
            ..Identity::default()
        };
        let answers = Answers {
            variables: [("read_only", "ON"), ("executed", "0-2-9"), ("applied", "0-1-5")].into(),
            replication: Some(vec![
                [
                    ("Slave_IO_Running", "Yes"),
                    ("Slave_SQL_Running", "Yes"),
                    ("Gtid_IO_Pos", "0-1-6"),
                    ("Using_Gtid", "Slave_Pos"),
                    ("Seconds_Behind_Master", "2"),
                    ("Connection_name", "east"),
                ]
                .into(),
            ]),
            ..Answers::default()
        };
        let (status, malformed) = status(&identity, &answers);
        assert_eq!(malformed, None);
        assert_eq!(
            status.applied.map(|applied| applied.to_string()).as_deref(),
            Some("0-1-5")
        );
        assert_eq!(
            (status.lag, status.lag_source),
            (Lag::Known(Duration::from_secs(2)), LagSource::SecondsBehind)
        );
        assert!(status.read_only && status.channels.unwrap()[0].name == "east");
        assert_eq!(status.semi_sync, SemiSync::default());
    }

    #[test]
    fn what_a_server_can_have_shown_is_at_least_what_it_has() {
        let answers = |variables: &[(&str, &str)], follows: bool| Answers {
            variables: Fields::from(variables),
            replication: Some(follows.then(Fields::default).into_iter().collect()),
            ..Answers::default()
        };
        let told = |mariadb, answers: &Answers| {
            let identity = Identity {
                mariadb,
                ..Identity::default()
            };
            let shown = status(&identity, answers).0.shown;
            shown.map(|shown| shown.to_string())
        };
        let executed = format!("{UUID}:1-5");
        for (owned, shown) in [
            (String::new(), "1-5"),
            (format!("{UUID}:7#21"), "1-5:7"),
            (format!("{UUID}:6#19:7#21,\n{UUID}:9#3"), "1-7:9"),
        ] {
            let answers = answers(&[("owned", &*owned), ("executed", &*executed)], true);
            assert_eq!(told(false, &answers), Some(format!("{UUID}:{shown}")), "{owned}");
        }
        let broken = answers(&[("owned", "7#what"), ("executed", &*executed)], true);
        assert_eq!(told(false, &broken), None);

        let variables = [
            ("logged", "0-1-9"),
            ("applied", "0-1-8,1-1-3"),
            ("executed", "0-1-8"),
        ];
        for (relogs, follows, shown) in [
            ("1", true, Some("0-1-9,1-1-3")),
            ("0", true, None),
            ("0", false, Some("0-1-9,1-1-3")),
        ] {
            let variables = [&variables[..], &[("relogs", relogs)]].concat();
            assert_eq!(told(true, &answers(&variables, follows)).as_deref(), shown);
        }
    }

    #[test]
    fn what_may_not_be_seen_is_unknown_and_so_is_garbage() {
        let (blind, _) = status(&Identity::default(), &Answers::default());
        assert_eq!((blind.channels, blind.lag), (None, Lag::Unknown));
        let answers = Answers {
            variables: [("executed", "0-1-5")].into(),
            replication: Some(vec![
                [
                    ("Replica_IO_Running", "Yes"),
                    ("Replica_SQL_Running", "Yes"),
                    ("Auto_Position", "1"),
                    ("Seconds_Behind_Source", "4"),
                ]
                .into(),
            ]),
            ..Answers::default()
        };
        let (lost, malformed) = status(&Identity::default(), &answers);
        assert!(malformed.is_some() && lost.executed.is_empty());
        assert_eq!(lost.lag, Lag::Known(Duration::from_secs(4)));
    }
}
