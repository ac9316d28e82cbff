//! Attributes that a device states plainly in a field made for them: descriptions of UPnP and ONVIF,
//! name plates of controllers. No pattern is needed, only the knowledge of what says nothing.

use kenshin_observation::DeviceType;

use super::name::{normal_product, normal_vendor};
use super::sighting::Field;
use super::statement::{Attribute, clean};

/// In the maker's place, in normal form: software that answers for devices of any maker, makers of
/// chips whose sample code was left as it was, and nothing at all.
const NO_MAKERS: &[&str] = &[
    "",
    "android",
    "atheros",
    "broadcom",
    "default",
    "generic",
    "linux",
    "manufacturer",
    "mediatek",
    "miniupnp",
    "na",
    "none",
    "oem",
    "onvif",
    "openwrt",
    "qualcomm",
    "ralink",
    "realtek",
    "unknown",
    "upnp",
    "vendor",
];

/// In the model's place, in normal form.
const NO_MODELS: &[&str] = &[
    "",
    "camera",
    "default",
    "device",
    "gateway",
    "generic",
    "igd",
    "internetgatewaydevice",
    "ipcamera",
    "ipc",
    "linux",
    "miniupnpd",
    "model",
    "modelname",
    "na",
    "none",
    "onvif",
    "router",
    "unknown",
    "upnp",
    "wfadevice",
    "windowsmediaplayersharing",
    "windowsmediaconnectcompatible",
];

/// What the text of `field` states; `None` for other fields, and when it says nothing.
pub(super) fn stated(field: Field, text: &[u8]) -> Option<(Attribute, String)> {
    let text = clean(&String::from_utf8_lossy(text));
    let told = match field {
        Field::Manufacturer => !NO_MAKERS.contains(&normal_vendor(&text).as_str()),
        Field::Model => !NO_MODELS.contains(&normal_product(&text).as_str()),
        Field::Firmware => text.bytes().any(|byte| byte.is_ascii_digit()),
        Field::Role => {
            let role = role(&text)?;
            return Some((Attribute::Type, role.to_string()));
        }
        _ => false,
    };
    let attribute = match field {
        Field::Manufacturer => Attribute::Vendor,
        Field::Model => Attribute::Product,
        _ => Attribute::Version,
    };
    told.then_some((attribute, text))
}

/// UPnP device types (`urn:schemas-upnp-org:device:…`), types of WS-Discovery with their prefix, and
/// the protocols that only controllers speak.
fn role(text: &str) -> Option<DeviceType> {
    let lower = text.to_ascii_lowercase();
    let name = match lower.strip_prefix("urn:") {
        Some(urn) => urn.split(':').nth(2)?,
        None => lower.rsplit(':').next()?,
    };
    Some(match name {
        "internetgatewaydevice" => DeviceType::Router,
        "wlanaccesspointdevice" => DeviceType::AccessPoint,
        "digitalsecuritycamera" | "networkvideotransmitter" => DeviceType::Camera,
        "networkvideostorage" => DeviceType::Recorder,
        "printer" | "printdevicetype" | "printbasic" | "scandevicetype" => DeviceType::Printer,
        "s7" | "bacnet" => DeviceType::Controller,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_is_taken_and_nothing_is_not() {
        let said = |field, text: &str| stated(field, text.as_bytes());
        assert_eq!(
            said(Field::Manufacturer, "Buffalo Inc."),
            Some((Attribute::Vendor, "Buffalo Inc.".into()))
        );
        assert_eq!(said(Field::Model, " WXR-5950AX12 "), Some((Attribute::Product, "WXR-5950AX12".into())));
        for nothing in ["MiniUPnP", "Linux", "Unknown", "Broadcom Corporation", " "] {
            assert_eq!(said(Field::Manufacturer, nothing), None, "{nothing}");
        }
        assert_eq!(said(Field::Model, "Internet Gateway Device"), None);
        assert_eq!(said(Field::Firmware, "none"), None);
        assert_eq!(said(Field::HttpServer, "Buffalo"), None, "that is what patterns are for");
    }

    #[test]
    fn roles_are_types() {
        for (text, expected) in [
            ("urn:schemas-upnp-org:device:InternetGatewayDevice:1", Some(DeviceType::Router)),
            ("dn:NetworkVideoTransmitter", Some(DeviceType::Camera)),
            ("wsdp:Device", None),
            ("urn:schemas-upnp-org:device:MediaRenderer:1", None),
            ("urn:", None),
            ("", None),
        ] {
            assert_eq!(role(text), expected, "{text}");
        }
    }
}
