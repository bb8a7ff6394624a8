//! maxscale.cnf: sections of `key=value` lines; servers, listeners, the readwritesplit service and the monitor.

use serde_yaml::{Mapping, Value};

use super::document::Item;
use super::plan::{Plan, literal, mapping};
use crate::config::parse_duration;

/// `[name]` and what stands under it.
#[derive(Debug, Default)]
struct Section<'a> {
    name: &'a str,
    line: usize,
    settings: Vec<Setting<'a>>,
}

#[derive(Debug)]
struct Setting<'a> {
    key: String,
    value: &'a str,
    line: usize,
}

/// What a service says that is the same here without being said, or has been carried over.
const SERVICE: &[&str] = &[
    "type",
    "router",
    "servers",
    "cluster",
    "enable_root_user",
    "targets",
    "max_slave_replication_lag",
    "max_replication_lag",
    "transaction_replay_max_size",
];
/// `failover.replay.total`, unless it is given.
const USUAL_TOTAL: u64 = 64 << 20;
const LISTENER: &[&str] = &["type", "service", "protocol", "port", "address", "socket"];
const SERVER: &[&str] = &[
    "type",
    "protocol",
    "port",
    "address",
    "socket",
    "ssl",
    "rank",
    "max_routing_connections",
];
const MONITOR: &[&str] = &[
    "type",
    "module",
    "servers",
    "user",
    "password",
    "monitor_interval",
    "replication_user",
    "replication_password",
    "auto_failover",
    "auto_rejoin",
    "enforce_read_only_slaves",
    "enforce_read_only_servers",
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
    max_lag(&services, &mut plan);
    monitor(&of_type("monitor"), replayed(&services), &mut plan);
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
                section.settings.push(Setting {
                    key: key.trim().to_ascii_lowercase(),
                    value,
                    line: line_number,
                });
            }
            _ => plan.warn(line_number, "this line is no `key=value` of a section"),
        }
    }
    sections
}

// === impl Section ===

impl<'a> Section<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        let found = self.settings.iter().rev().find(|setting| setting.key == key);
        found.map(|setting| setting.value)
    }

    /// A time; without a unit it is in `unit`.
    fn time(&self, key: &str, unit: &str) -> Option<String> {
        let value = self.get(key)?;
        let is_bare = value.bytes().all(|byte| byte.is_ascii_digit());
        let text = if is_bare {
            format!("{value}{unit}")
        } else {
            value.to_owned()
        };
        parse_duration(&text).map(|_| text)
    }

    /// Tells of every setting that is not in the list, so that nothing is lost silently.
    fn tell_others(&self, carried: &[&str], meaning: impl Fn(&str) -> Option<&'static str>, plan: &mut Plan) {
        for Setting { key, value, line } in &self.settings {
            if carried.contains(&key.as_str()) {
                continue;
            }
            // The value of a password must not be repeated.
            let shown = if key.contains("passw") { "..." } else { value };
            let text = meaning(key).unwrap_or("it has no equal, or a default that does");
            plan.warn(*line, format!("{}: {key}={shown}: {text}", self.name));
        }
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
        let meaning = |key: &str| key.starts_with("ssl").then_some("see `tls.client`");
        listener.tell_others(LISTENER, meaning, plan);
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
        if server.get("rank") == Some("secondary") {
            settings.insert("backup".into(), true.into());
        }
        let meaning = |key: &str| match key {
            "priority" => Some("see `servers[].promote`"),
            "persistpoolmax" | "persistmaxtime" => Some("see `pool`"),
            key if key.starts_with("ssl") => Some("see `tls.server`"),
            _ => None,
        };
        server.tell_others(SERVER, meaning, plan);
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

fn monitor(monitors: &[&Section<'_>], replayed: Option<Mapping>, plan: &mut Plan) {
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
    let mut settings = login(monitor, ["user", "password"], "SPLITRAIL_PASSWORD", plan);
    if let Some(interval) = monitor.time("monitor_interval", "ms") {
        settings.insert("interval".into(), interval.into());
    }
    plan.section("monitor", "The account that watches the servers.", settings);
    failover(monitor, replayed, plan);
    let meaning = |key: &str| match key {
        "failcount" => Some("see `failover.failures`"),
        "cooperative_monitoring_locks" => {
            Some("proxies do not vote: one decides, the others have `failover.mode: follow`")
        }
        "promotion_sql_file" | "demotion_sql_file" | "events" | "script" => {
            Some("see the hooks of `failover`")
        }
        "switchover_timeout" => Some("see `switchover.timeout`"),
        "failover_timeout" => Some("see `failover.step_timeout`"),
        "servers_no_promotion" => Some("see `servers[].promote: never`"),
        _ => None,
    };
    monitor.tell_others(MONITOR, meaning, plan);
}

fn failover(monitor: &Section<'_>, replayed: Option<Mapping>, plan: &mut Plan) {
    let is_on = |key| matches!(monitor.get(key), Some("true" | "1" | "on" | "yes" | "safe"));
    let mode = match is_on("auto_failover") {
        true => "automatic",
        false => "manual",
    };
    let mut settings = mapping([("mode", mode.into())]);
    settings.insert("rejoin".into(), is_on("auto_rejoin").into());
    let enforces = ["enforce_read_only_slaves", "enforce_read_only_servers"]
        .into_iter()
        .any(is_on);
    settings.insert("enforce_read_only".into(), enforces.into());
    let keys = ["replication_user", "replication_password"];
    let replication = login(monitor, keys, "REPLICATION_PASSWORD", plan);
    if !replication.is_empty() {
        settings.insert("replication".into(), Value::Mapping(replication));
    }
    if let Some(replay) = replayed {
        settings.insert("replay".into(), Value::Mapping(replay));
    }
    plan.section("failover", "When the primary dies.", settings);
}

/// A user with a password; one that is encrypted comes from the environment.
fn login(monitor: &Section<'_>, [user, password]: [&str; 2], variable: &str, plan: &mut Plan) -> Mapping {
    let (Some(user), Some(text)) = (monitor.get(user), monitor.get(password)) else {
        return Mapping::new();
    };
    let is_encrypted = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = if is_encrypted {
        let text = format!("{}: {password} is encrypted: give it in {variable}", monitor.name);
        plan.warn(monitor.line, text);
        format!("${{{variable}}}")
    } else {
        literal(text)
    };
    mapping([("user", literal(user).into()), ("password", value.into())])
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
    let meaning = |key: &str| match key {
        "user" | "password" | "passwd" => Some("`monitor` has the only account of the proxy"),
        "router_options" => Some("the listener's `mode` says it"),
        "master_accept_reads" => Some("see `routing.reads_from_primary: share`"),
        "causal_reads" => Some("`consistency.level: session` is the default, and does it"),
        "transaction_replay" => Some("`failover.replay` is on unless you say otherwise"),
        "slave_selection_criteria" => Some("see `routing.balance`"),
        "filters" => Some("see `rules`"),
        "connection_timeout" | "wait_timeout" => Some("see `limits.idle_timeout`"),
        "max_connections" => Some("see `limits.client_connections`"),
        "master_failure_mode" | "delayed_retry" | "delayed_retry_timeout" => {
            Some("statements wait for a primary for `failover.park_timeout`")
        }
        _ => None,
    };
    service.tell_others(SERVICE, meaning, plan);
}

/// The least of what services allow: there is one limit.
fn max_lag(services: &[&Section<'_>], plan: &mut Plan) {
    let keys = ["max_replication_lag", "max_slave_replication_lag"];
    let found = services
        .iter()
        .flat_map(|service| keys.map(|key| service.time(key, "s")))
        .flatten();
    if let Some(lag) = found.min_by_key(|text| parse_duration(text)) {
        let lag = mapping([("max_lag", lag.into())]);
        plan.section("consistency", "A replica further behind serves no reads.", lag);
    }
}

/// `1Mi` there is `1MiB` here.
/// MaxScale knows no bound for all of them: ours is not below that of one.
fn replayed(services: &[&Section<'_>]) -> Option<Mapping> {
    let size = services
        .iter()
        .find_map(|service| service.get("transaction_replay_max_size"))?;
    let digits = size.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let (unit, bytes) = match &size[digits.len()..] {
        "" => ("", 1),
        "k" | "Ki" => ("KiB", 1 << 10),
        "M" | "Mi" => ("MiB", 1 << 20),
        "G" | "Gi" => ("GiB", 1 << 30),
        _ => return None,
    };
    let number = digits.parse::<u32>().ok()?;
    let size = format!("{number}{unit}");
    let mut replay = mapping([("per_transaction", size.clone().into())]);
    if u64::from(number) * bytes > USUAL_TOTAL {
        replay.insert("total".into(), size.into());
    }
    Some(replay)
}

fn threads(global: &Section<'_>, plan: &mut Plan) {
    global.tell_others(&["threads"], |_| None, plan);
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
monitor_interval=2000
replication_user=repl
replication_password=hidden too
failcount=3

[RW]
type=service
router=readwritesplit
servers=db-a,db-b
user=maxscale
password=hidden
causal_reads=local
max_replication_lag=7s
transaction_replay_max_size=2Mi

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
        assert!(!text.contains("password=hidden"), "{text}");
        assert_eq!(config.monitor.interval.as_secs(), 2);
        assert_eq!(config.consistency.max_lag.as_secs(), 7);
        assert_eq!(config.failover.replication.as_ref().unwrap().user, "repl");
        assert_eq!(config.failover.replay.per_transaction, 2 << 20);
        let long = convert(&SAMPLE.replace(
            "transaction_replay_max_size=2Mi",
            "transaction_replay_max_size=1Gi",
        ));
        let long = Config::parse(&long.text("maxscale.cnf").unwrap(), Path::new("test.yaml")).unwrap();
        assert_eq!(long.failover.replay.total, 1 << 30);
        let told = |text: &str| plan.warnings.iter().find(|warning| warning.text.contains(text));
        assert_eq!(told("failcount=3").unwrap().line, 26);
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
