use crate::*; // rejected
use crate as root; // rejected
use crate::{util::Backoff, sql::Lexer};
