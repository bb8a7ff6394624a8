use crate::sql::{Features, Flags};
use crate::wire::Status;

pub(crate) struct Session;
pub(super) fn new() {}
