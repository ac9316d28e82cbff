//! Why nothing may be sent.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kenshin_observation::{Check, Endpoint, Explanation, TimeUs};

/// Why an exchange, or everything under a mandate, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The mandate does not hold yet.
    #[error("the mandate is not valid before {from}")]
    NotYetValid {
        /// When it begins.
        from: TimeUs,
    },
    /// The mandate no longer holds.
    #[error("the mandate expired at {until}")]
    Expired {
        /// When it ended.
        until: TimeUs,
    },
    /// A signature no longer counts by the trust roots.
    #[error("the trust in a signer of the mandate ended at {until}")]
    SignerExpired {
        /// When it ended.
        until: TimeUs,
    },
    /// The mandate is revoked.
    #[error("the mandate is revoked: {reason}")]
    Revoked {
        /// Why.
        reason: String,
    },
    /// There is no revocation list.
    #[error("there is no revocation list, so nothing can be sent")]
    RevocationMissing,
    /// The revocation list is too old.
    #[error("the revocation list was issued at {issued_at}, more than {max_age_s} s ago")]
    RevocationStale {
        /// When it was issued.
        issued_at: TimeUs,
        /// How old it may be.
        max_age_s: u32,
    },
    /// The revocation list is dated in the future.
    #[error("the revocation list is dated {issued_at}, which is still to come")]
    RevocationAhead {
        /// When it says it was issued.
        issued_at: TimeUs,
    },
    /// It is not the hour.
    #[error("the mandate does not let send at this hour{}", opens.map(|t| format!("; it does from {t}")).unwrap_or_default())]
    WindowClosed {
        /// When the next window opens.
        opens: Option<TimeUs>,
    },
    /// The clock runs backwards.
    #[error("the clock went back: it has shown {latest} before")]
    ClockBack {
        /// The latest instant that was seen.
        latest: TimeUs,
    },
    /// The address is not in the scope.
    #[error("{addr} is outside the scope of the mandate")]
    OutsideScope {
        /// The address.
        addr: IpAddr,
    },
    /// The address is left out.
    #[error("{addr} is excluded: {reason}")]
    Excluded {
        /// The address.
        addr: IpAddr,
        /// Why.
        reason: String,
    },
    /// The port is not granted.
    #[error("the mandate does not grant the port of {endpoint}")]
    PortNotGranted {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The check is not granted.
    #[error("the mandate does not grant `{check}`")]
    CheckNotGranted {
        /// The check.
        check: Check,
    },
    /// Unsolicited bytes do harm at the port.
    #[error("{endpoint} is listen-only, and `{check}` would speak")]
    ListenOnly {
        /// The endpoint.
        endpoint: Endpoint,
        /// The check.
        check: Check,
    },
}

impl Refusal {
    /// A short code for records and metrics; also the last part of its message code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::SignerExpired { .. } => "signer-expired",
            Self::Revoked { .. } => "revoked",
            Self::RevocationMissing => "revocation-missing",
            Self::RevocationStale { .. } => "revocation-stale",
            Self::RevocationAhead { .. } => "revocation-ahead",
            Self::WindowClosed { .. } => "window-closed",
            Self::ClockBack { .. } => "clock-back",
            Self::OutsideScope { .. } => "outside-scope",
            Self::Excluded { .. } => "excluded",
            Self::PortNotGranted { .. } => "port-not-granted",
            Self::CheckNotGranted { .. } => "check-not-granted",
            Self::ListenOnly { .. } => "listen-only",
        }
    }

    /// True when it concerns one target and the others go on; false when everything under the
    /// mandate stops.
    pub fn concerns_target(&self) -> bool {
        matches!(
            self,
            Self::OutsideScope { .. }
                | Self::Excluded { .. }
                | Self::PortNotGranted { .. }
                | Self::CheckNotGranted { .. }
                | Self::ListenOnly { .. }
        )
    }

    /// The refusal as a message code with arguments.
    pub fn explanation(&self) -> Explanation {
        let mut args = BTreeMap::new();
        let mut arg = |name: &str, value: String| {
            args.insert(name.to_owned(), value);
        };
        match self {
            Self::NotYetValid { from } => arg("from", from.to_string()),
            Self::Expired { until } | Self::SignerExpired { until } => arg("until", until.to_string()),
            Self::Revoked { reason } => arg("reason", reason.clone()),
            Self::RevocationMissing => {}
            Self::RevocationStale { issued_at, max_age_s } => {
                arg("issued_at", issued_at.to_string());
                arg("max_age_minutes", (max_age_s / 60).to_string());
            }
            Self::RevocationAhead { issued_at } => arg("issued_at", issued_at.to_string()),
            Self::WindowClosed { opens } => arg("opens", opens.map_or("–".to_owned(), |t| t.to_string())),
            Self::ClockBack { latest } => arg("latest", latest.to_string()),
            Self::OutsideScope { addr } => arg("addr", addr.to_string()),
            Self::Excluded { addr, reason } => {
                arg("addr", addr.to_string());
                arg("reason", reason.clone());
            }
            Self::PortNotGranted { endpoint } => arg("endpoint", endpoint.to_string()),
            Self::CheckNotGranted { check } => arg("check", check.to_string()),
            Self::ListenOnly { endpoint, check } => {
                arg("endpoint", endpoint.to_string());
                arg("check", check.to_string());
            }
        }
        Explanation { code: format!("mandate.refusal.{}", self.code()), args }
    }

    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotYetValid { .. } => "wait until it begins",
            Self::Expired { .. } => "ask the authority for the next version of the mandate",
            Self::SignerExpired { .. } => "ask the authority to sign with a key that is trusted now",
            Self::Revoked { .. } => {
                "ask the authority; a revoked mandate stays revoked, a new version can replace it"
            }
            Self::RevocationMissing | Self::RevocationStale { .. } => {
                "fetch the list again from where the mandate says; the authority issues it anew all the time"
            }
            Self::RevocationAhead { .. } | Self::ClockBack { .. } => "set this machine's clock right",
            Self::WindowClosed { .. } => "wait for the next window",
            Self::OutsideScope { .. } | Self::PortNotGranted { .. } | Self::CheckNotGranted { .. } => {
                "only a new version of the mandate, signed again, can grant it"
            }
            Self::Excluded { .. } => "leave it out: exclusions hold whatever else is granted",
            Self::ListenOnly { .. } => {
                "grant to speak there with [[ports.speak]] and a reason, if it is safe"
            }
        }
    }
}
