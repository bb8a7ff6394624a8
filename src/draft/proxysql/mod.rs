//! proxysql.cnf, table by table, as settings of ours; what has none becomes a warning with its line.

mod groups;
mod rules;
mod servers;
mod users;
mod variables;

use super::libconfig::Node;
use super::plan::Plan;
use groups::Groups;

#[cfg(test)]
mod tests;

/// Tables that say something about the cluster that has no place here.
const OTHER_TABLES: [(&str, &str); 6] = [
    (
        "mysql_group_replication_hostgroups",
        "group replication is not followed: the primary is found by replication",
    ),
    ("mysql_galera_hostgroups", "Galera clusters are not supported"),
    (
        "mysql_aws_aurora_hostgroups",
        "Aurora's own discovery is not supported",
    ),
    (
        "scheduler",
        "there is no scheduler: use cron, or the hooks of `failover`",
    ),
    ("proxysql_servers", "several proxies need not know of each other"),
    (
        "mysql_query_rules_fast_routing",
        "write rules with `schema` instead",
    ),
];

pub fn convert(root: &Node) -> Plan {
    let mut plan = Plan::default();
    let groups = Groups::of(root, &mut plan);
    let listeners = variables::listeners(root, &mut plan);
    servers::convert(root, &groups, &mut plan);
    users::convert(root, &groups, &mut plan);
    variables::convert(root, &mut plan);
    rules::convert(root, &groups, &listeners, &mut plan);
    for (table, why) in OTHER_TABLES {
        if let Some(node) = root.get(table) {
            plan.warn(node.line, format!("{table}: {why}"));
        }
    }
    if let Some(admin) = root.get("admin_variables") {
        plan.warn(
            admin.line,
            "admin_variables are not carried over: the admin port has its own accounts",
        );
    }
    plan
}
