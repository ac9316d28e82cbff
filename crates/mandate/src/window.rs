//! The hours of the day at which a mandate lets send.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use kenshin_observation::TimeUs;

/// One window of the week: from a time of day on some weekdays until another, perhaps past
/// midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyWindow {
    /// Weekdays on which it opens.
    pub days: Vec<Weekday>,
    /// Opens.
    pub from: Time,
    /// Closes; on the next day when not after `from`.
    pub until: Time,
}

/// All windows of a mandate in its time zone; no window means always.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    windows: Vec<DailyWindow>,
    zone_name: String,
    zone: TimeZone,
}

/// Open or closed, and when that changes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowState {
    /// Sending is allowed.
    pub open: bool,
    /// The first instant at which that is no longer so; `None` when it never changes.
    pub until: Option<TimeUs>,
}

impl Windows {
    /// No restriction, times of day told in UTC.
    pub fn always() -> Self {
        Self { windows: Vec::new(), zone_name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// Windows in the IANA time zone `zone_name`, or `None` when the built-in data does not know
    /// it. The data is built in so that every sensor reads a mandate alike.
    pub fn new(windows: Vec<DailyWindow>, zone_name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(zone_name).ok()?;
        Some(Self { windows, zone_name: zone_name.to_owned(), zone })
    }

    /// The windows, as written.
    pub fn windows(&self) -> &[DailyWindow] {
        &self.windows
    }

    /// Name of the time zone.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The instant as a date and time in the mandate's zone, to the minute.
    pub fn local(&self, time: TimeUs) -> String {
        match Timestamp::from_microsecond(time.micros()) {
            Ok(timestamp) => timestamp.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            Err(_) => time.to_string(),
        }
    }

    /// Open or closed at `now`.
    pub fn state(&self, now: TimeUs) -> WindowState {
        if self.windows.is_empty() {
            return WindowState { open: true, until: None };
        }
        // Outside the calendar nothing is open.
        let closed = WindowState { open: false, until: None };
        let Ok(timestamp) = Timestamp::from_microsecond(now.micros()) else { return closed };
        let today = timestamp.to_zoned(self.zone.clone()).date();
        let mut spans: Vec<(TimeUs, TimeUs)> = (-2..=8)
            .filter_map(|days| today.checked_add(days.days()).ok())
            .flat_map(|date| self.on(date))
            .collect();
        spans.sort_unstable();
        let horizon = spans.iter().map(|span| span.1).max();
        let mut open_until: Option<TimeUs> = None;
        for (opens, closes) in spans {
            match open_until {
                None if closes <= now => {}
                None if opens > now => return WindowState { open: false, until: Some(opens) },
                None => open_until = Some(closes),
                Some(end) if opens <= end => open_until = Some(end.max(closes)),
                Some(_) => break,
            }
        }
        match open_until {
            // Windows repeat every week: what is open beyond one is always open.
            Some(end) => WindowState { open: true, until: Some(end).filter(|_| open_until < horizon) },
            None => closed,
        }
    }

    /// How many seconds of an ordinary week are open.
    pub fn seconds_per_week(&self) -> i64 {
        const DAY: i64 = 86_400;
        if self.windows.is_empty() {
            return 7 * DAY;
        }
        let second = |time: Time| i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60;
        let mut open = vec![false; usize::try_from(7 * DAY / 60).expect("minutes of a week")];
        for window in &self.windows {
            for day in &window.days {
                let from = i64::from(day.to_monday_zero_offset()) * DAY + second(window.from);
                let length = (second(window.until) - second(window.from)).rem_euclid(DAY);
                let length = if length == 0 { DAY } else { length };
                for minute in from / 60..(from + length) / 60 {
                    let index = usize::try_from(minute).expect("not negative") % open.len();
                    open[index] = true;
                }
            }
        }
        60 * i64::try_from(open.iter().filter(|open| **open).count()).expect("minutes of a week")
    }

    /// The spans that open on `date`.
    fn on(&self, date: Date) -> impl Iterator<Item = (TimeUs, TimeUs)> {
        let instant = |date: Date, time: Time| {
            let zoned = date.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
            Some(TimeUs::from_micros(zoned.timestamp().as_microsecond()))
        };
        self.windows.iter().filter(move |window| window.days.contains(&date.weekday())).filter_map(
            move |window| {
                let last = if window.until > window.from { date } else { date.tomorrow().ok()? };
                let span = (instant(date, window.from)?, instant(last, window.until)?);
                (span.0 < span.1).then_some(span)
            },
        )
    }
}

/// Days as a mandate writes them, from Monday.
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The day that a mandate writes as `mon`, `tue` …
pub(crate) fn weekday(text: &str) -> Option<Weekday> {
    let day = DAYS.iter().position(|name| *name == text)?;
    Weekday::from_monday_zero_offset(i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY_DAY: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    fn at(text: &str) -> TimeUs {
        text.parse().unwrap()
    }

    fn window(days: &[Weekday], from: (i8, i8), until: (i8, i8)) -> DailyWindow {
        let time = |(hour, minute)| Time::new(hour, minute, 0, 0).unwrap();
        DailyWindow { days: days.to_vec(), from: time(from), until: time(until) }
    }

    #[test]
    fn office_hours_in_tokyo() {
        let weekdays = &EVERY_DAY[..5];
        let windows = Windows::new(vec![window(weekdays, (9, 0), (17, 0))], "Asia/Tokyo").unwrap();
        // Friday 3 April 2026, 08:59:59 and 09:00 in Tokyo.
        assert_eq!(
            windows.state(at("2026-04-02T23:59:59Z")),
            WindowState { open: false, until: Some(at("2026-04-03T00:00:00Z")) }
        );
        assert_eq!(
            windows.state(at("2026-04-03T00:00:00Z")),
            WindowState { open: true, until: Some(at("2026-04-03T08:00:00Z")) }
        );
        // From Friday evening the next window is on Monday.
        assert_eq!(
            windows.state(at("2026-04-03T08:00:00Z")),
            WindowState { open: false, until: Some(at("2026-04-06T00:00:00Z")) }
        );
        assert_eq!(windows.seconds_per_week(), 5 * 8 * 3600);
    }

    #[test]
    fn past_midnight_and_touching_windows_are_one() {
        let windows = Windows::new(
            vec![window(&EVERY_DAY, (22, 0), (2, 0)), window(&EVERY_DAY, (2, 0), (4, 0))],
            "UTC",
        )
        .unwrap();
        assert_eq!(
            windows.state(at("2026-04-03T00:30:00Z")),
            WindowState { open: true, until: Some(at("2026-04-03T04:00:00Z")) }
        );
        assert_eq!(windows.seconds_per_week(), 7 * 6 * 3600);
    }

    #[test]
    fn whole_days_never_close() {
        let windows = Windows::new(vec![window(&EVERY_DAY, (6, 0), (6, 0))], "Asia/Tokyo").unwrap();
        assert_eq!(windows.state(at("2026-04-03T00:30:00Z")), WindowState { open: true, until: None });
        assert_eq!(windows.seconds_per_week(), 7 * 86_400);
    }

    #[test]
    fn a_skipped_hour_opens_nothing() {
        // 29 March 2026: clocks in Berlin go from 02:00 to 03:00.
        let windows = Windows::new(vec![window(&EVERY_DAY, (2, 0), (3, 0))], "Europe/Berlin").unwrap();
        let state = windows.state(at("2026-03-29T00:59:59Z"));
        assert!(!state.open && state.until.unwrap() > at("2026-03-29T01:00:00Z"), "{state:?}");
    }

    #[test]
    fn an_unknown_zone_is_none() {
        assert_eq!(Windows::new(Vec::new(), "Asia/Edo"), None);
    }

    proptest! {
        #[test]
        fn the_state_holds_until_it_says_it_changes(
            hours in proptest::collection::vec((0i8..24, 0i8..24, 0usize..7), 1..4),
            minute in 0i64..60 * 24 * 400,
        ) {
            let all = hours.iter().map(|(from, until, day)| window(&EVERY_DAY[*day..=*day], (*from, 0), (*until, 0)));
            let windows = Windows::new(all.collect(), "America/New_York").unwrap();
            let now = at("2026-01-01T00:00:00Z").plus_secs(minute * 60);
            let state = windows.state(now);
            if let Some(until) = state.until {
                prop_assert!(until > now);
                prop_assert_eq!(windows.state(until.plus_micros(-1)).open, state.open);
                prop_assert_eq!(windows.state(until).open, !state.open);
            }
        }
    }
}
