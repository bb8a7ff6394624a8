//! `splitrail ctl`: one command of the admin port, for people and scripts.

use std::io::Write;

use super::connection::{ClientError, Rows, Target};
use super::format;
use super::{REFUSED, UNREACHABLE};

/// Run one command of the admin port: `splitrail ctl show servers`
#[derive(Debug, Clone, clap::Args)]
pub struct Ctl {
    #[command(flatten)]
    target: Target,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The command; `help` lists all of them
    #[arg(required = true)]
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// The exit code: 0 for done, else [`REFUSED`] or [`UNREACHABLE`].
pub async fn ctl(options: &Ctl, out: &mut impl Write, err: &mut impl Write) -> std::io::Result<u8> {
    match ask(options).await {
        Ok(rows) => {
            let text = match options.format {
                Format::Table if rows.columns.is_empty() => rows.info + "\n",
                Format::Table => format::table(&rows),
                Format::Json => format::json(&rows),
                Format::Csv => format::csv(&rows),
            };
            out.write_all(text.as_bytes())?;
            Ok(0)
        }
        Err(error) => {
            writeln!(err, "splitrail: {error}")?;
            Ok(match error {
                ClientError::Refused { .. } => REFUSED,
                ClientError::Unreachable(_) => UNREACHABLE,
            })
        }
    }
}

async fn ask(options: &Ctl) -> Result<Rows, ClientError> {
    let mut connection = options.target.connect().await?;
    let rows = connection.ask(&options.words.join(" ")).await;
    connection.leave().await;
    rows
}
