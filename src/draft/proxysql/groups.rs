//! Hostgroups: which of them takes the writes, and which the reads.

use std::collections::BTreeMap;

use super::super::libconfig::Node;
use super::super::plan::Plan;

/// What hostgroups mean.
#[derive(Debug, Default)]
pub struct Groups {
    pub writer: Option<u64>,
    pub reader: Option<u64>,
    /// The names of the servers of each.
    members: BTreeMap<u64, Vec<String>>,
}

/// Where a hostgroup's statements go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Primary,
    Replica,
    Servers(Vec<String>),
    /// It has no server.
    Nobody,
}

// === impl Groups ===

impl Groups {
    pub fn of(root: &Node, plan: &mut Plan) -> Self {
        let mut groups = Self::default();
        for server in root.items("mysql_servers") {
            let names = groups.members.entry(group(server)).or_default();
            let name = name(server);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let pairs = root.items("mysql_replication_hostgroups");
        if let Some(pair) = pairs.first() {
            groups.writer = pair.number("writer_hostgroup");
            groups.reader = pair.number("reader_hostgroup");
        } else {
            let user = root.items("mysql_users").first();
            let first = user.and_then(|user| user.number("default_hostgroup"));
            groups.writer = first.or(groups.members.keys().next().copied());
            let line = root.get("mysql_servers").map_or(1, |servers| servers.line);
            plan.warn(
                line,
                "no mysql_replication_hostgroups: the users' default hostgroup is taken for the writers'",
            );
        }
        for pair in pairs.iter().skip(1) {
            plan.warn(
                pair.line,
                "a second replication cluster: one proxy has one primary, run one for each cluster",
            );
        }
        groups
    }

    pub fn target(&self, group: u64) -> Target {
        if Some(group) == self.writer {
            return Target::Primary;
        }
        if Some(group) == self.reader {
            return Target::Replica;
        }
        match self.members.get(&group) {
            Some(names) if !names.is_empty() => Target::Servers(names.clone()),
            _ => Target::Nobody,
        }
    }
}

/// The hostgroup of a server's row.
pub fn group(server: &Node) -> u64 {
    let number = server.number("hostgroup");
    number.or_else(|| server.number("hostgroup_id")).unwrap_or(0)
}

/// `host:port`, which is the server's name as well.
pub fn name(server: &Node) -> String {
    let host = server
        .text("address")
        .or_else(|| server.text("hostname"))
        .unwrap_or_default();
    match server.number("port").unwrap_or(3306) {
        0 => format!("unix:{host}"),
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}
