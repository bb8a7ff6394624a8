//! The first half: checks, and how to stop the old primary and its replicas.

use super::{Refusal, Wish};
use crate::failover::scene::Scene;
use crate::failover::step::Step;

/// How everything is stopped before anybody is chosen.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// The primary until now.
    pub from: Option<usize>,
    /// Who would be promoted as things stand. The choice is made anew on the frozen scene.
    pub expected: Option<usize>,
    /// On the old primary, each with a deadline.
    pub fence: Vec<Step>,
    /// On the replicas, all at once.
    pub freeze: Vec<Step>,
    /// What brings everything back to how it was, as long as nobody has been promoted.
    pub undo: Vec<Step>,
}

pub fn prepare(scene: &Scene, wish: &Wish) -> Result<Preparation, Refusal> {
    use crate::failover::step::StepKind;
    let from = scene.primary;
    let make = |server: usize, kind: StepKind, sentence: &str| Step {
        kind,
        server,
        name: scene.members[server].name.clone(),
        needed: true,
        sentence: sentence.to_owned(),
    };
    let replicas: Vec<_> = from.map(|from| scene.replicas_of(from)).unwrap_or_default();
    let replicas: Vec<_> = replicas
        .into_iter()
        .filter(|index| scene.members[*index].is_answering())
        .collect();
    if replicas.is_empty() {
        return Err(Refusal::of("no replica"));
    }
    let switchover = wish.kind == super::Kind::Switchover;
    let from_steps = |steps: Vec<Step>| steps;
    Ok(Preparation {
        from,
        expected: wish.to.or(replicas.first().copied()),
        fence: from
            .map(|from| {
                let mut steps = vec![make(
                    from,
                    StepKind::ReadOnly,
                    "the old primary takes no more writes",
                )];
                if !switchover {
                    steps.push(make(from, StepKind::KillSessions, "its sessions are ended"));
                }
                from_steps(steps)
            })
            .unwrap_or_default(),
        freeze: if switchover {
            Vec::new()
        } else {
            replicas
                .iter()
                .map(|index| make(*index, StepKind::StopFetching, "it fetches nothing more"))
                .collect()
        },
        undo: {
            let mut undo: Vec<_> = from
                .map(|from| make(from, StepKind::Writable, "it takes writes again"))
                .into_iter()
                .collect();
            if !switchover {
                undo.extend(
                    replicas
                        .iter()
                        .map(|index| make(*index, StepKind::Reconnect, "it fetches again")),
                );
            }
            undo
        },
    })
}
