//! The proof that one exchange is allowed now.

use std::sync::Arc;

use kenshin_observation::{Check, Endpoint, SensorId, TimeUs, Transport};

use super::Exchange;

/// A permit is to be used within this time after it was granted: revocation must take effect.
const USABLE_US: i64 = 1_000_000;

/// Proof, derived from a valid mandate, that *one exchange* with one target for one check is
/// allowed now. Made by [`crate::Gate::judge`] only; it cannot be copied, and sending takes it by
/// value.
///
/// What can be said of a permit from outside:
///
/// ```
/// use kenshin_mandate::Permit;
/// fn send(permit: Permit) -> String {
///     permit.endpoint().to_string()
/// }
/// ```
///
/// It cannot be made, copied or altered there; each of these differs from the above in that alone:
///
/// ```compile_fail,E0624
/// use kenshin_mandate::Permit;
/// fn forge(e: &kenshin_mandate::Exchange, now: kenshin_observation::TimeUs) -> Permit {
///     Permit::new(e, false, "".into(), kenshin_observation::SensorId::from_bits(0), now)
/// }
/// ```
///
/// ```compile_fail,E0451
/// use kenshin_mandate::Permit;
/// fn alter(permit: Permit) -> Permit {
///     Permit { listen_only: false, ..permit }
/// }
/// ```
///
/// ```compile_fail,E0599
/// use kenshin_mandate::Permit;
/// fn copy(permit: &Permit) -> Permit {
///     permit.clone()
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    endpoint: Endpoint,
    check: Check,
    listen_only: bool,
    mandate_digest: Arc<str>,
    sensor: SensorId,
    granted_at: TimeUs,
}

impl Permit {
    /// The one constructor.
    pub(super) fn new(
        exchange: &Exchange,
        listen_only: bool,
        mandate_digest: Arc<str>,
        sensor: SensorId,
        granted_at: TimeUs,
    ) -> Self {
        let Exchange { endpoint, check } = *exchange;
        Self { endpoint, check, listen_only, mandate_digest, sensor, granted_at }
    }

    /// With whom.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Which class of exchange.
    pub fn check(&self) -> Check {
        self.check
    }

    /// True when nothing may be said: connect, read, close.
    pub fn listen_only(&self) -> bool {
        self.listen_only
    }

    /// SHA-256 of the mandate's text, hexadecimal.
    pub fn mandate_digest(&self) -> &str {
        &self.mandate_digest
    }

    /// Who may send.
    pub fn sensor(&self) -> SensorId {
        self.sensor
    }

    /// When it was granted.
    pub fn granted_at(&self) -> TimeUs {
        self.granted_at
    }

    /// How many packets the exchange may send in all, acknowledgements and retransmissions
    /// included.
    pub fn packets_max(&self) -> u32 {
        match (self.endpoint.transport, self.check) {
            (Transport::Icmp, _) | (Transport::Udp, Check::Sweep | Check::Banner) => 1,
            (Transport::Udp, _) => 8,
            // SYN and its one retransmission, ACK, FIN or RST, and what answers the other side.
            (Transport::Tcp, Check::Sweep) => 8,
            (Transport::Tcp, Check::Banner) => 64,
            (Transport::Tcp, _) => 256,
        }
    }

    /// True while the permit may still be used: within a second of being granted. An engine that
    /// held it longer asks for another.
    pub fn usable_at(&self, now: TimeUs) -> bool {
        now.micros_since(self.granted_at).abs() <= USABLE_US
    }
}
