//! Keys of devices, derived from a seed: the same town shows the same keys every time.
//!
//! They protect nothing. What a device is able to show (RSA of 1024 bits, a key shared by a whole
//! model) matters, secrecy does not.

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
pub(crate) fn rsa(seed: KeySeed, bits: i32) -> Result<PKey<Private>, ErrorStack> {
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

/// Trial division first: it spares nine of ten Miller-Rabin tests.
fn is_prime(candidate: &BigNumRef, context: &mut BigNumContext) -> Result<bool, ErrorStack> {
    for small in
        [3u32, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97]
    {
        if candidate.mod_word(small)? == 0 {
            return Ok(false);
        }
    }
    candidate.is_prime_fasttest(4, context, true)
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
