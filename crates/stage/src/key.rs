//! Keys of devices, derived from a seed: the same town shows the same keys every time.
//!
//! They protect nothing. What a device is able to show (RSA of 1024 bits, a key shared by a whole
//! model) matters, secrecy does not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::RsaPrivateKeyBuilder;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Public exponent of every RSA key here.
const EXPONENT: u32 = 65_537;

/// What a key is derived from.
pub(crate) type KeySeed = [u8; 32];

/// The seed of one of an owner's keys.
pub(crate) fn seed(town: u64, owner: &str, purpose: &str) -> KeySeed {
    let mut hash = Sha256::new_with_prefix(b"kenshin-town-key\0");
    hash.update(town.to_be_bytes());
    hash.update(owner);
    hash.update([0]);
    hash.update(purpose);
    hash.finalize().into()
}

/// A key on the P-256 curve.
pub(crate) fn p256(seed: KeySeed) -> Result<EcKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let mut context = BigNumContext::new()?;
    let mut order = BigNum::new()?;
    group.order(&mut order, &mut context)?;
    let mut scalar = BigNum::new()?;
    scalar.nnmod(&*BigNum::from_slice(&seed)?, &order, &mut context)?;
    let mut public = EcPoint::new(&group)?;
    public.mul_generator2(&group, &scalar, &mut context)?;
    EcKey::from_private_components(&group, &scalar, &public)
}

/// An RSA key of `bits` bits with exponent 65537.
fn rsa(seed: KeySeed, bits: i32) -> Result<PKey<Private>, ErrorStack> {
    let mut rng = ChaCha8Rng::from_seed(seed);
    let mut context = BigNumContext::new()?;
    let e = BigNum::from_u32(EXPONENT)?;
    let p = prime(&mut rng, bits / 2, &mut context)?;
    let q = prime(&mut rng, bits / 2, &mut context)?;
    let one = BigNum::from_u32(1)?;
    let (mut n, mut phi) = (BigNum::new()?, BigNum::new()?);
    let (mut p1, mut q1) = (BigNum::new()?, BigNum::new()?);
    p1.checked_sub(&p, &one)?;
    q1.checked_sub(&q, &one)?;
    n.checked_mul(&p, &q, &mut context)?;
    phi.checked_mul(&p1, &q1, &mut context)?;
    let (mut d, mut dmp1, mut dmq1, mut iqmp) =
        (BigNum::new()?, BigNum::new()?, BigNum::new()?, BigNum::new()?);
    d.mod_inverse(&e, &phi, &mut context)?;
    dmp1.nnmod(&d, &p1, &mut context)?;
    dmq1.nnmod(&d, &q1, &mut context)?;
    iqmp.mod_inverse(&q, &p, &mut context)?;
    let key =
        RsaPrivateKeyBuilder::new(n, e, d)?.set_factors(p, q)?.set_crt_params(dmp1, dmq1, iqmp)?.build();
    PKey::from_rsa(key)
}

/// The first prime after a drawn odd number that suits the exponent. Both top bits are set, so
/// that two of them multiply to the full length.
fn prime(rng: &mut ChaCha8Rng, bits: i32, context: &mut BigNumContext) -> Result<BigNum, ErrorStack> {
    let mut bytes = vec![0; usize::try_from(bits / 8).expect("a positive size")];
    rng.fill_bytes(&mut bytes);
    let last = bytes.len() - 1;
    bytes[0] |= 0xc0;
    bytes[last] |= 1;
    let mut candidate = BigNum::from_slice(&bytes)?;
    loop {
        // The gap to the next prime averages 0.7 × bits; the search ends.
        if candidate.mod_word(EXPONENT)? != 1 && is_prime(&candidate, context)? {
            return Ok(candidate);
        }
        candidate.add_word(2)?;
    }
}

/// Trial division, then Fermat's test to base 2. For numbers drawn at random that is as good as
/// certain, and many times faster than the rounds that a key worth protecting needs.
fn is_prime(candidate: &BigNumRef, context: &mut BigNumContext) -> Result<bool, ErrorStack> {
    for divisor in (3..1_000).step_by(2) {
        if candidate.mod_word(divisor)? == 0 {
            return Ok(false);
        }
    }
    let two = BigNum::from_u32(2)?;
    let mut power = BigNum::new()?;
    power.mod_exp(&two, candidate, candidate, context)?;
    Ok(power == two)
}

/// An RSA key, or the place where one will be.
type Place = Arc<Mutex<Option<PKey<Private>>>>;

/// RSA keys made so far: a key that many devices share, or that outlives a round, is made once.
#[derive(Debug, Default)]
pub(crate) struct KeyRing(Mutex<HashMap<(KeySeed, i32), Place>>);

impl KeyRing {
    /// The RSA key of `seed`. Who asks while it is being made waits for it.
    pub(crate) fn rsa(&self, seed: KeySeed, bits: i32) -> Result<PKey<Private>, ErrorStack> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::clone(places.entry((seed, bits)).or_default());
        drop(places);
        let mut held = place.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(key) => Ok(key.clone()),
            None => Ok(held.insert(rsa(seed, bits)?).clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sound_and_repeat() {
        let one = rsa(seed(1, "device", "tls"), 1024).unwrap();
        assert_eq!(one.bits(), 1024);
        assert!(one.rsa().unwrap().check_key().unwrap());
        let again = rsa(seed(1, "device", "tls"), 1024).unwrap();
        assert!(one.public_eq(&again));
        let other = rsa(seed(1, "other", "tls"), 1024).unwrap();
        assert!(!one.public_eq(&other));
        p256(seed(1, "device", "ssh")).unwrap().check_key().unwrap();
    }
}
