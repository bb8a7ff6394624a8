//! The port where operators look and steer, and who they are.

use std::time::Duration;

use super::Address;
use super::choice::Choice;
use super::operators;
use super::reader::{Field, Section, Unique};
use super::secrets;
use crate::util::Secret;

/// The admin port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// `None`: there is no such port.
    pub address: Option<Address>,
    /// Nobody can log in without one: then the port is not opened.
    pub users: Vec<AdminUser>,
    pub max_connections: u32,
    /// How long an operator may be silent.
    pub idle_timeout: Option<Duration>,
}

/// An operator, or a program that watches. It is an account of the admin side alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminUser {
    pub name: String,
    pub password: Secret,
    pub role: AdminRole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdminRole {
    /// Sees everything and changes nothing.
    Read,
    /// May do everything.
    Operate,
}

impl Choice for AdminRole {
    const WORDS: &'static [(&'static str, Self)] = &[("read", Self::Read), ("operate", Self::Operate)];
}

const DEFAULT_PORT: u16 = 6032;
const LONGEST_NAME: usize = 80;

// === impl Admin ===

impl Admin {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let address = section.field("address");
        let users = section.field("users");
        let admin = Self {
            address: operators::address(section, DEFAULT_PORT, "admin port"),
            users: AdminUser::read_all(&users),
            max_connections: section.field("max_connections").count(1..=10_000, 100),
            idle_timeout: section.field("idle_timeout").optional_duration(
                Duration::from_secs(1)..=Duration::from_secs(30 * 86_400),
                Some(Duration::from_secs(8 * 3600)),
            ),
        };
        if address.is_given() && admin.address.is_some() && users.has_no_items() {
            let help = "list `users`, each with name, password and role; or leave the address out";
            section
                .whole()
                .report("nobody could log in at the admin port", help);
        }
        admin
    }

    /// Whether there is anything to open.
    pub fn is_open(&self) -> bool {
        self.address.is_some() && !self.users.is_empty()
    }
}

// === impl AdminUser ===

impl AdminUser {
    fn read_all(field: &Field<'_>) -> Vec<Self> {
        let mut unique = Unique::default();
        let mut users = Vec::new();
        operators::name_settings(field, &["name", "password", "role"]);
        for item in field.items() {
            if let Some(user) = item.section(Self::read) {
                unique.check(&item, "name", &user.name);
                users.push(user);
            }
        }
        users
    }

    fn read(section: &Section<'_>) -> Option<Self> {
        let (name, password) = (section.field("name"), section.field("password"));
        let role = section.field("role").choice_or(AdminRole::Read);
        if !name.is_given() {
            section
                .whole()
                .report("an admin user needs a name", "give `name`");
        }
        if !password.is_given() {
            section
                .whole()
                .report("an admin user needs a password", "give `password`");
        }
        let (name, secret) = (name.word(LONGEST_NAME), secrets::secret(&password));
        if secret.as_ref().is_some_and(Secret::is_empty) {
            password.report("an admin user needs a password", "give one that is not empty");
        }
        Some(Self {
            name: name?,
            password: secret?,
            role,
        })
    }
}

// === impl AdminRole ===

impl AdminRole {
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}
