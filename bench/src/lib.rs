//! Measurements with a stated budget (DESIGN.md, the issues' "what it must show"), against bare
//! system calls and peers. Binaries are in `src/bin`; here is what they share: [`Cable`], two network
//! namespaces that the bench makes itself; [`survey::run`], a survey under a mandate made for it;
//! [`Setting`], which concludes every bench with machine, figures and verdicts; and the [`median`].
//!
//! Nothing leaves these namespaces: they have one cable, to each other.

mod cable;
pub mod daemon;
mod report;
pub mod survey;

pub use cable::{Cable, Side};
pub use report::{Limit, Setting, now};

/// The middle one, or the mean of the middle two.
///
/// # Panics
/// Without a value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_limit_is_met_at_its_own_value() {
        assert!(Limit::new("ratio", 1.5, 1.5).met);
        assert!(!Limit::new("ratio", 1.499, 1.5).met);
    }
}
