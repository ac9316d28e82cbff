//! Validity and hours of the day.

use jiff::civil::{Time, Weekday};
use kenshin_observation::TimeUs;
use toml::Spanned;
use toml::value::Datetime;

use super::{Reader, ValidityText};
use crate::window::{DailyWindow, Windows, weekday};

impl Reader<'_> {
    pub(super) fn instant(&mut self, text: &Spanned<Datetime>) -> TimeUs {
        text.get_ref().to_string().parse().unwrap_or_else(|_| {
            self.report.add(
                text.span(),
                format!("`{}` is not an instant: it has no offset from UTC", text.get_ref()),
                "write date, time and offset, such as 2026-04-01T00:00:00+09:00",
            );
            TimeUs::from_micros(0)
        })
    }

    pub(super) fn validity(&mut self, text: &ValidityText) -> (TimeUs, TimeUs) {
        let (from, until) = (self.instant(&text.from), self.instant(&text.until));
        if until <= from && from != TimeUs::from_micros(0) && until != TimeUs::from_micros(0) {
            self.report.add(
                text.until.span(),
                format!("the mandate ends ({until}) before it begins ({from})"),
                "let `until` be later than `from`",
            );
        }
        (from, until)
    }

    pub(super) fn windows(&mut self, text: &ValidityText) -> Windows {
        let windows: Vec<DailyWindow> = text
            .window
            .iter()
            .map(|window| DailyWindow {
                days: self.days(&window.days),
                from: self.time_of_day(&window.from),
                until: self.time_of_day(&window.until),
            })
            .collect();
        Windows::new(windows, text.time_zone.get_ref()).unwrap_or_else(|| {
            self.report.add(
                text.time_zone.span(),
                format!("`{}` is not a time zone", text.time_zone.get_ref()),
                "use an IANA name such as \"Asia/Tokyo\" or \"UTC\"",
            );
            Windows::always()
        })
    }

    pub(super) fn days(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> Vec<Weekday> {
        let mut days = Vec::new();
        for text in texts.get_ref() {
            match weekday(text.get_ref()) {
                Some(day) => days.push(day),
                None => self.report.add(
                    text.span(),
                    format!("`{}` is not a day", text.get_ref()),
                    "use mon, tue, wed, thu, fri, sat, sun",
                ),
            }
        }
        if texts.get_ref().is_empty() {
            self.report.add(texts.span(), "the window opens on no day", "name at least one day");
        }
        days
    }

    pub(super) fn time_of_day(&mut self, text: &Spanned<String>) -> Time {
        let parsed = text.get_ref().split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2);
        let parsed = parsed.and_then(|(h, m)| Time::new(h.parse().ok()?, m.parse().ok()?, 0, 0).ok());
        parsed.unwrap_or_else(|| {
            self.report.add(
                text.span(),
                format!("`{}` is not a time of day", text.get_ref()),
                "write hours and minutes, such as \"09:00\"",
            );
            Time::midnight()
        })
    }
}
