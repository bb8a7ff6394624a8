//! The kinds of SHOW: what replication makes the same everywhere, and what is each server's own.

use super::super::facts::Class;
use super::super::reason::Reason;
use super::head::Head;

/// Of what stands behind the word SHOW.
pub(super) fn class(mut head: Head<'_>) -> (Class, Reason) {
    const READ: (Class, Reason) = (Class::Read, Reason::OnlyReads);
    const STATE: (Class, Reason) = (Class::Write, Reason::ServerState);
    if head.is_any(&["warnings", "errors", "count"]) {
        return (Class::Last, Reason::Diagnostics);
    }
    if head.is_any(&["profile", "profiles"]) {
        return (Class::Session, Reason::ServerState);
    }
    while head.skip_any(&["extended", "full"]) {}
    if head.is_any(&[
        "tables",
        "columns",
        "fields",
        "index",
        "indexes",
        "keys",
        "databases",
        "schemas",
        "triggers",
        "charset",
        "collation",
    ]) {
        return READ;
    }
    let described = (head.skip("table") && head.is("status"))
        || (head.skip_any(&["procedure", "function", "package"]) && {
            head.skip("body");
            head.is("status")
        })
        || (head.skip("character") && head.is("set"))
        || (head.skip("create")
            && head.is_any(&[
                "table",
                "view",
                "database",
                "schema",
                "procedure",
                "function",
                "trigger",
                "sequence",
                "package",
                "library",
            ]));
    if described { READ } else { STATE }
}
