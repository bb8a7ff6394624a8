//! What an operator does, each command to whoever does it.

use super::change;
use super::kill::kill;
use super::reply::{Reply, Wrong};
use crate::admin::State;
use crate::admin::catalog::{Answer, failover};
use crate::admin::language::Command;
use crate::failover::{Handle, Outcome, Refusal, Report};

pub async fn operate(state: &State, command: Command) -> Result<Reply, Wrong> {
    match command {
        Command::Switchover { to, timeout, force } => {
            let to = known(state, to.as_deref())?;
            reported(handle(state)?.switchover(to, timeout, force).await)
        }
        Command::Failover { to, force } => {
            let to = known(state, to.as_deref())?;
            reported(handle(state)?.failover(to, force).await)
        }
        Command::Rejoin { server, discard } => {
            change::server_index(state, &server)?;
            reported(handle(state)?.rejoin(&server, discard).await)
        }
        Command::FailoverPaused(paused) => {
            let handle = handle(state)?;
            if paused {
                handle.pause()
            } else {
                handle.resume()
            }
            let what = if paused {
                "paused: nothing is promoted by itself"
            } else {
                "resumed"
            };
            Ok(Reply::Done(format!("failover is {what}")))
        }
        Command::SetServer { server, setting } => change::server(state, &server, setting),
        Command::ListenerPaused { listener, paused } => change::listener(state, &listener, paused),
        Command::Kill { id, query } => kill(state, id, query).await,
        Command::ResetStats => Ok(change::reset_stats(state)),
        Command::SaveConfig(to) => change::save(state, to).await,
        Command::Reload(what) => change::reload(state, what).await,
        _ => Ok(Reply::Done(String::new())),
    }
}

/// PROMOTE CHECK: the steps, or why there are none.
pub fn check(state: &State, to: Option<&str>) -> Result<Answer, Wrong> {
    let to = known(state, to)?;
    let check = handle(state)?.check(to);
    let step = |step: crate::failover::CheckStep| {
        vec![
            step.step.into(),
            step.server.into(),
            step.sql.into(),
            step.note.into(),
        ]
    };
    let refusal = |why: String| vec!["refused".into(), "".into(), "".into(), why.into()];
    let rows = check.refusals.into_iter().map(refusal);
    let rows = rows.chain(check.steps.into_iter().map(step)).collect();
    Ok(Answer::of_texts(&["step", "server", "sql", "note"], rows))
}

fn known<'a>(state: &State, to: Option<&'a str>) -> Result<Option<&'a str>, Wrong> {
    if let Some(name) = to {
        change::server_index(state, name)?;
    }
    Ok(to)
}

fn handle(state: &State) -> Result<&Handle, Wrong> {
    let off = || Wrong::Refused("failover is off: set failover.mode to automatic or manual".to_owned());
    state.failover.as_ref().ok_or_else(off)
}

/// What came of it, as a row of SHOW FAILOVERS; an error unless it is done.
fn reported(report: Result<Report, Refusal>) -> Result<Reply, Wrong> {
    let report = report.map_err(Wrong::refused)?;
    match &report.outcome {
        Outcome::Done | Outcome::UnderWay => {
            let columns = failover::FAILOVERS.columns;
            Ok(Reply::Rows(Answer::new(columns, vec![failover::row(&report)])))
        }
        Outcome::Undone(why) => Err(Wrong::Refused(format!("undone, all is as it was: {why}"))),
        Outcome::Failed(why) => Err(Wrong::Refused(format!("failed, and somebody has to look: {why}"))),
    }
}
