//! What shells and `man` want to know of the command line, made from the command line's own description so that it
//! is never out of date.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// Print what a shell completes `splitrail` with
#[derive(Debug, Clone, clap::Args)]
pub struct Completions {
    /// The shell: `source <(splitrail completions bash)`
    #[arg(value_enum)]
    shell: Shell,
}

/// Print a page of the manual
#[derive(Debug, Clone, clap::Args)]
pub struct Manual {
    /// The subcommand; none: the page of splitrail itself
    subcommand: Option<String>,
}

const NAME: &str = "splitrail";

pub fn completions(options: &Completions, mut command: Command, out: &mut impl Write) -> io::Result<()> {
    // The library gives up loudly where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, NAME, &mut script);
    out.write_all(&script)
}

/// `None`: there is no such subcommand; these are the ones that there are.
pub fn manual(
    options: &Manual,
    mut command: Command,
    out: &mut impl Write,
) -> io::Result<Option<Vec<String>>> {
    command = command.disable_help_subcommand(true);
    command.build();
    let Some(wanted) = &options.subcommand else {
        return page(&command, NAME, out).map(|()| None);
    };
    let mut subcommands = command.get_subcommands();
    match subcommands.find(|each| each.get_name() == wanted) {
        Some(subcommand) => {
            let name = format!("{NAME}-{wanted}");
            page(subcommand, &name, out).map(|()| None)
        }
        None => {
            let names = command.get_subcommands().map(|each| each.get_name().to_owned());
            Ok(Some(names.collect()))
        }
    }
}

fn page(command: &Command, name: &str, out: &mut impl Write) -> io::Result<()> {
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .manual("splitrail")
        .source(concat!("splitrail ", env!("CARGO_PKG_VERSION")));
    man.render(out)?;
    let mut more = Roff::new();
    if name == NAME {
        more.control("SH", ["FILES"]);
        more.text([roman(
            "proxy.yaml, or /etc/splitrail/proxy.yaml where a package was installed",
        )]);
        more.control("SH", ["EXIT STATUS"]);
        more.text([roman(
            "0: done; 1: the proxy refused, or is not well; 2: nobody could be asked, or the configuration is wrong",
        )]);
    }
    more.control("SH", ["SEE ALSO"]);
    more.text([roman("/usr/share/doc/splitrail")]);
    more.to_writer(out)
}
