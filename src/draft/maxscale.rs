//! maxscale.cnf: sections of `key=value` lines; servers, listeners, the readwritesplit service and the monitor.

use serde_yaml::{Mapping, Value};

use super::document::Item;
use super::plan::{Plan, literal, mapping};

/// `[name]` and what stands under it.
#[derive(Debug, Default)]
struct Section<'a> {
    name: &'a str,
    line: usize,
    settings: Vec<(String, &'a str)>,
}

/// What a readwritesplit service says that is the same here without being said.
const QUIET: [&str; 6] = [
    "type",
    "router",
    "servers",
    "cluster",
    "enable_root_user",
    "targets",
];

pub fn convert(text: &str) -> Plan {
    let mut plan = Plan::default();
    let sections = sections(text, &mut plan);
    let of_type = |kind: &str| -> Vec<&Section<'_>> {
        let is_kind = |section: &&Section<'_>| {
            section
                .get("type")
                .is_some_and(|text| text.eq_ignore_ascii_case(kind))
        };
        sections.iter().filter(is_kind).collect()
    };
    let services = of_type("service");
    listeners(&of_type("listener"), &services, &mut plan);
    servers(&of_type("server"), &mut plan);
    plan.value(
        "accounts",
        "Clients log in with the servers' own accounts.",
        "backend".into(),
    );
    monitor(&of_type("monitor"), &mut plan);
    for service in &services {
        service_settings(service, &mut plan);
    }
    for filter in of_type("filter") {
        let text = format!(
            "filter {}: see `rules`, which block, rewrite, cache, throttle and mirror",
            filter.name
        );
        plan.warn(filter.line, text);
    }
    if let Some(global) = sections
        .iter()
        .find(|section| section.name.eq_ignore_ascii_case("maxscale"))
    {
        threads(global, &mut plan);
    }
    plan
}

fn sections<'a>(text: &'a str, plan: &mut Plan) -> Vec<Section<'a>> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(Section {
                name,
                line: line_number,
                settings: Vec::new(),
            });
            continue;
        }
        match (line.split_once('='), sections.last_mut()) {
            (Some((key, value)), Some(section)) => {
                let value = value.trim().trim_matches('"');
                section.settings.push((key.trim().to_ascii_lowercase(), value));
            }
            _ => plan.warn(line_number, "this line is no `key=value` of a section"),
        }
    }
    sections
}

// === impl Section ===

impl<'a> Section<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        let found = self.settings.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| *value)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }
}

fn listeners(listeners: &[&Section<'_>], services: &[&Section<'_>], plan: &mut Plan) {
    let mut items = Vec::new();
    for listener in listeners {
        let address = match (listener.get("socket"), listener.number("port")) {
            (Some(path), _) => format!("unix:{path}"),
            (None, Some(port)) => match listener.get("address").unwrap_or("0.0.0.0") {
                "::" => format!("0.0.0.0:{port}"),
                host if host.contains(':') => format!("[{host}]:{port}"),
                host => format!("{host}:{port}"),
            },
            (None, None) => {
                plan.warn(listener.line, format!("listener {} has no port", listener.name));
                continue;
            }
        };
        let mut settings = mapping([("address", address.into()), ("name", listener.name.into())]);
        let service = services
            .iter()
            .find(|each| Some(each.name) == listener.get("service"));
        let options = service
            .and_then(|service| service.get("router_options"))
            .unwrap_or_default();
        match service.and_then(|service| service.get("router")) {
            Some("readconnroute") if options.contains("slave") => {
                settings.insert("mode".into(), "replica".into());
            }
            Some("readconnroute") => {
                settings.insert("mode".into(), "primary".into());
            }
            _ => {}
        }
        items.push(Item {
            comments: Vec::new(),
            value: Value::Mapping(settings),
        });
    }
    plan.list("listeners", "Where clients connect.", items, Vec::new());
}

fn servers(servers: &[&Section<'_>], plan: &mut Plan) {
    let mut items = Vec::new();
    for server in servers {
        let address = match (server.get("socket"), server.get("address")) {
            (Some(path), _) => format!("unix:{path}"),
            (None, Some(host)) if host.contains(':') => {
                format!("[{host}]:{}", server.number("port").unwrap_or(3306))
            }
            (None, Some(host)) => format!("{host}:{}", server.number("port").unwrap_or(3306)),
            (None, None) => {
                plan.warn(server.line, format!("server {} has no address", server.name));
                continue;
            }
        };
        let mut settings = mapping([
            ("address", literal(&address).into()),
            ("name", server.name.into()),
        ]);
        if items.is_empty() {
            settings.insert("role".into(), "primary".into());
        }
        if let Some(most) = server.number("max_routing_connections").filter(|most| *most > 0) {
            settings.insert("max_connections".into(), most.min(100_000).into());
        }
        if matches!(server.get("ssl"), Some("true" | "required" | "1" | "on" | "yes")) {
            settings.insert("tls".into(), "require".into());
        }
        items.push(Item {
            comments: Vec::new(),
            value: Value::Mapping(settings),
        });
    }
    if let Some(first) = servers.first() {
        let text = format!(
            "MaxScale finds the primary by itself: here it is `{}`, the first, until you say otherwise",
            first.name
        );
        plan.warn(first.line, text);
    }
    plan.list("servers", "The database servers.", items, Vec::new());
}

fn monitor(monitors: &[&Section<'_>], plan: &mut Plan) {
    let Some(monitor) = monitors.first() else {
        return;
    };
    for other in &monitors[1..] {
        plan.warn(
            other.line,
            format!("monitor {}: one proxy has one cluster", other.name),
        );
    }
    if let Some(module) = monitor.get("module").filter(|module| *module != "mariadbmon") {
        plan.warn(
            monitor.line,
            format!("monitor module {module} has no equal: the primary is found by replication"),
        );
    }
    let mut settings = Mapping::new();
    if let (Some(user), Some(password)) = (monitor.get("user"), monitor.get("password")) {
        settings.insert("user".into(), literal(user).into());
        let is_encrypted = password.len() >= 32 && password.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_encrypted {
            plan.warn(
                monitor.line,
                "the monitor's password is encrypted: give it in SPLITRAIL_PASSWORD",
            );
            settings.insert("password".into(), "${SPLITRAIL_PASSWORD}".into());
        } else {
            settings.insert("password".into(), literal(password).into());
        }
    }
    plan.section("monitor", "The account that watches the servers.", settings);
    let is_on = |key| matches!(monitor.get(key), Some("true" | "1" | "on" | "yes" | "safe"));
    let mut failover = mapping([(
        "mode",
        if is_on("auto_failover") {
            "automatic"
        } else {
            "manual"
        }
        .into(),
    )]);
    failover.insert("rejoin".into(), is_on("auto_rejoin").into());
    let enforces = ["enforce_read_only_slaves", "enforce_read_only_servers"]
        .into_iter()
        .any(is_on);
    failover.insert("enforce_read_only".into(), enforces.into());
    plan.section("failover", "When the primary dies.", failover);
}

fn service_settings(service: &Section<'_>, plan: &mut Plan) {
    let router = service.get("router").unwrap_or_default();
    if !matches!(router, "readwritesplit" | "readconnroute") {
        plan.warn(
            service.line,
            format!("service {}: router {router} has no equal", service.name),
        );
        return;
    }
    for (key, value) in &service.settings {
        let text = match key.as_str() {
            "user" | "password" | "passwd" => "`monitor` has the only account of the proxy",
            "master_accept_reads" => "see `routing.reads_from_primary: share`",
            "causal_reads" => "`consistency.level: session` is the default, and does it",
            "transaction_replay" => "`failover.replay` is on unless you say otherwise",
            "max_slave_replication_lag" | "max_replication_lag" => "see `consistency.max_lag`",
            "slave_selection_criteria" => "see `routing.balance`",
            "filters" => "see `rules`",
            "connection_timeout" | "wait_timeout" => "see `limits.idle_timeout`",
            "max_connections" => "see `limits.client_connections`",
            "master_failure_mode" => "statements wait for a primary for `failover.park_timeout`",
            quiet if QUIET.contains(&quiet) => continue,
            _ => "it has no equal, or a default that does",
        };
        // The value of a password must not be repeated.
        let shown = if matches!(key.as_str(), "password" | "passwd") {
            "..."
        } else {
            value
        };
        plan.warn(service.line, format!("{}: {key}={shown}: {text}", service.name));
    }
}

fn threads(global: &Section<'_>, plan: &mut Plan) {
    if let Some(threads) = global.number("threads").filter(|threads| *threads > 0) {
        plan.value("workers", "Threads that serve clients.", threads.min(1024).into());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, ListenerMode};

    const SAMPLE: &str = "
[maxscale]
threads=auto

[db-a]
type=server
address=10.0.0.1
port=3306
protocol=MariaDBBackend

[db-b]
type=server
address=10.0.0.2

[Monitor]
type=monitor
module=mariadbmon
servers=db-a,db-b
user=monitor
password=secret word
auto_failover=true
auto_rejoin=true

[RW]
type=service
router=readwritesplit
servers=db-a,db-b
user=maxscale
password=hidden
causal_reads=local

[RO]
type=service
router=readconnroute
router_options=slave

[RW-Listener]
type=listener
service=RW
port=4006

[RO-Listener]
type=listener
service=RO
address=::
port=4008
";

    #[test]
    fn a_usual_file_becomes_one_of_ours() {
        let plan = convert(SAMPLE);
        let text = plan.text("maxscale.cnf").unwrap();
        let config = Config::parse(&text, Path::new("test.yaml"))
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        assert_eq!(config.servers[0].name, "db-a");
        assert_eq!(config.servers[1].address.to_string(), "10.0.0.2:3306");
        let modes: Vec<_> = config.listeners.iter().map(|listener| listener.mode).collect();
        assert_eq!(modes, [ListenerMode::Split, ListenerMode::Replica]);
        assert!(config.failover.rejoin && !config.failover.enforce_read_only);
        assert_eq!(
            config.monitor.login.unwrap().password.expose_text(),
            Some("secret word")
        );
        assert!(!text.contains("hidden"), "{text}");
        assert!(
            plan.warnings
                .iter()
                .any(|warning| warning.text.contains("causal_reads=local"))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z=\\[\\]#\n ]|\\PC){0,120}") {
            let _ = convert(&text).text("x").unwrap();
        }
    }
}
