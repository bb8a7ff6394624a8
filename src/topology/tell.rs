//! What is told of a server that is not as it was: a line in the log, and an event.

use tracing::{info, warn};

use super::events::{Event, EventKind, Events};
use super::snapshot::{Health, Replication, ServerView};

/// A line in the log and an event for each change that somebody may have to act on.
pub(super) fn tell(old: &ServerView, new: &ServerView, events: &Events) {
    let (server, role) = (&*new.name, new.role);
    let record = |kind, was: &str, is: &str, why: Option<&str>| {
        let because = why.map(|why| format!(": {why}")).unwrap_or_default();
        let event = Event::new(
            kind,
            Some(server),
            format!("{} {was} -> {is}{because}", kind.word()),
        );
        events.record(event.with("role", role).with("lag", new.lag));
    };
    if old.health.word() != new.health.word() {
        let (was, is) = (old.health.word(), new.health.word());
        let why = match &new.health {
            Health::Down { why } => Some(&**why),
            _ => None,
        };
        match why {
            Some(why) => warn!(server, %role, was, is, reason = why, "server health"),
            None => info!(server, %role, was, is, "server health"),
        }
        record(EventKind::Health, was, is, why);
    }
    if old.role != new.role {
        info!(server, was = %old.role, is = %role, "server role");
        record(EventKind::Role, &old.role.to_string(), &role.to_string(), None);
    }
    match (&old.quarantine, &new.quarantine) {
        (None, Some(why)) => {
            warn!(server, reason = %why, "server quarantined");
            record(EventKind::Quarantine, "out", "in", Some(why));
        }
        (Some(_), None) => {
            info!(server, "server out of quarantine");
            record(EventKind::Quarantine, "in", "out", None);
        }
        _ => {}
    }
    if old.admin != new.admin {
        let (was, is) = (old.admin.word(), new.admin.word());
        info!(server, %role, was, is, "server state set");
        record(EventKind::State, was, is, None);
    }
    tell_of_replication(old, new, &record);
}

fn tell_of_replication(
    old: &ServerView,
    new: &ServerView,
    record: &impl Fn(EventKind, &str, &str, Option<&str>),
) {
    let (server, role) = (&*new.name, new.role);
    let (was, is) = (old.replication.word(), new.replication.word());
    if was == is {
        return;
    }
    let why = match &new.replication {
        Replication::Stopped { why } => Some(&**why),
        _ => None,
    };
    match why {
        Some(why) => warn!(server, %role, was, is, reason = why, "replication"),
        None => info!(server, %role, was, is, lag = %new.lag, "replication"),
    }
    record(EventKind::Replication, was, is, why);
}
