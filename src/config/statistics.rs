//! What is counted of each kind of statement.

use super::reader::Section;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Rows that each worker keeps; 0: nothing is counted by statement.
    pub digests: u32,
}

const MOST: u32 = 100_000;

// === impl Statistics ===

impl Statistics {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            digests: section.field("digests").count(0..=MOST, 5_000),
        }
    }
}
