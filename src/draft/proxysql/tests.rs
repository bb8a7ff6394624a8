//! Files as ProxySQL's users have them.

use std::path::Path;

use super::super::libconfig;
use super::*;
use crate::config::{AccountCredential, Config, ReadsFromPrimary, RuleTarget, ServerState};

const USUAL: &str = r##"
datadir="/var/lib/proxysql"   # as installed
admin_variables =
{
	admin_credentials="admin:admin"
	mysql_ifaces="0.0.0.0:6032"
}
mysql_variables=
{
	threads=4
	max_connections=2048
	interfaces="0.0.0.0:6033;/tmp/proxysql.sock"
	server_version="5.5.30"
	connect_timeout_server=3000
	monitor_username="monitor"
	monitor_password="mon${itor}"
	multiplexing=false
}
mysql_servers =
(
	{ address="10.0.0.1" , port=3306 , hostgroup=10, max_connections=200 },
	{ address="10.0.0.1" , port=3306 , hostgroup=20, max_connections=200, weight=1 },
	{ address="10.0.0.2" , port=3306 , hostgroup=20, weight=100, max_replication_lag=10, comment="the big one" },
	{ address="10.0.0.3" , port=3307 , hostgroup=20, status="OFFLINE_SOFT", use_ssl=1 },
	{ address="10.0.0.4" , port=3306 , hostgroup=30 }
)
mysql_users:
(
	{ username = "app" , password = "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19" , default_hostgroup = 10 },
	{ username = "plain" , password = "file's own" , default_hostgroup = 10 , max_connections = 50 },
	{ username = "report" , password = "r" , default_hostgroup = 20 , default_schema = "stats" },
	{ username = "gone" , password = "x" , active = 0 }
)
mysql_query_rules:
(
	{ rule_id=1 active=1 match_pattern="^SELECT .* FOR UPDATE$" destination_hostgroup=10 apply=1 },
	{ rule_id=2 active=1 match_digest="^SELECT" destination_hostgroup=20 apply=1 },
	{ rule_id=5 active=1 username="report" match_digest="FROM stats" destination_hostgroup=30 cache_ttl=5000 apply=1 },
	{ rule_id=4 active=1 match_pattern="force index \((\w+)\)" replace_pattern="use index (\1)" },
	{ rule_id=6 active=1 match_pattern="^DROP" error_msg="not here" apply=1 },
	{ rule_id=7 active=1 match_pattern="^SELECT (?!1)" destination_hostgroup=20 apply=1 },
	{ rule_id=8 active=1 flagIN=3 match_pattern="x" apply=1 },
	{ rule_id=9 active=0 match_pattern="y" }
)
scheduler= ( { id=1 filename="/bin/true" } )
mysql_replication_hostgroups= ( { writer_hostgroup=10 reader_hostgroup=20 comment="main" } )
"##;

fn converted(text: &str) -> (Plan, String, Config) {
    let plan = convert(&libconfig::parse(text).unwrap());
    let yaml = plan.text("proxysql.cnf").unwrap();
    let config =
        Config::parse(&yaml, Path::new("test.yaml")).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    (plan, yaml, config)
}

fn warns(plan: &Plan, words: &str) -> usize {
    let found = plan.warnings.iter().find(|warning| warning.text.contains(words));
    found
        .unwrap_or_else(|| panic!("{words}: {:#?}", plan.warnings))
        .line
}

#[test]
fn servers_listeners_and_accounts_are_carried_over() {
    let (plan, yaml, config) = converted(USUAL);
    let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(
        names,
        ["10.0.0.1:3306", "10.0.0.2:3306", "10.0.0.3:3307", "10.0.0.4:3306"]
    );
    assert_eq!(
        (config.servers[0].max_connections, config.servers[1].weight),
        (200, 100)
    );
    assert_eq!(
        (config.servers[2].state, config.servers[3].weight),
        (ServerState::Drain, 0)
    );
    assert_eq!(config.routing.reads_from_primary, ReadsFromPrimary::Share);
    assert_eq!(config.consistency.max_lag.as_secs(), 10);
    assert_eq!(config.listeners[1].address.to_string(), "unix:/tmp/proxysql.sock");
    let accounts: Vec<_> = config
        .accounts
        .listed
        .iter()
        .map(|account| account.name.as_str())
        .collect();
    assert_eq!(accounts, ["app", "plain", "report"]);
    assert!(matches!(
        config.accounts.listed[0].credential,
        AccountCredential::NativeHash(_)
    ));
    assert_eq!(
        config.monitor.login.unwrap().password.expose_text(),
        Some("mon${itor}")
    );
    assert_eq!((config.workers, config.limits.client_connections), (4, 2048));
    assert!(
        yaml.contains("# the big one") && yaml.contains("`gone` was not active"),
        "{yaml}"
    );
    assert_eq!(warns(&plan, "server_version"), 9);
    assert_eq!(warns(&plan, "multiplexing"), 17);
    assert_eq!(warns(&plan, "scheduler"), 45);
    assert_eq!(warns(&plan, "`report` has default_hostgroup 20"), 31);
}

#[test]
fn rules_are_carried_over_and_those_that_split_are_not_needed() {
    let (plan, yaml, config) = converted(USUAL);
    let names: Vec<_> = config.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["rule-4", "rule-5", "rule-6"]);
    let [rewrite, report, block] = &config.rules[..] else {
        panic!("{names:?}")
    };
    assert_eq!(rewrite.actions.rewrite.as_ref().unwrap().with, "use index (${1})");
    assert!(rewrite.continues && !report.continues);
    assert_eq!(report.matches.users, ["report"]);
    assert_eq!(report.actions.target, Some(RuleTarget::Servers([3].into())));
    assert_eq!(report.actions.cache.as_ref().unwrap().ttl.as_secs(), 5);
    assert_eq!(block.actions.block.as_deref(), Some("not here"));
    assert!(yaml.contains("# rule-2 is not needed"), "{yaml}");
    assert_eq!(warns(&plan, "rule-7 is left out"), 41);
    assert_eq!(warns(&plan, "rule-8 is left out"), 42);
    assert!(
        !plan
            .warnings
            .iter()
            .any(|warning| warning.text.contains("no rule sent reads"))
    );
}

#[test]
fn a_bare_file_is_enough() {
    let text = "mysql_servers=({hostname=\"db\",hostgroup_id=0,port=0x0CEA})\nmysql_users=({username=\"u\"})";
    let (plan, yaml, config) = converted(text);
    assert_eq!(config.servers[0].address.to_string(), "db:3306");
    warns(&plan, "no mysql_replication_hostgroups");
    warns(&plan, "no rule sent reads");
    assert!(yaml.contains("password: ''"), "{yaml}");
}

proptest::proptest! {
    #[test]
    fn no_change_to_a_file_makes_it_panic(at in 0..USUAL.len(), cut in 0..40_usize, put in "[ -~\n\t]{0,8}") {
        let mut text = USUAL.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, put.bytes());
        if let Ok(root) = libconfig::parse(&String::from_utf8_lossy(&text)) {
            let _ = convert(&root).text("proxysql.cnf").unwrap();
        }
    }
}
