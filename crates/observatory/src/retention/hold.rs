//! Which shelves a hold keeps: every one that may have rows of what it is about.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_casework::Hold;
use kenshin_lake::{Holding, Matter, Shelf};

use super::policy::ordinal;
use crate::Observatory;
use crate::error::ActError;

/// Months, counted, and mandates.
type Months = BTreeSet<(u32, String)>;

/// The holds in force, with what is known of them.
pub(super) struct Held {
    pub(super) holds: Vec<Hold>,
    /// Of each hold about a survey or a prefix: where observations of it are.
    matters: Vec<Option<Months>>,
    /// Where observations are at all.
    observed: Months,
}

impl Held {
    /// Looks the holds up, and where what they are about is.
    pub(super) async fn load(
        observatory: &Observatory,
        shelves: &BTreeMap<Shelf, Holding>,
    ) -> Result<Self, ActError> {
        let holds = observatory.casework().holds(observatory.org(), false).await?;
        let lake = observatory.lake().await?;
        let mut matters = Vec::new();
        for hold in &holds {
            let matter = Matter { survey: hold.keeps.survey_id, prefix: hold.keeps.prefix };
            matters.push(match matter == Matter::default() {
                true => None,
                false => Some(counted(lake.months_of(matter).await?)),
            });
        }
        let observed = shelves.keys().filter(|shelf| shelf.table == "observations");
        let observed = observed.filter_map(|shelf| Some((shelf.month.clone()?, shelf.mandate_id.clone()?)));
        Ok(Self { holds, matters, observed: counted(observed) })
    }

    /// The holds that keep a shelf, by id.
    pub(super) fn keeping(&self, shelf: &Shelf) -> Vec<String> {
        let both = self.holds.iter().zip(&self.matters);
        both.filter(|(hold, matter)| self.keeps(hold, matter.as_ref(), shelf))
            .map(|(hold, _)| hold.hold_id.clone())
            .collect()
    }

    fn keeps(&self, hold: &Hold, matter: Option<&Months>, shelf: &Shelf) -> bool {
        // Coverage of slices in which nothing answered does not say of which mandate it is.
        let mandate = shelf.mandate_id.as_deref();
        if hold.keeps.mandate_id.as_deref().zip(mandate).is_some_and(|(held, of)| held != of) {
            return false;
        }
        let Some(month) = shelf.month.as_deref().and_then(ordinal) else { return true };
        // Coverage lies in the month in which its slice was begun, a blob in that in which its batch was
        // sealed: at the turn of a month that is not the month of the observation.
        let around = u32::from(!matches!(shelf.table.as_str(), "observations" | "salts"));
        let bound = |month: &Option<String>| month.as_deref().and_then(ordinal);
        let begins = bound(&hold.keeps.from).is_none_or(|from| month + around >= from);
        let ends = bound(&hold.keeps.to).is_none_or(|to| month <= to + around);
        if !begins || !ends {
            return false;
        }
        let Some(matter) = matter else { return true };
        let same = |of: &str| mandate.is_none_or(|mandate| mandate == of);
        let within = |(at, of): &(u32, String)| month.abs_diff(*at) <= around && same(of);
        // Where no observations are left nothing can be told, and so everything is kept.
        let is_known = self.observed.iter().any(|(at, of)| *at == month && same(of));
        matter.iter().any(within) || !is_known
    }
}

fn counted(months: impl IntoIterator<Item = (String, String)>) -> Months {
    months.into_iter().filter_map(|(month, mandate)| Some((ordinal(&month)?, mandate))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kenshin_casework::NewHold;
    use kenshin_observation::TimeUs;

    fn hold(keeps: NewHold) -> Hold {
        Hold {
            hold_id: "H".into(),
            keeps,
            held_by: "rule:counsel".into(),
            created_at: TimeUs::from_secs(1),
            released_at: None,
            released_by: None,
            release_reason: None,
        }
    }

    fn held(keeps: NewHold, matter: Option<&[(&str, &str)]>) -> Held {
        let months = |list: &[(&str, &str)]| {
            counted(list.iter().map(|(month, mandate)| ((*month).to_owned(), (*mandate).to_owned())))
        };
        let observed = months(&[
            ("2026-03", "a"),
            ("2026-04", "a"),
            ("2026-05", "a"),
            ("2026-05", "b"),
            ("2026-07", "a"),
        ]);
        Held { holds: vec![hold(keeps)], matters: vec![matter.map(months)], observed }
    }

    /// Shelves as `table month mandate`, and whether they are kept.
    fn check(held: &Held, expected: &[(&str, bool)]) {
        for (text, kept) in expected {
            let parts: Vec<&str> = text.split(' ').collect();
            let shelf = Shelf {
                table: parts[0].into(),
                month: Some(parts[1].into()),
                mandate_id: parts.get(2).map(|mandate| (*mandate).to_owned()),
                class: None,
            };
            assert_eq!(!held.keeping(&shelf).is_empty(), *kept, "{text}");
        }
    }

    #[test]
    fn a_hold_of_a_mandate_keeps_its_months() {
        let keeps = NewHold {
            mandate_id: Some("a".into()),
            from: Some("2026-04".into()),
            to: Some("2026-05".into()),
            ..NewHold::default()
        };
        check(
            &held(keeps, None),
            &[
                ("observations 2026-03 a", false),
                ("observations 2026-04 a", true),
                ("observations 2026-05 a", true),
                ("observations 2026-06 a", false),
                ("observations 2026-05 b", false),
                ("blobs 2026-03 a", true),
                ("blobs 2026-06 a", true),
                ("blobs 2026-07 a", false),
                ("coverage 2026-04", true),
                ("coverage 2026-04 b", false),
            ],
        );
    }

    #[test]
    fn a_hold_of_a_prefix_keeps_every_shelf_that_may_have_it() {
        let keeps = NewHold { prefix: Some("192.0.2.0/24".parse().unwrap()), ..NewHold::default() };
        check(
            &held(keeps, Some(&[("2026-05", "a")])),
            &[
                ("observations 2026-05 a", true),
                ("salts 2026-05 a", true),
                ("observations 2026-05 b", false),
                ("observations 2026-04 a", false),
                ("blobs 2026-04 a", true),
                ("blobs 2026-03 a", false),
                // Nothing is left by which it could be told.
                ("blobs 2026-01 a", true),
                ("coverage 2026-05", true),
                ("coverage 2026-07", false),
            ],
        );
    }
}
