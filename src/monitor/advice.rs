//! What to do about an account that may not see enough: the statement to run, ready to be copied.

/// What an account lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    Replication,
    Applier,
    Functions,
}

// === impl Lack ===

impl Lack {
    /// What is not known without it.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Replication => "replication cannot be seen, so lag is unknown",
            Self::Applier => "lag is known in whole seconds only",
            Self::Functions => {
                "stored functions cannot be seen, so statements that call one go to the primary"
            }
        }
    }

    /// `user` as CURRENT_USER() has it.
    pub(super) fn grant(self, mariadb: bool, user: &str) -> String {
        let privilege = match (self, mariadb) {
            (Self::Replication, false) => "REPLICATION CLIENT ON *.*",
            (Self::Replication, true) => "SLAVE MONITOR ON *.*",
            (Self::Applier, _) => "SELECT ON performance_schema.*",
            (Self::Functions, false) => "SHOW_ROUTINE ON *.*",
            (Self::Functions, true) => "SELECT ON mysql.proc",
        };
        let quoted = |name: &str| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "''"));
        let (name, host) = user.rsplit_once('@').unwrap_or((user, "%"));
        format!("GRANT {privilege} TO {}@{}", quoted(name), quoted(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_can_be_copied() {
        let grant = Lack::Replication.grant(false, "mon@10.0.%");
        assert_eq!(grant, "GRANT REPLICATION CLIENT ON *.* TO 'mon'@'10.0.%'");
        let grant = Lack::Functions.grant(true, "o'n@me@%");
        assert_eq!(grant, "GRANT SELECT ON mysql.proc TO 'o''n@me'@'%'");
    }
}
