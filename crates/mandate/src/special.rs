//! Address space that is not ordinary public unicast (IANA special-purpose registries).

use kenshin_observation::Prefix;

use crate::AddressSet;

/// A block of special-purpose addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialBlock {
    /// The block, as text.
    pub prefix: &'static str,
    /// What it is for.
    pub name: &'static str,
    /// A mandate may grant it by naming it in `[[special_space]]`; otherwise never.
    pub nameable: bool,
}

const fn never(prefix: &'static str, name: &'static str) -> SpecialBlock {
    SpecialBlock { prefix, name, nameable: false }
}

const fn named(prefix: &'static str, name: &'static str) -> SpecialBlock {
    SpecialBlock { prefix, name, nameable: true }
}

/// Every special block. Kenshin sends to unicast addresses only, so multicast and broadcast are
/// out of reach of any mandate; the others need to be named with a reason.
pub const SPECIAL_BLOCKS: &[SpecialBlock] = &[
    never("0.0.0.0/8", "this network"),
    named("10.0.0.0/8", "private"),
    named("100.64.0.0/10", "shared between carrier and customer"),
    named("127.0.0.0/8", "loopback"),
    named("169.254.0.0/16", "link-local"),
    named("172.16.0.0/12", "private"),
    named("192.0.0.0/24", "protocol assignments"),
    named("192.0.2.0/24", "documentation"),
    named("192.88.99.0/24", "former 6to4 relays"),
    named("192.168.0.0/16", "private"),
    named("198.18.0.0/15", "benchmarking"),
    named("198.51.100.0/24", "documentation"),
    named("203.0.113.0/24", "documentation"),
    never("224.0.0.0/4", "multicast"),
    never("255.255.255.255/32", "broadcast"),
    named("240.0.0.0/4", "reserved"),
    never("::/128", "unspecified"),
    named("::1/128", "loopback"),
    never("::ffff:0:0/96", "IPv4-mapped; write the IPv4 address"),
    named("64:ff9b::/96", "translation to IPv4"),
    named("64:ff9b:1::/48", "translation to IPv4"),
    named("100::/64", "discard"),
    named("2001::/23", "protocol assignments"),
    named("2001:db8::/32", "documentation"),
    named("2002::/16", "6to4"),
    named("3fff::/20", "documentation"),
    named("5f00::/16", "segment routing identifiers"),
    named("fc00::/7", "unique local"),
    named("fe80::/10", "link-local"),
    never("ff00::/8", "multicast"),
];

impl SpecialBlock {
    /// The block as a prefix.
    pub fn prefix(&self) -> Prefix {
        self.prefix.parse().expect("the table holds prefixes: a test reads them")
    }

    /// Its addresses that are not part of a block which no mandate can name.
    fn addresses(&self) -> AddressSet {
        let all = AddressSet::from(self.prefix());
        if self.nameable { all.minus(&unnameable()) } else { all }
    }
}

/// What no mandate can reach.
pub(crate) fn unnameable() -> AddressSet {
    SPECIAL_BLOCKS.iter().filter(|block| !block.nameable).map(SpecialBlock::prefix).collect()
}

/// The first special block that `addresses` touches outside what is `named`, with the addresses
/// in question.
pub(crate) fn unnamed_special(
    addresses: &AddressSet,
    named: &AddressSet,
) -> Option<(&'static SpecialBlock, AddressSet)> {
    SPECIAL_BLOCKS.iter().find_map(|block| {
        let touched = addresses.intersect(&block.addresses());
        let refused = if block.nameable { touched.minus(named) } else { touched };
        (!refused.is_empty()).then_some((block, refused))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(prefixes: &[&str]) -> AddressSet {
        prefixes.iter().map(|text| text.parse::<Prefix>().unwrap()).collect()
    }

    #[test]
    fn the_table_reads_and_has_no_duplicates() {
        let mut prefixes: Vec<Prefix> = SPECIAL_BLOCKS.iter().map(SpecialBlock::prefix).collect();
        prefixes.sort();
        prefixes.dedup();
        assert_eq!(prefixes.len(), SPECIAL_BLOCKS.len());
    }

    #[test]
    fn special_space_must_be_named_and_multicast_cannot() {
        let none = AddressSet::new();
        assert_eq!(unnamed_special(&set(&["8.8.8.0/24", "2400::/12"]), &none), None);
        assert_eq!(unnamed_special(&set(&["127.0.0.5"]), &none).unwrap().0.name, "loopback");
        assert_eq!(unnamed_special(&set(&["127.0.0.5"]), &set(&["127.0.0.0/8"])), None);
        assert_eq!(
            unnamed_special(&set(&["224.0.0.1"]), &set(&["224.0.0.0/4"])).unwrap().0.name,
            "multicast"
        );
        assert_eq!(
            unnamed_special(&set(&["255.255.255.255"]), &set(&["240.0.0.0/4"])).unwrap().0.name,
            "broadcast"
        );
        assert_eq!(unnamed_special(&set(&["240.0.0.0/5"]), &set(&["240.0.0.0/4"])), None);
        assert_eq!(unnamed_special(&set(&["ff02::1"]), &none).unwrap().0.name, "multicast");
        assert_eq!(unnamed_special(&set(&["::/0"]), &set(&["::/0"])).unwrap().0.name, "unspecified");
    }
}
