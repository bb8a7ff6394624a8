//! What a word does to a statement: the verb in its first words, clauses, locks, temporary tables, KILL.

use super::super::features::{Kill, KillTarget};
use super::super::flags::Flags;
use super::super::lexer::Token;
use super::super::verb::Verb;
use super::super::word::Word;
use super::scanner::{Scanner, Seen, Target};

// === impl Scanner: the first words ===

impl Scanner<'_> {
    pub(super) fn first_word(&mut self, verb: Verb, word: Word) {
        match verb {
            Verb::Call | Verb::Execute | Verb::Other => self.flag(Flags::UNKNOWN_CALL),
            Verb::Binlog => self.flag(Flags::BINLOG),
            Verb::Prepare => self.flag(Flags::TEXT_PREPARE),
            Verb::Deallocate => self.flag(Flags::TEXT_DEALLOCATE),
            Verb::GetDiagnostics => self.flag(Flags::DIAGNOSTICS),
            Verb::Compound => self.compound(),
            Verb::Set => self.statement.target = Target::Start,
            Verb::With => self.flag(Flags::COMMON_TABLE),
            Verb::Kill if self.features.kill.is_none() => self.features.kill = Some(Kill::default()),
            Verb::Grant
            | Verb::Revoke
            | Verb::Create
            | Verb::Alter
            | Verb::Drop
            | Verb::Rename
            | Verb::Show => {
                self.statement.accounts = true;
            }
            _ => {}
        }
        if word == Word::Select {
            self.select();
        }
    }

    fn compound(&mut self) {
        self.set_verb(Verb::Compound);
        self.statement.body = true;
        self.flag(Flags::STORED_PROGRAM | Flags::UNKNOWN_CALL);
    }

    /// Any word after the first that is no keyword, and any name in quotes whatever it says.
    pub(super) fn plain_word(&mut self, word: Word) {
        self.open_target(word);
        if matches!(
            word,
            Word::Processlist | Word::ProcesslistId | Word::TrxMysqlThreadId
        ) {
            self.flag(Flags::PROCESS_LIST);
        }
        self.forget_kill_id();
        if self.statement.verb == Verb::Begin {
            self.compound();
        }
    }

    /// A keyword after the first word.
    pub(super) fn keyword(&mut self, word: Word) {
        self.forget_kill_id();
        match self.statement.verb {
            Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Replace => {}
            Verb::Set => self.set_word(word),
            Verb::With if self.statement.depth == self.statement.verb_depth => self.main_verb(word),
            Verb::Kill => self.kill_word(word),
            Verb::Create | Verb::Drop | Verb::Alter => self.definition_word(word),
            Verb::Show => self.show_word(word),
            verb => self.rare_verb_word(verb, word),
        }
        self.clause(word);
    }

    /// Behind WITH comes what the statement really does.
    fn main_verb(&mut self, word: Word) {
        let verb = Verb::of(word);
        let does = matches!(
            verb,
            Verb::Select
                | Verb::Update
                | Verb::Delete
                | Verb::Insert
                | Verb::Replace
                | Verb::Table
                | Verb::Values
        );
        if does && word != Word::Value {
            self.set_verb(verb);
        }
    }

    fn rare_verb_word(&mut self, verb: Verb, word: Word) {
        let second = self.statement.tokens == 1;
        match (verb, word) {
            (Verb::Start, Word::Transaction) if second => self.set_verb(Verb::StartTransaction),
            (Verb::Begin, Word::Work) => {}
            (Verb::Begin, _) => self.compound(),
            (Verb::Rollback, Word::To) => self.set_verb(Verb::RollbackToSavepoint),
            (Verb::Commit | Verb::Rollback, Word::Release) if self.last != Seen::Word(Word::No) => {
                self.flag(Flags::ENDS_CONNECTION);
            }
            (Verb::Lock, Word::Table | Word::Tables) if second => self.flag(Flags::LOCK_TABLES),
            (Verb::Lock, Word::Instance | Word::Binlog) if second => self.flag(Flags::BACKUP_LOCK),
            (Verb::Unlock, Word::Table | Word::Tables) => self.flag(Flags::UNLOCK_TABLES),
            (Verb::Unlock, Word::Instance | Word::Binlog) => self.flag(Flags::BACKUP_UNLOCK),
            (Verb::Backup, Word::Stage | Word::Lock) => self.flag(Flags::BACKUP_LOCK),
            (Verb::Backup, Word::Unlock | Word::End) => self.flag(Flags::BACKUP_UNLOCK),
            (Verb::Flush, Word::Lock) if self.last == Seen::Word(Word::Read) => self.flag(Flags::FLUSH_LOCK),
            (Verb::Flush, Word::Export) => self.flag(Flags::FLUSH_LOCK),
            (Verb::Handler, Word::Open) => self.flag(Flags::HANDLER_OPEN),
            (Verb::Handler, Word::Close) => self.flag(Flags::HANDLER_CLOSE),
            (Verb::Load, Word::Local) => self.flag(Flags::LOAD_LOCAL),
            (Verb::Execute, Word::Immediate) if second => {
                self.set_verb(Verb::ExecuteImmediate);
                self.flag(Flags::TEXT_PREPARE);
            }
            _ => {}
        }
    }

    fn definition_word(&mut self, word: Word) {
        match (self.statement.verb, word) {
            (_, Word::Table) => self.statement.table = true,
            (Verb::Create, Word::Temporary) if !self.statement.table => self.flag(Flags::CREATE_TEMPORARY),
            (Verb::Drop, Word::Temporary) if !self.statement.table => self.flag(Flags::DROP_TEMPORARY),
            (Verb::Drop, Word::Prepare) if self.statement.tokens == 1 => {
                self.set_verb(Verb::Deallocate);
                self.flag(Flags::TEXT_DEALLOCATE);
            }
            (
                Verb::Create | Verb::Alter,
                Word::Procedure | Word::Function | Word::Trigger | Word::Event | Word::Package,
            ) if !self.statement.table => self.flag(Flags::STORED_PROGRAM),
            (Verb::Create | Verb::Alter, Word::Begin)
                if self.features.flags.contains(Flags::STORED_PROGRAM) =>
            {
                self.statement.body = true;
            }
            _ => {}
        }
    }

    fn show_word(&mut self, word: Word) {
        let counted = self.last == Seen::Symbol(b')');
        if matches!(word, Word::Warnings | Word::Errors) && (self.statement.tokens == 1 || counted) {
            self.flag(Flags::DIAGNOSTICS);
        }
    }
}

// === impl Scanner: KILL ===

impl Scanner<'_> {
    fn kill_word(&mut self, word: Word) {
        let Some(kill) = &mut self.features.kill else {
            return;
        };
        match word {
            Word::Hard => kill.hard = Some(true),
            Word::Soft => kill.hard = Some(false),
            Word::Connection => kill.target = KillTarget::Connection,
            Word::Query => kill.target = KillTarget::Query,
            Word::Id => kill.target = KillTarget::QueryId,
            Word::User => kill.target = KillTarget::User,
            _ => {}
        }
    }

    pub(super) fn kill_id(&mut self, token: Token) {
        self.forget_kill_id();
        let introduced = matches!(
            self.last,
            Seen::Word(Word::Kill | Word::Hard | Word::Soft | Word::Connection | Word::Query | Word::Id)
        );
        if self.statement.verb != Verb::Kill || !introduced || self.features.flags.contains(Flags::SEVERAL) {
            return;
        }
        let digits = self
            .text
            .get(token.start..token.end)
            .and_then(|text| std::str::from_utf8(text).ok());
        let id = digits.and_then(|digits| digits.parse().ok());
        if let Some(kill) = &mut self.features.kill {
            kill.set_id(id, token.start..token.end);
        }
    }

    /// An id that more of an expression follows is not a literal.
    pub(super) fn forget_kill_id(&mut self) {
        if self.statement.verb == Verb::Kill
            && let Some(kill) = &mut self.features.kill
        {
            kill.id = None;
        }
    }
}

// === impl Scanner: clauses ===

/// Words that end a list of select items, at their own depth.
pub(super) fn ends_select_list(word: Word) -> bool {
    matches!(
        word,
        Word::From
            | Word::Where
            | Word::Group
            | Word::Having
            | Word::Order
            | Word::Limit
            | Word::Union
            | Word::Except
            | Word::Intersect
            | Word::Into
            | Word::For
            | Word::Lock
            | Word::Window
            | Word::Procedure
    )
}

impl Scanner<'_> {
    fn clause(&mut self, word: Word) {
        let after = |word| self.last == Seen::Word(word);
        match word {
            Word::Select => self.select(),
            Word::Returning => self.statement.select_lists |= self.depth_bit(),
            Word::Into => {
                self.statement.into = true;
                self.note(|notes| notes.into = true);
            }
            Word::CalcFoundRows => self.flag(Flags::CALC_FOUND_ROWS),
            Word::Processlist | Word::ProcesslistId | Word::TrxMysqlThreadId => {
                self.flag(Flags::PROCESS_LIST)
            }
            Word::Update | Word::Share if after(Word::For) => self.flag(Flags::LOCKING_READ),
            Word::In if after(Word::Lock) => self.flag(Flags::LOCKING_READ),
            Word::Outfile | Word::Dumpfile if after(Word::Into) => self.flag(Flags::INTO_FILE),
            Word::Value if after(Word::Next) || after(Word::Previous) => {
                self.note(|notes| notes.sequence = true);
                self.flag(Flags::UNKNOWN_CALL);
            }
            _ => {}
        }
        if ends_select_list(word) {
            self.statement.select_lists &= !self.depth_bit();
        }
    }

    fn select(&mut self) {
        // In GRANT and REVOKE the word is a privilege.
        self.statement.selected |= !matches!(self.statement.verb, Verb::Grant | Verb::Revoke);
        self.statement.select_lists |= self.depth_bit();
    }
}
