//! The manual pages of the kubectl plugin.

use anyhow::Context;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use landing_zone_operator::cli::Arguments;

use super::Generated;

/// A page for the plugin and one for each of its commands.
pub(super) fn pages() -> anyhow::Result<Vec<Generated>> {
    // The commit of a release is not known here.
    let mut plugin = Arguments::command()
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true);
    plugin.build();
    let commands = plugin.get_subcommands().filter(|it| !it.is_hide_set());
    let all = std::iter::once(&plugin).chain(commands);
    all.map(page).collect()
}

fn page(command: &Command) -> anyhow::Result<Generated> {
    let source = format!("kubectl-landingzone {}", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command.clone())
        .source(source)
        .manual("Landing zones");
    let mut content =
        Vec::from(*b".\\\" Generated from the command line by `cargo generate`: do not edit.\n");
    page.render(&mut content)
        .context("failed to write a manual page")?;
    Ok(Generated {
        path: format!("docs/man/{}", page.get_filename()),
        content: String::from_utf8(content)?,
    })
}
