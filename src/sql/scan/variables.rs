//! User variables, `@@variables`, and what a SET assigns to.

use super::super::features::Function;
use super::super::flags::Flags;
use super::super::lexer::Token;
use super::super::verb::Verb;
use super::super::word::Word;
use super::scanner::{Scanner, Scope, Seen, Target};

// === impl Scanner: names behind a dot or @@ ===

impl Scanner<'_> {
    pub(super) fn take_part(&mut self, word: Word) {
        self.forget_kill_id();
        match (self.path.owner, word) {
            (_, Word::Processlist | Word::ProcesslistId) | (Word::PerformanceSchema, Word::Threads) => {
                self.flag(Flags::PROCESS_LIST);
            }
            // A sequence under sql_mode ORACLE.
            (_, Word::Nextval | Word::Currval | Word::Lastval) => {
                self.note(|notes| notes.sequence = true);
                self.flag(Flags::UNKNOWN_CALL);
            }
            _ => {}
        }
        if !self.path.system {
            let (owner, name) = (self.bytes(self.path.owner_name), self.bytes(self.path.name));
            self.note(|notes| notes.name_in_schema(owner, name));
        }
        if matches!(self.statement.target, Target::Start | Target::Open { .. }) {
            return self.target_part(word);
        }
        if !self.path.system {
            return;
        }
        self.flag(Flags::READS_SYSTEM_VARIABLE);
        let (name, scoped) = (self.bytes(self.path.name), self.path.parts > 1);
        self.note(|notes| notes.system_variable(name, scoped));
        match word {
            Word::LastInsertId | Word::Identity => self.flag(Flags::LAST_INSERT_ID),
            Word::WarningCount | Word::ErrorCount => self.flag(Flags::DIAGNOSTICS),
            Word::PseudoThreadId => self.flag(Flags::CONNECTION_ID),
            _ => {}
        }
    }
}

// === impl Scanner: user variables ===

impl Scanner<'_> {
    pub(super) fn take_user_variable(&mut self, token: Token) -> Seen {
        self.forget_kill_id();
        if self.statement.verb == Verb::Empty {
            return self.take_literal();
        }
        if self.is_host(token) {
            return Seen::Literal;
        }
        self.statement.before_variable = self.features.flags;
        let into = self.statement.into && matches!(self.last, Seen::Word(Word::Into) | Seen::Symbol(b','));
        if into {
            self.flag(Flags::ASSIGNS_USER_VARIABLE);
        } else if self.statement.target == Target::Start {
            self.flag(Flags::ASSIGNS_USER_VARIABLE);
            self.statement.target = Target::None;
        } else {
            self.flag(Flags::READS_USER_VARIABLE);
        }
        // These may write to any variable that they are given.
        if matches!(
            self.statement.verb,
            Verb::Load | Verb::Call | Verb::Execute | Verb::GetDiagnostics
        ) {
            self.flag(Flags::ASSIGNS_USER_VARIABLE);
        }
        Seen::UserVariable
    }

    /// The host of an account, as in `CREATE USER a@b`.
    fn is_host(&self, token: Token) -> bool {
        let adjoins = self.last_end == token.start
            && matches!(self.last, Seen::Name | Seen::Literal | Seen::Word(Word::Other));
        self.statement.accounts && !self.statement.selected && adjoins
    }

    pub(super) fn take_assign(&mut self) -> Seen {
        self.begin_if_new();
        if self.last == Seen::UserVariable {
            self.features.flags = self.statement.before_variable;
            self.flag(Flags::ASSIGNS_USER_VARIABLE);
        }
        self.close_target();
        Seen::Assign
    }
}

// === impl Scanner: SET ===

impl Scanner<'_> {
    /// A keyword after SET: it may begin something else than an assignment.
    pub(super) fn set_word(&mut self, word: Word) {
        if word == Word::For && self.statement.set_statement && self.statement.depth == 0 {
            // What follows FOR is the statement that counts.
            self.statement.target = Target::None;
            self.statement.select_lists = 0;
            return self.set_verb(Verb::Empty);
        }
        if word == Word::Collate || (word == Word::Default && self.last == Seen::Word(Word::Names)) {
            self.flag(Flags::SETS_COLLATION);
        }
        let scope = match self.statement.target {
            Target::None => return,
            Target::Start => Scope::None,
            Target::Open { scope, .. } => scope,
        };
        match word {
            Word::Global | Word::Persist | Word::PersistOnly => self.open_scope(Scope::Global),
            Word::Session | Word::Local => self.open_scope(Scope::Session),
            Word::Names | Word::Character | Word::Charset => {
                self.flag(Flags::SETS_DIALECT);
                if word != Word::Names {
                    self.flag(Flags::SETS_COLLATION);
                }
                self.statement.target = Target::None;
            }
            Word::Transaction => {
                self.flag(match scope {
                    Scope::None => Flags::SETS_NEXT_TRANSACTION,
                    Scope::Session => Flags::EMPTY,
                    Scope::Global => Flags::SETS_GLOBAL,
                });
                self.statement.target = Target::None;
            }
            Word::Password | Word::Role | Word::Default | Word::Resource => {
                if matches!(word, Word::Role | Word::Resource) {
                    self.flag(Flags::SETS_ROLE);
                }
                self.statement.accounts = true;
                self.statement.target = Target::None;
            }
            Word::Statement if self.statement.tokens == 1 => {
                self.statement.set_statement = true;
                self.flag(Flags::SET_STATEMENT);
            }
            word => self.open_target(word),
        }
    }

    fn open_scope(&mut self, scope: Scope) {
        let sign = self.path.system;
        self.statement.target = Target::Open {
            sign,
            scope,
            word: Word::Other,
        };
    }

    /// The name of a variable that is assigned to.
    pub(super) fn open_target(&mut self, word: Word) {
        let (sign, scope) = match self.statement.target {
            Target::None => return,
            Target::Start => (self.path.system, Scope::None),
            Target::Open { sign, scope, .. } => (sign, scope),
        };
        self.statement.target = Target::Open { sign, scope, word };
    }

    /// A part of a name with `@@` or a dot, before its equals sign.
    fn target_part(&mut self, word: Word) {
        match word {
            Word::Global | Word::Persist | Word::PersistOnly if self.path.parts == 1 => {
                self.open_scope(Scope::Global);
            }
            Word::Session | Word::Local if self.path.parts == 1 => self.open_scope(Scope::Session),
            word => self.open_target(word),
        }
    }

    /// An equals sign: what stood before it is the whole target.
    pub(super) fn close_target(&mut self) {
        let Target::Open { sign, scope, word } = self.statement.target else {
            return;
        };
        self.statement.target = Target::None;
        if matches!(word, Word::SqlMode | Word::CharacterSet) && scope != Scope::Global {
            self.flag(Flags::SETS_DIALECT);
        }
        if scope == Scope::Global {
            return self.flag(Flags::SETS_GLOBAL);
        }
        match word {
            Word::SessionTrack => self.flag(Flags::SETS_SESSION_TRACK),
            // With the sign and without a scope these are for the next transaction alone.
            Word::NextTransaction | Word::TxIsolation | Word::TxReadOnly if sign && scope == Scope::None => {
                return self.flag(Flags::SETS_NEXT_TRANSACTION);
            }
            Word::InsertId
            | Word::Timestamp
            | Word::RandSeed1
            | Word::RandSeed2
            | Word::PseudoThreadId
            | Word::GtidNext
            | Word::GtidSeqNo
            // These tell of this connection's statements alone, or keep what it writes from all replicas.
            | Word::Profiling
            | Word::OptimizerTrace
            | Word::SqlLogBin
            | Word::OneShot => self.flag(Flags::SETS_ONE_SHOT),
            _ => {}
        }
        let unscoped = sign && scope == Scope::None && self.path.system && self.path.parts == 1;
        if unscoped && self.mariadb() {
            let (start, _) = self.path.name;
            let quoted = start > 0 && self.text.get(start - 1) == Some(&b'`');
            let start = start - usize::from(quoted);
            self.features.push_span(Function::UnscopedVariable, start..start);
        }
    }
}
