use super::Reader;
use super::super::config::Config; // rejected
use super::super::util::Backoff;
use crate::wire::Malformed;

mod inner {
    use super::super::Reader;
    use super::super::super::sql::Lexer; // rejected
    use super::Packet;
}

use super::super::session; // rejected
