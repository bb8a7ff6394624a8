//! Rules at work: a client's statements refused, held back, changed, and sent where a rule wants them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::audit::Event;
use super::client::{Client, STOPPING};
use super::outcome::End;
use crate::backend::BackendError;
use crate::config::CacheRule;
use crate::routing::rules::{self, Actions, RuleSet, Selection, Subject, TooLong, Verdict};
use crate::routing::{Policy, Why};
use crate::sql::Facts;

/// What the rules want with a client's statements.
#[derive(Debug, Default)]
pub struct Steering {
    /// The rules that this client's statements may match.
    selection: Selection,
    /// For the statement under way.
    actions: Actions,
    /// For the statement under way, if a rule says anything about it.
    policy: Option<Policy>,
    /// For executions, as it was when the statement was prepared; by the client's id of it.
    prepared: HashMap<u32, Actions>,
}

/// What the client is told instead of a result.
#[derive(Debug)]
pub struct Refused {
    pub code: u16,
    pub sqlstate: &'static [u8; 5],
    pub text: String,
}

const BLOCKED: u16 = 1148;
const THROTTLED: u16 = 1226;

pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

// === impl Steering ===

impl Steering {
    /// The statement is gone, or was never prepared.
    pub fn forget(&mut self, id: u32) {
        self.prepared.remove(&id);
    }

    pub fn forget_all(&mut self) {
        self.prepared.clear();
    }
}

// === impl Client ===

impl Client {
    /// To be repeated whenever the client becomes somebody else.
    pub fn select_rules(&mut self) {
        let selection = self.settings.rules.select(self.comes());
        self.steering = Steering {
            selection,
            ..Steering::default()
        };
    }

    fn comes(&self) -> rules::Client<'_> {
        rules::Client {
            user: &self.login.user,
            listener: &self.listener,
            address: self.address.map(|address| address.ip()),
        }
    }

    fn subject<'a>(&'a self, facts: &'a Facts, text: &'a [u8]) -> Subject<'a> {
        Subject {
            client: self.comes(),
            schema: self.session.state.schema.as_deref(),
            facts,
            text,
        }
    }

    fn rules(&self) -> &RuleSet {
        &self.settings.rules
    }

    /// The rules have changed: executions of what was prepared before are treated as the new ones want.
    pub fn steer_prepared(&mut self) {
        if self.steering.selection.is_empty() {
            return;
        }
        let statements = self.session.statements.iter();
        let wanted = statements.map(|(id, statement)| {
            let template = &statement.template;
            (id, self.wishes(&template.facts, &template.text))
        });
        self.steering.prepared = wanted.filter(|(_, actions)| !actions.is_empty()).collect();
    }

    /// How the statement under way is routed.
    pub fn policy(&self) -> &Policy {
        self.steering.policy.as_ref().unwrap_or(&self.policy)
    }

    /// What the rules want with a statement. Statements of the proxy's own are not theirs.
    pub fn wishes(&self, facts: &Facts, text: &[u8]) -> Actions {
        if self.steering.selection.is_empty() || facts.own.is_some() {
            return Actions::default();
        }
        let subject = self.subject(facts, text);
        self.rules().matching_among(&self.steering.selection, &subject)
    }

    /// From here on the statement under way is treated so.
    pub fn steer(&mut self, actions: Actions) {
        if actions.is_empty() && self.steering.actions.is_empty() {
            return;
        }
        self.rules().count(&actions);
        self.steering.actions = actions;
        let policy = (!actions.is_empty()).then(|| self.policy.steered(self.rules(), &actions));
        self.steering.policy = policy;
    }

    /// The same, for an execution of a prepared statement. False: no rule wants anything.
    pub fn steer_execution(&mut self, id: u32) -> bool {
        let actions = self.steering.prepared.get(&id).copied();
        self.steer(actions.unwrap_or_default());
        actions.is_some()
    }

    /// Its executions will be treated as the statement under way.
    pub fn remember_steering(&mut self, id: u32) {
        let actions = self.steering.actions;
        match actions.is_empty() {
            true => self.steering.prepared.remove(&id),
            false => self.steering.prepared.insert(id, actions),
        };
    }

    /// Whether a rule forbids the statement under way.
    pub fn blocked(&self) -> Option<Refused> {
        let block = self.rules().block(&self.steering.actions)?;
        tracing::debug!(client = self.id, rule = block.rule, "a statement is blocked");
        Some(Refused {
            code: BLOCKED,
            sqlstate: b"42000",
            text: block.value.to_owned(),
        })
    }

    /// Waits for the statement's turn where a rule throttles it.
    pub async fn wait_for_turn(&mut self, facts: &Facts) -> Result<Option<Refused>, End> {
        let subject = self.subject(facts, b"");
        let asked = self
            .rules()
            .throttle(&self.steering.actions, &subject, Instant::now());
        let wait = match asked {
            None | Some((_, Verdict::Pass)) => return Ok(None),
            Some((_, Verdict::Wait(wait))) => {
                count(&self.worker.shared.ruled.delayed);
                wait
            }
            Some((said, Verdict::Refuse(wait))) => {
                let (rule, wait) = (said.rule, wait.as_millis());
                tracing::debug!(client = self.id, rule, "a statement is refused its turn");
                return Ok(Some(Refused {
                    code: THROTTLED,
                    sqlstate: b"42000",
                    text: format!("Rule '{rule}' lets no more statements pass now; try again in {wait} ms"),
                }));
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(None),
            () = self.signal.called_off() => match self.called_off() {
                BackendError::Stopping => {
                    self.error(1053, b"08S01", STOPPING).await?;
                    Err(End::ShuttingDown)
                }
                BackendError::Killed => Err(End::Killed),
                error => {
                    let (code, _, text) = error.for_client();
                    let sqlstate = b"70100";
                    Ok(Some(Refused { code, sqlstate, text }))
                }
            },
        }
    }

    /// How long the statement under way may take.
    pub fn time_limit(&self) -> Option<Duration> {
        let timeout = self.rules().timeout(&self.steering.actions)?;
        Some(*timeout.value)
    }

    /// The rule by which the result of the statement under way may be given again, and for how long.
    pub fn cache_rule(&self) -> Option<(String, CacheRule)> {
        let said = self.rules().cache(&self.steering.actions)?;
        Some((said.rule.to_owned(), said.value.clone()))
    }

    /// The server that runs the statement under way too, and how many of them in 10000.
    pub fn mirror_rule(&self) -> Option<(usize, u32)> {
        let said = self.rules().mirror(&self.steering.actions)?;
        Some((said.value.server, said.value.share))
    }

    /// The text as a rule changes it.
    pub fn changed(&self, text: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        let Some(said) = self.rules().rewrite(&self.steering.actions) else {
            return Ok(None);
        };
        let limit = self.worker.shared.settings().config.limits.max_allowed_packet;
        // One byte goes before the text.
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(1);
        rules::rewrite(said.value, text, limit).map_err(|TooLong| Refused {
            code: 1153,
            sqlstate: b"08S01",
            text: format!(
                "Rule '{}' makes the statement bigger than 'max_allowed_packet' bytes",
                said.rule
            ),
        })
    }

    /// The names of the rules that the client's statements may match.
    pub fn selected_rules(&self) -> String {
        let names: Vec<_> = self.rules().names(&self.steering.selection).collect();
        names.join(", ")
    }

    /// Why the statement under way goes where it goes, with the name of a rule that says so.
    pub fn told(&self, why: Why) -> Cow<'static, str> {
        let target = self.rules().target(&self.steering.actions);
        match target.filter(|_| why == Why::Rule) {
            Some(said) => format!("the rule '{}' says so", said.rule).into(),
            None => why.text().into(),
        }
    }

    fn audit_blocked(&self) {
        let rule = self.rules().block(&self.steering.actions).map(|said| said.rule);
        self.tell_audit(Event::Blocked, |record| {
            let schema = self.session.state.schema.as_deref().unwrap_or_default();
            let record = record
                .with("schema", schema)
                .with("rule", rule.unwrap_or_default());
            record.with("statement", self.underway.shape())
        });
    }

    pub async fn tell_refusal(&mut self, refused: &Refused) -> Result<(), End> {
        let ruled = &self.worker.shared.ruled;
        match refused.code {
            BLOCKED => {
                count(&ruled.blocked);
                self.audit_blocked();
            }
            THROTTLED => count(&ruled.throttled),
            _ => {}
        }
        self.trace_nowhere(&refused.text);
        self.error(refused.code, refused.sqlstate, &refused.text).await
    }
}
