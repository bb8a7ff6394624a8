//! Why a statement has its class, in words that a user can act on.

/// One variant per cause. The text finishes the sentence "this statement is a .., because ..".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing speaks against a replica.
    OnlyReads,
    UnknownFunction,
    UnnamedFunction,
    Sequence,
    LockingRead,
    UserLock,
    IntoFile,
    IntoVariable,
    AssignsUserVariable,
    SystemVariable,
    ServerLocalFunction,
    ServerLocalTable,
    ServerState,
    Diagnostics,
    FoundRows,
    RowCount,
    LastInsertId,
    Transaction,
    Session,
    GlobalVariable,
    Data,
    Definition,
    Administration,
    ExplainsWrite,
    StoredProgram,
    PreparedText,
    TableLock,
    Several,
    VersionComment,
    Doubtful,
    SecondOpinion,
    Empty,
    Own,
    NotUnderstood,
}

// === impl Reason ===

impl Reason {
    pub fn text(self) -> &'static str {
        match self {
            Self::OnlyReads => "it only reads data",
            Self::UnknownFunction => "it calls a function that is not built in",
            Self::UnnamedFunction => "it runs code that cannot be known from the text",
            Self::Sequence => "it uses a sequence",
            Self::LockingRead => "it locks the rows it reads",
            Self::UserLock => "it takes, releases or asks for a lock by name",
            Self::IntoFile => "it reads or writes a file of the server",
            Self::IntoVariable => "it puts its result into a variable",
            Self::AssignsUserVariable => "it assigns to a user variable",
            Self::SystemVariable => "it reads a system variable",
            Self::ServerLocalFunction => "it calls a function that means something else on every server",
            Self::ServerLocalTable => "it reads a table that every server has for itself",
            Self::ServerState => "it asks for the server's own state",
            Self::Diagnostics => "it asks for the warnings of the statement before",
            Self::FoundRows => "it asks for the rows found by the statement before",
            Self::RowCount => "it asks for the rows changed by the statement before",
            Self::LastInsertId => "it uses LAST_INSERT_ID",
            Self::Transaction => "it is part of a transaction",
            Self::Session => "it concerns the session alone",
            Self::GlobalVariable => "it sets a global variable",
            Self::Data => "it changes data",
            Self::Definition => "it changes definitions",
            Self::Administration => "it administers the server",
            Self::ExplainsWrite => "it explains a statement that would run on the primary",
            Self::StoredProgram => "it runs a stored program",
            Self::PreparedText => "it runs a text that was prepared before",
            Self::TableLock => "it locks tables",
            Self::Several => "it is several statements, and not all of them only read",
            Self::VersionComment => "what it does depends on the version of the server",
            Self::Doubtful => "servers may read its text in more than one way",
            Self::SecondOpinion => "a second parser does not take it for a query",
            Self::Empty => "there is no statement in it",
            Self::Own => "the proxy answers it itself",
            Self::NotUnderstood => "it is not understood",
        }
    }
}
