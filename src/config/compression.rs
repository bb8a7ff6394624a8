//! Protocol compression, chosen for clients and for servers independently.

use super::choice::Choice;
use super::reader::{Field, Section};

/// Both sides and the levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    pub client: ClientCompression,
    pub server: ServerCompression,
    /// 1 to 9.
    pub zlib_level: u32,
    /// 1 to 22; a client that names a level in its login gets that one.
    pub zstd_level: u32,
}

/// What clients are offered; a client that asks for neither gets neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCompression {
    pub zlib: bool,
    pub zstd: bool,
}

/// What server connections ask for; a server that lacks it is spoken to without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCompression {
    Off,
    Zlib,
    Zstd,
}

impl Choice for ServerCompression {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("zlib", Self::Zlib), ("zstd", Self::Zstd)];
}

// === impl Compression ===

impl Compression {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            client: ClientCompression::read(&section.field("client")),
            server: section.field("server").choice_or(ServerCompression::Off),
            zlib_level: section.field("zlib_level").count(1..=9, 6),
            zstd_level: section.field("zstd_level").count(1..=22, 3),
        }
    }
}

// === impl ClientCompression ===

impl ClientCompression {
    /// `on` or `off` for both, or a section with one setting for each.
    fn read(field: &Field<'_>) -> Self {
        if field.is_scalar() {
            let both = field.choice_or(true);
            return Self {
                zlib: both,
                zstd: both,
            };
        }
        field.section(|section| Self {
            zlib: section.field("zlib").choice_or(true),
            zstd: section.field("zstd").choice_or(true),
        })
    }
}
