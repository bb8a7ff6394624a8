//! Protocol compression, chosen for clients and for servers independently.

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
