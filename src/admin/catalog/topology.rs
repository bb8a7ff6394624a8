//! SHOW TOPOLOGY, SHOW REPLICATION, SHOW POOLS: what stands behind whom, how far behind, and with how many
//! connections.

use super::servers::{lag, problem};
use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;
use crate::topology::{Admin, Channel, Outcome, Role, Status, ThreadState};

pub const TOPOLOGY: Table = Table {
    name: "topology",
    about: "who follows whom: the primary first, each replica under its source",
    columns: &[
        Column::text("tree"),
        Column::text("server"),
        Column::text("role"),
        Column::text("source"),
        Column::text("health"),
        Column::text("state"),
        Column::text("replication"),
        Column::decimal("lag_ms"),
        Column::boolean("read_only"),
        Column::text("gtid"),
        Column::text("problem"),
    ],
    rows: topology,
};

pub const REPLICATION: Table = Table {
    name: "replication",
    about: "each replication channel of each server: its threads, positions and errors",
    columns: &[
        Column::text("server"),
        Column::text("channel"),
        Column::text("source"),
        Column::text("io_thread"),
        Column::text("sql_thread"),
        Column::decimal("lag_ms"),
        Column::text("lag_source"),
        Column::decimal("delay_ms"),
        Column::boolean("by_gtid"),
        Column::text("retrieved"),
        Column::text("applied"),
        Column::text("error"),
    ],
    rows: replication,
};

pub const POOLS: Table = Table {
    name: "pools",
    about: "each server's connections: open, busy, the most there may be",
    columns: &[
        Column::text("server"),
        Column::integer("open"),
        Column::integer("max_connections"),
        Column::integer("in_flight"),
        Column::boolean("waiting"),
        Column::integer("busy_writers"),
        Column::integer("evictions"),
    ],
    rows: pools,
};

/// How deep a tree is drawn: replicas of replicas, and no further than servers may be counted.
const DEEPEST: usize = 64;

fn status(state: &State, index: usize) -> Option<Status> {
    match &state.shared.topology.observation(index)?.outcome {
        Outcome::Answered(status) => Some((**status).clone()),
        _ => None,
    }
}

/// The server that each one follows, by its identity where that is known, else by its address.
pub fn sources(statuses: &[Option<Status>], addresses: &[String]) -> Vec<Option<usize>> {
    let find = |channel: &Channel| {
        let by_uuid = |status: &Option<Status>| {
            let uuid = status
                .as_ref()
                .map(|status| status.uuid.as_str())
                .unwrap_or_default();
            !channel.source_uuid.is_empty() && uuid == channel.source_uuid
        };
        let by_id = |status: &Option<Status>| {
            let id = status.as_ref().map(|status| status.server_id);
            channel.source_id != 0 && id == Some(channel.source_id)
        };
        let address = format!("{}:{}", channel.source_host, channel.source_port);
        statuses
            .iter()
            .position(by_uuid)
            .or_else(|| addresses.iter().position(|known| *known == address))
            .or_else(|| statuses.iter().position(by_id))
    };
    let source = |status: &Option<Status>| {
        let channels = status.as_ref()?.channels.as_ref()?;
        channels.iter().find_map(find)
    };
    statuses.iter().map(source).collect()
}

fn topology(state: &State) -> Vec<Row> {
    let snapshot = state.shared.topology.snapshot();
    let count = snapshot.servers.len();
    let statuses: Vec<_> = (0..count).map(|index| status(state, index)).collect();
    let address = |index| {
        let server = state.shared.servers.get(index);
        server.map_or_else(String::new, |server| server.endpoint().address.to_string())
    };
    let addresses: Vec<_> = (0..count).map(address).collect();
    let sources = sources(&statuses, &addresses);
    let mut rows = Vec::new();
    for (index, depth) in order(&sources, snapshot.primary) {
        let Some(view) = snapshot
            .servers
            .get(index)
            .filter(|view| view.admin != Admin::Gone)
        else {
            continue;
        };
        let status = statuses.get(index).and_then(Option::as_ref);
        let source = sources[index].and_then(|source| snapshot.servers.get(source));
        let branch = match depth {
            0 => String::new(),
            depth => format!("{}└─ ", "   ".repeat(depth - 1)),
        };
        rows.push(vec![
            format!("{branch}{}", view.name).into(),
            (&view.name).into(),
            view.role.to_string().into(),
            source.map(|source| &source.name).into(),
            view.health.word().into(),
            view.admin.word().into(),
            view.replication.word().into(),
            if view.role == Role::Primary {
                Value::Null
            } else {
                lag(view.lag)
            },
            status.map(|status| status.read_only).into(),
            status
                .map(|status| status.applied.as_ref().unwrap_or(&status.executed).to_string())
                .into(),
            problem(view).into(),
        ]);
    }
    rows
}

/// Every server once, each below the one that it follows; the primary's tree first.
fn order(sources: &[Option<usize>], primary: Option<usize>) -> Vec<(usize, usize)> {
    let mut placed = vec![false; sources.len()];
    let mut order = Vec::new();
    let roots = (0..sources.len()).filter(|index| sources[*index].is_none());
    // Whoever is in no tree, because servers follow each other in a circle, comes last.
    let starts = primary.into_iter().chain(roots).chain(0..sources.len());
    for start in starts {
        let mut waiting = vec![(start, 0)];
        while let Some((index, depth)) = waiting.pop() {
            if placed.get(index) != Some(&false) || depth > DEEPEST {
                continue;
            }
            placed[index] = true;
            order.push((index, depth));
            let followers = (0..sources.len())
                .rev()
                .filter(|follower| sources[*follower] == Some(index));
            waiting.extend(followers.map(|follower| (follower, depth + 1)));
        }
    }
    order
}

fn replication(state: &State) -> Vec<Row> {
    let snapshot = state.shared.topology.snapshot();
    let mut rows = Vec::new();
    for (index, view) in snapshot.present() {
        let Some(status) = status(state, index) else {
            continue;
        };
        for channel in status.channels.iter().flatten() {
            rows.push(vec![
                (&view.name).into(),
                channel.name.as_str().into(),
                format!("{}:{}", channel.source_host, channel.source_port).into(),
                thread(channel.io.state).into(),
                thread(channel.sql.state).into(),
                lag(view.lag),
                status.lag_source.word().into(),
                Value::millis(channel.delay),
                channel.by_gtid.into(),
                channel.retrieved.to_string().into(),
                status
                    .applied
                    .as_ref()
                    .unwrap_or(&status.executed)
                    .to_string()
                    .into(),
                channel.trouble().into(),
            ]);
        }
    }
    rows
}

fn thread(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Running => "running",
        ThreadState::Connecting => "connecting",
        ThreadState::Stopped => "stopped",
    }
}

fn pools(state: &State) -> Vec<Row> {
    let topology = &state.shared.topology;
    let evictions = topology.gate().evictions();
    let row = |server: &std::sync::Arc<crate::backend::Server>| {
        let index = server.index;
        vec![
            server.name().into(),
            server.slots.open().into(),
            server.slots.maximum().into(),
            topology.load(index).in_flight().into(),
            server.slots.has_waiters().into(),
            topology.gate().busy(index).into(),
            evictions.get(index).copied().into(),
        ]
    };
    let snapshot = state.shared.topology.snapshot();
    let servers = snapshot
        .present()
        .filter_map(|(index, _)| state.shared.servers.get(index));
    servers.map(|server| row(&server)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_one_place_below_their_source() {
        let tree = |sources: &[Option<usize>]| order(sources, Some(1));
        assert_eq!(tree(&[Some(1), None, Some(0)]), [(1, 0), (0, 1), (2, 2)]);
        assert_eq!(
            tree(&[Some(1), None, Some(1), None]),
            [(1, 0), (0, 1), (2, 1), (3, 0)]
        );
        // A circle, and one that follows itself.
        let circle = tree(&[Some(2), None, Some(0), Some(3)]);
        assert_eq!(circle.len(), 4);
    }

    #[test]
    fn sources_are_known_by_identity_or_address() {
        let channel = Channel {
            source_host: "db1".to_owned(),
            source_port: 3306,
            ..Channel::default()
        };
        let replica = Status {
            channels: Some(vec![channel]),
            ..Status::default()
        };
        let addresses = ["db1:3306".to_owned(), "db2:3306".to_owned()];
        assert_eq!(
            sources(&[None, Some(replica.clone())], &addresses),
            [None, Some(0)]
        );
        let mut by_uuid = replica;
        if let Some(channels) = &mut by_uuid.channels {
            channels[0].source_uuid = "u".to_owned();
            channels[0].source_host = "elsewhere".to_owned();
        }
        let primary = Status {
            uuid: "u".to_owned(),
            ..Status::default()
        };
        assert_eq!(
            sources(&[Some(primary), Some(by_uuid)], &addresses),
            [None, Some(0)]
        );
    }
}
