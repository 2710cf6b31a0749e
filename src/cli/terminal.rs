//! Text for people at a terminal: trees that fit its width, and colours where they are wanted.

mod tree;

use std::io::{self, IsTerminal as _, Write as _};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::{Args, ColorChoice};

pub(super) use self::tree::{Tree, cut};

/// Whether there are colours.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct ColorArgs {
    /// Colours: auto has them on a terminal, and not where `NO_COLOR` is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

impl ColorArgs {
    /// Writes text with colours to standard output, without them where they are not wanted.
    pub(super) fn write(self, text: &str) -> io::Result<()> {
        let choice = match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        let mut stdout = AutoStream::new(io::stdout(), choice);
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether there are lines and arrows besides ASCII.
    pub unicode: bool,
    /// Columns that a line may take.
    pub width: usize,
}

impl Look {
    /// Columns of the narrowest terminal that people use.
    pub(super) const WIDTH: usize = 80;

    /// What standard output can show. Where it is no terminal, nobody knows what reads it.
    pub(super) fn of_stdout() -> Self {
        // The first one that is set decides, as in the C library.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        Self {
            unicode: io::stdout().is_terminal() && is_utf8(locale.as_deref().unwrap_or_default()),
            width: Self::WIDTH,
        }
    }

    /// From what is there to what is declared.
    pub(super) const fn arrow(self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }
}

/// Whether a locale like `de_DE.UTF-8` has all characters.
fn is_utf8(locale: &str) -> bool {
    let charset = locale.split_once('.').map_or("", |(_, charset)| charset);
    let charset = charset.split('@').next().unwrap_or_default();
    charset.eq_ignore_ascii_case("UTF-8") || charset.eq_ignore_ascii_case("UTF8")
}

/// What a piece of text says at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tint {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Somebody is waited for.
    Waiting,
    /// Somebody has to act.
    Bad,
    /// A heading.
    Strong,
}

impl Tint {
    /// The codes that a terminal obeys.
    pub(super) fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(anstyle::Color::Ansi(color)));
        match self {
            Self::Plain => Style::new(),
            Self::Good => color(AnsiColor::Green),
            Self::Waiting => color(AnsiColor::Yellow),
            Self::Bad => color(AnsiColor::Red),
            Self::Strong => Style::new().bold(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_says_whether_it_has_all_characters() {
        for locale in ["de_DE.UTF-8", "C.utf8", "sr_RS.UTF-8@latin"] {
            assert!(is_utf8(locale), "{locale}");
        }
        for locale in ["", "C", "POSIX", "de_DE.ISO-8859-1", "de_DE@euro"] {
            assert!(!is_utf8(locale), "{locale}");
        }
    }

    #[test]
    fn plain_text_has_no_codes() {
        let style = Tint::Plain.style();
        assert_eq!(format!("{style}a{style:#}"), "a");
        let style = Tint::Bad.style();
        let text = format!("{style}a{style:#}");
        assert_ne!(text, "a");
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "a");
    }
}
