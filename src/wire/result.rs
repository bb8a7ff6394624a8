//! A small result set of texts, for statements that the proxy answers itself.
//!
//! Only the text protocol, and only strings and NULLs: what a server answers to SHOW looks the same.

use super::bytes::Put;
use super::capability::Capabilities;
use super::eof::EofPacket;
use super::ok::OkPacket;
use super::packet::{put_packet, put_with};
use super::status::Status;

/// Rows under named columns. All is UTF-8 by the column definitions, so that is what goes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSet {
    columns: &'static [&'static str],
    rows: Vec<Vec<Option<Vec<u8>>>>,
}

/// utf8mb4_general_ci, which every server and client knows by this number.
const COLLATION: u16 = 45;
const BYTES_OF_A_CHARACTER: usize = 4;
const VAR_STRING: u8 = 0xfd;
/// The decimals of a type that has none.
const NOT_FIXED: u8 = 31;
/// The bytes that follow in a column definition after the names.
const FIXED_PART: u64 = 12;
const NULL: u8 = 0xfb;

/// What a status says of the one statement that it came with, and must not be said again.
const OF_ONE_STATEMENT: Status = Status(
    Status::MORE_RESULTS.0
        | Status::NO_GOOD_INDEX.0
        | Status::NO_INDEX.0
        | Status::CURSOR_EXISTS.0
        | Status::LAST_ROW_SENT.0
        | Status::DATABASE_DROPPED.0
        | Status::METADATA_CHANGED.0
        | Status::QUERY_SLOW.0
        | Status::PS_OUT_PARAMETERS.0
        | Status::SESSION_STATE_CHANGED.0,
);

// === impl ResultSet ===

impl ResultSet {
    pub fn new(columns: &'static [&'static str]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row; a value that is missing at its end is NULL, one too many is dropped.
    pub fn push<V: Into<Vec<u8>>>(&mut self, values: impl IntoIterator<Item = Option<V>>) {
        let mut row: Vec<_> = values.into_iter().map(|value| value.map(V::into)).collect();
        row.resize(self.columns.len(), None);
        self.rows.push(row);
    }

    pub fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    pub fn rows(&self) -> &[Vec<Option<Vec<u8>>>] {
        &self.rows
    }

    /// Appends all packets of the response, the first with the number `sequence`, in the form that a client with
    /// these capabilities expects. Returns the number after the last.
    pub fn encode(
        &self,
        out: &mut Vec<u8>,
        sequence: u8,
        capabilities: Capabilities,
        status: Status,
        warnings: u16,
    ) -> u8 {
        let status = status.without(OF_ONE_STATEMENT);
        let mut sequence = put_with(out, sequence, |out| self.put_count(out, capabilities));
        for (index, name) in self.columns.iter().enumerate() {
            sequence = put_with(out, sequence, |out| {
                self.put_definition(out, index, name, capabilities);
            });
        }
        let eof = EofPacket { warnings, status };
        let deprecated = capabilities.has(Capabilities::DEPRECATE_EOF);
        if !deprecated {
            sequence = put_with(out, sequence, |out| eof.encode(out));
        }
        let mut payload = Vec::new();
        for row in &self.rows {
            payload.clear();
            put_row(&mut payload, row);
            sequence = put_packet(out, sequence, &payload);
        }
        let ok = OkPacket {
            ends_rows: true,
            status,
            warnings,
            ..OkPacket::default()
        };
        put_with(out, sequence, |out| match deprecated {
            true => ok.encode(out, capabilities),
            false => eof.encode(out),
        })
    }

    fn put_count(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        out.put_lenenc(self.columns.len() as u64);
        let optional = Capabilities::OPTIONAL_RESULTSET_METADATA | Capabilities::MARIADB_CACHE_METADATA;
        if capabilities.intersects(optional) {
            // Definitions follow: clients must read them also where they asked for none.
            out.put_u8(1);
        }
    }

    fn put_definition(&self, out: &mut Vec<u8>, index: usize, name: &str, capabilities: Capabilities) {
        out.put_lenenc_bytes(b"def");
        // Of no schema, and of no table under an alias or its own name.
        out.put_bytes(&[0; 3]);
        out.put_lenenc_bytes(name.as_bytes());
        out.put_lenenc_bytes(b"");
        if capabilities.has(Capabilities::MARIADB_EXTENDED_METADATA) {
            out.put_lenenc_bytes(b"");
        }
        out.put_lenenc(FIXED_PART);
        out.put_u16(COLLATION);
        out.put_u32(self.width(index));
        out.put_u8(VAR_STRING);
        out.put_u16(0);
        out.put_u8(NOT_FIXED);
        out.put_u16(0);
    }

    /// The width of a column, by which some clients lay out their tables.
    fn width(&self, index: usize) -> u32 {
        let values = self.rows.iter().filter_map(|row| row.get(index)?.as_ref());
        let longest = values.map(Vec::len).max().unwrap_or_default().max(1);
        u32::try_from(longest.saturating_mul(BYTES_OF_A_CHARACTER)).unwrap_or(u32::MAX)
    }
}

fn put_row(out: &mut Vec<u8>, row: &[Option<Vec<u8>>]) {
    for value in row {
        match value {
            Some(value) => out.put_lenenc_bytes(value),
            None => out.put_u8(NULL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::framing::{Expect, Framer, Kind, Next};
    use crate::wire::packet::{HEADER, Header};
    use mysql_common::io::ParseBuf;
    use mysql_common::packets::Column;
    use mysql_common::proto::Text;
    use mysql_common::row::{Row, RowDeserializer};
    use mysql_common::value::{ServerSide, Value};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn payloads(mut bytes: &[u8]) -> (Vec<&[u8]>, Vec<u8>) {
        let (mut payloads, mut numbers) = (Vec::new(), Vec::new());
        while let Some(header) = Header::parse(bytes) {
            let (packet, rest) = bytes.split_at(header.total());
            payloads.push(&packet[HEADER..]);
            numbers.push(header.sequence);
            bytes = rest;
        }
        assert!(bytes.is_empty());
        (payloads, numbers)
    }

    fn all_capabilities() -> impl Iterator<Item = Capabilities> {
        let flags = [
            Capabilities::DEPRECATE_EOF,
            Capabilities::SESSION_TRACK,
            Capabilities::OPTIONAL_RESULTSET_METADATA,
            Capabilities::MARIADB_EXTENDED_METADATA,
            Capabilities::MARIADB_CACHE_METADATA,
        ];
        (0..1 << flags.len()).map(move |set: usize| {
            let chosen = flags
                .iter()
                .enumerate()
                .filter(|(index, _)| set & (1 << index) != 0);
            chosen.fold(Capabilities::PROTOCOL_41, |all, (_, flag)| all | *flag)
        })
    }

    /// The kinds of packets that our own framer sees, which must find the end at the last byte.
    fn framed(bytes: &[u8], capabilities: Capabilities) -> (Vec<Kind>, u64) {
        let mut framer = Framer::new(capabilities, Expect::Results);
        let (mut kinds, mut position) = (Vec::new(), 0);
        loop {
            match framer.next(bytes, &mut position).unwrap() {
                Next::Packet { kind, length } => {
                    kinds.push(kind);
                    position += length;
                }
                Next::Done => break,
                Next::More => panic!("the response has no end"),
            }
        }
        assert_eq!(position, bytes.len());
        (kinds, framer.rows)
    }

    fn example() -> ResultSet {
        let mut set = ResultSet::new(&["item", "value"]);
        set.push([Some("class"), Some("a read")]);
        set.push([Some("hint"), None]);
        set.push([None::<&str>, Some("")]);
        set.push([Some("cut short")]);
        set
    }

    #[test]
    fn every_kind_of_client_finds_the_end() {
        let set = example();
        for capabilities in all_capabilities() {
            let mut out = Vec::new();
            let next = set.encode(&mut out, 250, capabilities, Status(0x4022), 3);
            let deprecated = capabilities.has(Capabilities::DEPRECATE_EOF);
            let ends: &[Kind] = match deprecated {
                true => &[Kind::End],
                false => &[Kind::ColumnsEnd, Kind::End],
            };
            assert_eq!(framed(&out, capabilities), (ends.to_vec(), 4), "{capabilities:?}");
            let (packets, numbers) = payloads(&out);
            let expected: Vec<u8> = (0..packets.len() as u8).map(|n| n.wrapping_add(250)).collect();
            assert_eq!(numbers, expected);
            assert_eq!(next, 250u8.wrapping_add(packets.len() as u8));
            let last = packets.last().unwrap();
            if deprecated {
                let ok = OkPacket::parse(last, capabilities).unwrap();
                assert_eq!((ok.ends_rows, ok.status, ok.warnings), (true, Status(2), 3));
            } else {
                let eof = EofPacket::parse(last).unwrap();
                assert_eq!((eof.status, eof.warnings), (Status(2), 3));
            }
        }
    }

    #[test]
    fn another_library_reads_the_columns_and_rows() {
        let set = example();
        let mut out = Vec::new();
        set.encode(&mut out, 1, Capabilities::PROTOCOL_41, Status::AUTOCOMMIT, 0);
        let (packets, _) = payloads(&out);
        assert_eq!(packets[0], [2]);
        let columns: Arc<[Column]> = packets[1..3]
            .iter()
            .map(|packet| ParseBuf(packet).parse(()).unwrap())
            .collect();
        assert_eq!(columns[0].name_str(), "item");
        assert_eq!(columns[1].name_str(), "value");
        assert_eq!((columns[0].character_set(), columns[0].column_length()), (45, 36));
        let rows: Vec<Vec<Value>> = packets[4..8]
            .iter()
            .map(|packet| {
                let row: RowDeserializer<ServerSide, Text> = ParseBuf(packet).parse(columns.clone()).unwrap();
                Row::from(row).unwrap()
            })
            .collect();
        let text = |text: &str| Value::Bytes(text.into());
        assert_eq!(rows[0], [text("class"), text("a read")]);
        assert_eq!(rows[1], [text("hint"), Value::NULL]);
        assert_eq!(rows[2], [Value::NULL, text("")]);
        assert_eq!(rows[3], [text("cut short"), Value::NULL]);
    }

    #[test]
    fn no_rows_are_a_result_too() {
        let mut out = Vec::new();
        ResultSet::new(&["gtid"]).encode(&mut out, 1, Capabilities::DEPRECATE_EOF, Status(2), 0);
        assert_eq!(framed(&out, Capabilities::DEPRECATE_EOF), (vec![Kind::End], 0));
    }

    proptest! {
        #[test]
        fn any_texts_are_framed(
            rows in proptest::collection::vec(
                proptest::collection::vec(
                    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)), 1..4), 0..20),
            status in any::<u16>(),
            choice in 0usize..32,
        ) {
            let capabilities = all_capabilities().nth(choice).unwrap();
            let mut set = ResultSet::new(&["one", "two", "three"]);
            for row in &rows {
                set.push(row.clone());
            }
            let mut out = Vec::new();
            set.encode(&mut out, 1, capabilities, Status(status), 0);
            prop_assert_eq!(framed(&out, capabilities).1, rows.len() as u64);
        }
    }
}
