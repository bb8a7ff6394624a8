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
    let rows = connection.ask(&command(&options.words)).await;
    connection.leave().await;
    rows
}

/// A shell takes quotes away: a pattern gets them back.
fn command(words: &[String]) -> String {
    let mut text = String::new();
    let mut before = "";
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        if before.eq_ignore_ascii_case("like") && !word.starts_with(['\'', '"']) {
            text += &format!("'{}'", word.replace('\\', "\\\\").replace('\'', "''"));
        } else {
            text += word;
        }
        before = word;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_need_no_second_pair_of_quotes() {
        let command = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            command(&words)
        };
        assert_eq!(
            command(&["show", "servers", "like", "db%"]),
            "show servers like 'db%'"
        );
        assert_eq!(command(&["show servers like 'db%'"]), "show servers like 'db%'");
        assert_eq!(
            command(&["show", "servers", "LIKE", "'db%'"]),
            "show servers LIKE 'db%'"
        );
        assert_eq!(command(&["kill", "7"]), "kill 7");
    }
}
