//! Measurements with a stated budget (DESIGN.md, the issues' "what it must show"), against bare
//! system calls and peers. Binaries are in `src/bin`; here is what they share: [`Cable`], two network
//! namespaces that the bench makes itself, and the [`median`].
//!
//! Nothing leaves these namespaces: they have one cable, to each other.

mod cable;

pub use cable::{Cable, Side};

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
}
