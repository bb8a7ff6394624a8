//! Where a response ends, told from packet headers and the few packets that say so.
//!
//! Rows and column definitions are skipped by their length alone, even while only part of them has arrived.
//! OK, EOF, ERR and the like are handed to the caller whole, because they speak of the session.

use super::bytes::{Malformed, Reader};
use super::capability::Capabilities;
use super::err::is_progress;
use super::packet::{HEADER, Header, MAX_PAYLOAD};
use super::status::Status;

/// What kind of response a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// OK, ERR, EOF, a result set, a request for a local file, and more of them.
    Results,
    /// The same of an execution that asks for a cursor: its rows are fetched later.
    Cursor,
    /// Packets until an EOF: what FETCH and FIELD_LIST answer.
    Rows,
    /// The answer to a prepare: a statement id, parameters and columns.
    Prepared,
    /// One packet with no structure: the answer to STATISTICS.
    Text,
}

/// A packet that the caller has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ok,
    /// The EOF packet between column definitions and rows.
    ColumnsEnd,
    /// A row, where the caller asked to see them.
    Row,
    /// The end of rows: an EOF packet, or an OK packet with the header 0xfe.
    End,
    Error,
    /// MariaDB's progress report: an ERR packet that ends nothing.
    Progress,
    LocalInfile,
    Prepared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Everything up to the position may be forwarded; more bytes must be read to go on.
    More,
    /// A whole packet of `length` bytes, header included, stands at the position.
    Packet { kind: Kind, length: usize },
    /// The response is over and the position stands after its last byte.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first packet of a result.
    Start,
    /// So many column definitions, then (without DEPRECATE_EOF) an EOF, then rows.
    Columns(u64),
    ColumnsEnd,
    Rows,
    /// The first packet of the answer to a prepare.
    Prepare,
    /// So many packets of parameters (with their EOF) and then so many of columns.
    PreparedParts {
        now: u64,
        then: u64,
    },
    Text,
    /// The client is sending a file: nothing comes from the server until it is through.
    File,
    Done,
}

/// Follows one response through the bytes of a server connection.
#[derive(Debug, Clone)]
pub struct Framer {
    capabilities: Capabilities,
    state: State,
    may_open_cursor: bool,
    /// Bytes of the current packet that have not been passed yet.
    skip: usize,
    /// The current packet is of the maximal length: the next one continues its payload.
    continued: bool,
    limit: usize,
    /// The rows are a procedure's OUT parameters. An OK follows these, which MySQL announces before them, and not behind.
    has_out_parameters: bool,
    /// Rows of the last result set.
    pub rows: u64,
    /// The payload of the first of them, if it is short and came in one piece.
    pub first_row: ShortRow,
    /// Rows are handed to the caller too, unless they are longer than any packet that is looked at.
    pub shows_rows: bool,
}

/// A row of one number, for what is learned from that.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShortRow {
    bytes: [u8; ShortRow::LONGEST],
    length: u8,
}

/// No OK, EOF or ERR packet is larger than this; with session tracking they can be long.
pub const LONGEST_INSPECTED: usize = 1 << 20;

// === impl Framer ===

impl Framer {
    pub fn new(capabilities: Capabilities, expect: Expect) -> Self {
        let state = match expect {
            Expect::Results | Expect::Cursor => State::Start,
            Expect::Rows => State::Rows,
            Expect::Prepared => State::Prepare,
            Expect::Text => State::Text,
        };
        Self {
            capabilities,
            state,
            may_open_cursor: expect == Expect::Cursor,
            skip: 0,
            continued: false,
            limit: LONGEST_INSPECTED,
            has_out_parameters: false,
            rows: 0,
            first_row: ShortRow::default(),
            shows_rows: false,
        }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done && self.skip == 0
    }

    /// The client has sent its file: the server's answer follows.
    pub fn file_sent(&mut self) {
        if self.state == State::File {
            self.state = State::Start;
        }
    }

    /// Moves `position` over all that may be forwarded unseen, up to the next packet to look at.
    /// After [`Next::Packet`] the caller moves the position over that packet itself.
    pub fn next(&mut self, bytes: &[u8], position: &mut usize) -> Result<Next, Malformed> {
        loop {
            let passed = self.skip.min(bytes.len() - *position);
            *position += passed;
            self.skip -= passed;
            if self.skip > 0 {
                return Ok(Next::More);
            }
            if self.state == State::Done && !self.continued {
                return Ok(Next::Done);
            }
            if self.state == State::File {
                return Ok(Next::More);
            }
            let Some(header) = Header::parse(&bytes[*position..]) else {
                return Ok(Next::More);
            };
            if self.continued {
                self.continued = header.is_continued();
                self.skip = header.total();
                continue;
            }
            if self.state == State::Rows && self.rows > 0 && !self.shows_rows {
                let passed = self.pass_rows(&bytes[*position..]);
                if passed > 0 {
                    *position += passed;
                    continue;
                }
            }
            let payload = &bytes[*position + HEADER..];
            match self.look(header, payload)? {
                Look::Skip => {
                    self.continued = header.is_continued();
                    self.skip = header.total();
                }
                Look::Wait => return Ok(Next::More),
                Look::Packet(kind) => {
                    return Ok(Next::Packet {
                        kind,
                        length: header.total(),
                    });
                }
            }
        }
    }

    /// The length of the rows at the front that are there whole and cannot be taken for anything else. They are nearly
    /// all that a large result consists of.
    fn pass_rows(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Some(&[low, middle, high, _, first]) = bytes
            .get(passed..)
            .and_then(|rest| rest.first_chunk::<{ HEADER + 1 }>())
        {
            let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
            let end = passed + HEADER + length;
            if first >= 0xfe || length == 0 || length == MAX_PAYLOAD || end > bytes.len() {
                break;
            }
            passed = end;
            self.rows += 1;
        }
        passed
    }

    /// Judges the packet whose header has been read and of whose payload some may be there.
    fn look(&mut self, header: Header, payload: &[u8]) -> Result<Look, Malformed> {
        if let State::Columns(left) = self.state {
            self.state = match left {
                0 | 1 if self.capabilities.has(Capabilities::DEPRECATE_EOF) => State::Rows,
                0 | 1 => State::ColumnsEnd,
                _ => State::Columns(left - 1),
            };
            return Ok(Look::Skip);
        }
        if let State::PreparedParts { now, then } = self.state {
            self.state = match (now, then) {
                (0 | 1, 0) => State::Done,
                (0 | 1, then) => State::PreparedParts { now: then, then: 0 },
                (now, then) => State::PreparedParts { now: now - 1, then },
            };
            return Ok(Look::Skip);
        }
        if self.state == State::Text {
            self.state = State::Done;
            return Ok(Look::Skip);
        }
        if header.length == 0 {
            return self.empty();
        }
        let Some(&first) = payload.first() else {
            return Ok(Look::Wait);
        };
        let inspected = match self.state {
            State::Rows => {
                first == 0xff || (first == 0xfe && header.length < MAX_PAYLOAD && self.ends_rows(header))
            }
            _ => true,
        };
        if !inspected {
            if self.rows == 0 {
                self.first_row
                    .take(payload.get(..header.length).unwrap_or_default());
            }
            return self.row(header, payload);
        }
        if header.length > self.limit {
            return Err(Malformed("a control packet is longer than any should be"));
        }
        match payload.get(..header.length) {
            Some(payload) => self.inspect(first, payload),
            None => Ok(Look::Wait),
        }
    }

    fn row(&mut self, header: Header, payload: &[u8]) -> Result<Look, Malformed> {
        if self.shows_rows && header.length <= self.limit {
            if payload.len() < header.length {
                return Ok(Look::Wait);
            }
            self.rows += 1;
            return Ok(Look::Packet(Kind::Row));
        }
        self.rows += 1;
        Ok(Look::Skip)
    }

    /// A row of one column that is an empty string has a payload of one byte, so no packet here is empty.
    fn empty(&self) -> Result<Look, Malformed> {
        Err(Malformed("an empty packet where a response was due"))
    }

    fn ends_rows(&self, header: Header) -> bool {
        self.capabilities.has(Capabilities::DEPRECATE_EOF) || header.length < 9
    }

    fn inspect(&mut self, first: u8, payload: &[u8]) -> Result<Look, Malformed> {
        match (self.state, first) {
            // To all others it is an error like others, which SIGNAL can make.
            (_, 0xff) if is_progress(payload) && self.capabilities.has(Capabilities::MARIADB_PROGRESS) => {
                Ok(Look::Packet(Kind::Progress))
            }
            (_, 0xff) => {
                self.state = State::Done;
                Ok(Look::Packet(Kind::Error))
            }
            (State::Start, 0x00) => self.end(payload, Kind::Ok),
            (State::Start, 0xfe) => self.end(payload, Kind::End),
            (State::Start, 0xfb) => {
                self.state = State::File;
                Ok(Look::Packet(Kind::LocalInfile))
            }
            (State::Start, _) => self.columns(payload),
            (State::ColumnsEnd, _) => {
                let status = status_of(payload)?;
                // MariaDB says so of a procedure's own cursors, too.
                if self.may_open_cursor && status.has(Status::CURSOR_EXISTS) {
                    return self.end(payload, Kind::End);
                }
                self.has_out_parameters = status.has(Status::PS_OUT_PARAMETERS);
                self.state = State::Rows;
                Ok(Look::Packet(Kind::ColumnsEnd))
            }
            (State::Rows, _) => self.end(payload, Kind::End),
            (State::Prepare, 0x00) => self.prepared(payload),
            _ => Err(Malformed("a packet that answers nothing asked")),
        }
    }

    fn end(&mut self, payload: &[u8], kind: Kind) -> Result<Look, Malformed> {
        let more =
            std::mem::take(&mut self.has_out_parameters) || status_of(payload)?.has(Status::MORE_RESULTS);
        self.state = if more { State::Start } else { State::Done };
        Ok(Look::Packet(kind))
    }

    fn columns(&mut self, payload: &[u8]) -> Result<Look, Malformed> {
        self.rows = 0;
        self.first_row = ShortRow::default();
        let mut reader = Reader::new(payload);
        let count = reader.lenenc()?;
        // MySQL's documentation puts this byte before the count, its server after it, as MariaDB does.
        let optional = Capabilities::OPTIONAL_RESULTSET_METADATA | Capabilities::MARIADB_CACHE_METADATA;
        let definitions = if self.capabilities.intersects(optional) {
            reader.u8()? != 0
        } else {
            true
        };
        let deprecated = self.capabilities.has(Capabilities::DEPRECATE_EOF);
        self.state = match (definitions, deprecated) {
            (true, _) => State::Columns(count),
            (false, true) => State::Rows,
            (false, false) => State::ColumnsEnd,
        };
        Ok(Look::Skip)
    }

    fn prepared(&mut self, payload: &[u8]) -> Result<Look, Malformed> {
        let answer = Prepared::parse(payload, self.capabilities)?;
        let with_eof = !self.capabilities.has(Capabilities::DEPRECATE_EOF);
        let packets = |count: u16| match count {
            0 => 0,
            // The EOF comes whether or not there is anything before it.
            count => u64::from(count) * u64::from(answer.definitions) + u64::from(with_eof),
        };
        let (parameters, columns) = (packets(answer.parameters), packets(answer.columns));
        self.state = match (parameters, columns) {
            (0, 0) => State::Done,
            (0, columns) => State::PreparedParts {
                now: columns,
                then: 0,
            },
            (parameters, columns) => State::PreparedParts {
                now: parameters,
                then: columns,
            },
        };
        Ok(Look::Packet(Kind::Prepared))
    }
}

// === impl ShortRow ===

impl ShortRow {
    const LONGEST: usize = 12;

    fn take(&mut self, payload: &[u8]) {
        if let Some(bytes) = self.bytes.get_mut(..payload.len()) {
            bytes.copy_from_slice(payload);
            self.length = payload.len() as u8;
        }
    }

    /// Whether the one column of the row is the number one, in text or binary; `None` when that cannot be told.
    pub fn is_one(&self) -> Option<bool> {
        match self.bytes.get(..usize::from(self.length))? {
            [1, digit] => Some(*digit == b'1'),
            [0xfb] => Some(false),
            [0, nulls] => (nulls & 4 != 0).then_some(false),
            [0, 0, low, rest @ ..] => Some(*low == 1 && rest.iter().all(|byte| *byte == 0)),
            _ => None,
        }
    }
}

enum Look {
    Skip,
    Wait,
    Packet(Kind),
}

/// The status in an OK or EOF packet. They are told apart by length: an EOF has five bytes, an OK seven.
pub fn status_of(payload: &[u8]) -> Result<Status, Malformed> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    if payload.len() <= 5 {
        reader.u16()?;
        return Ok(Status(reader.u16()?));
    }
    reader.lenenc()?;
    reader.lenenc()?;
    Ok(Status(reader.u16()?))
}

/// The first packet of the answer to a prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    pub statement: u32,
    pub columns: u16,
    pub parameters: u16,
    pub warnings: u16,
    /// Whether the definitions of parameters and columns follow.
    pub definitions: bool,
}

// === impl Prepared ===

impl Prepared {
    pub fn parse(payload: &[u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let (statement, columns, parameters) = (reader.u32()?, reader.u16()?, reader.u16()?);
        let mut answer = Self {
            statement,
            columns,
            parameters,
            warnings: 0,
            definitions: true,
        };
        if !reader.is_empty() {
            reader.u8()?;
            answer.warnings = reader.u16()?;
        }
        if capabilities.has(Capabilities::OPTIONAL_RESULTSET_METADATA) && !reader.is_empty() {
            answer.definitions = reader.u8()? != 0;
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bytes::Put;
    use crate::wire::packet::put_packet;
    use proptest::prelude::*;

    fn ok(header: u8, status: u16) -> Vec<u8> {
        let mut out = vec![header, 0, 0];
        out.put_u16(status);
        out.put_u16(0);
        out
    }

    fn eof(status: u16) -> Vec<u8> {
        let mut out = vec![0xfe, 0, 0];
        out.put_u16(status);
        out
    }

    fn stream(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sequence = 1;
        for packet in packets {
            sequence = put_packet(&mut out, sequence, packet);
        }
        out
    }

    /// Feeds the bytes in pieces of the given sizes and returns the kinds seen and where the response ended.
    fn run(framer: &mut Framer, bytes: &[u8], sizes: &[usize]) -> Result<(Vec<Kind>, usize), Malformed> {
        let (mut kinds, mut start, mut end, mut turn) = (Vec::new(), 0, 0, 0);
        loop {
            let mut position = 0;
            loop {
                match framer.next(&bytes[start..end], &mut position)? {
                    Next::More => break,
                    Next::Done => return Ok((kinds, start + position)),
                    Next::Packet { kind, length } => {
                        kinds.push(kind);
                        position += length;
                    }
                }
            }
            start += position;
            if end == bytes.len() {
                return Ok((kinds, usize::MAX));
            }
            end = (end + sizes[turn % sizes.len()]).min(bytes.len());
            turn += 1;
        }
    }

    fn old_result_set(more: u16) -> Vec<Vec<u8>> {
        vec![
            vec![2],
            b"\x03def1".to_vec(),
            b"\x03def2".to_vec(),
            eof(2),
            vec![0xfb, 1, b'x'],
            vec![0],
            eof(2 | more),
        ]
    }

    fn new_result_set() -> Vec<Vec<u8>> {
        vec![vec![1], b"\x03def1".to_vec(), vec![0], vec![1, b'x'], ok(0xfe, 2)]
    }

    #[test]
    fn a_response_ends_where_it_ends_at_every_split_point() {
        let mut packets = old_result_set(8);
        packets.push(ok(0, 2 | 8));
        packets.extend(old_result_set(0));
        let bytes = stream(&packets);
        for size in 1..bytes.len() {
            let mut framer = Framer::new(Capabilities::NONE, Expect::Results);
            let (kinds, end) = run(&mut framer, &bytes, &[size]).unwrap();
            let old = [Kind::ColumnsEnd, Kind::End];
            assert_eq!(kinds, [&old[..], &[Kind::Ok], &old].concat());
            assert_eq!(end, bytes.len());
        }
    }

    #[test]
    fn an_ok_follows_out_parameters_whether_or_not_it_is_announced_behind_them() {
        const OUT: u16 = 0x1000;
        for behind in [2, 2 | 8, 2 | 8 | OUT] {
            let packets = [
                vec![1],
                b"\x03def1".to_vec(),
                eof(2 | 8 | OUT),
                vec![0, 0, 7],
                eof(behind),
                ok(0, 2),
            ];
            let bytes = stream(&packets);
            for size in [1, 5, bytes.len()] {
                let mut framer = Framer::new(Capabilities::NONE, Expect::Results);
                let read = run(&mut framer, &bytes, &[size]).unwrap();
                assert_eq!(read, (vec![Kind::ColumnsEnd, Kind::End, Kind::Ok], bytes.len()));
            }
        }
    }

    #[test]
    fn rows_are_counted_alike_one_by_one_and_in_a_run() {
        let mut packets = vec![vec![1], b"\x03def1".to_vec()];
        let rows = (0..200_usize).map(|number| {
            let mut row = Vec::new();
            row.put_lenenc_bytes(&vec![b'x'; number * 3]);
            row
        });
        packets.extend(rows);
        packets.push(ok(0xfe, 2));
        let bytes = stream(&packets);
        for (size, shows_rows) in [
            (1, false),
            (7, false),
            (1000, false),
            (bytes.len(), false),
            (1000, true),
        ] {
            let mut framer = Framer::new(Capabilities::DEPRECATE_EOF, Expect::Results);
            framer.shows_rows = shows_rows;
            let (kinds, end) = run(&mut framer, &bytes, &[size]).unwrap();
            assert_eq!((kinds.last(), end), (Some(&Kind::End), bytes.len()));
            assert_eq!(framer.rows, 200, "{size}");
        }
    }

    #[test]
    fn with_deprecate_eof_only_the_last_packet_ends_rows() {
        let bytes = stream(&new_result_set());
        let mut framer = Framer::new(Capabilities::DEPRECATE_EOF, Expect::Results);
        assert_eq!(
            run(&mut framer, &bytes, &[3]).unwrap(),
            (vec![Kind::End], bytes.len())
        );
    }

    #[test]
    fn a_row_of_the_maximal_length_goes_on_in_the_next_packet() {
        let mut row = vec![0xfe];
        row.put_u64(MAX_PAYLOAD as u64);
        row.resize(9 + MAX_PAYLOAD, 0xff);
        for capabilities in [Capabilities::DEPRECATE_EOF, Capabilities::NONE] {
            let mut packets = vec![vec![1], b"\x03def1".to_vec()];
            if capabilities == Capabilities::NONE {
                packets.push(eof(2));
            }
            packets.push(row.clone());
            packets.push(if capabilities == Capabilities::NONE {
                eof(2)
            } else {
                ok(0xfe, 2)
            });
            let bytes = stream(&packets);
            let mut framer = Framer::new(capabilities, Expect::Results);
            let (kinds, length) = run(&mut framer, &bytes, &[65_536]).unwrap();
            assert_eq!((kinds.last(), length), (Some(&Kind::End), bytes.len()));
        }
    }

    #[test]
    fn the_number_of_columns_comes_before_the_word_on_their_definitions() {
        let capabilities = Capabilities::OPTIONAL_RESULTSET_METADATA;
        let definitions = [b"\x03def1".to_vec(), b"\x03def2".to_vec()];
        for with in [0, 1] {
            let mut packets = vec![vec![2, with]];
            packets.extend_from_slice(&definitions[..2 * usize::from(with)]);
            packets.extend([eof(2), b"\x011\x012".to_vec(), eof(2)]);
            let bytes = stream(&packets);
            let mut framer = Framer::new(capabilities, Expect::Results);
            assert_eq!(
                run(&mut framer, &bytes, &[1]).unwrap(),
                (vec![Kind::ColumnsEnd, Kind::End], bytes.len())
            );
        }
    }

    #[test]
    fn a_cursor_ends_after_its_columns() {
        let bytes = stream(&[vec![1], b"\x03def1".to_vec(), eof(2 | 0x40)]);
        let mut framer = Framer::new(Capabilities::NONE, Expect::Cursor);
        assert_eq!(
            run(&mut framer, &bytes, &[1]).unwrap(),
            (vec![Kind::End], bytes.len())
        );
        // Of a procedure that has one of its own.
        let bytes = [bytes, stream(&[b"\x011".to_vec(), eof(2)])].concat();
        let mut framer = Framer::new(Capabilities::NONE, Expect::Results);
        assert_eq!(
            run(&mut framer, &bytes, &[1]).unwrap(),
            (vec![Kind::ColumnsEnd, Kind::End], bytes.len())
        );
    }

    #[test]
    fn a_file_is_asked_for_and_then_answered() {
        let mut framer = Framer::new(Capabilities::NONE, Expect::Results);
        let asked = stream(&[b"\xfb/tmp/x".to_vec()]);
        assert_eq!(
            run(&mut framer, &asked, &[4]).unwrap(),
            (vec![Kind::LocalInfile], usize::MAX)
        );
        framer.file_sent();
        let answer = stream(&[ok(0, 2)]);
        assert_eq!(
            run(&mut framer, &answer, &[4]).unwrap(),
            (vec![Kind::Ok], answer.len())
        );
    }

    #[test]
    fn a_prepare_is_answered_by_two_lists() {
        for (capabilities, eofs) in [(Capabilities::NONE, true), (Capabilities::DEPRECATE_EOF, false)] {
            for (columns, parameters) in [(0u16, 0u16), (2, 0), (0, 1), (3, 2)] {
                let mut first = vec![0, 7, 0, 0, 0];
                first.put_u16(columns);
                first.put_u16(parameters);
                first.extend([0, 0, 0]);
                let mut packets = vec![first];
                for count in [parameters, columns] {
                    packets.extend((0..count).map(|_| b"\x03def".to_vec()));
                    if count > 0 && eofs {
                        packets.push(eof(2));
                    }
                }
                let bytes = stream(&packets);
                let mut framer = Framer::new(capabilities, Expect::Prepared);
                assert_eq!(
                    run(&mut framer, &bytes, &[5]).unwrap(),
                    (vec![Kind::Prepared], bytes.len())
                );
            }
        }
    }

    /// `SIGNAL .. SET MYSQL_ERRNO = 65535`
    #[test]
    fn an_error_with_the_number_of_a_progress_report_is_an_error() {
        let bytes = stream(&[b"\xff\xff\xff#HY000text".to_vec()]);
        let mut framer = Framer::new(Capabilities::NONE, Expect::Results);
        assert_eq!(
            run(&mut framer, &bytes, &[3]).unwrap(),
            (vec![Kind::Error], bytes.len())
        );
    }

    #[test]
    fn progress_reports_end_nothing() {
        let bytes = stream(&[b"\xff\xff\xff\x01\x01\x00\x00".to_vec(), ok(0, 2)]);
        let mut framer = Framer::new(Capabilities::MARIADB_PROGRESS, Expect::Results);
        assert_eq!(
            run(&mut framer, &bytes, &[2]).unwrap(),
            (vec![Kind::Progress, Kind::Ok], bytes.len())
        );
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_do_no_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            sizes in proptest::collection::vec(1usize..50, 1..8),
            flags in any::<u64>(),
        ) {
            for expect in [Expect::Results, Expect::Cursor, Expect::Rows, Expect::Prepared, Expect::Text] {
                let mut framer = Framer::new(Capabilities(flags), expect);
                let _ = run(&mut framer, &bytes, &sizes);
            }
        }
    }
}
