//! From a text to its answer: parsed, allowed, done, and if it changes anything, written down.

use super::reply::{Reply, Who, Wrong};
use super::{explain, operate, show};
use crate::admin::State;
use crate::admin::language::{Command, parse};
use crate::config::AdminRole;
use crate::frontend::audit::{self, Record};
use crate::topology::events::{Event, EventKind};

pub async fn run(state: &State, who: &Who, text: &str) -> Result<Reply, Wrong> {
    execute(state, who, parse(text)?, text).await
}

/// The same for a command that is understood already; `text` is what the log shows of it.
pub async fn execute(state: &State, who: &Who, command: Command, text: &str) -> Result<Reply, Wrong> {
    if !command.operates() {
        return look(state, who, command).await;
    }
    let done = if who.role < AdminRole::Operate {
        Err(Wrong::Denied)
    } else {
        operate::operate(state, command).await
    };
    write_down(state, who, text, &done);
    done
}

/// A command that changes nothing.
pub async fn look(state: &State, who: &Who, command: Command) -> Result<Reply, Wrong> {
    let answer = match command {
        Command::Query(query) => show::query(state, who, &query).await?,
        Command::Session(id) => show::session(state, who, id).await?,
        Command::Help(word) => show::help(word.as_deref()),
        Command::ExplainRoute(statement) => explain::route(state, who, &statement),
        Command::PromoteCheck(to) => operate::check(state, to.as_deref())?,
        Command::SmallTalk(items) => show::small_talk(who, &items)?,
        _ => return Ok(Reply::Done(String::new())),
    };
    Ok(Reply::Rows(answer))
}

/// Who wanted what, and what came of it: in the log and among the events.
fn write_down(state: &State, who: &Who, text: &str, done: &Result<Reply, Wrong>) {
    let text = text.trim().trim_end_matches(';');
    let outcome = match done {
        Ok(_) => "done".to_owned(),
        Err(wrong) => wrong.to_string(),
    };
    let (user, from) = (who.user.as_str(), who.from.as_str());
    tracing::info!(user, from, command = text, outcome, "admin command");
    state.shared.audit.tell(|| {
        let record = Record::new(audit::Event::Admin)
            .with("user", user)
            .with("address", from);
        record.with("command", text).with("outcome", &outcome)
    });
    let event = Event::new(EventKind::Admin, None, format!("{user}: {text}: {outcome}"));
    state.shared.topology.events().record(event.with("from", from));
}
