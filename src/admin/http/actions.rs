//! What changes something, or asks what a change would be: the console's commands, made of a request.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::answer::{Problem, reply, rows};
use super::call::Call;
use super::endpoint::{Action, STATES};
use crate::admin::State;
use crate::admin::console::{MOST_CONNECTIONS, MOST_WEIGHT, Reply, Who, allow, execute, look};
use crate::admin::language::{Command, ServerSetting};
use crate::config::{AdminRole, Switchover, parse_duration};
use crate::topology::Admin;

pub async fn run(state: Arc<State>, action: Action, call: &Call) -> Result<Json, Problem> {
    match action {
        Action::PromoteCheck => check(&state, call).await,
        Action::ExplainRoute => explain(&state, call).await,
        Action::Server => set_server(state, call).await,
        _ => {
            let (command, text) = command(action, call)?;
            act(&state, call, command, text).await.map(reply)
        }
    }
}

pub fn who(call: &Call) -> Who {
    Who {
        user: call.visitor.name.clone(),
        role: call.visitor.role.unwrap_or(AdminRole::Read),
        from: call.from.clone(),
        id: 0,
        schema: None,
    }
}

pub fn session_id(call: &Call) -> Result<u32, Problem> {
    let id = call.place("id").parse();
    id.map_err(|_| Problem::not_found("a session's id is a number"))
}

/// Goes on to its end, also when whoever asked has gone.
async fn act(state: &Arc<State>, call: &Call, command: Command, text: String) -> Result<Reply, Problem> {
    let (state, who) = (state.clone(), who(call));
    let acting = tokio::spawn(async move { execute(&state, &who, command, &text).await });
    match acting.await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Problem::broken("the command did not come to its end")),
    }
}

/// With what the log shows of it.
fn command(action: Action, call: &Call) -> Result<(Command, String), Problem> {
    let to = call.name("to")?;
    let force = call.truth("force")?;
    let place = call.place("name").to_owned();
    let ending = |force: bool| if force { " FORCE" } else { "" };
    let wish = |to: &Option<String>| to.as_ref().map(|to| format!(" TO {to}")).unwrap_or_default();
    Ok(match action {
        Action::Switchover => {
            let timeout = call.text("timeout")?.map(|text| {
                parse_duration(text)
                    .filter(|timeout| Switchover::TIMEOUT.contains(timeout))
                    .ok_or_else(|| Problem::bad("`timeout` is a duration from 1s to 1h, such as 10s"))
            });
            let timeout = timeout.transpose()?;
            let text = format!("SWITCHOVER{}{}", wish(&to), ending(force));
            (Command::Switchover { to, timeout, force }, text)
        }
        Action::Failover => {
            let text = format!("FAILOVER{}{}", wish(&to), ending(force));
            (Command::Failover { to, force }, text)
        }
        Action::Rejoin => {
            let needed = || Problem::bad("`server` is needed");
            let server = call.name("server")?.ok_or_else(needed)?;
            let discard = call.truth("discard")?;
            let text = format!("REJOIN {server}{}", if discard { " DISCARD" } else { "" });
            (Command::Rejoin { server, discard }, text)
        }
        Action::Kill => {
            let (id, query) = (session_id(call)?, call.flag("query")?);
            let text = format!("KILL {}{id}", if query { "QUERY " } else { "" });
            (Command::Kill { id, query }, text)
        }
        Action::FailoverPaused(paused) => {
            let word = if paused { "PAUSE" } else { "RESUME" };
            (Command::FailoverPaused(paused), format!("{word} FAILOVER"))
        }
        Action::ListenerPaused(paused) => {
            let word = if paused { "PAUSE" } else { "RESUME" };
            let text = format!("{word} LISTENER {place}");
            let listener = place;
            (Command::ListenerPaused { listener, paused }, text)
        }
        Action::SaveConfig => (Command::SaveConfig(None), "SAVE CONFIG".to_owned()),
        Action::Reload(what) => (Command::Reload(what), format!("RELOAD {}", what.word())),
        Action::ResetStats => (Command::ResetStats, "RESET STATS".to_owned()),
        _ => return Err(Problem::not_found("there is no such command")),
    })
}

/// Each setting that is given, or none of them.
async fn set_server(state: Arc<State>, call: &Call) -> Result<Json, Problem> {
    let server = call.place("name").to_owned();
    if state.server(&server).is_none() {
        return Err(Problem::not_found(format!("there is no server `{server}`")));
    }
    let mut settings = Vec::new();
    if let Some(weight) = call.count("weight", 0..=MOST_WEIGHT)? {
        settings.push((ServerSetting::Weight(weight), format!("WEIGHT = {weight}")));
    }
    if let Some(word) = call.text("state")? {
        let admin = match word {
            "online" => Admin::Online,
            "drain" => Admin::Drain,
            "maintenance" => Admin::Maintenance,
            _ => return Err(Problem::bad(format!("`state` is one of {}", STATES.join(", ")))),
        };
        settings.push((ServerSetting::State(admin), format!("STATE = {word}")));
    }
    if let Some(most) = call.count("max_connections", 1..=MOST_CONNECTIONS)? {
        settings.push((
            ServerSetting::MaxConnections(most),
            format!("MAX_CONNECTIONS = {most}"),
        ));
    }
    if settings.is_empty() {
        return Err(Problem::bad("give `weight`, `state` or `max_connections`"));
    }
    // What is refused comes first, and is written down as any other command; then nothing follows.
    settings.sort_by_key(|(setting, _)| allow(&state, &server, setting).is_ok());
    let mut done = Vec::new();
    for (setting, text) in settings {
        let command = Command::SetServer {
            server: server.clone(),
            setting,
        };
        let text = format!("SET SERVER {server} {text}");
        if let Reply::Done(text) = act(&state, call, command, text).await? {
            done.push(text);
        }
    }
    Ok(json!({ "done": done.join("; ") }))
}

async fn check(state: &State, call: &Call) -> Result<Json, Problem> {
    let to = call
        .parameter("to")
        .filter(|to| !to.is_empty())
        .map(str::to_owned);
    match look(state, &who(call), Command::PromoteCheck(to)).await? {
        Reply::Rows(answer) => Ok(json!({ "steps": rows(&answer) })),
        Reply::Done(text) => Ok(json!({ "done": text })),
    }
}

async fn explain(state: &State, call: &Call) -> Result<Json, Problem> {
    let needed = || Problem::bad("`statement` is needed");
    let statement = call.text("statement")?.ok_or_else(needed)?.to_owned();
    let who = Who {
        schema: call.text("schema")?.map(str::to_owned),
        ..who(call)
    };
    look(state, &who, Command::ExplainRoute(statement))
        .await
        .map(reply)
        .map_err(Problem::from)
}
