//! Exact, keyed, random-access permutations of `[0, n)`.
//!
//! A Feistel network over `[0, 2ᵏ) × [0, b)` with `2ᵏ·b ≥ n` (Black and Rogaway, 2002), walked along
//! its cycle until it lands below `n`. Both directions cost the same, any position can be asked
//! for without the ones before it, and nothing is kept per target: that is what makes a survey
//! resumable anywhere and equal for every number of shards. `2ᵏ` is about `√n` and `b` is `n ÷ 2ᵏ`
//! rounded up, so that splitting an element is a shift, a round is two multiplications, and almost
//! no walk is longer than one.
//!
//! Sizes go to 2⁶⁴ inclusive, and no product here needs more than 128 bits. (ZMap, for comparison,
//! refuses seven /8s × 65,536 ports, whose 2⁴²·⁸ targets have no multiplicative group in its table.)

use std::fmt;

use serde::{Deserialize, Serialize};

const ROUNDS: usize = 6;

/// Largest domain.
pub const SIZE_MAX: u128 = 1 << 64;

/// Key of a permutation: 128 bits. Not a secret against a determined adversary; it spreads load
/// and makes the order reproducible.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermutationKey(#[serde(with = "hex::serde")] pub [u8; 16]);

impl PermutationKey {
    /// A key for a purpose of its own, e.g. the inside of one slice.
    pub fn derive(self, domain: u64, index: u64) -> Self {
        let (low, high) = (self.hash(domain, index, 0), self.hash(domain, index, 1));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&low.to_le_bytes());
        bytes[8..].copy_from_slice(&high.to_le_bytes());
        Self(bytes)
    }

    fn hash(self, a: u64, b: u64, c: u64) -> u64 {
        let half = |from: usize| {
            u64::from_le_bytes(self.0[from..from + 8].try_into().expect("a half of 16 bytes is 8 bytes"))
        };
        siphash_1_3(half(0), half(8), [a, b, c])
    }
}

impl fmt::Display for PermutationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PermutationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermutationKey({self})")
    }
}

/// A bijection of `[0, n)`.
#[derive(Debug, Clone)]
pub struct Permutation {
    n: u128,
    /// The last element; 0 when there is none.
    last: u64,
    /// Bits of the left half.
    bits: u32,
    /// Size of the right half, at most 2³².
    b: u64,
    rounds: [Round; ROUNDS],
}

/// Keys of one round.
#[derive(Debug, Clone, Copy)]
struct Round {
    add: u64,
    multiply: u64,
}

impl Round {
    /// Mixes a half: the folded product of wyhash (Wang Yi, 2019), whose two keys are hashes of the
    /// permutation's key and size.
    fn mix(self, half: u64) -> u64 {
        let product = u128::from(half ^ self.add) * u128::from(self.multiply);
        product as u64 ^ (product >> 64) as u64
    }
}

impl Permutation {
    /// The permutation of `[0, n)` that `key` selects.
    ///
    /// # Panics
    /// When `n` is above [`SIZE_MAX`]: plans refuse such sizes before.
    pub fn new(n: u128, key: PermutationKey) -> Self {
        assert!(n <= SIZE_MAX, "a permutation of {n} elements is too large");
        let last = u64::try_from(n.saturating_sub(1)).expect("n is at most 2^64");
        let bits = (u64::BITS - last.leading_zeros()).div_ceil(2);
        let b = u64::try_from(n.div_ceil(1 << bits).max(1)).expect("at most 2^32");
        let rounds = std::array::from_fn(|round| {
            let hash = |word| key.hash(round as u64, word, n as u64);
            Round { add: hash(0), multiply: hash(1) | 1 }
        });
        Self { n, last, bits, b, rounds }
    }

    /// Number of elements.
    pub const fn size(&self) -> u128 {
        self.n
    }

    /// The element at `index`.
    ///
    /// # Panics
    /// When `index` is not below the size.
    #[inline]
    pub fn at(&self, index: u64) -> u64 {
        self.walk(index, Self::forward)
    }

    /// The index at which `element` stands: the inverse of [`Permutation::at`].
    ///
    /// # Panics
    /// When `element` is not below the size.
    pub fn index_of(&self, element: u64) -> u64 {
        self.walk(element, Self::backward)
    }

    #[inline]
    fn walk(&self, from: u64, step: impl Fn(&Self, u64) -> u64) -> u64 {
        assert!(from <= self.last && self.n > 0, "{from} is not below {}", self.n);
        let mut x = step(self, from);
        while x > self.last {
            x = step(self, x);
        }
        x
    }

    #[inline]
    fn forward(&self, x: u64) -> u64 {
        let mask = (1 << self.bits) - 1;
        let (mut left, mut right) = (x & mask, x >> self.bits);
        for pair in self.rounds.chunks_exact(2) {
            left = left.wrapping_add(pair[0].mix(right)) & mask;
            let sum = right + self.reduce(pair[1].mix(left));
            right = if sum >= self.b { sum - self.b } else { sum };
        }
        right << self.bits | left
    }

    #[inline]
    fn backward(&self, x: u64) -> u64 {
        let mask = (1 << self.bits) - 1;
        let (mut left, mut right) = (x & mask, x >> self.bits);
        for pair in self.rounds.chunks_exact(2).rev() {
            let taken = self.reduce(pair[1].mix(left));
            right = if right >= taken { right - taken } else { right + self.b - taken };
            left = left.wrapping_sub(pair[0].mix(right)) & mask;
        }
        right << self.bits | left
    }

    /// A hash as a number below `b` (Lemire, 2019).
    fn reduce(&self, hash: u64) -> u64 {
        ((u128::from(hash) * u128::from(self.b)) >> 64) as u64
    }
}

/// SipHash-1-3 (Aumasson and Bernstein, 2012) of three words.
fn siphash_1_3(k0: u64, k1: u64, words: [u64; 3]) -> u64 {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for word in words.into_iter().chain([24 << 56]) {
        v[3] ^= word;
        sip_round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    (0..3).for_each(|_| sip_round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use proptest::prelude::*;

    use super::*;

    fn key(n: u8) -> PermutationKey {
        PermutationKey([n; 16])
    }

    #[test]
    fn every_small_size_is_permuted_exactly() {
        for n in 0..600u64 {
            for k in 0..3 {
                let permutation = Permutation::new(n.into(), key(k));
                let mut seen = vec![false; n as usize];
                for index in 0..n {
                    let element = permutation.at(index);
                    assert!(!std::mem::replace(&mut seen[element as usize], true), "n={n} twice {element}");
                    assert_eq!(permutation.index_of(element), index);
                }
            }
        }
    }

    #[test]
    fn a_larger_size_is_permuted_exactly() {
        let n = 1_000_003u64;
        let permutation = Permutation::new(n.into(), key(9));
        let mut seen = vec![false; n as usize];
        (0..n).for_each(|index| seen[permutation.at(index) as usize] = true);
        assert!(seen.into_iter().all(|s| s));
    }

    /// The first elements of a large order spread evenly: 64 buckets, chi-squared below the
    /// 99.99 % point (63 degrees of freedom: 111), and neighbours are not kept together.
    #[test]
    fn the_order_is_spread() {
        for n in [1u128 << 20, 7 * (1 << 24) * 65_536, u128::from(u64::MAX), SIZE_MAX] {
            for k in 0..8 {
                let permutation = Permutation::new(n, key(k));
                let mut buckets = [0f64; 64];
                let mut near = 0;
                let mut last = permutation.at(0);
                for index in 0..6_400 {
                    let element = permutation.at(index);
                    buckets[(u128::from(element) * 64 / n) as usize] += 1.0;
                    near += usize::from(element.abs_diff(last) < 16 && index > 0);
                    last = element;
                }
                let chi: f64 = buckets.iter().map(|c| (c - 100.0).powi(2) / 100.0).sum();
                assert!(chi < 125.0, "n={n} key={k} chi={chi}");
                assert!(near < 10, "n={n} key={k} near={near}");
            }
        }
    }

    #[test]
    fn keys_give_different_orders_and_the_same_key_the_same() {
        let order = |k| {
            let permutation = Permutation::new(10_000, k);
            (0..100).map(|i| permutation.at(i)).collect::<Vec<_>>()
        };
        assert_eq!(order(key(1)), order(key(1)));
        assert_ne!(order(key(1)), order(key(2)));
        assert_ne!(order(key(1)), order(key(1).derive(0, 0)));
        assert_ne!(key(1).derive(0, 1), key(1).derive(1, 0));
    }

    /// Orders outlive builds: a survey begun by one version is resumed by the next.
    #[test]
    fn the_order_of_version_1_does_not_drift() {
        let permutation = Permutation::new(1000, PermutationKey(*b"kenshin-order-v1"));
        let first: Vec<u64> = (0..8).map(|i| permutation.at(i)).collect();
        assert_eq!(first, [224, 884, 825, 482, 124, 978, 652, 314]);
    }

    #[test]
    fn siphash_is_the_published_one() {
        // The default hasher of the standard library is SipHash-1-3 with keys (0, 0).
        let mut reference = std::collections::hash_map::DefaultHasher::new();
        [1u64, 2, 3].into_iter().for_each(|w| reference.write_u64(w));
        assert_eq!(siphash_1_3(0, 0, [1, 2, 3]), reference.finish());
    }

    proptest! {
        #[test]
        fn there_and_back(n in 1u128..=SIZE_MAX, bytes: [u8; 16], at: u64) {
            let permutation = Permutation::new(n, PermutationKey(bytes));
            let index = (u128::from(at) % n) as u64;
            let element = permutation.at(index);
            prop_assert!(u128::from(element) < n);
            prop_assert_eq!(permutation.index_of(element), index);
        }

        #[test]
        fn two_indexes_never_meet(n in 2u128..=SIZE_MAX, bytes: [u8; 16], a: u64, b: u64) {
            let permutation = Permutation::new(n, PermutationKey(bytes));
            let (a, b) = ((u128::from(a) % n) as u64, (u128::from(b) % n) as u64);
            prop_assert_eq!(permutation.at(a) == permutation.at(b), a == b);
        }
    }
}
