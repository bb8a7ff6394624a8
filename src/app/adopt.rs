//! What of a configuration that was read again a running proxy can take up: pure, and before anything is changed.
//! What it cannot is named, and stays as it was.

use crate::config::{Config, FailoverMode, ServerState, TooManyPlaces};

/// What can be taken up, and the settings that only a restart changes.
#[derive(Debug)]
pub struct Adopted {
    /// With the servers at the places that they have in the running proxy.
    pub config: Config,
    pub kept: Vec<String>,
}

/// `primary` is the place of the one that takes writes. Answers why nothing of it can be taken up.
pub fn adopt(
    old: &Config,
    new: Config,
    primary: Option<usize>,
    is_free: impl Fn(usize) -> bool,
) -> Result<Adopted, String> {
    let marked = |config: &Config| {
        let mut servers = config.servers.iter();
        let found = servers.find(|server| server.role == crate::config::Role::Primary);
        found.map(|server| server.name.clone())
    };
    let (was, is) = (marked(old), marked(&new));
    let mut config = new.at_places_of(old, is_free).map_err(|TooManyPlaces| {
        "servers: too many that were removed are still in use; wait until their sessions have gone".to_owned()
    })?;
    may_do_without(old, &config, primary)?;
    let mut kept = keep(old, &mut config);
    let reigning = primary.and_then(|primary| old.servers.get(primary));
    if was != is && is.as_deref() != reigning.map(|server| server.name.as_str()) {
        let is = is.unwrap_or_default();
        kept.push(format!(
            "servers[{is}].role (SWITCHOVER TO {is} makes it the primary now)"
        ));
    }
    Ok(Adopted { config, kept })
}

/// The primary cannot be taken from those who write there.
fn may_do_without(old: &Config, new: &Config, primary: Option<usize>) -> Result<(), String> {
    let places = primary.and_then(|primary| Some((old.servers.get(primary)?, new.servers.get(primary)?)));
    let Some((was, is)) = places else {
        return Ok(());
    };
    let name = &was.name;
    let why = if is.name != *name || is.state == ServerState::Removed {
        "cannot be removed"
    } else if is.address != was.address {
        "cannot get another address"
    } else if is.state != ServerState::Online {
        "cannot be drained or be in maintenance"
    } else {
        return Ok(());
    };
    Err(format!(
        "servers[{name}]: the primary {why}: make another server the primary first (SWITCHOVER), or restart"
    ))
}

/// Puts back what only a restart changes, and names it.
fn keep(old: &Config, running: &mut Config) -> Vec<String> {
    let mut kept = Vec::new();
    macro_rules! keep {
        ($($name:literal: $($field:ident).+;)*) => {
            $(if running.$($field).+ != old.$($field).+ {
                running.$($field).+.clone_from(&old.$($field).+);
                kept.push($name.to_owned());
            })*
        };
    }
    keep! {
        "workers": workers;
        "scheduling": scheduling;
        "accounts.backend": accounts.backend;
        "failover.replay": failover.replay;
        "log.format": log.format;
        "log.level": log.level;
        "log.targets": log.targets;
        "statistics": statistics;
        "audit": audit;
        "takeover.socket": takeover.socket;
        "traces": traces;
        "http.max_connections": http.max_connections;
    }
    let stands = |config: &Config| match config.failover.mode {
        FailoverMode::Automatic | FailoverMode::Manual => None,
        mode => Some(mode),
    };
    if stands(old) != stands(running) {
        running.failover.mode = old.failover.mode;
        kept.push("failover.mode (to or from off and follow)".to_owned());
    }
    if old.monitor.login.is_some() != running.monitor.login.is_some() {
        running.monitor.login.clone_from(&old.monitor.login);
        kept.push("monitor.user (given or taken away)".to_owned());
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("test.yaml")).unwrap()
    }

    fn adopted(old: &str, new: &str) -> Result<Adopted, String> {
        adopt(&config(old), config(new), Some(0), |_| false)
    }

    #[test]
    fn what_needs_a_restart_is_named_and_stays() {
        let adopted = adopted(
            "servers: [a, b]\nworkers: 2",
            "servers: [a, {address: b, weight: 9}, c]\nworkers: 3\nscheduling: normal\nlimits: {per_user: 4}\nfailover: {mode: 'off'}",
        );
        let Adopted { config, kept } = adopted.unwrap();
        assert_eq!(
            kept,
            [
                "workers",
                "scheduling",
                "failover.mode (to or from off and follow)"
            ]
        );
        assert_eq!(
            (config.workers, config.servers[1].weight, config.servers.len()),
            (2, 9, 3)
        );
        assert_eq!(config.limits.per_user, Some(4));
    }

    #[test]
    fn the_primary_stays_who_and_where_it_is() {
        let refused = |new: &str| adopted("servers: [a, b]", new).unwrap_err();
        assert!(refused("servers: [b, c]").contains("servers[a]: the primary cannot be removed"));
        let moved = "servers: [{name: a, address: 'c:1'}, b]";
        assert!(refused(moved).contains("another address"));
        let drained = "servers: [{address: a, state: drain}, {address: b, role: primary}]";
        assert!(refused(drained).contains("cannot be drained"));
    }

    #[test]
    fn another_primary_is_not_made_by_a_file() {
        let marked = "servers: [a, {address: b, role: primary}]";
        assert!(adopted("servers: [a, b]", marked).unwrap().kept[0].contains("SWITCHOVER TO b"));
        // What a failover has done already is only written down.
        let adopted = adopt(&config("servers: [a, b]"), config(marked), Some(1), |_| false);
        assert!(adopted.unwrap().kept.is_empty());
        let adopted = adopt(
            &config("servers: [a, b]"),
            config("servers: [b, c]"),
            Some(1),
            |_| false,
        );
        assert!(adopted.unwrap().kept.is_empty());
    }
}
