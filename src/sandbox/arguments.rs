//! The options with which a sandbox's servers run: replication as a careful operator would set it up, memory and
//! flushing as suits a laptop. What the caller adds comes last and wins.

use std::path::Path;

use super::certificates::Certificates;
use super::{Flavour, Installation, Role};

/// Everything about one server that its options depend on.
pub struct Plan<'a> {
    pub installation: &'a Installation,
    pub id: usize,
    pub role: Role,
    pub port: u16,
    pub socket: &'a Path,
    pub datadir: &'a Path,
    pub log: &'a Path,
    pub pid_file: &'a Path,
    /// Its own: a MariaDB that starts deletes the temporary tables in it, whose ever they are.
    pub temporary: &'a Path,
    /// None while a data directory is only being prepared: no binary log then, so no GTID either.
    pub certificates: Option<&'a Certificates>,
    /// Whether a commit waits until a replica has it. Without replicas it would wait for nobody.
    pub semi_sync: bool,
    pub extra: &'a [String],
}

// === impl Plan ===

impl Plan<'_> {
    pub fn arguments(&self) -> Vec<String> {
        let mut all = self.installation.first_options.clone();
        all.extend(running_user());
        all.extend(self.places());
        all.extend(COMMON.map(str::to_owned));
        match self.installation.flavour {
            Flavour::MySql => all.extend(self.mysql()),
            Flavour::MariaDb => all.extend(self.mariadb()),
        }
        if self.role == Role::Replica {
            all.push("--read-only=1".to_owned());
        }
        all.extend(
            self.extra
                .iter()
                .map(|option| format!("--{}", option.trim_start_matches("--"))),
        );
        all
    }

    fn places(&self) -> Vec<String> {
        let mut places = vec![
            format!("--datadir={}", self.datadir.display()),
            format!("--socket={}", self.socket.display()),
            format!("--pid-file={}", self.pid_file.display()),
            format!("--log-error={}", self.log.display()),
            format!("--tmpdir={}", self.temporary.display()),
            format!("--port={}", self.port),
            format!("--server-id={}", self.id),
            format!("--report-port={}", self.port),
        ];
        if let Some(certificates) = self.certificates {
            places.push(format!("--ssl-ca={}", certificates.authority().display()));
            places.push(format!(
                "--ssl-cert={}",
                certificates.server_certificate().display()
            ));
            places.push(format!("--ssl-key={}", certificates.server_key().display()));
        }
        places
    }

    fn mysql(&self) -> Vec<String> {
        let mut options: Vec<String> = MYSQL.map(str::to_owned).into();
        if self.certificates.is_none() {
            options.push("--skip-log-bin".to_owned());
            return options;
        }
        options.push("--log-bin=binlog".to_owned());
        options.push(format!(
            "--rpl-semi-sync-source-enabled={}",
            u8::from(self.semi_sync)
        ));
        options.push("--rpl-semi-sync-replica-enabled=1".to_owned());
        if self.role == Role::Replica {
            options.push("--super-read-only=1".to_owned());
        }
        options
    }

    fn mariadb(&self) -> Vec<String> {
        let mut options: Vec<String> = MARIADB.map(str::to_owned).into();
        if self.certificates.is_none() {
            return options;
        }
        options.push("--log-bin=binlog".to_owned());
        options.push(format!(
            "--rpl-semi-sync-master-enabled={}",
            u8::from(self.semi_sync)
        ));
        options.push("--rpl-semi-sync-slave-enabled=1".to_owned());
        options
    }
}

const COMMON: [&str; 14] = [
    "--bind-address=127.0.0.1",
    "--report-host=127.0.0.1",
    "--skip-name-resolve",
    "--local-infile=1",
    "--max-connections=500",
    "--max-allowed-packet=256M",
    "--sync-binlog=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-buffer-size=2M",
    "--key-buffer-size=1M",
    "--table-open-cache=400",
    "--table-definition-cache=400",
    "--character-set-server=utf8mb4",
];

const MYSQL: [&str; 23] = [
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--log-replica-updates=ON",
    "--skip-replica-start=ON",
    "--plugin-load-add=semisync_source.so",
    "--plugin-load-add=semisync_replica.so",
    // A server that has what its primary lacks is made anew with it.
    "--plugin-load-add=mysql_clone.so",
    // Versions before 9 still have the old plugin, switched off; version 9 has none and ignores the option.
    "--loose-mysql-native-password=ON",
    "--mysqlx=OFF",
    "--secure-file-priv=",
    "--loose-innodb-redo-log-capacity=64M",
    // The kernel has room for the asynchronous requests of 28 servers with the usual four of each, and a machine with
    // many cores tests more at once. Without native requests a start hung once.
    "--innodb-read-io-threads=1",
    "--innodb-write-io-threads=1",
    "--performance-schema=ON",
    "--performance-schema-instrument=memory/%=OFF",
    "--performance-schema-digests-size=1000",
    "--performance-schema-max-table-instances=500",
    "--performance-schema-error-size=0",
    "--performance-schema-events-statements-history-long-size=0",
    "--performance-schema-events-transactions-history-long-size=0",
    "--performance-schema-accounts-size=40",
    "--performance-schema-hosts-size=40",
    "--performance-schema-users-size=40",
];

const MARIADB: [&str; 6] = [
    "--binlog-format=ROW",
    "--gtid-strict-mode=1",
    "--log-slave-updates=1",
    "--skip-slave-start=1",
    "--innodb-log-file-size=32M",
    "--plugin-load-add=auth_ed25519",
];

/// Servers refuse to run as root unless told so.
pub fn running_user() -> Option<String> {
    rustix::process::geteuid()
        .is_root()
        .then(|| "--user=root".to_owned())
}
