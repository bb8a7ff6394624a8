//! The slow path: everything there is to know about a text, for a cache to keep.

mod analysis;
mod class;
mod head;
mod own;
mod show;

pub use analysis::analyse;
