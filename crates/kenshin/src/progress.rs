//! Progress on standard error: of a survey its rate, hits and time left; of a transfer its bytes.
//! Hidden when piped or quiet.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kenshin_survey::progress::{Progress, Waiting};

use crate::output::thousands;

/// A line that follows a survey.
pub(crate) struct Line {
    bar: ProgressBar,
}

impl Line {
    /// A line on standard error, hidden when it is not a terminal or when asked to be quiet.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::new(0);
        let shown = !quiet && std::io::stderr().is_terminal();
        bar.set_draw_target(if shown {
            ProgressDrawTarget::stderr_with_hz(8)
        } else {
            ProgressDrawTarget::hidden()
        });
        let style =
            ProgressStyle::with_template("{bar:24} {percent:>3}% {msg}").expect("the template is right");
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    /// Shows where the survey is.
    pub(crate) fn show(&self, progress: &Progress) {
        self.bar.set_length(progress.targets_total);
        self.bar.set_position(progress.targets_done);
        self.bar.set_message(describe(progress));
    }

    /// Removes the line.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
    }
}

/// A line that follows transfers and what is read.
pub(crate) struct Bytes {
    bar: ProgressBar,
}

impl Bytes {
    /// A line on standard error, hidden when it is not a terminal or when asked to be quiet.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        let shown = !quiet && std::io::stderr().is_terminal();
        bar.set_draw_target(if shown {
            ProgressDrawTarget::stderr_with_hz(8)
        } else {
            ProgressDrawTarget::hidden()
        });
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is right");
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    /// Shows how far a transfer is, or a file is read.
    pub(crate) fn show(&self, what: &str, bytes: u64, total: Option<u64>) {
        let of = total.map_or_else(String::new, |total| format!(" of {} KiB", thousands(total >> 10)));
        self.bar.set_message(format!("{} KiB{of}  {what}", thousands(bytes >> 10)));
    }

    /// Removes the line.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
    }
}

/// One line of words.
pub(crate) fn describe(progress: &Progress) -> String {
    let hits: Vec<String> =
        progress.hits.iter().map(|(protocol, count)| format!("{protocol} {count}")).collect();
    let eta = progress.eta_s.map_or_else(String::new, |s| format!(", {} left", duration(s)));
    let waiting = match &progress.waiting {
        None => String::new(),
        Some(Waiting::Rate { .. }) => ", held to the mandate's rate".to_owned(),
        Some(Waiting::Spool) => ", waiting for the spool to drain".to_owned(),
        Some(Waiting::Room { what }) => format!(", waiting for {what}"),
        Some(Waiting::Mandate { code }) => format!(", waiting: the mandate lets nothing be sent ({code})"),
        Some(Waiting::Refresh) => ", waiting for the lists that narrow".to_owned(),
    };
    let slowed = progress.slowed.as_ref().map_or_else(String::new, |slowed| {
        format!(", slowed to {:.0} % ({})", slowed.factor * 100.0, slowed.why)
    });
    format!(
        "{}/{} targets, {:.0}/s, {} answered [{}]{eta}{waiting}{slowed}",
        thousands(progress.targets_done),
        thousands(progress.targets_total),
        progress.rate_pps,
        thousands(progress.answered),
        hits.join(", "),
    )
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
