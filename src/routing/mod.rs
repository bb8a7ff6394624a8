//! Where a statement goes, and why. Nothing here does I/O or keeps state that another thread sees.

pub mod balance;
