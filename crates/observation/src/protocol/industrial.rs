//! Controllers of machines and buildings: their name plates.

use serde::{Deserialize, Serialize};

/// Modbus device identification, basic (MODBUS Application Protocol 1.1b3 §6.21).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modbus {
    /// `VendorName`.
    pub vendor: Option<String>,
    /// `ProductCode`.
    pub product_code: Option<String>,
    /// `MajorMinorRevision`.
    pub revision: Option<String>,
    /// Exception code it answered with instead.
    pub exception: Option<i32>,
}

/// S7 identification from the system status lists 0x0011 and 0x001C (Siemens S7-300/400 system
/// functions).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct S7 {
    /// Order number of the module.
    pub module: Option<String>,
    /// Name of the automation system.
    pub system_name: Option<String>,
    /// Name of the module.
    pub module_name: Option<String>,
    /// Plant designation.
    pub plant: Option<String>,
    /// Serial number of the module.
    pub serial_number: Option<String>,
    /// Firmware version.
    pub version: Option<String>,
}

/// Properties of a BACnet device object (ASHRAE 135 §12.11).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bacnet {
    /// `vendor-name`.
    pub vendor: Option<String>,
    /// `vendor-identifier`, as ASHRAE assigns them.
    pub vendor_id: Option<i32>,
    /// `model-name`.
    pub model: Option<String>,
    /// `firmware-revision`.
    pub firmware: Option<String>,
    /// `object-name`.
    pub object_name: Option<String>,
    /// Instance number of the device object.
    pub instance: Option<i32>,
}
