//! What a server changed without a word: it is asked before its connection goes to others.

use super::client::Client;
use crate::backend::BackendError;
use crate::routing::Place;
use crate::session::Hold;

// === impl Client ===

impl Client {
    /// Asks the server for what it changed without a word, before the connection goes to others.
    pub async fn ask_if_unsure(&mut self) {
        if self.is_visiting() {
            if !self.session.holds.has(Hold::Diagnostics) {
                self.take_reported_home().await;
            }
        } else if self.session.holds.is_empty() {
            // A connection that cannot be asked does not go to others.
            let _ = self.ask_now().await;
        }
    }

    /// The same before another connection takes the place of the one that the session holds.
    pub async fn ask_now(&mut self) -> Result<(), BackendError> {
        self.fetch_reported().await?;
        if !std::mem::take(&mut self.session.is_unsure) {
            return Ok(());
        }
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let sql = b"SET @@SESSION.collation_connection=@@SESSION.collation_connection,\
            @@SESSION.last_insert_id=@@SESSION.last_insert_id";
        // What ROW_COUNT() was is not known here any more.
        connection.sessions.last = u64::MAX;
        if let Err(error) = connection.execute(sql).await {
            self.connection = None;
            return Err(error);
        }
        if let Some(collation) = connection.told.get(b"collation_connection") {
            self.session.set_variable(b"collation_connection", collation);
        }
        let id = connection
            .told
            .get(b"last_insert_id")
            .and_then(|id| std::str::from_utf8(id).ok());
        let Some(id) = id.and_then(|id| id.parse().ok()) else {
            return Ok(());
        };
        // Another session's, if this one never had its own here and has not made one either.
        let left = connection.insert_id.replace(id);
        if left.is_some_and(|left| left == self.session.insert_id || left != id) {
            self.session.insert_id = id;
        }
        Ok(())
    }

    /// Asks for the rows that the statement before counted and did not send, before one that runs elsewhere or that
    /// only a number will answer.
    pub async fn ask_found_rows(&mut self, place: Place) {
        if place == Place::Last || !std::mem::take(&mut self.session.counts_unsent) {
            return;
        }
        if self.has_foreign_results() || self.ask_own_now().await.is_err() {
            return;
        }
        let Some(connection) = &mut self.connection else {
            return;
        };
        // A SELECT would be counted itself, and what a SET changes is told.
        connection.sessions.last = u64::MAX;
        let asked = connection
            .execute(b"SET @@SESSION.last_insert_id=FOUND_ROWS()")
            .await;
        if asked.is_err() {
            self.connection = None;
            return;
        }
        let told = connection.told.get(b"last_insert_id");
        let rows = told.and_then(|told| std::str::from_utf8(told).ok()?.parse().ok());
        connection.insert_id = rows;
        self.session.found_rows = rows.unwrap_or(self.session.found_rows);
    }

    /// As [`ask_now`](Self::ask_now), unless a read elsewhere has the connection at hand.
    pub async fn ask_own_now(&mut self) -> Result<(), BackendError> {
        match self.connection.is_some() && !self.is_visiting() {
            true => self.ask_now().await,
            false => Ok(()),
        }
    }
}
