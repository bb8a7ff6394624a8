//! A server of a sandbox made anew from another one's data, as `REJOIN .. DISCARD` wants it: by the same program as on
//! real machines. What systemd is there are two files here: one asks that a server be held, one says that it is.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{Cluster, Error, Flavour, Installation, Server};

const PROGRAM: &str = include_str!("../../deploy/reclone/mariadb");

/// MariaDB's own backup, and what unpacks its streams.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    program: PathBuf,
    unpack: PathBuf,
}

// === impl Backup ===

impl Backup {
    pub(super) fn find(installation: &Installation) -> Option<Self> {
        (installation.flavour == Flavour::MariaDb).then_some(())?;
        Some(Self {
            program: installation.companion("mariadb-backup")?,
            unpack: installation.companion("mbstream")?,
        })
    }
}

// === impl Cluster ===

impl Cluster {
    /// What `failover.reclone.command` has to be; None where nothing is to be run, or nothing could be. Whoever uses
    /// it calls [`attend`](Cluster::attend) now and then.
    pub fn reclone(&self) -> Result<Option<Vec<String>>, Error> {
        let Some(Backup { program, unpack }) = &self.backup else {
            return Ok(None);
        };
        let folder = self.folder().display();
        let (program, unpack) = (program.display(), unpack.display());
        let settings = format!(
            "RECLONE_DONOR_SHELL='sh -c'\nRECLONE_TARGET_SHELL='sh -c'\nRECLONE_BACKUP='{program}'\n\
             RECLONE_MBSTREAM='{unpack}'\nserver='{folder}'/$SPLITRAIL_TARGET\n\
             RECLONE_STOP=\"touch '$server.hold'; until test -e '$server.held'; do sleep 0.1; done\"\n\
             RECLONE_START=\"rm '$server.hold'; while test -e '$server.held'; do sleep 0.1; done\"\n"
        );
        let (script, conf) = (self.folder().join("reclone"), self.folder().join("reclone.conf"));
        std::fs::write(&conf, settings).map_err(Error::path("write", &conf))?;
        std::fs::write(&script, PROGRAM).map_err(Error::path("write", &script))?;
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&script, mode).map_err(Error::path("write", &script))?;
        let conf = format!("RECLONE_CONF={}", conf.display());
        Ok(Some(vec![
            "/usr/bin/env".to_owned(),
            conf,
            script.display().to_string(),
        ]))
    }

    /// Stops servers that are to be held, and starts those that are no longer: answers which.
    pub async fn attend(&self) -> Result<Vec<&Server>, Error> {
        let mut started = Vec::new();
        for server in self.servers() {
            let held = self.mark(server, "held");
            match (self.is_held(server), held.exists()) {
                (true, false) => {
                    server.stop().await?;
                    std::fs::write(&held, "").map_err(Error::path("write", &held))?;
                }
                (false, true) => {
                    server.revive()?;
                    std::fs::remove_file(&held).map_err(Error::path("remove", &held))?;
                    started.push(server);
                }
                _ => {}
            }
        }
        Ok(started)
    }

    /// Whether somebody is at a server's data.
    pub(super) fn is_held(&self, server: &Server) -> bool {
        self.mark(server, "hold").exists()
    }

    fn mark(&self, server: &Server, kind: &str) -> PathBuf {
        self.folder().join(format!("{}.{kind}", server.name))
    }
}
