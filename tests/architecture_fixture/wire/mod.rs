pub mod packet;

use super::sql::Lexer; // rejected
use super::util::Backoff;
use crate::util;
