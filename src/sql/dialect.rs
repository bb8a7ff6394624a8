//! How the session's server reads text: its flavour and version, the sql_mode bits and the client character
//! set that change where a string or a comment ends. The session keeps one of these and every scan is given it.

/// Which of the two families a server belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Flavour {
    #[default]
    MySql,
    MariaDb,
}

/// What `character_set_client` means to a lexer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Charset {
    /// utf8mb3, utf8mb4, ascii and binary: no byte below 0x80 is ever part of another character.
    #[default]
    Utf8,
    /// latin1 and the single-byte sets where 0xa0 is white space.
    Latin1,
    /// Sets whose bytes above 0x7f are not known here: such a byte outside quotes makes the text doubtful.
    Other,
    Big5,
    Gb18030,
    Gbk,
    /// sjis and cp932 have the same shape.
    Sjis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dialect {
    pub flavour: Flavour,
    /// As in version comments: 80036, 90700, 101106. Zero when it is not known.
    pub version: u32,
    pub charset: Charset,
    pub no_backslash_escapes: bool,
    pub ansi_quotes: bool,
}

// === impl Dialect ===

impl Dialect {
    /// What a comment asks for below this version, every server that we may meet runs.
    pub(super) const OLDEST_SERVER: u32 = 50_600;

    pub fn new(flavour: Flavour, version: u32) -> Self {
        Self {
            flavour,
            version,
            ..Self::default()
        }
    }

    /// Takes the two bits that matter from a value of `sql_mode` as the server reports it.
    pub fn set_sql_mode(&mut self, value: &[u8]) {
        let has = |names: &[&[u8]]| {
            value.split(|&byte| byte == b',').any(|mode| {
                names
                    .iter()
                    .any(|name| mode.trim_ascii().eq_ignore_ascii_case(name))
            })
        };
        self.no_backslash_escapes = has(&[b"NO_BACKSLASH_ESCAPES"]);
        self.ansi_quotes = has(&[
            b"ANSI_QUOTES",
            b"ANSI",
            b"ORACLE",
            b"MSSQL",
            b"DB2",
            b"MAXDB",
            b"POSTGRESQL",
        ]);
    }

    /// Whether the server runs what stands in an executable comment, `None` when that cannot be told.
    /// `number` is zero for a comment without a version.
    pub(super) fn runs_comment(&self, number: u32, marked_mariadb: bool) -> Option<bool> {
        let mariadb = self.flavour == Flavour::MariaDb;
        if marked_mariadb && !mariadb {
            return Some(false);
        }
        // MariaDB leaves alone what MySQL wrote for its own later versions.
        if mariadb && !marked_mariadb && (50_700..=99_999).contains(&number) {
            return Some(false);
        }
        match self.version {
            _ if number <= Self::OLDEST_SERVER => Some(true),
            0 => None,
            version => Some(number <= version),
        }
    }
}

// === impl Charset ===

impl Charset {
    /// The set of a `character_set_client` value. A name not known is [`Charset::Other`].
    pub fn from_name(name: &[u8]) -> Self {
        let is = |names: &[&str]| {
            names
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        match () {
            () if is(&["utf8mb4", "utf8mb3", "utf8", "ascii", "binary"]) => Self::Utf8,
            () if is(&["latin1", "latin2", "latin5", "latin7", "greek", "hebrew"]) => Self::Latin1,
            () if is(&["sjis", "cp932"]) => Self::Sjis,
            () if is(&["gbk"]) => Self::Gbk,
            () if is(&["big5"]) => Self::Big5,
            () if is(&["gb18030"]) => Self::Gb18030,
            () => Self::Other,
        }
    }

    /// The set of a collation id as the handshake carries it.
    pub fn from_collation(id: u16) -> Self {
        match id {
            1 | 84 | 1025 | 1108 => Self::Big5,
            13 | 88 | 95 | 96 | 1037 | 1112 | 1119 | 1120 => Self::Sjis,
            28 | 87 | 1052 | 1111 => Self::Gbk,
            248..=250 => Self::Gb18030,
            5 | 8 | 15 | 31 | 47..=49 | 94 | 1029 | 1032 | 1039 | 1055 | 1071..=1073 | 1118 => Self::Latin1,
            11 | 33 | 45 | 46 | 63 | 65 | 76 | 83 | 192..=215 | 223..=247 | 255..=323 => Self::Utf8,
            1035 | 1057 | 1069 | 1070 | 1089 | 1107 | 576..=640 | 2048..=2303 | 2304..=2559 => Self::Utf8,
            _ => Self::Other,
        }
    }

    /// The bytes of the multi-byte character at the front of `text`, zero when none starts there.
    pub(super) fn wide(self, text: &[u8]) -> usize {
        let (Some(&lead), Some(&trail)) = (text.first(), text.get(1)) else {
            return 0;
        };
        let two = match self {
            Self::Utf8 | Self::Latin1 | Self::Other => return utf8_length(self, text),
            Self::Sjis => {
                matches!(lead, 0x81..=0x9f | 0xe0..=0xfc) && matches!(trail, 0x40..=0x7e | 0x80..=0xfc)
            }
            Self::Gbk => matches!(lead, 0x81..=0xfe) && matches!(trail, 0x40..=0x7e | 0x80..=0xfe),
            Self::Big5 => matches!(lead, 0xa1..=0xf9) && matches!(trail, 0x40..=0x7e | 0xa1..=0xfe),
            Self::Gb18030 => {
                if let [0x81..=0xfe, b'0'..=b'9', 0x81..=0xfe, b'0'..=b'9', ..] = text {
                    return 4;
                }
                matches!(lead, 0x81..=0xfe) && matches!(trail, 0x40..=0x7e | 0x80..=0xfe)
            }
        };
        if two { 2 } else { 0 }
    }

    /// Whether a byte above 0x7f is a character of its own.
    pub(super) fn is_single(self, byte: u8) -> bool {
        self == Self::Sjis && matches!(byte, 0xa1..=0xdf)
    }

    /// Whether a byte of a character may look like a quote or a backslash.
    pub(super) fn hides_ascii(self) -> bool {
        matches!(self, Self::Big5 | Self::Gb18030 | Self::Gbk | Self::Sjis)
    }
}

fn utf8_length(charset: Charset, text: &[u8]) -> usize {
    let length = match text.first() {
        _ if charset != Charset::Utf8 => return 0,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return 0,
    };
    match text.get(1..length) {
        Some(trail) if trail.iter().all(|byte| matches!(byte, 0x80..=0xbf)) => length,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_mode_is_read_as_a_list() {
        let mut dialect = Dialect::default();
        dialect.set_sql_mode(b"STRICT_TRANS_TABLES,no_backslash_escapes");
        assert!(dialect.no_backslash_escapes && !dialect.ansi_quotes);
        dialect.set_sql_mode(b"REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,ANSI");
        assert!(!dialect.no_backslash_escapes && dialect.ansi_quotes);
    }

    #[test]
    fn version_comments_run_where_the_server_runs_them() {
        let mysql = Dialect::new(Flavour::MySql, 90_700);
        let maria = Dialect::new(Flavour::MariaDb, 101_106);
        assert_eq!(mysql.runs_comment(80_000, false), Some(true));
        assert_eq!(maria.runs_comment(80_000, false), Some(false));
        assert_eq!(maria.runs_comment(100_100, true), Some(true));
        assert_eq!(mysql.runs_comment(0, true), Some(false));
        assert_eq!(mysql.runs_comment(99_999, false), Some(false));
        assert_eq!(Dialect::new(Flavour::MySql, 0).runs_comment(80_000, false), None);
    }

    #[test]
    fn characters_are_as_long_as_their_set_says() {
        assert_eq!(Charset::Gbk.wide(b"\xbf\x5c'"), 2);
        assert_eq!(Charset::Sjis.wide(b"\x83\x5c"), 2);
        assert_eq!(Charset::Big5.wide(b"\xa5\x5c"), 2);
        assert_eq!(Charset::Gb18030.wide(b"\x81\x30\x81\x30"), 4);
        assert_eq!(Charset::Gbk.wide(b"\xbf'"), 0);
        assert_eq!(Charset::Utf8.wide("é".as_bytes()), 2);
        assert_eq!(Charset::Utf8.wide(b"\xe4`"), 0);
    }
}
