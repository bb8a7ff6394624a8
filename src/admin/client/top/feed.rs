//! Asks the proxy, on a connection of its own that is opened again when it is lost, while the keys are free.

use std::time::Duration;

use mysql_async::OptsBuilder;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::sample::{MOST_DIGESTS, MOST_SESSIONS, Sample};
use crate::admin::client::connection::{ClientError, Connection, Rows};
use crate::admin::client::status::item;

/// What is wanted of the proxy.
#[derive(Debug)]
pub enum Wish {
    Look,
    Run(String),
}

#[derive(Debug)]
pub enum News {
    Seen(Box<Sample>),
    /// What a command was answered with, or why it was refused.
    Told(Result<String, String>),
    /// Nobody can be asked.
    Lost(String),
}

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until nobody wishes anything any more.
pub async fn feed(
    options: OptsBuilder,
    mut connection: Option<Connection>,
    mut wishes: mpsc::Receiver<Wish>,
    news: mpsc::Sender<News>,
) {
    while let Some(wish) = wishes.recv().await {
        let served = serve(&options, &mut connection, wish).await;
        let told = served.unwrap_or_else(|error| match error {
            ClientError::Refused { .. } => News::Told(Err(error.to_string())),
            ClientError::Unreachable(why) => {
                connection = None;
                News::Lost(why)
            }
        });
        if news.send(told).await.is_err() {
            return;
        }
    }
}

async fn serve(
    options: &OptsBuilder,
    connection: &mut Option<Connection>,
    wish: Wish,
) -> Result<News, ClientError> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(Connection::open(options.clone()).await?),
    };
    let answer = async {
        match wish {
            Wish::Look => look(connection).await.map(|sample| News::Seen(Box::new(sample))),
            Wish::Run(command) => connection
                .ask(&command)
                .await
                .map(|rows| News::Told(Ok(rows.info))),
        }
    };
    let silent = || ClientError::Unreachable("the admin port does not answer".to_owned());
    timeout(PATIENCE, answer).await.map_err(|_| silent())?
}

/// All tables of one moment, nearly.
pub async fn look(connection: &mut Connection) -> Result<Sample, ClientError> {
    let version = connection.ask("SHOW VERSION").await?;
    let clients: usize = item(&version, "clients").parse().unwrap_or(0);
    Ok(Sample {
        analysis: connection.ask("SHOW FAILOVER ANALYSIS").await?,
        servers: connection.ask("SHOW SERVERS").await?,
        digests: connection
            .ask(&format!("SHOW DIGESTS LIMIT {MOST_DIGESTS}"))
            .await?,
        sessions: sessions(connection, clients).await?,
        version,
        at: Instant::now(),
    })
}

async fn sessions(connection: &mut Connection, clients: usize) -> Result<Rows, ClientError> {
    let busy = match clients > MOST_SESSIONS {
        true => "WHERE state != 'idle' ",
        false => "",
    };
    connection
        .ask(&format!("SHOW SESSIONS {busy}LIMIT {MOST_SESSIONS}"))
        .await
}
