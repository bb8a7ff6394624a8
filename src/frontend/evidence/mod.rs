//! Evidence of commits (`failover.commit_evidence`): what a COMMIT leaves in a row beside its transaction, and how
//! that row is asked when the server was lost before it answered.

pub mod alone;
pub mod commit;
pub mod kept;
pub mod ledger;
pub mod settle;
pub mod warned;

pub use commit::Evidence;
pub use kept::{Done, Failed, Kept};
pub use ledger::Ledger;
