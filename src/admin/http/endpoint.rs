//! The list of what there is. The router and the OpenAPI document are both made of it, so that neither knows
//! anything that the other does not.

use std::borrow::Cow;

use super::access::Access;
use crate::admin::catalog::{TABLES, Table};
use crate::admin::console::{MOST_CONNECTIONS, MOST_WEIGHT};
use crate::admin::language::Reload;

pub struct Endpoint {
    pub method: Method,
    /// With `{name}` for what stands for itself.
    pub path: Cow<'static, str>,
    pub about: &'static str,
    pub access: Access,
    pub parameters: &'static [Field],
    pub body: &'static [Field],
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

/// A parameter, or a field of a body.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: FieldKind,
    pub needed: bool,
    pub about: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    Truth,
    /// From and to.
    Count(u32, u32),
    Words(&'static [&'static str]),
    /// Such as 10s.
    Time,
    /// One of a table's columns, a `-` before it or not.
    Column,
}

#[derive(Debug, Clone, Copy)]
pub enum Action {
    Page,
    Health,
    Ready,
    Metrics,
    OpenApi,
    Overview,
    Table(&'static Table),
    Session,
    Kill,
    Server,
    Switchover,
    Failover,
    Rejoin,
    PromoteCheck,
    FailoverPaused(bool),
    ListenerPaused(bool),
    Reload(Reload),
    SaveConfig,
    ResetStats,
    ExplainRoute,
}

/// Rows that a table shows at most, and those that it shows unless told.
pub const MOST_ROWS: u32 = 10_000;
pub const USUAL_ROWS: u32 = 1_000;
pub const STATES: &[&str] = &["online", "drain", "maintenance"];

const OF_TABLES: &[Field] = &[
    Field::count("limit", 0, MOST_ROWS, "rows at most; 1000 unless given"),
    Field::count("offset", 0, u32::MAX, "rows to leave out before"),
    Field::new(
        "order",
        FieldKind::Column,
        "a column to sort by; with a `-` before it, the largest first",
    ),
];
const OF_EXPLAIN: &[Field] = &[
    Field::text("statement", "its text").needed(),
    Field::text("schema", "the session's current schema"),
];
const OF_KILL: &[Field] = &[Field::truth("query", "ends what it runs, and leaves the session")];
const OF_SERVER: &[Field] = &[
    Field::count("weight", 0, MOST_WEIGHT, "its share of the reads"),
    Field::words(
        "state",
        STATES,
        "drain: nothing new; maintenance: not used at all",
    ),
    Field::count(
        "max_connections",
        1,
        MOST_CONNECTIONS,
        "connections to it, of all clients",
    ),
];
const OF_SWITCHOVER: &[Field] = &[
    TO,
    Field::new(
        "timeout",
        FieldKind::Time,
        "from 1s to 1h, such as 10s: then it is undone",
    ),
    FORCE,
];
const OF_FAILOVER: &[Field] = &[TO, FORCE];
const OF_REJOIN: &[Field] = &[
    Field::text("server", "its name").needed(),
    Field::truth(
        "discard",
        "what it has and the primary lacks is saved and thrown away",
    ),
];
const OF_CHECK: &[Field] = &[TO];
const TO: Field = Field::text(
    "to",
    "the server that is to be the primary; the best one unless given",
);
const FORCE: Field = Field::truth("force", "although a check advises against it");

// === impl Endpoint ===

impl Endpoint {
    fn new(method: Method, path: &'static str, access: Access, action: Action, about: &'static str) -> Self {
        Self {
            method,
            path: path.into(),
            about,
            access,
            parameters: &[],
            body: &[],
            action,
        }
    }

    fn with_body(self, body: &'static [Field]) -> Self {
        Self { body, ..self }
    }

    fn with_parameters(self, parameters: &'static [Field]) -> Self {
        Self { parameters, ..self }
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let mut all = open();
        all.extend(TABLES.iter().filter(|table| table.name != "session").map(table));
        all.extend(lookups());
        all.extend(actions());
        all.extend(switches());
        all
    }

    /// The names in the path.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        let parts = self.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

fn open() -> Vec<Endpoint> {
    use Access as A;
    use Method::Get;
    vec![
        Endpoint::new(Get, "/", A::Always, Action::Page, "the dashboard"),
        Endpoint::new(
            Get,
            "/healthz",
            A::Always,
            Action::Health,
            "whether the process answers",
        ),
        Endpoint::new(
            Get,
            "/readyz",
            A::Always,
            Action::Ready,
            "whether it takes clients and has a primary; 503 if not",
        ),
        Endpoint::new(
            Get,
            "/metrics",
            A::Metrics,
            Action::Metrics,
            "all numbers, as OpenMetrics",
        ),
        Endpoint::new(
            Get,
            "/api/v1/openapi.json",
            A::Always,
            Action::OpenApi,
            "this document",
        ),
        Endpoint::new(
            Get,
            "/api/v1/overview",
            A::Read,
            Action::Overview,
            "what the dashboard draws: servers, traffic and the state of failover at one moment",
        ),
    ]
}

fn table(table: &'static Table) -> Endpoint {
    Endpoint {
        path: format!("/api/v1/{}", table.name).into(),
        ..Endpoint::new(Method::Get, "", Access::Read, Action::Table(table), table.about)
    }
    .with_parameters(OF_TABLES)
}

fn lookups() -> Vec<Endpoint> {
    use Access::Read;
    let session = "/api/v1/sessions/{id}";
    vec![
        Endpoint::new(
            Method::Get,
            session,
            Read,
            Action::Session,
            "one session at length",
        ),
        Endpoint::new(
            Method::Get,
            "/api/v1/promote-check",
            Read,
            Action::PromoteCheck,
            "the steps that a change of the primary would take now, or why there are none; touches nothing",
        )
        .with_parameters(OF_CHECK),
        Endpoint::new(
            Method::Post,
            "/api/v1/explain-route",
            Read,
            Action::ExplainRoute,
            "where a statement would go, and why; it is not run",
        )
        .with_body(OF_EXPLAIN),
    ]
}

fn actions() -> Vec<Endpoint> {
    use Method::Post;
    let operate = |method, path, action, about| Endpoint::new(method, path, Access::Operate, action, about);
    vec![
        operate(
            Method::Delete,
            "/api/v1/sessions/{id}",
            Action::Kill,
            "ends a session",
        )
        .with_parameters(OF_KILL),
        operate(
            Method::Patch,
            "/api/v1/servers/{name}",
            Action::Server,
            "sets one or more of a server's settings",
        )
        .with_body(OF_SERVER),
        operate(
            Post,
            "/api/v1/switchover",
            Action::Switchover,
            "makes another server the primary, in good order",
        )
        .with_body(OF_SWITCHOVER),
        operate(
            Post,
            "/api/v1/failover",
            Action::Failover,
            "makes another server the primary: this one is lost",
        )
        .with_body(OF_FAILOVER),
        operate(
            Post,
            "/api/v1/rejoin",
            Action::Rejoin,
            "makes a server follow the primary",
        )
        .with_body(OF_REJOIN),
    ]
}

fn switches() -> Vec<Endpoint> {
    use Method::Post;
    let operate = |method, path, action, about| Endpoint::new(method, path, Access::Operate, action, about);
    vec![
        operate(
            Post,
            "/api/v1/failover/pause",
            Action::FailoverPaused(true),
            "nothing is promoted by itself from now on",
        ),
        operate(
            Post,
            "/api/v1/failover/resume",
            Action::FailoverPaused(false),
            "ends the pause",
        ),
        operate(
            Post,
            "/api/v1/listeners/{name}/pause",
            Action::ListenerPaused(true),
            "a listener refuses new connections",
        ),
        operate(
            Post,
            "/api/v1/listeners/{name}/resume",
            Action::ListenerPaused(false),
            "it takes them again",
        ),
        operate(
            Post,
            "/api/v1/reload/config",
            Action::Reload(Reload::Config),
            "loads the configuration again",
        ),
        operate(
            Post,
            "/api/v1/save/config",
            Action::SaveConfig,
            "writes what was set at run time back into the configuration's file",
        ),
        operate(
            Post,
            "/api/v1/reload/tls",
            Action::Reload(Reload::Tls),
            "loads the certificates again",
        ),
        operate(
            Post,
            "/api/v1/reload/accounts",
            Action::Reload(Reload::Accounts),
            "forgets the passwords that were proved, so that each is proved again",
        ),
        operate(
            Post,
            "/api/v1/reset-stats",
            Action::ResetStats,
            "averages begin anew",
        ),
    ]
}

// === impl Field ===

impl Field {
    const fn new(name: &'static str, kind: FieldKind, about: &'static str) -> Self {
        Self {
            name,
            kind,
            needed: false,
            about,
        }
    }

    const fn needed(self) -> Self {
        Self { needed: true, ..self }
    }

    const fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, FieldKind::Text, about)
    }

    const fn truth(name: &'static str, about: &'static str) -> Self {
        Self::new(name, FieldKind::Truth, about)
    }

    const fn count(name: &'static str, least: u32, most: u32, about: &'static str) -> Self {
        Self::new(name, FieldKind::Count(least, most), about)
    }

    const fn words(name: &'static str, words: &'static [&'static str], about: &'static str) -> Self {
        Self::new(name, FieldKind::Words(words), about)
    }
}

// === impl Method ===

impl Method {
    /// As OpenAPI writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}
