//! Whether a mandate stands as a whole at an instant.

use kenshin_observation::TimeUs;

use super::Refusal;
use crate::revocation::AHEAD_MAX_S;
use crate::{Narrowing, RevocationList, VerifiedMandate};

/// Whether the mandate authorises anything at `now`: validity, trust in its signers, revocation
/// and its freshness, hours of the day. What the gate asks, for those who only want to know.
pub fn standing(
    mandate: &VerifiedMandate,
    revocation: Option<&RevocationList>,
    narrowing: &Narrowing,
    now: TimeUs,
) -> Result<(), Refusal> {
    if let Some(entry) = narrowing.revoked().iter().find(|entry| entry.what.covers(mandate)) {
        return Err(Refusal::Revoked { reason: entry.reason.clone() });
    }
    until(mandate, revocation, now).map(|_| ())
}

/// The first instant after `now` at which the mandate may stand no longer; it stands until then.
pub(super) fn until(
    mandate: &VerifiedMandate,
    revocation: Option<&RevocationList>,
    now: TimeUs,
) -> Result<TimeUs, Refusal> {
    if now < mandate.valid_from {
        return Err(Refusal::NotYetValid { from: mandate.valid_from });
    }
    if mandate.valid_until <= now {
        return Err(Refusal::Expired { until: mandate.valid_until });
    }
    if let Some(until) = mandate.trusted_until().filter(|until| *until < now) {
        return Err(Refusal::SignerExpired { until });
    }
    let list = revocation.ok_or(Refusal::RevocationMissing)?;
    if let Some(entry) = list.revokes(mandate) {
        return Err(Refusal::Revoked { reason: entry.reason.clone() });
    }
    let (issued_at, max_age_s) = (list.issued_at(), mandate.revocation.max_age_s);
    if now.plus_secs(AHEAD_MAX_S) < issued_at {
        return Err(Refusal::RevocationAhead { issued_at });
    }
    let fresh_until = issued_at.plus_secs(max_age_s.into());
    if fresh_until <= now {
        return Err(Refusal::RevocationStale { issued_at, max_age_s });
    }
    let window = mandate.windows.state(now);
    if !window.open {
        return Err(Refusal::WindowClosed {
            opens: window.until.filter(|opens| *opens < mandate.valid_until),
        });
    }
    let ends = [
        Some(mandate.valid_until),
        mandate.trusted_until().map(|until| until.plus_micros(1)),
        Some(fresh_until),
        window.until,
    ];
    Ok(ends.into_iter().flatten().min().expect("validity always ends"))
}
