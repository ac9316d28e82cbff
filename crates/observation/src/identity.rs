//! What a thing is, and how sure we are.

use serde::{Deserialize, Serialize};

use crate::words::words;

words!(
    /// Kind of device, coarse enough to be told apart from outside.
    DeviceType, "device type" {
        /// Home or office router.
        Router = "router",
        /// Network camera.
        Camera = "camera",
        /// Video recorder (DVR, NVR).
        Recorder = "recorder",
        /// Printer or multifunction device.
        Printer = "printer",
        /// Network storage.
        Nas = "nas",
        /// IoT, building or industrial gateway.
        Gateway = "gateway",
        /// Switch.
        Switch = "switch",
        /// Wireless access point.
        AccessPoint = "access-point",
        /// Modem or optical terminal.
        Modem = "modem",
        /// IP telephone or telephone adapter.
        Phone = "phone",
        /// Firewall or VPN appliance.
        Firewall = "firewall",
        /// Power supply, PDU or UPS.
        Power = "power",
        /// Programmable controller.
        Controller = "controller",
        /// Set-top box or television.
        Television = "television",
        /// Sensor or other small thing.
        Thing = "thing",
        /// General-purpose computer.
        Server = "server",
    }
);

/// One attribute with its confidence and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The value.
    pub value: String,
    /// Percent, 0 to 100.
    pub confidence: u8,
    /// Which fingerprint said so and from which field, e.g. `own:http_server/12 http.server`.
    pub reason: String,
}

/// What a thing is. Every attribute is absent unless something supports it: an identity without
/// claims is `unknown`, which is an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Maker.
    pub vendor: Option<Claim>,
    /// Model or software product.
    pub product: Option<Claim>,
    /// Version of the product or firmware.
    pub version: Option<Claim>,
    /// A [`DeviceType`] word.
    pub device_type: Option<Claim>,
    /// CPE 2.3 formatted string.
    pub cpe: Option<Claim>,
    /// Software components seen, as `product version` claims (e.g. `dropbear 2019.78`), each with
    /// its own CPE where known.
    pub components: Vec<Component>,
}

/// A software component visible inside a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Maker, when known.
    pub vendor: Option<String>,
    /// Product name.
    pub product: Claim,
    /// Version, when disclosed.
    pub version: Option<String>,
    /// CPE 2.3 formatted string, when known.
    pub cpe: Option<String>,
    /// Port of the service that showed it.
    pub port: u16,
    /// The text that showed it, cut to 200 bytes; unescaped. Older identities do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
}

impl Identity {
    /// True when nothing supports any statement about the device itself.
    pub fn is_unknown(&self) -> bool {
        self.vendor.is_none() && self.product.is_none() && self.device_type.is_none()
    }
}
