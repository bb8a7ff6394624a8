//! The audit log: who came, who was refused, what operators did and what rules forbade.

use std::path::PathBuf;

use super::destination;
use super::reader::Section;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// `None`: nothing is written.
    pub file: Option<PathBuf>,
    /// A file this long makes room for a new one.
    pub max_bytes: u64,
    /// Older files that are kept beside it.
    pub keep: u32,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

// === impl Audit ===

impl Audit {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let file = section.field("file");
        let is_off = !file.is_given() || file.literal() == Some("off");
        let path = if is_off { None } else { file.path() };
        if let Some(path) = &path {
            destination::check_file(&file, path);
        }
        Self {
            file: path,
            max_bytes: section.field("max_bytes").size(64 * KIB..=64 * GIB, 64 * MIB),
            keep: section.field("keep").count(0..=1_000, 10),
        }
    }
}
