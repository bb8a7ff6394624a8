//! The configuration file, from YAML text to a [`Config`] in which nothing is left to decide.
//!
//! [`Config::load`] reads the whole file before it gives up: every mistake becomes a [`Problem`] with its line,
//! its key and a suggestion, and [`Problems`] carries all of them at once. A [`Config`] has no "unset" left:
//! an `Option` in it means "off" or "none", never "use the default".

mod account;
mod address;
mod admin;
mod audit;
mod check;
mod choice;
mod compression;
mod consistency;
mod destination;
mod difference;
mod duration;
mod edit;
mod failover;
mod glob;
mod host_pattern;
mod http;
mod limits;
mod listener;
mod load;
mod log;
mod monitor;
mod network;
mod operators;
mod places;
mod pool;
mod problem;
mod reader;
mod routing;
mod rules;
mod schema;
mod secrets;
mod server;
mod shape;
mod size;
mod sources;
mod statistics;
mod substitute;
mod taken;
mod takeover;
mod tls;
mod traces;
mod tree;
mod values;
mod written;

pub use account::{Account, AccountCredential, AccountPlugin, Accounts, BackendLogin, Login};
pub use address::Address;
pub use admin::{Admin, AdminRole, AdminUser};
pub use audit::Audit;
pub use check::check_command;
pub use compression::{ClientCompression, Compression, ServerCompression};
pub use consistency::{AtLogin, Consistency, ConsistencyLevel};
pub use difference::differences;
pub use duration::parse as parse_duration;
pub use edit::{Edited, Wanted};
pub use failover::{Failover, FailoverMode, Hook, Promote, Replay, Switchover};
pub use host_pattern::HostPattern;
pub use http::{Http, Open, Token};
pub use limits::Limits;
pub use listener::{Listener, ListenerMode};
pub use load::{Config, Scheduling, ServerVersion, Shutdown};
pub use log::{Literals, Log, LogFormat, LogLevel, SlowLog};
pub use monitor::{Ejection, Monitor};
pub use network::Network;
pub use places::TooManyPlaces;
pub use pool::Pool;
pub use problem::{Problem, Problems};
pub use routing::{AutocommitOffReads, Balance, ReadsFromPrimary, Routing, WhenAllLag};
pub use rules::{
    CacheRule, Mirror, Pattern, Rewrite, Rule, RuleActions, RuleMatch, RuleTarget, TablePattern, Throttle,
    ThrottlePer,
};
pub use schema::schema;
pub use server::{MOST_SERVERS, Role, Server, ServerState};
pub use statistics::Statistics;
pub use takeover::Takeover;
pub use tls::{CertificateFiles, ClientTls, ClientTlsMode, ServerTls, ServerTlsMode, Tls, TlsVersion};
pub use traces::{Endpoint, Traces};
pub use written::Written;

#[cfg(test)]
mod tests;
