//! The command line. All else is in the library.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use splitrail::admin::client;
use splitrail::config::{self, Config, Written};
use splitrail::{app, draft, sandbox};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A read/write-splitting proxy for MySQL and MariaDB
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Run(Run),
    /// Write a first configuration: the servers that replication leads to from one of them
    Init(draft::init::Options),
    /// Make a configuration of a proxysql.cnf or a maxscale.cnf
    Convert(draft::convert::Options),
    /// Report every problem of a configuration, and exit with 2 if there is one
    Check(File),
    /// Ask or steer a running proxy: `splitrail ctl show servers`, `splitrail ctl help`
    Ctl(client::Ctl),
    /// One screen: servers, lag, connections and the latest events of a running proxy
    Status(client::Status),
    /// Watch servers, sessions and statements of a running proxy live, in a terminal
    Top(client::Top),
    /// Print or run the SQL that makes the schema and the accounts which the proxy needs on the servers
    Setup(app::setup::Options),
    /// Print the JSON schema of the configuration, for editors that complete and check it
    Schema,
    /// Print what a shell completes the command line with
    Completions(app::pages::Completions),
    /// Print a page of the manual: splitrail's, or a subcommand's
    Man(app::pages::Manual),
    /// Start real servers with a proxy before them, to try things out
    Sandbox(sandbox::Options),
}

#[derive(Debug, clap::Args)]
struct Run {
    #[command(flatten)]
    file: File,
    /// Take the listeners over from the process that runs with this configuration, which then ends
    #[arg(long)]
    takeover: bool,
}

#[derive(Debug, clap::Args)]
struct File {
    /// The configuration
    #[arg(short, long, default_value = "proxy.yaml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    match obey(Arguments::parse().command) {
        Ok(code) => code,
        // Whoever read the output has seen enough: `splitrail schema | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "splitrail: {}", in_full(&error));
            ExitCode::FAILURE
        }
    }
}

/// With its causes, unless they are told already.
fn in_full(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |mut told, cause| {
        let cause = cause.to_string();
        if !told.contains(&cause) {
            told += if told.is_empty() { "" } else { ": " };
            told += &cause;
        }
        told
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(options) => run(&options.file, options.takeover),
        Command::Check(file) => Ok(ExitCode::from(config::check_command(
            &file.config,
            &mut std::io::stderr(),
        )?)),
        Command::Init(options) => draft::init::init(&options).map(|()| ExitCode::SUCCESS),
        Command::Convert(options) => draft::convert::convert(&options).map(|()| ExitCode::SUCCESS),
        Command::Ctl(options) => {
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            let done = runtime()?.block_on(client::ctl(&options, &mut out, &mut err));
            Ok(ExitCode::from(done?))
        }
        Command::Status(options) => {
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            let done = runtime()?.block_on(client::status(&options, &mut out, &mut err));
            Ok(ExitCode::from(done?))
        }
        Command::Top(options) => {
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            let done = runtime()?.block_on(client::top(&options, &mut out, &mut err));
            Ok(ExitCode::from(done?))
        }
        Command::Setup(options) => match load(&options.config)? {
            Some((config, _)) => app::setup::setup(&config, &options).map(|()| ExitCode::SUCCESS),
            None => Ok(ExitCode::from(2)),
        },
        Command::Schema => {
            use std::io::Write;
            writeln!(std::io::stdout(), "{:#}", config::schema())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions(options) => {
            app::pages::completions(&options, Arguments::command(), &mut std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(options) => manual(&options),
        Command::Sandbox(options) => {
            runtime()?.block_on(sandbox::run(options))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn manual(options: &app::pages::Manual) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    match app::pages::manual(options, Arguments::command(), &mut std::io::stdout())? {
        None => Ok(ExitCode::SUCCESS),
        Some(names) => {
            writeln!(std::io::stderr(), "splitrail: there are {}", names.join(", "))?;
            Ok(ExitCode::from(2))
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("starting the runtime")
}

/// `None`: what is wrong with it has been told.
fn load(path: &Path) -> anyhow::Result<Option<(Config, Written)>> {
    let read = Written::read(path).and_then(|written| Ok((Config::of(&written)?, written)));
    match read {
        Ok(read) => Ok(Some(read)),
        Err(problems) => {
            use std::io::Write;
            writeln!(std::io::stderr(), "{problems}")?;
            Ok(None)
        }
    }
}

fn run(file: &File, takeover: bool) -> anyhow::Result<ExitCode> {
    let Some((config, written)) = load(&file.config)? else {
        return Ok(ExitCode::from(2));
    };
    app::logging::start(&config.log);
    for warning in config.warnings(&file.config) {
        tracing::warn!("{warning}");
    }
    app::run(config, (written, &file.config), takeover)?;
    Ok(ExitCode::SUCCESS)
}
