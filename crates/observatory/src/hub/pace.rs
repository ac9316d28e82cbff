//! How long to wait before a hub that did not answer is asked again.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);

/// Pauses that double up to a limit, each drawn from its upper half, so that sensors which lost
/// their hub at the same instant do not come back at the same instant. Pure: seeded.
#[derive(Debug)]
pub struct Pace {
    random: ChaCha20Rng,
    pause: Duration,
    max: Duration,
}

impl Pace {
    /// Pauses of at most `max`.
    pub(crate) fn new(seed: [u8; 32], max: Duration) -> Self {
        Self { random: ChaCha20Rng::from_seed(seed), pause: FIRST.min(max), max }
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause.mul_f64(self.random.random_range(0.5..=1.0));
        self.pause = (self.pause * 2).min(self.max);
        pause
    }

    /// The hub answered: the next pause is short again.
    pub fn reset(&mut self) {
        self.pause = FIRST.min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_differ_between_sensors() {
        let max = Duration::from_secs(60);
        let draw = |seed| {
            let mut pace = Pace::new([seed; 32], max);
            (0..12).map(|_| pace.next_pause()).collect::<Vec<_>>()
        };
        let pauses = draw(1);
        for (n, pause) in pauses.iter().enumerate() {
            let most = (FIRST * 2u32.pow(n as u32)).min(max);
            assert!(*pause >= most / 2 && *pause <= most, "{n}: {pause:?} of {most:?}");
        }
        assert_eq!(pauses, draw(1));
        assert_ne!(pauses, draw(2));
        let mut pace = Pace::new([1; 32], max);
        for _ in 0..9 {
            pace.next_pause();
        }
        pace.reset();
        assert!(pace.next_pause() <= FIRST);
        assert!(Pace::new([1; 32], Duration::from_millis(10)).next_pause() <= Duration::from_millis(10));
    }
}
