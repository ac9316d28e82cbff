//! The town's invented providers and their address pools.

use std::net::Ipv4Addr;

use kenshin_observation::Prefix;

/// An invented provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TownProvider {
    /// Name.
    pub name: &'static str,
    /// Mail address in `.example`.
    pub mail: &'static str,
    /// Language of its notices.
    pub language: &'static str,
    /// Path of a key, `link-only`, or empty.
    pub encryption: &'static str,
    /// Addresses it declares as its customers'.
    pub pools: Vec<Prefix>,
}

/// Addresses in one block of a pool.
pub(crate) const BLOCK: u32 = 64;

/// Shares of the town's blocks; the last is a region that no provider declares.
const SHARES: [u32; 4] = [3, 3, 2, 1];

/// Providers and the undeclared region, cut from `base` for at least `addresses` addresses.
/// `None` when `base` is too small.
pub(crate) fn layout(base: Prefix, addresses: u32) -> Option<(Vec<TownProvider>, Vec<Prefix>)> {
    let std::net::IpAddr::V4(first) = base.base() else { return None };
    let wanted = addresses.div_ceil(BLOCK).max(9);
    let mut next = first.to_bits();
    let mut cut = |share: u32| -> Option<Vec<Prefix>> {
        // Each region begins at a /18 boundary apart from the others only by its blocks: pools of
        // one provider need not be contiguous, and here they are not.
        let blocks = (wanted * share).div_ceil(9);
        let mut pools = Vec::new();
        for index in 0..blocks {
            let prefix = Prefix::containing(Ipv4Addr::from_bits(next).into(), 26);
            if !base.contains(prefix.last()) {
                return None;
            }
            pools.push(prefix);
            // Skip a block now and then, so that pools have gaps that belong to nobody.
            next += BLOCK * if index % 2 == 1 { 2 } else { 1 };
        }
        next += BLOCK;
        Some(pools)
    };
    let providers = vec![
        TownProvider {
            name: "みなと光ネットワーク",
            mail: "abuse@minato-hikari.example",
            language: "ja",
            encryption: "",
            pools: cut(SHARES[0])?,
        },
        TownProvider {
            name: "Kitahama Cable Networks",
            mail: "noc@kitahama-cable.example",
            language: "en",
            encryption: "",
            pools: cut(SHARES[1])?,
        },
        TownProvider {
            name: "まほろば大学 情報基盤センター",
            mail: "csirt@mahoroba-u.example",
            language: "ja",
            encryption: "link-only",
            pools: cut(SHARES[2])?,
        },
    ];
    Some((providers, cut(SHARES[3])?))
}
