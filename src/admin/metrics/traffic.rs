//! What clients send and how it is answered, by all threads together; and how the threads are.

use std::fmt;
use std::sync::atomic::Ordering;

use super::family::{Families, Name, Sample, number};
use super::totals;
use crate::admin::State;
use crate::frontend::traffic::Times;

pub fn write(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let total = totals::traffic(state);
    families.counter(
        Name::new("splitrail_commands", "Statements and other commands of clients"),
        [Sample::new(total.commands)],
    )?;
    families.counter(
        Name::new(
            "splitrail_command_errors",
            "Commands answered with an error, by a server or by the proxy itself",
        ),
        [
            Sample::new(total.errors).with("by", "server"),
            Sample::new(total.own_errors).with("by", "proxy"),
        ],
    )?;
    families.counter(
        Name::bytes("splitrail_response", "Of what servers answered to clients"),
        [Sample::new(total.bytes)],
    )?;
    families.counter(
        Name::new(
            "splitrail_statements_routed",
            "Statements by the reason why they ran where they did",
        ),
        total
            .reasons
            .iter()
            .map(|(reason, count)| Sample::new(*count).with("reason", reason)),
    )?;
    families.counter(
        Name::new(
            "splitrail_reads_waited",
            "Reads that waited for their server to have what their session had seen, by where and whether it came",
        ),
        total.waits.iter().map(|(place, outcome, count)| {
            Sample::new(*count)
                .with("on", place)
                .with("outcome", outcome)
        }),
    )?;
    families.histogram(
        Name::seconds(
            "splitrail_command_duration",
            "From a command to the end of its answer, of a sample: up to 200 a second and thread",
        ),
        &total.times,
    )?;
    families.histogram(
        Name::seconds(
            "splitrail_worker_delay",
            "How late the threads' timers ran: how long something else kept them",
        ),
        &total.delays,
    )?;
    workers(families, state)
}

/// Few: as many as there are threads.
fn workers(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let loads = state.shared.loads.iter().enumerate();
    families.gauge(
        Name::new("splitrail_worker_clients", "Clients of each thread"),
        loads.map(|(worker, load)| {
            Sample::new(number(load.load(Ordering::Relaxed))).with("worker", &worker.to_string())
        }),
    )?;
    let late = state.shared.traffic.iter().enumerate().map(|(worker, thread)| {
        let mut times = Times::default();
        thread.delays.add_to(&mut times);
        Sample::new(times.sum.as_secs_f64()).with("worker", &worker.to_string())
    });
    families.counter_f64(
        Name::seconds(
            "splitrail_worker_late",
            "How late the timers of each thread ran, added up",
        ),
        late,
    )
}
