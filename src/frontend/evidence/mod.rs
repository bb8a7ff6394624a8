//! Evidence of commits (`failover.commit_evidence`): what a COMMIT leaves in a row beside its transaction, and how
//! that row is asked when the server was lost before it answered.

pub mod commit;
pub mod ledger;
pub mod settle;

pub use commit::Evidence;
pub use ledger::Ledger;
