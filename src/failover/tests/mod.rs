//! Scenes for the tests, and what must hold for every one of them.

mod cold;
mod commands;
mod plans;
mod verdicts;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::scene::{Hearing, Member, Scene};
use crate::config::{Address, Config, Promote};
use crate::gtid::Position;
use crate::topology::{
    Admin, Channel, Class, Failure, Lag, Observation, Outcome, SemiSync, Status, Thread, ThreadState,
};

pub(super) const UUIDS: [&str; 5] = [
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "00000000-0000-0000-0000-000000000003",
    "00000000-0000-0000-0000-000000000004",
    "00000000-0000-0000-0000-000000000005",
];

/// `db1` is the primary, the others follow it; all have its transactions up to 100.
pub(super) fn cluster(mariadb: bool, servers: usize) -> Scene {
    let text = "listeners: [\"127.0.0.1:3306\"]\nservers: [\"db1:3306\"]\n";
    let config = Config::parse(text, Path::new("proxy.yaml")).unwrap();
    let now = Instant::now();
    let address = |index: usize| Address::Tcp {
        host: format!("db{}", index + 1),
        port: 3306,
    };
    let member = |index: usize| Member {
        hearing: (index > 0).then_some(Hearing { at: now, until: now }),
        ..Member::new(&format!("db{}", index + 1), address(index))
    };
    let mut scene = Scene {
        now,
        epoch: 1,
        primary: Some(0),
        members: (0..servers).map(member).collect(),
        last_seen: written(mariadb, 0, 100),
        acknowledged: Position::Empty,
        promotions: Vec::new(),
        paused: false,
        reconnected: None,
        came_back: false,
        settings: config.failover.clone(),
        switchover: config.switchover.clone(),
    };
    for index in 0..servers {
        answer(&mut scene, index, now, status(mariadb, index, 100));
    }
    scene
}

/// What server `index` wrote, up to the number.
pub(super) fn written(mariadb: bool, index: usize, last: u64) -> Position {
    let text = match (mariadb, last) {
        (_, 0) => String::new(),
        (true, _) => format!("0-{}-{last}", index + 1),
        (false, _) => format!("{}:1-{last}", UUIDS[index]),
    };
    Position::parse(mariadb, text.as_bytes()).unwrap()
}

pub(super) fn status(mariadb: bool, index: usize, last: u64) -> Status {
    let position = written(mariadb, 0, last);
    let running = || Thread {
        state: ThreadState::Running,
        ..Thread::default()
    };
    let channel = Channel {
        source_host: "db1".to_owned(),
        source_port: 3306,
        source_id: 1,
        source_uuid: if mariadb {
            String::new()
        } else {
            UUIDS[0].to_owned()
        },
        io: running(),
        sql: running(),
        retrieved: position.clone(),
        by_gtid: true,
        heard: Some(1),
        heartbeat: Some(Duration::from_secs(1)),
        ..Channel::default()
    };
    Status {
        version: if mariadb { "10.11.19-MariaDB" } else { "9.7.4" }.to_owned(),
        mariadb,
        uuid: UUIDS[index].to_owned(),
        server_id: u32::try_from(index).unwrap() + 1,
        read_only: index > 0,
        executed: position.clone(),
        applied: mariadb.then_some(position),
        channels: Some(if index > 0 { vec![channel] } else { Vec::new() }),
        semi_sync: SemiSync {
            source: Some(false),
            replica: Some(false),
            ..SemiSync::default()
        },
        lag: Lag::Known(Duration::ZERO),
        ..Status::default()
    }
}

pub(super) fn answer(scene: &mut Scene, index: usize, began: Instant, status: Status) {
    let member = &mut scene.members[index];
    let observation = Observation {
        began,
        probe: 1,
        took: Duration::from_millis(1),
        outcome: Outcome::Answered(Box::new(status.clone())),
    };
    (member.observation, member.answered) = (Some(Arc::new(observation)), Some(began));
    member.status = Some(Arc::new(status));
}

/// Its latest probes failed, this many in a row.
pub(super) fn fail(scene: &mut Scene, index: usize, class: Class, failures: u32) {
    let (of, now) = (scene.settings.failures, scene.now);
    let member = &mut scene.members[index];
    let observation = Observation {
        began: now,
        probe: 2,
        took: Duration::from_millis(1),
        outcome: Outcome::Failed(Failure {
            class,
            code: None,
            message: "gone".into(),
        }),
    };
    member.observation = Some(Arc::new(observation));
    member.failures = failures;
    member.failing_since = Some(now);
    member.condemned = (failures >= of).then_some(now);
}

pub(super) fn change(scene: &mut Scene, index: usize, change: impl FnOnce(&mut Status)) {
    let mut status = Status::clone(scene.members[index].status.as_ref().unwrap());
    change(&mut status);
    let began = scene.members[index].answered.unwrap_or(scene.now);
    answer(scene, index, began, status);
}

pub(super) fn channel(status: &mut Status) -> &mut Channel {
    &mut status.channels.as_mut().unwrap()[0]
}
