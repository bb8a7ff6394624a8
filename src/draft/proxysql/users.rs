//! mysql_users: accounts with the password or the hash that the file has.

use serde_yaml::{Mapping, Value};

use super::super::document::Item;
use super::super::libconfig::Node;
use super::super::plan::{Plan, literal, mapping};
use super::groups::{Groups, Target};

pub fn convert(root: &Node, groups: &Groups, plan: &mut Plan) {
    let mut names: Vec<&str> = Vec::new();
    let (mut items, mut rest) = (Vec::new(), Vec::new());
    for row in root.items("mysql_users") {
        let Some(name) = row.text("username").filter(|name| !name.is_empty()) else {
            plan.warn(row.line, "a user without a name is left out");
            continue;
        };
        if row.number("active") == Some(0) {
            rest.push(format!("`{name}` was not active, and is left out"));
            continue;
        }
        if row.number("frontend") == Some(0) || names.contains(&name) {
            continue;
        }
        names.push(name);
        items.push(user(name, row, groups, plan));
    }
    if items.is_empty() {
        plan.value(
            "accounts",
            "The file lists no users: clients log in with the servers' own accounts.",
            "backend".into(),
        );
        return;
    }
    let comment =
        "Who may log in. `accounts: backend` would take the servers' own accounts instead of a list.";
    plan.list("accounts", comment, items, rest);
}

fn user(name: &str, row: &Node, groups: &Groups, plan: &mut Plan) -> Item<Value> {
    let mut user = mapping([("name", literal(name).into())]);
    password(&mut user, name, row, plan);
    if let Some(most) = row
        .number("max_connections")
        .filter(|most| (1..10_000).contains(most))
    {
        user.insert("max_connections".into(), most.into());
    }
    if let Some(group) = row.number("default_hostgroup")
        && groups.target(group) != Target::Primary
    {
        let text = "reads and writes are told apart here, whatever the hostgroup: write a rule with this `user` and a \
                    `target`, or give it a listener with `mode: replica`";
        plan.warn(
            row.line,
            format!("`{name}` has default_hostgroup {group}: {text}"),
        );
    }
    for (key, text) in [
        ("default_schema", "clients name their schema themselves"),
        ("schema_locked", "grants on the servers say what a user may do"),
        ("use_ssl", "`tls: require` on a listener is for all its clients"),
        (
            "fast_forward",
            "a listener with `mode: primary` sends everything to the primary",
        ),
    ] {
        if row
            .text(key)
            .is_some_and(|value| !matches!(value, "" | "0" | "false"))
        {
            plan.warn(row.line, format!("`{name}`: {key} is not carried over: {text}"));
        }
    }
    if row.number("transaction_persistent") == Some(0) {
        plan.warn(
            row.line,
            format!("`{name}`: transaction_persistent=0 is not: a transaction stays on one server"),
        );
    }
    let comments = row.text("comment").filter(|text| !text.is_empty());
    Item {
        comments: comments.map(str::to_owned).into_iter().collect(),
        value: Value::Mapping(user),
    }
}

fn password(user: &mut Mapping, name: &str, row: &Node, plan: &mut Plan) {
    let password = row.text("password").unwrap_or_default();
    let is_native = password.len() == 41
        && password.starts_with('*')
        && password.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit());
    if is_native {
        user.insert("hash".into(), password.into());
        return;
    }
    let is_unusable = password.starts_with("$A$") || password.starts_with("file:");
    if is_unusable {
        let variable: String = name
            .chars()
            .map(|each| if each.is_ascii_alphanumeric() { each } else { '_' })
            .collect();
        let variable = format!("PASSWORD_OF_{}", variable.to_ascii_uppercase());
        plan.warn(
            row.line,
            format!("`{name}`: this form of password cannot be used: give the password in {variable}"),
        );
        user.insert("password".into(), format!("${{{variable}}}").into());
    } else {
        user.insert("password".into(), literal(password).into());
    }
}
