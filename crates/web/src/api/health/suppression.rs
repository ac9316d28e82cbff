//! Withholding small counts, and those from which a small one could be computed.

use super::Cell;

/// Counts from 1 to below this are not published.
pub(super) const THRESHOLD: i64 = 5;

/// Each count by itself. Nought is published: it speaks of nobody.
pub(super) fn suppressed<const N: usize>(counts: [i64; N]) -> [Cell; N] {
    counts.map(|count| Cell { count: (!small(count)).then_some(count) })
}

/// Parts that are published beside their whole. When exactly one part is withheld it could be
/// computed from the others, so the smallest of these is withheld too; the unpublished `rest`
/// hides a single one only when it is not small itself.
pub(super) fn parts<const N: usize>(counts: [i64; N], rest: i64, whole: i64) -> ([Cell; N], Cell) {
    let mut cells = suppressed(counts);
    let [whole] = suppressed([whole]);
    let withheld = counts.iter().filter(|count| small(**count)).count();
    if withheld == 1 && rest < THRESHOLD {
        let smallest =
            (0..N).filter(|i| cells[*i].count.is_some_and(|count| count > 0)).min_by_key(|i| counts[*i]);
        if let Some(i) = smallest {
            cells[i].count = None;
        }
    }
    (cells, whole)
}

fn small(count: i64) -> bool {
    (1..THRESHOLD).contains(&count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: [i64; 4], rest: i64, expected: [Option<i64>; 4]) {
        let (cells, _) = parts(counts, rest, counts.iter().sum::<i64>() + rest);
        assert_eq!(cells.map(|cell| cell.count), expected, "{counts:?} and {rest}");
    }

    #[test]
    fn a_withheld_part_cannot_be_computed_from_the_others() {
        check([20, 30, 40, 50], 0, [Some(20), Some(30), Some(40), Some(50)]);
        check([0, 30, 40, 50], 0, [Some(0), Some(30), Some(40), Some(50)]);
        check([3, 30, 40, 50], 0, [None, None, Some(40), Some(50)]);
        check([3, 4, 40, 50], 0, [None, None, Some(40), Some(50)]);
        check([3, 30, 40, 50], 9, [None, Some(30), Some(40), Some(50)]);
        check([3, 0, 0, 0], 0, [None, Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn a_small_whole_is_withheld_too() {
        let (cells, whole) = parts([3, 0], 0, 3);
        assert_eq!((cells.map(|cell| cell.count), whole.count), ([None, Some(0)], None));
    }
}
