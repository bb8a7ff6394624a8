//! Commands that come while another one is carried out.

use std::path::Path;
use std::sync::Arc;

use super::super::course::Course;
use super::super::handle::Handle;
use super::super::report::{Outcome, ReportKind};
use super::super::start;
use crate::config::Config;
use crate::topology::Topology;

fn config() -> Config {
    let text = "listeners: [\"127.0.0.1:3306\"]\nservers: [\"db1:3306\", \"db2:3306\"]\n";
    Config::parse(text, Path::new("proxy.yaml")).unwrap()
}

fn course() -> Course {
    let mut course = Course::new(ReportKind::Failover, 2);
    course.from = Some(Arc::from("db1"));
    course.to = Some(Arc::from("db2"));
    course
}

async fn refusal(handle: &Handle, to: Option<&str>) -> String {
    let refused = handle.switchover(to, None, false).await;
    refused.unwrap_err().to_string()
}

#[tokio::test]
async fn a_second_one_does_not_wait_to_undo_the_first() {
    let (config, busy) = (config(), "a change of the primary is under way already");
    let (handle, coordinator) = start(&config, Topology::new(&config));
    let own = handle.clone();
    let first = tokio::spawn(async move { own.switchover(Some("db2"), None, false).await });
    tokio::task::yield_now().await;
    assert_eq!(refusal(&handle, Some("db1")).await, busy);
    let failover = handle.failover(None, true).await;
    assert_eq!(failover.unwrap_err().to_string(), busy);
    // Who gave the first one has gone, and yet it will be carried out.
    first.abort();
    assert_eq!(refusal(&handle, None).await, busy);
    tokio::spawn(coordinator);
    while refusal(&handle, None).await == busy {
        tokio::task::yield_now().await;
    }
    let answer = refusal(&handle, None).await;
    assert!(answer.contains("monitor"), "{answer}");
    assert_eq!(refusal(&handle, None).await, answer);
}

#[tokio::test]
async fn one_does_not_wait_for_a_failover_by_itself() {
    let config = config();
    let (handle, _coordinator) = start(&config, Topology::new(&config));
    let shared = handle.shared.clone();
    let early = shared.take_turn().unwrap();
    assert!(shared.still_allows(&early).is_ok());
    let course = course();
    shared.begin(&course);
    assert_eq!(
        refusal(&handle, None).await,
        "a failover from db1 to db2 is under way already"
    );
    shared.record(&course.end(Outcome::Done));
    let refused = shared.still_allows(&early).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a failover from db1 to db2 was under way already"
    );
    drop(early);
    let late = shared.take_turn().unwrap();
    assert!(shared.still_allows(&late).is_ok());
}
