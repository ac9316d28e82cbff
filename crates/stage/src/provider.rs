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
    /// File name of a key ([`PROVIDER_KEYS`]), or `link-only`.
    pub encryption: &'static str,
    /// Its autonomous system, of the numbers for documentation (RFC 5398).
    pub asn: u32,
    /// Prefecture in which its customers live (ISO 3166-2).
    pub region: &'static str,
    /// Addresses it declares as its customers'.
    pub pools: Vec<Prefix>,
}

/// Throw-away OpenPGP keys of the providers by file name, public and secret halves.
pub const PROVIDER_KEYS: [(&str, &str); 4] = [
    ("minato-hikari.asc", include_str!("../keys/minato-hikari.asc")),
    ("minato-hikari.secret.asc", include_str!("../keys/minato-hikari.secret.asc")),
    ("kitahama-cable.asc", include_str!("../keys/kitahama-cable.asc")),
    ("kitahama-cable.secret.asc", include_str!("../keys/kitahama-cable.secret.asc")),
];

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
        let blocks = (wanted * share).div_ceil(9);
        let mut pools = Vec::new();
        for index in 0..blocks {
            let prefix = Prefix::containing(Ipv4Addr::from_bits(next).into(), 26);
            if !base.contains(prefix.last()) {
                return None;
            }
            pools.push(prefix);
            // Pools of one provider need not be contiguous: a block is skipped now and then.
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
            encryption: "minato-hikari.asc",
            asn: 64500,
            region: "JP-13",
            pools: cut(SHARES[0])?,
        },
        TownProvider {
            name: "Kitahama Cable Networks",
            mail: "noc@kitahama-cable.example",
            language: "en",
            encryption: "kitahama-cable.asc",
            asn: 64501,
            region: "JP-27",
            pools: cut(SHARES[1])?,
        },
        TownProvider {
            name: "まほろば大学 情報基盤センター",
            mail: "csirt@mahoroba-u.example",
            language: "ja",
            encryption: "link-only",
            asn: 64502,
            region: "JP-29",
            pools: cut(SHARES[2])?,
        },
    ];
    Some((providers, cut(SHARES[3])?))
}
