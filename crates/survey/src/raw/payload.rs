//! What a sweep says to a UDP port: the question that the service there most likely answers, because
//! a datagram that says nothing is answered by almost nobody. It is the same for every target and
//! tells nothing about anybody; the conversation that follows asks again with ids of its own.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kenshin_wire::{coap, dns, mdns, ntp, snmp, wsd};

/// Ids of what a sweep asks; whose answer it is, the source port tells.
const ID: u16 = 0x4b53;

static PAYLOADS: LazyLock<BTreeMap<u16, Vec<u8>>> = LazyLock::new(|| {
    BTreeMap::from([
        (53, dns::query(ID, false, vec![dns::Question::version_bind()])),
        (123, ntp::client(u64::from(ID)).to_vec()),
        (161, snmp::discover(i32::from(ID))),
        (3702, wsd::probe(u128::from(ID), wsd::Wanted::Any)),
        (5353, mdns::services(ID)),
        (5683, coap::get_core(ID, *b"kswp")),
    ])
});

/// The payload for a port; empty where no question is known that everybody may be asked.
pub(super) fn of(port: u16) -> &'static [u8] {
    PAYLOADS.get(&port).map_or(&[], Vec::as_slice)
}
