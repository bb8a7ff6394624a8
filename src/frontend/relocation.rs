//! A transaction that only reads runs on a replica, until a statement comes that has no place there: one that
//! commits by itself, takes a lock, or leaves something on its connection. Then the transaction goes on at home.
//! What it reads from there on is of that moment.

use super::client::Client;
use crate::backend::BackendError;
use crate::config::ListenerMode;
use crate::session::Hold;
use crate::sql::{Class, Facts, Flags, Verb};
use crate::wire::Status;

/// What a statement about the session leaves on its connection, or does to more than the session.
const LASTING: Flags = Flags::ASSIGNS_USER_VARIABLE
    .union(Flags::SETS_GLOBAL)
    .union(Flags::SETS_ROLE)
    .union(Flags::SETS_SESSION_TRACK)
    .union(Flags::SETS_ONE_SHOT)
    .union(Flags::UNKNOWN_CALL)
    .union(Flags::GET_LOCK)
    .union(Flags::RELEASE_LOCK)
    .union(Flags::RELEASE_ALL_LOCKS)
    .union(Flags::CHECKS_LOCK)
    .union(Flags::SEVERAL)
    .union(Flags::BROKEN);

/// Whether a replica answers this within a transaction that only reads as the primary would. Plain writes are refused
/// for the transaction's sake on either.
fn has_a_place(facts: &Facts) -> bool {
    let alone = !facts
        .features
        .has(Flags::SEVERAL | Flags::BROKEN | Flags::STORED_PROGRAM);
    match facts.class {
        Class::Read | Class::ReadIf | Class::Last => true,
        Class::Session => match facts.features.verb {
            Verb::Empty
            | Verb::Commit
            | Verb::Rollback
            | Verb::Savepoint
            | Verb::ReleaseSavepoint
            | Verb::RollbackToSavepoint
            | Verb::Use => alone,
            Verb::Set | Verb::Select => !facts.features.has(LASTING),
            _ => false,
        },
        Class::Write => {
            let writes = [Verb::Insert, Verb::Update, Verb::Delete, Verb::Replace];
            alone && writes.contains(&facts.features.verb)
        }
        Class::Begin { .. } => false,
    }
}

// === impl Client ===

impl Client {
    /// Takes a transaction home from its replica if this statement needs it there.
    pub async fn relocate_for(&mut self, facts: &Facts) -> Result<(), BackendError> {
        let home = self.server.index;
        let away = self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.server.index != home);
        let moves = away
            && self.aside.is_none()
            && self.mode == ListenerMode::Split
            && self.session.status.has(Status::IN_READ_ONLY_TRANSACTION);
        if !moves || has_a_place(facts) {
            return Ok(());
        }
        self.run_for_transaction(b"COMMIT").await?;
        if let Some(transcript) = &mut self.replay.transcript {
            transcript.break_off("it moved from a replica to the primary");
        }
        if let Some(connection) = &mut self.connection {
            connection.status = connection.status.without(Status::IN_TRANSACTION);
        }
        self.session.holds = Default::default();
        self.session.status = self.session.status.without(Status::IN_TRANSACTION);
        self.ask_if_unsure().await;
        self.unbind();
        let bound = self.bind().await;
        // From here on it is lost if it does not begin again.
        self.session.holds.insert(Hold::Transaction);
        bound?;
        self.run_for_transaction(b"START TRANSACTION READ ONLY").await?;
        if let Some(connection) = &self.connection {
            self.session.status = connection.status;
        }
        Ok(())
    }

    /// If this fails, so has the transaction.
    async fn run_for_transaction(&mut self, sql: &[u8]) -> Result<(), BackendError> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let run = connection.execute(sql).await;
        if run.is_err() {
            self.connection = None;
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, analyse};

    #[test]
    fn what_commits_locks_or_lasts_has_no_place_on_a_replica() {
        let place = |sql: &str| has_a_place(&analyse(sql.as_bytes(), Dialect::default()));
        for sql in [
            "SELECT * FROM t",
            "INSERT INTO t VALUES (1)",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT s",
            "USE other",
            "SET sql_mode = 'ANSI'",
            "SHOW WARNINGS",
            "SELECT @@sql_mode",
        ] {
            assert!(place(sql), "{sql}");
        }
        for sql in [
            "ALTER TABLE t ADD c INT",
            "CREATE TEMPORARY TABLE t (a INT)",
            "BEGIN",
            "START TRANSACTION READ ONLY",
            "SELECT GET_LOCK('a', 0)",
            "SELECT @a := 1",
            "SELECT 1 INTO @a",
            "SET GLOBAL max_connections = 7",
            "SET @a = (SELECT 1)",
            "LOCK TABLES t READ",
            "CALL p()",
            "FLUSH TABLES",
            "PREPARE s FROM 'SELECT 1'",
            "SELECT * FROM t FOR UPDATE",
            "COMMIT; DROP TABLE t",
            "KILL 7",
            "what is this",
        ] {
            assert!(!place(sql), "{sql}");
        }
    }
}
