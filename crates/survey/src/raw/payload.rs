//! What a sweep says to a UDP port: the question that the service there most likely answers, because
//! a datagram that says nothing is answered by almost nobody. It is the same for every target and
//! tells nothing about anybody; the conversation that follows asks again with ids of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use kenshin_wire::{coap, mdns, ntp, sip, snmp, ssdp, wsd};

/// Ids of what a sweep asks; whose answer it is, the source port tells.
const ID: u16 = 0x4b53;

/// Where SSDP is spoken to everybody: the host that is named when none is meant.
const ALL_DEVICES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 1900);

static PAYLOADS: LazyLock<BTreeMap<u16, Vec<u8>>> = LazyLock::new(|| {
    // The answer comes to where the question came from, whatever the question says.
    let nobody = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 5060);
    let options = sip::Options { server: nobody, ours: nobody, nonce: ID.into(), user_agent: "" };
    BTreeMap::from([
        // Its version is for `reflector`; that it is a name server shows by its refusal.
        (53, mdns::services(ID)),
        (123, ntp::client(u64::from(ID)).to_vec()),
        (161, snmp::discover(i32::from(ID))),
        (1900, ssdp::search(ALL_DEVICES, ssdp::Target::RootDevice, "")),
        (3702, wsd::probe(u128::from(ID), wsd::Wanted::Any)),
        (5060, options.encode()),
        (5353, mdns::services(ID)),
        (5683, coap::get_core(ID, *b"kswp")),
    ])
});

/// The payload for a port; empty where no question is known that everybody may be asked.
pub(super) fn of(port: u16) -> &'static [u8] {
    PAYLOADS.get(&port).map_or(&[], Vec::as_slice)
}
