//! How far a long step is: bars on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a plain log hears of a step that goes on.
const LINE_INTERVAL: Duration = Duration::from_secs(20);

/// Where progress is shown.
#[derive(Clone, Debug)]
pub struct Progress {
    bars: MultiProgress,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Bars,
    Lines,
    Nothing,
}

impl Progress {
    /// Bars where standard error is a terminal, lines where it is not.
    #[must_use]
    pub fn new() -> Self {
        let form = if std::io::stderr().is_terminal() {
            Form::Bars
        } else {
            Form::Lines
        };
        Self {
            bars: MultiProgress::new(),
            form,
        }
    }

    /// Shows nothing.
    #[must_use]
    pub fn hidden() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self {
            bars,
            form: Form::Nothing,
        }
    }

    /// Begins a step.
    #[must_use]
    pub fn step(&self, what: impl Into<String>) -> Step {
        let what = what.into();
        let bar = match self.form {
            Form::Bars => self.bars.add(ProgressBar::new_spinner()),
            Form::Lines | Form::Nothing => ProgressBar::hidden(),
        };
        bar.set_style(style("{spinner} {prefix} {wide_msg} {elapsed}"));
        bar.set_prefix(what.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        if self.form == Form::Lines {
            eprintln!("{what} ...");
        }
        let now = Instant::now();
        Step {
            what,
            bar,
            form: self.form,
            start: now,
            last_line: now,
            total: 0,
            done: 0,
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// A step that is under way. Dropped unfinished, it leaves no mark.
#[derive(Debug)]
pub struct Step {
    what: String,
    bar: ProgressBar,
    form: Form,
    start: Instant,
    last_line: Instant,
    total: usize,
    done: usize,
}

impl Step {
    /// Says how many parts the step has.
    pub fn expect(&mut self, parts: usize) {
        self.total = parts;
        self.bar
            .set_length(u64::try_from(parts).unwrap_or(u64::MAX));
        self.bar.set_style(style(
            "{spinner} {prefix} {bar:30} {pos}/{len} {wide_msg} {elapsed}",
        ));
    }

    /// One more part is done.
    pub fn advance(&mut self, part: &str) {
        self.done += 1;
        self.bar.inc(1);
        self.bar.set_message(part.to_owned());
        if self.form == Form::Lines && self.last_line.elapsed() > LINE_INTERVAL {
            self.last_line = Instant::now();
            eprintln!("{}: {} of {}, {part}", self.what, self.done, self.total);
        }
    }

    /// The step is done.
    pub fn finish(self) {
        let seconds = self.start.elapsed().as_secs_f32();
        match self.form {
            Form::Bars => {
                self.bar.set_style(style("✓ {prefix} {wide_msg}"));
                self.bar.finish_with_message(format!("{seconds:.1} s"));
            }
            Form::Lines => eprintln!("{}: done in {seconds:.1} s", self.what),
            Form::Nothing => {}
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
