//! The slow path: everything there is to know about a text, for a cache to keep.

mod analysis;
mod class;
mod head;
mod own;
mod scopes;
mod second;
mod show;
mod tables;

pub use analysis::analyse;
