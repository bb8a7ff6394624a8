//! What a server has of its own is saved to a file and thrown away, so that it can follow the primary again.
//!
//! Its data differ from the primary's by what those transactions did, so that forgetting their numbers would not
//! do: MySQL copies the primary's data over it; MariaDB has nothing of that kind that could be asked for by SQL, and
//! needs a program of the operator's.

use std::time::Duration;

use tokio::time::Instant;

use super::course::Course;
use super::rejoin::Rejoin;
use super::surplus::surplus;
use crate::config::{Address, Login};

/// For copying all data, and for the restart after it.
const CLONE: Duration = Duration::from_secs(6 * 3600);
pub(super) const RESTART: Duration = Duration::from_secs(600);

/// The server copied everything and wants to be restarted by whoever started it; it ends.
const RESTART_IT: u16 = 3707;

// === impl Rejoin ===

impl Rejoin {
    pub(super) async fn discard(&mut self, course: &Course) -> Result<(), String> {
        let name = self.scene.members[self.server].name.clone();
        let began = Instant::now();
        let saved = self.salvage().await;
        let text = match &saved {
            Ok((path, how)) => format!(
                "what {name} has of its own is saved to {} ({how})",
                path.display()
            ),
            Err(_) => format!("what {name} has of its own is saved"),
        };
        course
            .steps
            .note(Some(&name), text, began, saved.as_ref().err().cloned());
        let (path, _) =
            saved.map_err(|error| format!("nothing is thrown away, as it cannot be saved: {error}"))?;
        match self.config.failover.reclone.clone() {
            Some(hook) => self.reclone(&hook, course).await?,
            None if self.is_mariadb() => {
                return Err(format!(
                    "it is saved to {}, but MariaDB cannot be told to copy the primary's data, and there is no \
                     `failover.reclone.command` that does: restore {name} from a copy of the primary \
                     (mariadb-backup), and REJOIN {name}",
                    path.display()
                ));
            }
            None => self.copy_primary(course).await?,
        }
        self.stop_writes(course).await?;
        self.come_behind(course).await?;
        self.has_nothing_left()
    }

    /// As it follows: a copy that was none would show.
    fn has_nothing_left(&mut self) -> Result<(), String> {
        let scene = self.watch.look(&self.topology);
        let own = scene.members[self.server].executed();
        let left = surplus(&own, &scene.members[self.primary].executed(), &self.reigns);
        // The primary may have been asked a moment before its new replica.
        if left.is_empty() || left.minus(&self.extra) == left {
            return Ok(());
        }
        Err(format!("{} still has {left}", scene.name(self.server)))
    }

    pub(super) fn is_mariadb(&self) -> bool {
        let status = self.scene.members[self.server].status.as_deref();
        status.is_some_and(|status| status.mariadb)
    }

    pub(super) fn login(&self) -> Option<&Login> {
        let failover = self.config.failover.login.as_ref();
        failover.or(self.config.monitor.login.as_ref())
    }

    /// MySQL's CLONE: all data and settings of the primary take the place of the server's own.
    async fn copy_primary(&mut self, course: &Course) -> Result<(), String> {
        let name = self.scene.members[self.server].name.clone();
        let Address::Tcp { host, port } = self.scene.members[self.primary].address.clone() else {
            return Err("the primary has no address that another server could copy from".to_owned());
        };
        let login = self.login().ok_or("there is no account to copy with")?;
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let password = login.password.expose_text().unwrap_or_default();
        let clone = format!(
            "CLONE INSTANCE FROM {}@{}:{port} IDENTIFIED BY {}",
            quoted(&login.user),
            quoted(&host),
            quoted(password)
        );
        let donors = quoted(&format!("{host}:{port}"));
        let control = self.fleet.control(self.server);
        let began = Instant::now();
        let copying = began;
        let prepare = format!("SET GLOBAL clone_valid_donor_list = {donors}; SET GLOBAL super_read_only = 0");
        let ready = control.run(&prepare).await;
        let done = match ready {
            Ok(_) => control.run_once(&clone, CLONE).await,
            Err(trouble) => Err(trouble),
        };
        let error = match done {
            Ok(_) => None,
            Err(trouble) if trouble.code() == Some(RESTART_IT) => None,
            // It restarts while it answers.
            Err(super::control::Trouble::Lost(_)) => None,
            Err(trouble) => Some(format!(
                "{trouble} (the plugin `clone` has to be there on both, BACKUP_ADMIN on the primary, CLONE_ADMIN \
                 on {name})"
            )),
        };
        let text = format!("{name} copies the primary's data");
        course.steps.note(Some(&name), text, began, error.clone());
        if let Some(error) = error {
            return Err(error);
        }
        let began = Instant::now();
        let back = self.wait_until_it_restarts(copying, RESTART).await;
        course
            .steps
            .note(Some(&name), format!("{name} is back"), began, back.clone().err());
        back?;
        let own = self.scene.members[self.server].position();
        let left = surplus(&own, &self.scene.members[self.primary].executed(), &self.reigns);
        if own.is_empty() || left == self.extra {
            return Err(format!("{name} has come back with its old data"));
        }
        Ok(())
    }
}
