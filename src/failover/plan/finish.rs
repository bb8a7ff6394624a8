//! The second half: from the choice to a new primary that everybody follows.

use super::Choice;
use crate::failover::scene::Scene;
use crate::failover::step::Step;

pub fn finish(scene: &Scene, choice: &Choice) -> Vec<Step> {
    use crate::failover::step::StepKind;
    let make = |server: usize, kind: StepKind, sentence: &str| Step {
        kind,
        server,
        name: scene.members[server].name.clone(),
        needed: true,
        sentence: sentence.to_owned(),
    };
    let mut steps = vec![
        make(
            choice.candidate,
            StepKind::Drain {
                position: choice.position.clone(),
                timeout: scene.settings.step_timeout,
            },
            "it applies all that it has fetched",
        ),
        make(choice.candidate, StepKind::Detach, "it follows nobody"),
        make(
            choice.candidate,
            StepKind::SemiSync { on: true },
            "its commits wait for a replica",
        ),
        make(choice.candidate, StepKind::Writable, "it takes writes"),
    ];
    for sibling in &choice.siblings {
        steps.extend(super::follow(scene, *sibling, choice.candidate, false));
    }
    if choice.kind == super::Kind::Switchover
        && let Some(from) = choice.from
    {
        steps.extend(super::follow(scene, from, choice.candidate, true));
    }
    steps.push(make(
        choice.candidate,
        StepKind::Verify {
            on: choice.siblings.first().copied(),
        },
        "row",
    ));
    steps
}

pub fn follow(scene: &Scene, server: usize, source: usize, demoted: bool) -> Vec<Step> {
    use crate::failover::step::{Follow, StepKind};
    let (member, to) = (&scene.members[server], &scene.members[source]);
    let login = demoted
        .then(|| {
            scene
                .settings
                .replication
                .clone()
                .or(scene.settings.login.clone())
        })
        .flatten();
    vec![Step {
        kind: StepKind::Follow(Follow {
            source: to.address.clone(),
            source_name: to.name.clone(),
            channel: String::new(),
            login,
            tls: None,
            heartbeat: None,
            demoted,
        }),
        server,
        name: member.name.clone(),
        needed: false,
        sentence: format!("it follows {}", to.name),
    }]
}
