//! Servers that are all started read-only, together with the proxy.

use super::{Admin, Class, Scene, Status, answer, cluster, fail};
use crate::config::FailoverMode;
use crate::failover::judge;

fn change(scene: &mut Scene, index: usize, change: impl FnOnce(&mut Status)) {
    let mut status = Status::clone(scene.members[index].status.as_ref().unwrap());
    change(&mut status);
    answer(scene, index, scene.now, status);
}

fn cold(mariadb: bool) -> Scene {
    let mut scene = cluster(mariadb, 3);
    scene.settings.mode = FailoverMode::Automatic;
    for index in 0..3 {
        change(&mut scene, index, |status| {
            (status.read_only, status.read_only_from_start) = (true, true);
        });
    }
    scene
}

#[test]
fn all_are_as_they_were_started() {
    for mariadb in [false, true] {
        assert!(cold(mariadb).starts_cold());
    }
}

#[test]
fn nothing_is_sure_while_one_is_silent_unless_it_is_none_of_them_any_more() {
    let mut scene = cold(false);
    fail(&mut scene, 2, Class::Unreachable, 1);
    assert!(!scene.starts_cold());
    let change = judge(&scene).change;
    assert!(
        change.iter().any(|change| change.contains("once db3 answers")),
        "{change:?}"
    );
    scene.members[2].admin = Admin::Gone;
    assert!(scene.starts_cold());
    fail(&mut scene, 0, Class::Unreachable, 1);
    assert!(!scene.starts_cold());
}

#[test]
fn one_that_is_somebody_elses_or_made_read_only_is_left_alone() {
    let differs = |what: &str, changes: fn(&mut Scene)| {
        let mut scene = cold(true);
        changes(&mut scene);
        assert!(!scene.starts_cold(), "{what}");
    };
    differs("somebody made it read-only", |scene| {
        change(scene, 0, |status| status.read_only_from_start = false);
    });
    differs("it follows another site", |scene| {
        let channels = scene.members[1].status.as_ref().unwrap().channels.clone();
        change(scene, 0, |status| status.channels = channels);
    });
    differs("whom it follows may not be asked", |scene| {
        change(scene, 0, |status| status.channels = None);
    });
    differs("another one takes writes", |scene| {
        change(scene, 1, |status| status.read_only = false);
    });
    differs("one does not follow it", |scene| {
        change(scene, 2, |status| status.channels = Some(Vec::new()));
    });
    differs("nobody follows it", |scene| scene.members.truncate(1));
    differs("nothing is done without being told", |scene| {
        scene.settings.mode = FailoverMode::Manual;
    });
    differs("nobody knows the primary", |scene| scene.primary = None);
}
