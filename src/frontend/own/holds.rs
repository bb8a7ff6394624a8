//! What ends each reason for which a session keeps its server connection, and SHOW SPLITRAIL HOLDS.

use crate::session::{Hold, Holds};
use crate::wire::result::ResultSet;

pub fn show(holds: Holds) -> ResultSet {
    let mut rows = ResultSet::new(&["hold", "why", "ends_with"]);
    for hold in holds.iter() {
        rows.push([hold.name(), hold.text(), ends_with(hold)].map(Some));
    }
    rows
}

/// For people who want the connection to be shared again.
pub fn ends_with(hold: Hold) -> &'static str {
    match hold {
        Hold::Transaction => "COMMIT or ROLLBACK",
        Hold::NextTransaction => "the next transaction",
        Hold::LockedTables => "UNLOCK TABLES",
        Hold::NamedLock => "RELEASE_LOCK of the same names, or RELEASE_ALL_LOCKS",
        Hold::State => "a reset of the connection, or its end",
        Hold::Handler => "HANDLER .. CLOSE",
        Hold::Cursor => "the cursor's last row, or closing its statement",
        Hold::LongData => "the statement's execution, reset or close",
        Hold::Diagnostics => "the next statement, or somebody else's need for the connection",
        Hold::OneShot => "the next statement that uses the variable",
        Hold::Tracking => "a reset of the connection, or its end",
        Hold::DistributedTransaction => "XA COMMIT or XA ROLLBACK",
        Hold::BackupLock => "UNLOCK INSTANCE, BACKUP STAGE END or BACKUP UNLOCK",
        Hold::TemporaryTables => "DROP TEMPORARY TABLE of all of them",
        Hold::TextPrepare => "DEALLOCATE PREPARE of all of them",
        Hold::Unsettled => "the next statement that succeeds",
        Hold::PasswordExpired => "a new password and a new connection",
        Hold::UserVariables => "a reset of the connection, or plain values in all of them",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hold_has_a_row_that_says_how_it_ends() {
        let mut holds = Holds::default();
        assert!(show(holds).rows().is_empty());
        holds.insert(Hold::TemporaryTables);
        holds.insert(Hold::NamedLock);
        let rows = show(holds);
        assert_eq!(rows.rows().len(), 2);
        let ends: Vec<_> = rows.rows().iter().filter_map(|row| row[2].clone()).collect();
        assert!(ends.iter().any(|end| end.starts_with(b"DROP TEMPORARY TABLE")));
    }
}
