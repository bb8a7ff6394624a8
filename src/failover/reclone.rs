//! A server made anew by the operator's own program, where no SQL can copy data: MariaDB has none for it, and a proxy
//! that is on another machine than the servers cannot run its backup program itself. The program stops the server,
//! puts a copy of another one in its place, starts it, and says at which position the copy is.

use std::sync::atomic::Ordering;

use serde::Serialize;
use tokio::time::Instant;
use tracing::info;

use super::course::Course;
use super::discard::RESTART;
use super::hooks;
use super::rejoin::Rejoin;
use super::surplus::surplus;
use crate::config::{Address, Hook, Login};
use crate::gtid::Position;
use crate::topology::{Admin, Lag, ThreadState};

/// What the program is told: as JSON, and but for the braces in its environment. The password is in the environment
/// alone.
#[derive(Debug, Serialize)]
struct Order {
    hook: &'static str,
    kind: &'static str,
    target: String,
    target_host: String,
    target_port: String,
    /// Empty where the server does not say.
    target_datadir: String,
    donor: String,
    donor_host: String,
    donor_port: String,
    donor_datadir: String,
    user: String,
    epoch: u64,
}

/// The line in which it says the position of the copy.
const POSITION: &str = "gtid=";

// === impl Order ===

impl Order {
    fn environment(&self, login: &Login) -> Vec<(&'static str, String)> {
        let password = login.password.expose_text().unwrap_or_default();
        vec![
            ("SPLITRAIL_HOOK", self.hook.to_owned()),
            ("SPLITRAIL_KIND", self.kind.to_owned()),
            ("SPLITRAIL_TARGET", self.target.clone()),
            ("SPLITRAIL_TARGET_HOST", self.target_host.clone()),
            ("SPLITRAIL_TARGET_PORT", self.target_port.clone()),
            ("SPLITRAIL_TARGET_DATADIR", self.target_datadir.clone()),
            ("SPLITRAIL_DONOR", self.donor.clone()),
            ("SPLITRAIL_DONOR_HOST", self.donor_host.clone()),
            ("SPLITRAIL_DONOR_PORT", self.donor_port.clone()),
            ("SPLITRAIL_DONOR_DATADIR", self.donor_datadir.clone()),
            ("SPLITRAIL_USER", self.user.clone()),
            ("SPLITRAIL_PASSWORD", password.to_owned()),
            ("SPLITRAIL_EPOCH", self.epoch.to_string()),
        ]
    }
}

// === impl Rejoin ===

impl Rejoin {
    /// The program's copy takes the place of what the server has, and its position is where the server goes on from.
    pub(super) async fn reclone(&mut self, hook: &Hook, course: &Course) -> Result<(), String> {
        let name = self.scene.members[self.server].name.clone();
        let donor = self.donor();
        let donor_name = self.scene.members[donor].name.clone();
        let began = Instant::now();
        info!(
            server = &*name,
            donor = &*donor_name,
            "its data are copied by the program of `failover.reclone`"
        );
        let copied = self.copy_by_program(hook, donor).await;
        let text = format!("{name} is made anew from {donor_name}'s data");
        let error = copied.as_ref().err().cloned();
        course.steps.note(Some(&name), text, began, error);
        let position = copied?;

        let waited = Instant::now();
        let back = self.wait_until_it_restarts(began, RESTART).await;
        let error = back.clone().err();
        course
            .steps
            .note(Some(&name), format!("{name} is back"), waited, error);
        back?;
        let own = self.scene.members[self.server].executed();
        let left = surplus(&own, &self.scene.members[self.primary].executed(), &self.reigns);
        if !left.is_empty() {
            return Err(format!(
                "{name} has come back with its old data, or its old binary log: {left}"
            ));
        }
        if self.is_mariadb() {
            self.begin_at(&position, course).await?;
        }
        self.shared.counters.reclones.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn copy_by_program(&self, hook: &Hook, donor: usize) -> Result<Position, String> {
        let login = self.login().ok_or("there is no account to copy with")?;
        let order = self.order(donor, &login.user).await?;
        let input = serde_json::to_vec(&order).unwrap_or_default();
        let said = hooks::ask(hook, order.environment(login), &input).await?;
        let line = said
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_prefix(POSITION));
        let position = Position::parse(self.is_mariadb(), line.unwrap_or_default().as_bytes());
        match position {
            Ok(position) if !position.is_empty() => Ok(position),
            _ => Err(format!(
                "the program did not say where the copy is: a line `{POSITION}`, and the position"
            )),
        }
    }

    async fn order(&self, donor: usize, user: &str) -> Result<Order, String> {
        let place = |server: usize| match &self.scene.members[server].address {
            Address::Tcp { host, port } => Ok((host.clone(), port.to_string())),
            Address::Unix(_) => Err(format!("{} has no address but a socket", self.scene.name(server))),
        };
        let (target, from) = (place(self.server)?, place(donor)?);
        Ok(Order {
            hook: "reclone",
            kind: "rejoin",
            target: self.scene.name(self.server).to_owned(),
            target_host: target.0,
            target_port: target.1,
            target_datadir: self.datadir(self.server).await,
            donor: self.scene.name(donor).to_owned(),
            donor_host: from.0,
            donor_port: from.1,
            donor_datadir: self.datadir(donor).await,
            user: user.to_owned(),
            epoch: self.scene.epoch,
        })
    }

    async fn datadir(&self, server: usize) -> String {
        let rows = self.fleet.control(server).run("SELECT @@datadir").await;
        let row = rows.ok().and_then(|sets| sets.into_iter().flatten().next());
        let text = row.and_then(|row| row.get_opt::<String, _>(0)?.ok());
        text.unwrap_or_default()
    }

    /// Who is copied: a replica that keeps up, so that the primary has no work with it; else the primary.
    fn donor(&self) -> usize {
        let fit = self.scene.others().filter_map(|(index, member)| {
            let running = self.scene.channel(index, self.primary).is_some_and(|channel| {
                (channel.io.state, channel.sql.state) == (ThreadState::Running, ThreadState::Running)
            });
            let is_well = running && member.is_answering() && member.quarantined.is_none();
            let lag = match member.status.as_deref()?.lag {
                Lag::Known(lag) => lag,
                _ => return None,
            };
            (index != self.server && is_well && member.admin == Admin::Online).then_some((lag, index))
        });
        fit.min().map_or(self.primary, |(_, index)| index)
    }

    /// What replicas of MariaDB go on from is a setting of theirs, which a copy does not have right.
    async fn begin_at(&self, position: &Position, course: &Course) -> Result<(), String> {
        let name = self.scene.members[self.server].name.clone();
        let began = Instant::now();
        let sql = format!("SET GLOBAL gtid_slave_pos = '{position}'");
        let done = self.fleet.control(self.server).run(&sql).await;
        let error = done.err().map(|trouble| trouble.to_string());
        let text = format!("{name} goes on from {position}");
        course.steps.note(Some(&name), text, began, error.clone());
        error.map_or(Ok(()), Err)
    }
}
