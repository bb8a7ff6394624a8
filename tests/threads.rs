//! How the kernel is asked to run the threads that serve clients.

use std::path::Path;

use mysql_async::prelude::Queryable;

use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, Proxy, on_both_flavours};

/// SCHED_BATCH, as /proc has it.
const BATCH: u32 = 3;

/// The scheduling policy of the thread whose folder in /proc it is: field 41 of its `stat` (proc_pid_stat(5)).
fn policy(thread: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(thread.join("stat")).ok()?;
    // The name may have blanks in it; what follows it is field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(41 - 3)?.parse().ok()
}

/// That of the main thread, and those of the workers.
fn policies(proxy: &Proxy<'_>) -> (u32, Vec<u32>) {
    let process = Path::new("/proc").join(proxy.pid.to_string());
    let is_worker = |thread: &Path| {
        std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.starts_with("worker-"))
    };
    let threads = std::fs::read_dir(process.join("task")).unwrap();
    let threads = threads.map(|thread| thread.unwrap().path());
    let workers = threads.filter(|thread| is_worker(thread));
    let workers = workers.filter_map(|thread| policy(&thread)).collect();
    (policy(&process).unwrap(), workers)
}

on_both_flavours! {
    async fn workers_are_scheduled_as_configured(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).start().await;
        let before = policies(&proxy).0;
        wait_for("workers under the policy `batch`", async || {
            (policies(&proxy).1 == [BATCH; 2]).then_some(())
        })
        .await;
        assert_eq!(policies(&proxy).0, before, "the other threads stay as they are");
        proxy.client().await.query_drop("SELECT 1").await.unwrap();
        assert!(!proxy.log().contains("scheduling"), "{}", proxy.log());

        let proxy = Proxy::before(cluster).with("scheduling: normal").start().await;
        proxy.client().await.query_drop("SELECT 1").await.unwrap();
        let (main, workers) = policies(&proxy);
        assert_eq!(workers, [main; 2]);
    }
}
