//! The answer of a scan: plain data of fixed size, so that it can be copied into a statement or a cache.

use std::ops::Range;

use super::flags::Flags;
use super::verb::{Verb, Verbs};

/// What one text says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Of the first statement. Behind WITH and SET STATEMENT .. FOR it is what really runs.
    pub verb: Verb,
    /// Of all statements.
    pub verbs: Verbs,
    pub flags: Flags,
    /// Of the first KILL.
    pub kill: Option<Kill>,
    spans: [Span; Features::SPANS],
    span_count: u8,
}

/// A call whose answer only the proxy knows, where it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub function: Function,
    start: u32,
    end: u32,
    /// It is the whole of a select item without an alias: the text put in its place needs `AS` and the old
    /// text, or the client sees another column name.
    pub bare: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Function {
    #[default]
    ConnectionId,
    LastInsertId,
    FoundRows,
    RowCount,
    /// The name in `SET @@name = ..` on MariaDB, which reports such a change only when SESSION is written:
    /// an empty span where that word belongs.
    UnscopedVariable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    pub target: KillTarget,
    /// MariaDB's HARD or SOFT, when it is written.
    pub hard: Option<bool>,
    /// The id and where it stands, when it is a literal number and the last token of the statement.
    pub id: Option<u64>,
    id_start: u32,
    id_end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillTarget {
    Connection,
    /// The statement that the connection runs.
    Query,
    /// MariaDB: a statement by its own id, which is not a connection id.
    QueryId,
    /// MariaDB: all connections of a user.
    User,
}

// === impl Features ===

impl Features {
    const SPANS: usize = 4;

    pub fn has(&self, any_of: Flags) -> bool {
        self.flags.intersects(any_of)
    }

    /// In the order of the text. Not all of them when [`Flags::SPANS_OVERFLOW`] is set.
    pub fn spans(&self) -> &[Span] {
        self.spans.get(..usize::from(self.span_count)).unwrap_or_default()
    }

    pub(super) fn push_span(&mut self, function: Function, range: Range<usize>) {
        let slot = self.spans.get_mut(usize::from(self.span_count));
        let bounds = (u32::try_from(range.start), u32::try_from(range.end));
        if let (Some(slot), (Ok(start), Ok(end))) = (slot, bounds) {
            *slot = Span {
                function,
                start,
                end,
                bare: false,
            };
            self.span_count += 1;
        } else {
            self.flags.insert(Flags::SPANS_OVERFLOW);
        }
    }

    pub(super) fn mark_last_span_bare(&mut self) {
        let last = usize::from(self.span_count).checked_sub(1);
        if let Some(span) = last.and_then(|index| self.spans.get_mut(index)) {
            span.bare = true;
        }
    }

    /// Text that may be read otherwise must not be rewritten.
    pub(super) fn clear_spans(&mut self) {
        self.spans = Default::default();
        self.span_count = 0;
    }
}

// === impl Span ===

impl Span {
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

// === impl Kill ===

impl Default for Kill {
    fn default() -> Self {
        Self {
            target: KillTarget::Connection,
            hard: None,
            id: None,
            id_start: 0,
            id_end: 0,
        }
    }
}

impl Kill {
    /// Of a connection, as a command that has no text.
    pub fn of_connection(id: u64) -> Self {
        Self {
            id: Some(id),
            ..Self::default()
        }
    }

    pub fn id_range(&self) -> Option<Range<usize>> {
        self.id.map(|_| self.id_start as usize..self.id_end as usize)
    }

    pub(super) fn set_id(&mut self, id: Option<u64>, range: Range<usize>) {
        let bounds = (u32::try_from(range.start), u32::try_from(range.end));
        if let (Ok(start), Ok(end)) = bounds {
            (self.id, self.id_start, self.id_end) = (id, start, end);
        }
    }
}
