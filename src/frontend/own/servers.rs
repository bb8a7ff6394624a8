//! Servers as people see them: a line on each, and SHOW SPLITRAIL STATUS.

use crate::topology::{Admin, Health, Replication, ServerView, Snapshot};
use crate::wire::result::ResultSet;

/// What changes too often to be in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Busy {
    /// Statements of this proxy under way.
    pub in_flight: u32,
    /// Their average time in microseconds; 0 when there was none.
    pub latency: u64,
    /// Statements that wait for a primary: on the line of the one that they wait for, or of its predecessor.
    pub parked: usize,
}

const COLUMNS: &[&str] = &[
    "server",
    "role",
    "health",
    "admin",
    "replication",
    "lag",
    "weight",
    "backup",
    "in_flight",
    "latency",
    "problem",
    "parked",
];

pub fn show(snapshot: &Snapshot, busy: &[Busy]) -> ResultSet {
    let mut rows = ResultSet::new(COLUMNS);
    for (index, server) in snapshot.present() {
        let busy = busy.get(index).copied().unwrap_or_default();
        rows.push([
            Some(server.name.to_string()),
            Some(server.role.to_string()),
            Some(server.health.word().to_owned()),
            Some(server.admin.word().to_owned()),
            Some(server.replication.word().to_owned()),
            Some(server.lag.to_string()),
            Some(server.weight.to_string()),
            Some(if server.backup { "yes" } else { "no" }.to_owned()),
            Some(busy.in_flight.to_string()),
            (busy.latency > 0).then(|| show_latency(busy.latency)),
            problem(server),
            Some(busy.parked.to_string()),
        ]);
    }
    rows
}

/// A server in one line, as a candidate for a read.
pub fn line(server: &ServerView, busy: Busy) -> String {
    let mut parts = vec![server.role.to_string(), server.health.word().to_owned()];
    if server.admin != Admin::Online {
        parts.push(server.admin.word().to_owned());
    }
    if server.backup {
        parts.push("backup".to_owned());
    }
    if server.role == crate::topology::Role::Replica {
        parts.push(format!("lag {}", server.lag));
    }
    parts.push(format!("weight {}", server.weight));
    parts.push(format!("in flight {}", busy.in_flight));
    if busy.latency > 0 {
        parts.push(format!("latency {}", show_latency(busy.latency)));
    }
    parts.join(", ")
}

/// Why it is down, or why it does not replicate.
pub fn problem(server: &ServerView) -> Option<String> {
    match (&server.health, &server.replication) {
        (Health::Down { why }, _) | (_, Replication::Stopped { why }) => Some(why.to_string()),
        _ => None,
    }
}

fn show_latency(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::topology::{Lag, Readers, Role};
    use std::sync::Arc;
    use std::time::Duration;

    pub(in super::super) fn server(name: &str, role: Role) -> ServerView {
        ServerView {
            name: name.into(),
            role,
            health: Health::Up,
            admin: Admin::Online,
            rank: 0,
            weight: 1,
            backup: false,
            replication: Replication::Running,
            lag: Lag::Known(Duration::from_millis(12)),
            steady_lag: Lag::Known(Duration::from_millis(12)),
            usable_since: None,
            quarantine: None,
        }
    }

    pub(in super::super) fn snapshot(servers: Vec<ServerView>) -> Snapshot {
        Snapshot {
            serial: 1,
            epoch: 1,
            primary: Some(0),
            servers: servers.into(),
            readers: Arc::new(Readers::default()),
            tidy: Arc::default(),
            made_anew: 0,
            known_as_of: 0,
        }
    }

    #[test]
    fn a_line_says_what_matters_and_no_more() {
        let mut replica = server("db2", Role::Replica);
        let busy = Busy {
            in_flight: 3,
            latency: 1_250,
            parked: 0,
        };
        assert_eq!(
            line(&replica, busy),
            "replica, up, lag 12 ms, weight 1, in flight 3, latency 1.250 ms"
        );
        replica.admin = Admin::Drain;
        replica.backup = true;
        assert!(line(&replica, busy).starts_with("replica, up, drain, backup, lag"));
        let primary = server("db1", Role::Primary);
        assert_eq!(
            line(&primary, Busy::default()),
            "primary, up, weight 1, in flight 0"
        );
    }

    #[test]
    fn every_server_has_a_row_with_its_problem() {
        let mut down = server("db3", Role::Replica);
        down.health = Health::Down {
            why: "it refuses connections".into(),
        };
        let snapshot = snapshot(vec![server("db1", Role::Primary), down]);
        let shown = show(&snapshot, &[]);
        assert_eq!(shown.rows().len(), 2);
        assert_eq!(shown.rows()[0][10], None);
        assert_eq!(shown.rows()[1][2].as_deref(), Some(&b"down"[..]));
        assert_eq!(
            shown.rows()[1][10].as_deref(),
            Some(&b"it refuses connections"[..])
        );
    }
}
