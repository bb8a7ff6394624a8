//! What a statement sets out to do, from its first words.

use super::word::Word;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Verb {
    /// Nothing but blanks, comments and semicolons.
    #[default]
    Empty,
    /// A first word that is not known here. Treat as capable of anything.
    Other,
    Alter,
    Analyze,
    Backup,
    Begin,
    Binlog,
    Call,
    Change,
    Check,
    Checksum,
    Commit,
    /// BEGIN NOT ATOMIC, or a control statement outside a stored program (MariaDB).
    Compound,
    Create,
    /// Also DROP PREPARE.
    Deallocate,
    Delete,
    Do,
    Drop,
    Execute,
    ExecuteImmediate,
    /// EXPLAIN, DESCRIBE and DESC.
    Explain,
    Flush,
    GetDiagnostics,
    Grant,
    Handler,
    Help,
    Insert,
    Install,
    Kill,
    Load,
    Lock,
    Optimize,
    Prepare,
    Purge,
    ReleaseSavepoint,
    Rename,
    Repair,
    Replace,
    Reset,
    Revoke,
    Rollback,
    RollbackToSavepoint,
    Savepoint,
    Select,
    Set,
    Show,
    Shutdown,
    Signal,
    /// START REPLICA and the like: START without TRANSACTION.
    Start,
    StartTransaction,
    Stop,
    /// TABLE name, a short SELECT (MySQL).
    Table,
    Truncate,
    Uninstall,
    Unlock,
    Update,
    Use,
    /// VALUES ROW(..), a SELECT without a table.
    Values,
    /// WITH that no statement known here follows.
    With,
    Xa,
}

/// A set of verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Verbs(u64);

// === impl Verb ===

impl Verb {
    /// From the first word; the second may still change it.
    pub(super) fn of(word: Word) -> Self {
        match word {
            Word::Select => Self::Select,
            Word::Insert => Self::Insert,
            Word::Update => Self::Update,
            Word::Delete => Self::Delete,
            Word::Replace => Self::Replace,
            Word::Set => Self::Set,
            Word::Begin => Self::Begin,
            Word::Start => Self::Start,
            Word::Commit => Self::Commit,
            Word::Rollback => Self::Rollback,
            Word::Savepoint => Self::Savepoint,
            Word::Release => Self::ReleaseSavepoint,
            Word::With => Self::With,
            Word::Show => Self::Show,
            Word::Use => Self::Use,
            Word::Call => Self::Call,
            Word::Do => Self::Do,
            Word::Prepare => Self::Prepare,
            Word::Execute => Self::Execute,
            Word::Deallocate => Self::Deallocate,
            Word::Explain | Word::Describe | Word::Desc => Self::Explain,
            Word::Table => Self::Table,
            Word::Values | Word::Value => Self::Values,
            _ => Self::of_rare(word),
        }
    }

    fn of_rare(word: Word) -> Self {
        match word {
            Word::Alter => Self::Alter,
            Word::Analyze => Self::Analyze,
            Word::Backup => Self::Backup,
            Word::Binlog => Self::Binlog,
            Word::Change => Self::Change,
            Word::Check => Self::Check,
            Word::Checksum => Self::Checksum,
            Word::Create => Self::Create,
            Word::Drop => Self::Drop,
            Word::Flush => Self::Flush,
            Word::Get => Self::GetDiagnostics,
            Word::Grant => Self::Grant,
            Word::Handler => Self::Handler,
            Word::Help => Self::Help,
            Word::Install => Self::Install,
            Word::Kill => Self::Kill,
            Word::Load => Self::Load,
            Word::Lock => Self::Lock,
            Word::Optimize => Self::Optimize,
            Word::Purge => Self::Purge,
            Word::Rename => Self::Rename,
            Word::Repair => Self::Repair,
            Word::Reset => Self::Reset,
            Word::Revoke => Self::Revoke,
            Word::Shutdown => Self::Shutdown,
            Word::Signal | Word::Resignal => Self::Signal,
            Word::Stop => Self::Stop,
            Word::Truncate => Self::Truncate,
            Word::Uninstall => Self::Uninstall,
            Word::Unlock => Self::Unlock,
            Word::Xa => Self::Xa,
            Word::If | Word::While | Word::Loop | Word::Repeat | Word::Case | Word::For | Word::Declare => {
                Self::Compound
            }
            _ => Self::Other,
        }
    }

    /// Statements in which a name before a parenthesis is a column list, a type or a privilege, not a call,
    /// as long as no SELECT was seen.
    pub(super) fn defines(self) -> bool {
        matches!(
            self,
            Self::Alter
                | Self::Analyze
                | Self::Create
                | Self::Drop
                | Self::Grant
                | Self::Rename
                | Self::Revoke
                | Self::Repair
                | Self::Optimize
                | Self::Check
                | Self::Checksum
                | Self::Change
        )
    }
}

// === impl Verbs ===

impl Verbs {
    pub fn insert(&mut self, verb: Verb) {
        self.0 |= 1 << verb as u8;
    }

    pub fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    /// Whether there is no other verb than these.
    pub fn is_subset_of(self, verbs: &[Verb]) -> bool {
        let mut rest = self;
        for &verb in verbs {
            rest.0 &= !(1 << verb as u8);
        }
        rest.0 == 0
    }
}

const _: () = assert!((Verb::Xa as u8) < 64, "a set of verbs has 64 places");
