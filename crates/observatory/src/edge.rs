//! The outermost edge: where a clock is read and randomness is drawn, and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use kenshin_observation::{Clock, TimeUs};
use rand::RngCore;

/// Clock and randomness, handed to everything inside.
#[derive(Clone)]
pub struct Edge {
    clock: Clock,
    draw: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
}

impl Edge {
    /// The system's clock and generator.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(system_now),
            draw: Arc::new(|| {
                let mut seed = [0; 32];
                #[expect(clippy::disallowed_methods, reason = "this is the edge that draws randomness")]
                rand::rng().fill_bytes(&mut seed);
                seed
            }),
        }
    }

    /// A clock that stands still and draws that repeat; for tests.
    pub fn fixed(now: TimeUs, seed: [u8; 32]) -> Self {
        Self { clock: Arc::new(move || now), draw: counted(seed) }
    }

    /// A clock that runs as the system's does from `start` on and can be moved ahead, and draws
    /// from a seed: for the demo's simulated weeks.
    pub fn simulated(start: TimeUs, seed: [u8; 32]) -> (Self, Arc<AtomicI64>) {
        let offset = Arc::new(AtomicI64::new(start.micros_since(system_now())));
        let shared = offset.clone();
        let clock: Clock = Arc::new(move || system_now().plus_micros(shared.load(Ordering::SeqCst)));
        (Self { clock, draw: counted(seed) }, offset)
    }

    /// Now.
    pub fn now(&self) -> TimeUs {
        (self.clock)()
    }

    /// The clock itself, for what runs over a span of time.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// A fresh seed.
    pub fn seed(&self) -> [u8; 32] {
        (self.draw)()
    }
}

/// Seeds that follow from one seed, each different.
fn counted(seed: [u8; 32]) -> Arc<dyn Fn() -> [u8; 32] + Send + Sync> {
    use rand::SeedableRng;
    let source = std::sync::Mutex::new(rand_chacha::ChaCha20Rng::from_seed(seed));
    Arc::new(move || {
        let mut next = [0; 32];
        source.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(&mut next);
        next
    })
}

fn system_now() -> TimeUs {
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock")]
    let now = std::time::SystemTime::now();
    let micros = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    TimeUs::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
