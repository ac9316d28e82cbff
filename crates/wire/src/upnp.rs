//! The description of a UPnP device (UPnP Device Architecture 1.1 §2.3).

use crate::malformed::Malformed;
use crate::xml::{self, Step};

/// What the root device says of itself; texts are as sent, at most 8 KiB each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Kind of device, such as `urn:schemas-upnp-org:device:InternetGatewayDevice:1`.
    pub device_type: Option<String>,
    /// Name for people.
    pub friendly_name: Option<String>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// What the model is, in words.
    pub model_description: Option<String>,
    /// Model.
    pub model_name: Option<String>,
    /// Model number, on many devices the firmware version.
    pub model_number: Option<String>,
    /// Serial number.
    pub serial_number: Option<String>,
    /// Unique device name, `uuid:…`.
    pub udn: Option<String>,
}

/// Reads a description: the first of each field of the root device; embedded devices are passed
/// over.
pub fn parse(document: &[u8]) -> Result<Description, Malformed> {
    let mut found = Description::default();
    xml::walk(document, |path, step| {
        let (["root", "device", field], Step::Close(text)) = (path, step) else { return };
        let field = match *field {
            "deviceType" => &mut found.device_type,
            "friendlyName" => &mut found.friendly_name,
            "manufacturer" => &mut found.manufacturer,
            "modelDescription" => &mut found.model_description,
            "modelName" => &mut found.model_name,
            "modelNumber" => &mut found.model_number,
            "serialNumber" => &mut found.serial_number,
            "UDN" => &mut found.udn,
            _ => return,
        };
        if field.is_none() && !text.is_empty() {
            *field = Some(text.to_owned());
        }
    })?;
    if found == Description::default() {
        return Err(Malformed::Not("a UPnP description"));
    }
    Ok(found)
}
