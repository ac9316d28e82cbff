//! Hardware addresses that show through: whom one was assigned to is a word about the maker of the
//! network interface, and so, less surely, of the device.

use std::net::{IpAddr, Ipv6Addr};

use kenshin_observation::Observation;

use super::name::normal_vendor;
use crate::intelligence::Vendors;

/// Who makes interfaces, modules and whole devices for others, in normal form: their assignments tell
/// nothing of the name on the device.
const FOR_OTHERS: &[&str] = &[
    "alpsalpine",
    "ampak",
    "arcadyan",
    "asrock",
    "atheros",
    "azurewave",
    "broadcom",
    "compalinformationkunshan",
    "cybertan",
    "espressif",
    "foxconn",
    "gemtek",
    "gigabyte",
    "honhaiprecisionind",
    "intel",
    "intelcorporate",
    "liteon",
    "mediatek",
    "microchip",
    "mitsumi",
    "murata",
    "muratamanufacturing",
    "nordicsemiconductor",
    "pegatron",
    "qualcomm",
    "quanta",
    "quectelwirelesssolutions",
    "ralink",
    "raspberrypi",
    "raspberrypitrading",
    "realtek",
    "realteksemiconductor",
    "samsungelectromechanics",
    "siliconlaboratories",
    "supermicro",
    "texasinstruments",
    "tyan",
    "universalglobalscientificindustrial",
    "vmware",
    "wistron",
    "wistronneweb",
    "wnc",
    "xensource",
];

/// The maker that an address speaks for.
pub(super) fn maker(text: &[u8], vendors: &Vendors) -> Option<String> {
    let address = parse(std::str::from_utf8(text).ok()?)?;
    let name = vendors.of(address)?;
    (!FOR_OTHERS.contains(&normal_vendor(name).as_str())).then(|| name.to_owned())
}

/// Every hardware address that an observation holds, as text.
pub(super) fn addresses(observation: &Observation) -> Vec<String> {
    let records = &observation.records;
    let mut found: Vec<[u8; 6]> = Vec::new();
    if let IpAddr::V6(addr) = observation.subject.addr {
        found.extend(of_interface(addr));
    }
    found.extend(records.snmp.as_ref().and_then(|snmp| of_engine(snmp.engine_id.as_deref()?)));
    if let Some(upnp) = &records.upnp {
        found.extend(upnp.serial_number.as_deref().and_then(parse));
        found.extend(upnp.udn.as_deref().and_then(of_uuid));
    }
    found.extend(records.ssdp.as_ref().and_then(|ssdp| of_uuid(ssdp.usn.as_deref()?)));
    found.extend(records.wsd.as_ref().and_then(|wsd| of_uuid(wsd.endpoint.as_deref()?)));
    if let Some(mdns) = &records.mdns {
        let stated = mdns.texts.iter().filter_map(|text| text.split_once('='));
        let stated = stated.filter(|(key, _)| {
            matches!(key.to_ascii_lowercase().as_str(), "mac" | "deviceid" | "macaddress")
        });
        found.extend(stated.filter_map(|(_, value)| parse(value)));
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(text).collect()
}

fn text(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// Twelve digits, also with separators between the bytes.
fn parse(text: &str) -> Option<[u8; 6]> {
    let text = text.trim();
    let separated =
        text.len() == 17 && text.bytes().skip(2).step_by(3).all(|byte| matches!(byte, b':' | b'-'));
    let digits: String = if separated { text.split([':', '-']).collect() } else { text.to_owned() };
    let mut address = [0; 6];
    hex::decode_to_slice(digits, &mut address).ok()?;
    (address != [0; 6]).then_some(address)
}

/// The address in an interface identifier (modified EUI-64, RFC 4291 appendix A).
fn of_interface(addr: Ipv6Addr) -> Option<[u8; 6]> {
    let [.., a, b, c, 0xff, 0xfe, d, e, f] = addr.octets() else { return None };
    const UNIVERSAL: u8 = 0b10;
    (a & UNIVERSAL != 0).then_some([a ^ UNIVERSAL, b, c, d, e, f])
}

/// The address in an engine id of format 3 (RFC 3411 §5).
fn of_engine(id: &str) -> Option<[u8; 6]> {
    let bytes = hex::decode(id).ok()?;
    match bytes.as_slice() {
        [first, _, _, _, 3, address @ ..] if first & 0x80 != 0 => address.try_into().ok(),
        _ => None,
    }
}

/// The last digits of a UUID, where many makers write the address; not those drawn at random.
fn of_uuid(text: &str) -> Option<[u8; 6]> {
    let at = text.find("uuid:")? + "uuid:".len();
    let parts: Vec<&str> = text.get(at..at + 36)?.split('-').collect();
    let [_, _, version, _, node] = parts.as_slice() else { return None };
    if version.starts_with('4') || node.len() != 12 {
        return None;
    }
    parse(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_addresses_hide() {
        let address = Some([0x00, 0x1d, 0x73, 1, 2, 3]);
        assert_eq!(of_interface("2001:db8::21d:73ff:fe01:203".parse().unwrap()), address);
        assert_eq!(of_interface("2001:db8::1d:73ff:fe01:203".parse().unwrap()), None, "not of a maker");
        assert_eq!(of_interface("2001:db8::1".parse().unwrap()), None);
        assert_eq!(of_engine("8000000903001d73010203"), address);
        assert_eq!(of_engine("80000009010a000001"), None);
        for text in ["001D73010203", "00:1d:73:01:02:03", "00-1D-73-01-02-03 "] {
            assert_eq!(parse(text), address, "{text}");
        }
        for text in ["", "000000000000", "001D7301020", "00:1d:73:01:02:0g", "serial 00:1d"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(of_uuid("uuid:4d696e69-444c-164e-9d41-001d73010203::upnp:rootdevice"), address);
        assert_eq!(of_uuid("urn:uuid:4d696e69-444c-464e-9d41-001d73010203"), None, "drawn at random");
        assert_eq!(of_uuid("uuid:é"), None);
    }

    #[test]
    fn text_is_read_back() {
        let address = [0x00, 0x1d, 0x73, 0xaa, 0, 1];
        assert_eq!((text(address).as_str(), parse(&text(address))), ("00:1d:73:aa:00:01", Some(address)));
    }
}
