//! KILL and KILL QUERY: a session, or what it runs, wherever it runs that.

use std::sync::Arc;

use mysql_async::prelude::Queryable;

use super::reply::{Reply, Wrong};
use crate::accounts::Source;
use crate::admin::State;
use crate::frontend::registry::{Aim, Entry};
use crate::net::Interrupt;

pub async fn kill(state: &State, id: u32, query: bool) -> Result<Reply, Wrong> {
    let entry = state.shared.registry.get(id).ok_or(Wrong::NoSession(id))?;
    if query {
        return kill_query(state, id, &entry).await;
    }
    // Before its connection is looked for: what it begins from now on, it does not send.
    entry.kill();
    let stopped = kill_query(state, id, &entry).await;
    state.shared.interrupt(entry.worker, id, Interrupt::Kill);
    Ok(Reply::Done(match stopped {
        Err(why) => format!("session {id} ends; what it runs on the server may go on: {why}"),
        Ok(_) => format!("session {id} ends"),
    }))
}

async fn kill_query(state: &State, id: u32, entry: &Arc<Entry>) -> Result<Reply, Wrong> {
    if entry.is_idle() {
        return Ok(Reply::Done(format!("session {id} runs nothing")));
    }
    entry.cancel();
    state.shared.cancel(entry.worker, id);
    let aim = Aim::at(entry.clone());
    let Some((index, thread)) = aim.place else {
        return Ok(Reply::Done(format!("what session {id} waits for ends")));
    };
    let settings = state.shared.settings();
    let config = &settings.config;
    let Some(server) = config.servers.get(index) else {
        return Err(Wrong::NoSession(id));
    };
    let mut source = Source::of(config, server);
    if let Some(login) = &config.failover.login {
        // The account that changes servers may most.
        source = source.with_login(login);
    }
    let kill = async {
        let mut connection = source.connect().await?;
        connection.query_drop(format!("KILL QUERY {thread}")).await?;
        connection.disconnect().await
    };
    match tokio::time::timeout(config.failover.step_timeout, kill).await {
        Ok(Ok(())) => Ok(Reply::Done(format!(
            "what session {id} ran on {} ends",
            server.name
        ))),
        Ok(Err(error)) => Err(Wrong::Refused(format!("{}: {error}", server.name))),
        Err(_) => Err(Wrong::Refused(format!("{} does not answer", server.name))),
    }
}
