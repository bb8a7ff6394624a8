//! The HTTP listener: the dashboard, the API, metrics and health; and the tokens that open it.

use super::Address;
use super::admin::AdminRole;
use super::choice::Choice;
use super::operators;
use super::reader::{Field, Section, Unique};
use super::secrets;
use super::tls::CertificateFiles;
use crate::util::Secret;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// `None`: there is no such listener.
    pub address: Option<Address>,
    /// Somebody wrote the address. The default one may be in use by another proxy, and that is no reason not to start.
    pub is_chosen: bool,
    /// What needs no token.
    pub open: Open,
    /// Nobody can change anything without one.
    pub tokens: Vec<Token>,
    /// `None`: plain HTTP.
    pub tls: Option<CertificateFiles>,
    /// Names under which browsers may reach it without a token, beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    pub max_connections: u32,
}

/// A program's or a person's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// For the log and the events.
    pub name: String,
    pub token: Secret,
    pub role: AdminRole,
}

/// What anybody who reaches the listener may see. `/healthz` and `/readyz` are always open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Open {
    Nothing,
    /// `/metrics` too.
    Metrics,
    /// Everything that only looks: sessions, users, settings.
    Read,
}

impl Choice for Open {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("nothing", Self::Nothing),
        ("metrics", Self::Metrics),
        ("read", Self::Read),
    ];
}

const DEFAULT_PORT: u16 = 8032;
const LONGEST_NAME: usize = 80;
/// Fewer characters could be guessed.
const SHORTEST_TOKEN: usize = 16;

// === impl Http ===

impl Http {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let tls = section
            .field("tls")
            .section(|tls| secrets::certificate_files(&tls.field("certificate"), &tls.field("key")));
        let hosts = section.field("hosts");
        Self {
            is_chosen: section.field("address").is_given(),
            address: operators::address(section, DEFAULT_PORT, "HTTP listener"),
            open: section.field("open").choice_or(Open::Metrics),
            tokens: Token::read_all(&section.field("tokens")),
            tls,
            hosts: hosts.items().iter().filter_map(|item| item.word(253)).collect(),
            max_connections: section.field("max_connections").count(1..=10_000, 100),
        }
    }
}

// === impl Token ===

impl Token {
    fn read_all(field: &Field<'_>) -> Vec<Self> {
        let mut unique = Unique::default();
        let mut tokens: Vec<Self> = Vec::new();
        operators::name_settings(field, &["name", "token", "role"]);
        for item in field.items() {
            let Some(token) = item.section(Self::read) else {
                continue;
            };
            unique.check(&item, "name", &token.name);
            if tokens.iter().any(|known| known.token == token.token) {
                item.report("two names have the same token", "give each its own");
            }
            tokens.push(token);
        }
        tokens
    }

    fn read(section: &Section<'_>) -> Option<Self> {
        let (name, token) = (section.field("name"), section.field("token"));
        let role = section.field("role").choice_or(AdminRole::Read);
        if !name.is_given() {
            section
                .whole()
                .report("a token needs a name", "give `name`, for the log");
        }
        if !token.is_given() {
            let help = "give `token`: openssl rand -hex 32 makes a good one";
            section.whole().report("there is no token", help);
        }
        let (name, secret) = (name.word(LONGEST_NAME), secrets::secret(&token)?);
        let is_sendable = |byte: &u8| byte.is_ascii_graphic();
        if secret.expose().len() < SHORTEST_TOKEN || !secret.expose().iter().all(is_sendable) {
            let help = format!(
                "give {SHORTEST_TOKEN} or more ASCII characters without a space: openssl rand -hex 32"
            );
            token.report("the token could be guessed, or cannot be sent", help);
        }
        Some(Self {
            name: name?,
            token: secret,
            role,
        })
    }
}
