use crate::{wire, config}; // rejected
