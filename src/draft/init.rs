//! `splitrail init`: a first configuration from one server's address, with the servers that replication leads to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::document::{Document, Item};
use super::look::View;
use super::output;
use super::survey::{Found, Survey};
use crate::accounts::{Flavour, Source};
use crate::config::{Config, Login};
use crate::util::Secret;

#[derive(Debug, Args)]
pub struct Options {
    /// A server, `host:port`: any of the primary and its replicas; again for those that are not found
    #[arg(long, required = true, value_name = "ADDRESS")]
    server: Vec<String>,
    /// An account that may see replication on all of them (REPLICATION CLIENT, REPLICATION SLAVE, PROCESS)
    #[arg(long)]
    user: String,
    /// The environment variable that has its password
    #[arg(long, value_name = "NAME", default_value = "SPLITRAIL_INIT_PASSWORD")]
    password_variable: String,
    /// TLS towards the servers
    #[arg(long, default_value = "prefer", value_parser = ["off", "prefer", "require"])]
    tls: String,
    /// Where clients will connect
    #[arg(long, default_value = "127.0.0.1:6033", value_name = "ADDRESS")]
    listen: String,
    /// The file to write; - for standard output
    #[arg(short, long, default_value = "proxy.yaml")]
    output: PathBuf,
    /// Write over a file that exists
    #[arg(long)]
    force: bool,
    /// Seconds that one server may take to answer
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

/// Who connects, and how.
struct Door<'a> {
    login: Login,
    tls: &'a str,
    limit: Duration,
}

/// The variable that the proxy's own password is to come from.
const PASSWORD: &str = "SPLITRAIL_PASSWORD";

/// Surveys, writes, and says what to do next.
pub fn init(options: &Options) -> anyhow::Result<()> {
    if options.output != Path::new("-") && options.output.exists() && !options.force {
        bail!(
            "{} exists already: --force writes over it, --output names another file",
            options.output.display()
        );
    }
    let Ok(password) = std::env::var(&options.password_variable) else {
        bail!(
            "the password of `{}` is not known: put it into the environment variable {}",
            options.user,
            options.password_variable
        );
    };
    let door = Door {
        login: Login {
            user: options.user.clone(),
            password: Secret::from(password.as_str()),
        },
        tls: &options.tls,
        limit: Duration::from_secs(options.timeout),
    };
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let survey = runtime.block_on(Survey::from(&options.server, async |address| {
        door.look(address).await
    }));
    if survey.servers.is_empty() {
        let reasons = survey.unreachable.iter();
        let reasons: Vec<_> = reasons
            .map(|(address, why)| format!("{address}: {why}"))
            .collect();
        bail!("no server could be asked\n  {}", reasons.join("\n  "));
    }
    let text = draft(&survey, options)?;
    output::write(&options.output, &text, options.force, false)?;
    Ok(tell(&survey, options)?)
}

// === impl Door ===

impl Door<'_> {
    async fn look(&self, address: &str) -> Result<View, String> {
        let source = self.source(address)?;
        let looked = timeout(self.limit, async {
            let mut conn = source.connect().await?;
            let view = View::of(&mut conn).await;
            let _ = conn.disconnect().await;
            view
        });
        match looked.await {
            Ok(viewed) => viewed.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer in {} s", self.limit.as_secs())),
        }
    }

    /// By way of a configuration, so that addresses and TLS mean what they will mean later.
    fn source(&self, address: &str) -> Result<Source, String> {
        // The listener must not be where a server is.
        let config = json!({
            "servers": [address],
            "listeners": ["unix:/splitrail-init"],
            "tls": {"server": self.tls},
        });
        let read = Config::parse(&config.to_string(), Path::new("--server"));
        let config = read.map_err(|problems| problems.0[0].message.clone())?;
        Ok(Source::of(&config, &config.servers[0]).with_login(&self.login))
    }
}

// === the file ===

fn draft(survey: &Survey, options: &Options) -> anyhow::Result<String> {
    let mut document = Document::default();
    document.comment("Written by `splitrail init` from what the servers say of their replication.");
    document.comment("docs/reference.md has every setting; those that are not here have their defaults.");
    document
        .comment("`splitrail schema > splitrail.schema.json` lets an editor complete and check this file.");
    document.gap();
    document.comment("Where clients connect: writes go to the primary, reads to replicas.");
    document.setting("listeners", &[&options.listen])?;
    document.gap();
    document.list("servers", &servers(survey))?;
    for (address, why) in &survey.unreachable {
        document.list_comment(&format!("- address: {address}   # not reached: {why}"));
    }
    for warning in &survey.warnings {
        document.comment(&format!("Look here: {warning}"));
    }
    document.gap();
    document.comment("Clients log in with the servers' own accounts.");
    document.setting("accounts", &"backend")?;
    document.gap();
    document.comment(
        "The proxy's own account; `splitrail setup` makes it. The password comes from the environment.",
    );
    let mut login = serde_yaml::Mapping::new();
    login.insert("user".into(), "splitrail".into());
    login.insert("password".into(), format!("${{{PASSWORD}}}").into());
    document.setting("monitor", &login)?;
    if options.tls != "prefer" {
        document.gap();
        document.setting("tls", &json!({"server": options.tls}))?;
    }
    document.gap();
    document.comment(
        "When the primary dies: automatic promotes a replica, manual waits for a command, off does nothing.",
    );
    document.setting("failover", &json!({"mode": "automatic"}))?;
    document.gap();
    document.comment(
        "`splitrail status`, `top` and `ctl` log in with this; so does any MySQL client, at port 6032.",
    );
    let password = format!("${{{PASSWORD}}}");
    let user = json!({"name": "ops", "password": password, "role": "operate"});
    document.setting("admin", &json!({"users": [user]}))?;
    Ok(document.finish())
}

/// The primary first.
fn servers(survey: &Survey) -> Vec<Item<Value>> {
    let primary = survey.primary();
    let mut places: Vec<_> = (0..survey.servers.len()).collect();
    places.sort_by_key(|place| Some(*place) != primary);
    let item = |place: usize| {
        let Found { address, view } = &survey.servers[place];
        let mut server = Map::new();
        server.insert("address".to_owned(), address.as_str().into());
        if Some(place) == primary {
            server.insert("role".to_owned(), "primary".into());
        }
        let follows = match view.sources.as_slice() {
            [] => "follows nobody".to_owned(),
            sources => format!("follows {}", sources.join(", ")),
        };
        Item {
            comments: vec![format!("{} {}, {follows}", name(view.flavour), view.version)],
            value: Value::Object(server),
        }
    };
    places.into_iter().map(item).collect()
}

fn name(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => "MySQL",
        Flavour::MariaDb => "MariaDB",
    }
}

fn tell(survey: &Survey, options: &Options) -> io::Result<()> {
    // Beside the file where that goes to standard output.
    let mut out = io::stderr().lock();
    let file = options.output.display();
    let count = survey.servers.len();
    let noun = if count == 1 { "server" } else { "servers" };
    writeln!(out, "{file}: {count} {noun}")?;
    for (address, why) in &survey.unreachable {
        writeln!(out, "warning: {address} was not reached: {why}")?;
    }
    for warning in &survey.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "\nNext:")?;
    let user = &options.user;
    let steps = [
        (
            format!("export {PASSWORD}=..."),
            "a password for the proxy's own account",
        ),
        (
            format!("export {}=...", "SPLITRAIL_SETUP_PASSWORD"),
            "the password of the account that may make it",
        ),
        (
            format!("splitrail setup -c {file} --apply --user {user}"),
            "makes it on the primary",
        ),
        (
            format!("splitrail check -c {file}"),
            "tells every problem of the file",
        ),
        (format!("splitrail run -c {file}"), "runs the proxy"),
    ];
    for (step, why) in steps {
        writeln!(out, "  {step:<56} # {why}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_as_in_the_file() {
        let door = Door {
            login: Login {
                user: "root".to_owned(),
                password: "".into(),
            },
            tls: "off",
            limit: Duration::from_secs(1),
        };
        assert!(door.source("db1").is_ok());
        assert!(door.source("db1: [x").unwrap_err().contains("is not an address"));
    }
}
