//! Experiments: which wording or timing works is learned by drawing an arm at random before the
//! first notice. Severe cases are never delayed.

use kenshin_observation::Severity;
use serde::{Deserialize, Serialize};

/// The wording every case gets without an experiment.
pub(crate) const STANDARD: &str = "standard";

/// What a case was drawn to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// The experiment; empty without one.
    pub experiment: String,
    /// The arm's name.
    pub name: String,
    /// Wording: selects the message `notice.lead.<wording>`.
    pub wording: String,
    /// Seconds the first notice waits.
    pub delay_s: i64,
}

/// One arm of an experiment as designed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmDesign {
    /// Its name.
    pub name: String,
    /// Its share, relative to the others.
    pub weight: u32,
    /// Wording: selects the message `notice.lead.<wording>`.
    pub wording: String,
    /// Seconds the first notice waits.
    pub delay_s: i64,
}

/// An experiment: arms to draw from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experiment {
    /// Its name, kept with each case.
    pub name: String,
    /// The arms; weights sum above zero.
    pub arms: Vec<ArmDesign>,
}

impl Experiment {
    /// No experiment: standard wording, no delay.
    pub fn none() -> Self {
        Self {
            name: String::new(),
            arms: vec![ArmDesign { name: STANDARD.into(), weight: 1, wording: STANDARD.into(), delay_s: 0 }],
        }
    }

    /// The arm that `random` selects for a case of this severity. Cases of high or critical
    /// severity draw only among arms without delay; when there is none, they get the standard.
    pub fn draw(&self, severity: Severity, random: u64) -> Arm {
        let open = |arm: &&ArmDesign| arm.delay_s <= 0 || severity < Severity::High;
        let total: u64 = self.arms.iter().filter(open).map(|arm| u64::from(arm.weight)).sum();
        let mut left = if total == 0 { 0 } else { random % total };
        for arm in self.arms.iter().filter(open) {
            if left < u64::from(arm.weight) {
                return Arm {
                    experiment: self.name.clone(),
                    name: arm.name.clone(),
                    wording: arm.wording.clone(),
                    delay_s: arm.delay_s.max(0),
                };
            }
            left -= u64::from(arm.weight);
        }
        Arm {
            experiment: self.name.clone(),
            name: STANDARD.to_owned(),
            wording: STANDARD.to_owned(),
            delay_s: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn experiment() -> Experiment {
        let arm = |name: &str, weight, delay_s| ArmDesign {
            name: name.into(),
            weight,
            wording: STANDARD.into(),
            delay_s,
        };
        Experiment { name: "delay".into(), arms: vec![arm("now", 1, 0), arm("later", 3, 86_400)] }
    }

    #[test]
    fn shares_follow_the_weights() {
        let later = (0..4000).filter(|r| experiment().draw(Severity::Low, *r).name == "later").count();
        assert_eq!(later, 3000);
    }

    proptest! {
        #[test]
        fn severe_cases_are_never_delayed(random: u64, delays in prop::collection::vec((0u32..5, -5i64..100), 0..6)) {
            let arms = delays.iter().map(|(weight, delay_s)| ArmDesign {
                name: "a".into(), weight: *weight, wording: STANDARD.into(), delay_s: *delay_s,
            }).collect();
            let experiment = Experiment { name: "x".into(), arms };
            for severity in [Severity::High, Severity::Critical] {
                prop_assert_eq!(experiment.draw(severity, random).delay_s, 0);
            }
            prop_assert!(experiment.draw(Severity::Low, random).delay_s >= 0);
        }
    }
}
