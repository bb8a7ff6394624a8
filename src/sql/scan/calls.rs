//! Function calls: the ones with a meaning for the session, the ones worth rewriting, and the unknown.

use super::super::builtin;
use super::super::features::Function;
use super::super::flags::Flags;
use super::super::lexer::{Token, TokenKind};
use super::super::verb::Verb;
use super::super::word::Word;
use super::keywords::ends_select_list;
use super::scanner::{Call, Scanner, Seen};

// === impl Scanner: calls ===

impl Scanner<'_> {
    /// Called at an opening parenthesis: the name before it, if there is one, may be a function.
    pub(super) fn open_call(&mut self) {
        if !matches!(self.last, Seen::Word(_) | Seen::Name) || self.path.system || self.path.parts == 0 {
            return;
        }
        let defines = self.statement.verb.defines() && !self.statement.selected;
        if defines || self.names_a_thing() {
            return;
        }
        if self.path.parts > 1 {
            // A function of a schema is a stored one, whatever its name.
            self.note_call();
            return self.flag(Flags::UNKNOWN_CALL);
        }
        self.known_call();
    }

    /// Whether the words before the name say that it is a table or the like, with a list of columns.
    fn names_a_thing(&self) -> bool {
        // The names of common tables, before the statement that uses them.
        let common = self.statement.verb == Verb::With && self.statement.depth == self.statement.verb_depth;
        let Seen::Word(before) = self.path.before else {
            // No statement starts with a call: this is EXPLAIN, or a verb that is not known.
            return common || self.path.before == Seen::Nothing;
        };
        match before {
            Word::Into | Word::Table | Word::As | Word::References | Word::Recursive | Word::With => true,
            Word::Index | Word::Key => true,
            Word::Insert
            | Word::Replace
            | Word::Ignore
            | Word::LowPriority
            | Word::HighPriority
            | Word::Delayed => {
                matches!(self.statement.verb, Verb::Insert | Verb::Replace) && !self.statement.selected
            }
            _ => common,
        }
    }

    fn known_call(&mut self) {
        match self.path.word {
            Word::GetLock | Word::ServiceLocks => self.flag(Flags::GET_LOCK),
            Word::ReleaseLock => self.flag(Flags::RELEASE_LOCK),
            Word::ReleaseAllLocks => self.flag(Flags::RELEASE_ALL_LOCKS),
            Word::IsFreeLock | Word::IsUsedLock => self.flag(Flags::CHECKS_LOCK),
            Word::Sleep => self.flag(Flags::SLEEP),
            Word::ConnectionId => self.await_arguments(Function::ConnectionId),
            Word::LastInsertId => self.await_arguments(Function::LastInsertId),
            Word::FoundRows => self.await_arguments(Function::FoundRows),
            Word::RowCount => self.await_arguments(Function::RowCount),
            _ => {
                if !builtin::is_known(self.bytes(self.path.name), self.mariadb()) {
                    self.flag(Flags::UNKNOWN_CALL);
                }
                self.note_call();
            }
        }
    }

    fn await_arguments(&mut self, function: Function) {
        let in_list = self.statement.select_lists & self.depth_bit() != 0;
        let first = match self.path.before {
            Seen::Symbol(b',') => true,
            Seen::Word(word) => starts_select_list(word),
            _ => false,
        };
        self.call = Some(Call {
            function,
            start: self.path.start,
            starts_item: in_list && first,
            closed: false,
        });
    }

    /// Called at each token: the first after the parenthesis says whether there are arguments, and the first
    /// after the call whether it stands alone.
    pub(super) fn follow_call(&mut self, token: Token, word: Word) {
        let Some(call) = self.call.take() else {
            return;
        };
        if call.closed {
            if call.starts_item && ends_item(token, word) {
                self.features.mark_last_span_bare();
            }
            return;
        }
        let flag = match call.function {
            Function::ConnectionId => Flags::CONNECTION_ID,
            Function::LastInsertId => Flags::LAST_INSERT_ID,
            Function::FoundRows => Flags::FOUND_ROWS,
            Function::RowCount => Flags::ROW_COUNT,
            Function::UnscopedVariable => return,
        };
        if token.kind != TokenKind::Symbol(b')') {
            let assigns = call.function == Function::LastInsertId;
            return self.flag(if assigns {
                Flags::ASSIGNS_LAST_INSERT_ID
            } else {
                flag
            });
        }
        self.flag(flag);
        if self.keeps_text() {
            return;
        }
        let before = self.features.spans().len();
        self.features.push_span(call.function, call.start..token.end);
        if self.features.spans().len() > before {
            self.call = Some(Call { closed: true, ..call });
        }
    }

    /// Whether the text is stored by the server and runs later, so that an answer of today has no place in it.
    fn keeps_text(&self) -> bool {
        let stores = matches!(self.statement.verb, Verb::Create | Verb::Alter) && !self.statement.table;
        stores || self.features.flags.contains(Flags::STORED_PROGRAM)
    }
}

fn starts_select_list(word: Word) -> bool {
    matches!(
        word,
        Word::Select
            | Word::All
            | Word::Distinct
            | Word::Distinctrow
            | Word::HighPriority
            | Word::StraightJoin
            | Word::SqlSmallResult
            | Word::SqlBigResult
            | Word::SqlCache
            | Word::SqlNoCache
            | Word::CalcFoundRows
            | Word::Modifier
            | Word::Returning
    )
}

fn ends_item(token: Token, word: Word) -> bool {
    match token.kind {
        TokenKind::End | TokenKind::Symbol(b',' | b')' | b';') => true,
        TokenKind::Word => ends_select_list(word),
        _ => false,
    }
}
