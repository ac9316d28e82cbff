//! What the id of an SNMPv3 engine tells (RFC 3411, `SnmpEngineID`).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::ber::{Ber, OCTET_STRING, SEQUENCE};
use crate::charset;
use crate::malformed::Malformed;

/// Longest id, RFC 3411.
const ID_BYTES_MAX: usize = 32;

/// An SNMPv3 engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its id, 1 to 32 bytes.
    pub id: Vec<u8>,
    /// How often it was started since it got its id.
    pub boots: i64,
    /// Seconds since it was started.
    pub time_s: i64,
}

/// What the part of an id behind the enterprise number is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineForm {
    /// An address of the device.
    Ipv4(Ipv4Addr),
    /// An address of the device.
    Ipv6(Ipv6Addr),
    /// A link-layer address of the device.
    Mac([u8; 6]),
    /// A text that an operator or the vendor chose.
    Text(String),
    /// Bytes that an operator or the vendor chose.
    Octets,
    /// By a method of the enterprise, 128 to 255; net-snmp's 128 is a random number.
    Enterprise(u8),
    /// As before SNMPv3, by a method of the enterprise.
    Old,
    /// Not as RFC 3411 says.
    Other,
}

impl Engine {
    /// IANA's number of the maker of the agent.
    pub fn enterprise(&self) -> Option<u32> {
        let first = self.id.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*first) & 0x7fff_ffff)
    }

    /// What the rest of the id is.
    pub fn form(&self) -> EngineForm {
        let Some((enterprise, rest)) = self.id.split_first_chunk::<4>() else { return EngineForm::Other };
        if enterprise[0] & 0x80 == 0 {
            return if self.id.len() == 12 { EngineForm::Old } else { EngineForm::Other };
        }
        let Some((&form, data)) = rest.split_first() else { return EngineForm::Other };
        match (form, data.len()) {
            (1, 4) => data.first_chunk().map_or(EngineForm::Other, |&a: &[u8; 4]| EngineForm::Ipv4(a.into())),
            (2, 16) => {
                data.first_chunk().map_or(EngineForm::Other, |&a: &[u8; 16]| EngineForm::Ipv6(a.into()))
            }
            // Some agents fill up with zeros.
            (3, 6..) => data.first_chunk().map_or(EngineForm::Other, |&mac| EngineForm::Mac(mac)),
            (4, 1..) => {
                let text = charset::decode(data, None);
                EngineForm::Text(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
            }
            (5, 1..) => EngineForm::Octets,
            (128.., _) => EngineForm::Enterprise(form),
            _ => EngineForm::Other,
        }
    }
}

/// Reads UsmSecurityParameters (RFC 3414 §2.4), of which only the first three are used.
pub(super) fn parse(mut parameters: Ber<'_>) -> Result<Engine, Malformed> {
    let mut parameters = parameters.enter(SEQUENCE, "security parameters")?;
    let id = parameters.expect(OCTET_STRING, "an engine id")?;
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(Malformed::Limit("engine id"));
    }
    let boots = parameters.integer("a number of boots")?;
    let time_s = parameters.integer("an engine time")?;
    Ok(Engine { id: id.to_vec(), boots, time_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_engine_ids() {
        let check = |id: &str, enterprise, form: EngineForm| {
            let engine = Engine { id: hex::decode(id).unwrap(), boots: 0, time_s: 0 };
            assert_eq!((engine.enterprise(), engine.form()), (enterprise, form), "{id}");
        };
        // The examples of RFC 3411, and ids as net-snmp, Cisco and Juniper make them.
        check("800002b804616263", Some(696), EngineForm::Text("abc".to_owned()));
        check("00000063000000a1c0930201", Some(99), EngineForm::Old);
        check("80001f888059dc486145a26322", Some(8072), EngineForm::Enterprise(128));
        check("8000000903001a2b3c4d5e00", Some(9), EngineForm::Mac([0x00, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e]));
        check("80000a4c01c0000201", Some(2636), EngineForm::Ipv4(Ipv4Addr::new(192, 0, 2, 1)));
        check(
            "8000063d0220010db8000000000000000000000001",
            Some(1597),
            EngineForm::Ipv6("2001:db8::1".parse().unwrap()),
        );
        check("8000063d05ffee", Some(1597), EngineForm::Octets);
        check("8000063d01c00002", Some(1597), EngineForm::Other);
        check("8000063d", Some(1597), EngineForm::Other);
        check("800006", None, EngineForm::Other);
        check("0000000900", Some(9), EngineForm::Other);
    }
}
