//! The shipped list of ports where unsolicited bytes do harm (DESIGN.md §6).

use kenshin_observation::Transport;

/// Ports at which a stray byte is printed, switches something or stops a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HarmfulPorts {
    /// First port.
    pub first: u16,
    /// Last port, included.
    pub last: u16,
    /// Over TCP.
    pub tcp: bool,
    /// Over UDP.
    pub udp: bool,
    /// What answers there.
    pub what: &'static str,
}

const fn both(first: u16, last: u16, what: &'static str) -> HarmfulPorts {
    HarmfulPorts { first, last, tcp: true, udp: true, what }
}

const fn tcp(port: u16, what: &'static str) -> HarmfulPorts {
    HarmfulPorts { first: port, last: port, tcp: true, udp: false, what }
}

const fn udp(port: u16, what: &'static str) -> HarmfulPorts {
    HarmfulPorts { first: port, last: port, tcp: false, udp: true, what }
}

/// The shipped list, ascending. A mandate grants to speak at one of them by name, with a reason.
pub const HARMFUL_PORTS: &[HarmfulPorts] = &[
    tcp(102, "Siemens S7, IEC 61850 MMS"),
    both(502, 502, "Modbus"),
    tcp(515, "LPD: what arrives may be printed"),
    tcp(789, "Red Lion Crimson"),
    both(1089, 1091, "Foundation Fieldbus HSE"),
    tcp(1911, "Niagara Fox"),
    tcp(1962, "PCWorx"),
    udp(2222, "EtherNet/IP implicit messages"),
    tcp(2404, "IEC 60870-5-104"),
    tcp(2455, "CODESYS"),
    tcp(4911, "Niagara Fox over TLS"),
    both(5006, 5007, "MELSEC"),
    both(5094, 5094, "HART-IP"),
    both(9100, 9107, "raw printing: every byte is printed"),
    both(9600, 9600, "Omron FINS"),
    tcp(10_001, "automatic tank gauge"),
    both(18_245, 18_246, "GE SRTP"),
    both(20_000, 20_000, "DNP3"),
    both(20_547, 20_547, "ProConOS"),
    both(34_962, 34_964, "PROFINET"),
    both(44_818, 44_818, "EtherNet/IP"),
    both(47_808, 47_808, "BACnet"),
    both(55_000, 55_003, "FL-net"),
];

/// The entry that names the port, if any does.
pub(super) fn harmful(port: u16, transport: Transport) -> Option<&'static HarmfulPorts> {
    HARMFUL_PORTS.iter().find(|entry| {
        let carried = match transport {
            Transport::Tcp => entry.tcp,
            Transport::Udp => entry.udp,
            Transport::Icmp => false,
        };
        carried && (entry.first..=entry.last).contains(&port)
    })
}
