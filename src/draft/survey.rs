//! All servers of a replication tree, found from any one of them: up to the primary, and down to every replica
//! that says where it is or can be recognised.

use std::collections::{HashSet, VecDeque};

use super::look::{Follower, View, address};
use crate::config::MOST_SERVERS;

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// In the order in which they were found; no server twice.
    pub servers: Vec<Found>,
    /// Addresses that replication names and that did not answer, with the reason.
    pub unreachable: Vec<(String, String)>,
    pub warnings: Vec<String>,
}

#[derive(Debug)]
pub struct Found {
    pub address: String,
    pub view: View,
}

/// An address to look at.
#[derive(Debug)]
struct Step {
    address: String,
    /// It may be where a wanted replica is; nothing is lost if it is not.
    is_guess: bool,
}

/// Addresses that are looked at in one survey.
const MOST_STEPS: usize = 512;

// === impl Survey ===

impl Survey {
    /// Looks at the given addresses and at all that they lead to.
    pub async fn from(given: &[String], mut look: impl AsyncFnMut(&str) -> Result<View, String>) -> Self {
        let mut survey = Self::default();
        let (mut seen, mut steps) = (HashSet::new(), VecDeque::new());
        let given = given.iter().map(|address| Step {
            address: address.clone(),
            is_guess: false,
        });
        steps.extend(given);
        let mut looks = 0;
        while let Some(step) = steps.pop_front() {
            if looks == MOST_STEPS || survey.servers.len() == MOST_SERVERS {
                let text = format!(
                    "{} servers were found: the rest is left out",
                    survey.servers.len()
                );
                survey.warnings.push(text);
                break;
            }
            let is_needless = step.is_guess && survey.wanted().is_empty();
            if is_needless || !seen.insert(step.address.clone()) {
                continue;
            }
            looks += 1;
            match look(&step.address).await {
                Ok(view) => survey.add(step, view, &mut steps),
                Err(_) if step.is_guess => {}
                Err(error) => survey.unreachable.push((step.address, error)),
            }
        }
        survey.notice_nameless();
        survey.notice_differences();
        survey
    }

    fn add(&mut self, step: Step, view: View, steps: &mut VecDeque<Step>) {
        let known = |found: &Found| found.view.identity == view.identity;
        let is_other = step.is_guess && !self.wanted().contains(&view.server_id);
        if is_other || self.servers.iter().any(known) {
            return;
        }
        let surely = |address: String| Step {
            address,
            is_guess: false,
        };
        steps.extend(view.sources.iter().cloned().map(surely));
        for follower in &view.followers {
            match &follower.host {
                Some(host) => steps.push_back(surely(address(host, follower.port))),
                None => steps.extend(guesses(&view, follower)),
            }
        }
        self.servers.push(Found {
            address: step.address,
            view,
        });
    }

    /// Replicas that were told of without an address, and are not found yet.
    fn wanted(&self) -> HashSet<u64> {
        let followers = self.servers.iter().flat_map(|found| &found.view.followers);
        let nameless = followers.filter(|follower| follower.host.is_none());
        let is_found = |id: u64| self.servers.iter().any(|found| found.view.server_id == id);
        nameless
            .map(|follower| follower.server_id)
            .filter(|id| !is_found(*id))
            .collect()
    }

    /// The server that takes the writes: it follows nobody, or, where all follow each other, it is writable.
    pub fn primary(&self) -> Option<usize> {
        let followers = |found: &Found| found.view.followers.len();
        let places = || 0..self.servers.len();
        let roots = places().filter(|place| self.servers[*place].view.sources.is_empty());
        roots
            .max_by_key(|place| (followers(&self.servers[*place]), usize::MAX - place))
            .or_else(|| places().find(|place| self.servers[*place].view.is_writable))
            .or_else(|| places().next())
    }

    fn notice_nameless(&mut self) {
        let mut missing = Vec::new();
        let wanted = self.wanted();
        for found in &self.servers {
            let is_missing =
                |follower: &&Follower| follower.host.is_none() && wanted.contains(&follower.server_id);
            for follower in found.view.followers.iter().filter(is_missing) {
                missing.push(format!(
                    "a replica of {} (server id {}, port {}) does not say where it is: give its address with one \
                     more --server, or set report_host there",
                    found.address, follower.server_id, follower.port
                ));
            }
        }
        self.warnings.extend(missing);
    }

    fn notice_differences(&mut self) {
        let roots = self.servers.iter().filter(|found| found.view.sources.is_empty());
        let roots: Vec<_> = roots.map(|found| found.address.as_str()).collect();
        let mut warnings = Vec::new();
        if roots.len() > 1 {
            let roots = roots.join(", ");
            warnings.push(format!(
                "several servers follow nobody ({roots}): is the primary right?"
            ));
        }
        if roots.is_empty() && !self.servers.is_empty() {
            warnings.push("no server follows nobody: is the primary right?".to_owned());
        }
        let flavour = self.servers.first().map(|found| found.view.flavour);
        for Found { address, view } in &self.servers {
            if Some(view.flavour) != flavour {
                warnings.push(format!("{address} is of another kind than the first server"));
            }
            if !view.has_gtids {
                warnings.push(format!(
                    "{address} has gtid_mode off: failover, and reads of a session's own writes from replicas, need it on"
                ));
            }
            if view.sources.len() > 1 {
                warnings.push(format!("{address} follows several servers"));
            }
            if view.is_writable && !view.sources.is_empty() {
                warnings.push(format!(
                    "{address} is a replica and writable: set read_only there"
                ));
            }
        }
        self.warnings.extend(warnings);
    }
}

/// A replica without a name is at one of the addresses that read the binary log, at the port that it told.
fn guesses<'a>(view: &'a View, follower: &'a Follower) -> impl Iterator<Item = Step> + 'a {
    view.dump_hosts.iter().map(|host| Step {
        address: address(host, follower.port),
        is_guess: true,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::accounts::Flavour;

    fn view(id: u64, sources: &[&str], followers: &[(u64, Option<&str>, u16)]) -> View {
        View {
            flavour: Flavour::MySql,
            version: "8.4.0".to_owned(),
            identity: id.to_string(),
            server_id: id,
            is_writable: sources.is_empty(),
            has_gtids: true,
            sources: sources.iter().map(|text| (*text).to_owned()).collect(),
            followers: followers
                .iter()
                .map(|(server_id, host, port)| Follower {
                    server_id: *server_id,
                    host: host.map(str::to_owned),
                    port: *port,
                })
                .collect(),
            dump_hosts: vec!["10.0.0.2".to_owned(), "10.0.0.3".to_owned()],
        }
    }

    async fn survey(given: &str, net: &[(&str, View)]) -> Survey {
        let net: HashMap<_, _> = net.iter().cloned().collect();
        let look = async |address: &str| net.get(address).cloned().ok_or("refused".to_owned());
        Survey::from(&[given.to_owned()], look).await
    }

    fn addresses(survey: &Survey) -> Vec<&str> {
        let found = survey.servers.iter();
        found.map(|found| found.address.as_str()).collect()
    }

    #[tokio::test]
    async fn from_a_replica_up_and_down_again() {
        let net = [
            (
                "db1:3306",
                view(1, &[], &[(2, Some("db2"), 3306), (3, Some("db3"), 3307)]),
            ),
            ("db2:3306", view(2, &["db1:3306"], &[])),
            ("10.9.9.9:3306", view(2, &["db1:3306"], &[])),
        ];
        let found = survey("10.9.9.9:3306", &net).await;
        assert_eq!(addresses(&found), ["10.9.9.9:3306", "db1:3306"]);
        assert_eq!(found.primary(), Some(1));
        assert_eq!(found.unreachable, [("db3:3307".to_owned(), "refused".to_owned())]);
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }

    #[tokio::test]
    async fn replicas_without_a_name_are_recognised_by_their_id() {
        let net = [
            (
                "db1:3306",
                view(1, &[], &[(2, None, 3306), (3, None, 3306), (4, None, 3999)]),
            ),
            ("10.0.0.2:3306", view(3, &["db1:3306"], &[])),
            ("10.0.0.3:3306", view(2, &["db1:3306"], &[])),
        ];
        let found = survey("db1:3306", &net).await;
        assert_eq!(found.primary(), Some(0));
        assert!(found.unreachable.is_empty());
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert!(found.warnings[0].contains("server id 4"), "{:?}", found.warnings);
        assert_eq!(addresses(&found).len(), 3);
    }

    #[tokio::test]
    async fn a_circle_ends_and_the_writable_one_is_the_primary() {
        let mut second = view(2, &["a:1"], &[(1, Some("a"), 1)]);
        second.is_writable = true;
        let net = [("a:1", view(1, &["b:1"], &[(2, Some("b"), 1)])), ("b:1", second)];
        let found = survey("a:1", &net).await;
        assert_eq!(addresses(&found), ["a:1", "b:1"]);
        assert_eq!(found.primary(), Some(1));
    }
}
