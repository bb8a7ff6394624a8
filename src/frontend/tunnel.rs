//! A connection that becomes a stream: what a replica or a change-data-capture tool asks for with BINLOG_DUMP.
//! From the request on, bytes go both ways unseen until one side closes.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use super::client::Client;
use super::outcome::End;
use super::request;
use crate::net::{Interrupt, Link, Signal};

/// One direction: what was read and not yet written lies in the reader's inbox.
fn poll_copy(from: &mut Link, to: &mut Link, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    loop {
        let count = from.inbox.bytes().len();
        let mut rest = from.inbox.bytes();
        let sent = to.poll_send(context, &mut rest);
        let left = rest.len();
        from.inbox.consume(count - left);
        std::task::ready!(sent)?;
        if std::task::ready!(from.poll_fill(context))? == 0 {
            return Poll::Ready(Ok(()));
        }
    }
}

async fn copy_both(client: &mut Link, server: &mut Link, signal: &Signal) -> io::Result<()> {
    poll_fn(|context| {
        signal.listen(context);
        if signal.get().is_some_and(|interrupt| interrupt != Interrupt::Idle) {
            return Poll::Ready(Ok(()));
        }
        match poll_copy(server, client, context) {
            Poll::Pending => poll_copy(client, server, context),
            ended => ended,
        }
    })
    .await
}

// === impl Client ===

impl Client {
    pub async fn tunnel(&mut self) -> Result<(), End> {
        if let Err(error) = self.bind().await {
            self.skip().await?;
            return self.refuse(error).await.map(drop);
        }
        let Some(mut connection) = self.connection.take() else {
            return Err(End::Broken);
        };
        let limit = self.worker.shared.settings().config.limits.max_allowed_packet;
        if request::pass_packet(&mut self.link, &mut connection.link, limit)
            .await
            .is_err()
        {
            return Err(End::Broken);
        }
        match copy_both(&mut self.link, &mut connection.link, &self.signal).await {
            Ok(()) => Err(End::Quit),
            Err(_) => Err(End::Broken),
        }
    }
}
