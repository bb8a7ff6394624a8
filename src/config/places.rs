//! The servers of a configuration that is read again, at the places that they have in the running proxy: statements
//! under way, rules and counters know servers by these, so that a server keeps its place for as long as anything
//! refers to it, and its name is what it is known by.

use super::{Config, MOST_SERVERS, RuleTarget, Server, ServerState};

// === impl Config ===

impl Config {
    /// The place of a server that is configured.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        let is = |server: &Server| server.name == name && server.state != ServerState::Removed;
        self.servers.iter().position(is)
    }

    /// The same configuration with each server at its place in `running`. What this one has no more stays there
    /// as [`ServerState::Removed`]; what is new comes to the first place that `is_free`, or behind all others.
    pub fn at_places_of(
        mut self,
        running: &Self,
        is_free: impl Fn(usize) -> bool,
    ) -> Result<Self, TooManyPlaces> {
        let read = std::mem::take(&mut self.servers);
        let mut places = running.servers.clone();
        for server in &mut places {
            server.state = ServerState::Removed;
        }
        let known = |name: &str| running.place_of(name).or_else(|| last_place_of(running, name));
        let kept: Vec<_> = read.iter().map(|server| known(&server.name)).collect();
        let mut moved = Vec::with_capacity(read.len());
        let mut free = (0..places.len()).filter(|place| !kept.contains(&Some(*place)) && is_free(*place));
        for (server, kept) in read.into_iter().zip(&kept) {
            let place = kept.or_else(|| free.next()).unwrap_or(places.len());
            match places.get_mut(place) {
                Some(old) => *old = server,
                None if place < MOST_SERVERS => places.push(server),
                None => return Err(TooManyPlaces),
            }
            moved.push(place);
        }
        for rule in &mut self.rules {
            if let Some(RuleTarget::Servers(servers)) = &mut rule.actions.target {
                for server in servers {
                    *server = moved.get(*server).copied().unwrap_or(usize::MAX);
                }
            }
            if let Some(mirror) = &mut rule.actions.mirror {
                mirror.server = moved.get(mirror.server).copied().unwrap_or(usize::MAX);
            }
        }
        self.servers = places;
        Ok(self)
    }
}

/// Servers that were removed are still referred to, and there is no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPlaces;

/// Of a server that was removed and comes back.
fn last_place_of(running: &Config, name: &str) -> Option<usize> {
    running.servers.iter().position(|server| server.name == name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("test.yaml")).unwrap()
    }

    fn shown(config: &Config) -> Vec<String> {
        let show = |server: &Server| match server.state {
            ServerState::Removed => format!("({})", server.name),
            _ => server.name.clone(),
        };
        config.servers.iter().map(show).collect()
    }

    #[test]
    fn who_stays_keeps_its_place_and_rules_follow() {
        let running = config("servers: [a, b, c]");
        let text = "servers: [a, c, d]\nrules: [{name: r, target: {servers: [d, c]}}, {name: m, mirror: {server: c}}]";
        let taken = config(text).at_places_of(&running, |_| false).unwrap();
        assert_eq!(shown(&taken), ["a", "(b)", "c", "d"]);
        let target = taken.rules[0].actions.target.clone();
        assert_eq!(target, Some(RuleTarget::Servers([3, 2].into())));
        assert_eq!(
            taken.rules[1].actions.mirror.as_ref().map(|mirror| mirror.server),
            Some(2)
        );
        assert_eq!((taken.place_of("b"), taken.place_of("d")), (None, Some(3)));
        // A free place is taken, one that is referred to is not, and who comes back has its own.
        let text = "servers: [a, c, d, e]";
        assert_eq!(
            shown(&config(text).at_places_of(&taken, |place| place == 1).unwrap()),
            ["a", "e", "c", "d"]
        );
        assert_eq!(
            shown(&config(text).at_places_of(&taken, |_| false).unwrap()),
            ["a", "(b)", "c", "d", "e"]
        );
        let back = config("servers: [a, b, d]")
            .at_places_of(&taken, |_| true)
            .unwrap();
        assert_eq!(shown(&back), ["a", "b", "(c)", "d"]);
    }

    proptest! {
        #[test]
        fn nobody_moves_and_nobody_is_lost(steps in proptest::collection::vec(
            (proptest::collection::btree_set(0..80_usize, 1..40), any::<u64>()), 1..12
        )) {
            let mut running: Option<Config> = None;
            for (names, free) in steps {
                let list = names.iter().map(|name| format!("s{name}")).collect::<Vec<_>>().join(", ");
                let read = config(&format!("servers: [{list}]"));
                let Some(before) = running.take() else {
                    running = Some(read);
                    continue;
                };
                let is_free = |place: usize| {
                    before.servers[place].state == ServerState::Removed && free >> (place % 64) & 1 == 1
                };
                let Ok(after) = read.at_places_of(&before, is_free) else {
                    running = Some(before);
                    continue;
                };
                prop_assert!(after.servers.len() <= MOST_SERVERS);
                for (place, server) in before.servers.iter().enumerate() {
                    let replaced = after.servers[place].name != server.name;
                    prop_assert!(!replaced || is_free(place));
                }
                let configured = after.servers.iter().filter(|server| server.state != ServerState::Removed);
                let mut found: Vec<_> = configured.map(|server| server.name.clone()).collect();
                found.sort();
                let mut wanted: Vec<_> = names.iter().map(|name| format!("s{name}")).collect();
                wanted.sort();
                prop_assert_eq!(found, wanted);
                running = Some(after);
            }
        }
    }
}
