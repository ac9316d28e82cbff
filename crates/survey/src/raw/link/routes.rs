//! Where the next hop to a target is: longest prefix first, as a table of ranges.

use std::net::IpAddr;

use kenshin_observation::Prefix;

/// Most routes of one table that are read.
pub const ROUTES_MAX: usize = 100_000;

/// Where a packet goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// To its target, which is on the link.
    OnLink,
    /// To a gateway on the link.
    Gateway(IpAddr),
    /// Not through this interface.
    Nowhere,
}

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// For whom.
    pub prefix: Prefix,
    /// The least is used, among routes for the same prefix.
    pub metric: u32,
    /// Where to.
    pub hop: Hop,
}

/// The routes of one family, from one interface. A target is found by binary search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    v4: bool,
    /// First address of each range, as bits, in ascending order; the range ends where the next begins.
    ranges: Vec<(u128, Hop)>,
}

impl Routes {
    /// The table of one family; routes of the other are left out.
    pub fn new(v4: bool, mut routes: Vec<Route>) -> Self {
        routes.retain(|route| route.prefix.base().is_ipv4() == v4);
        // A prefix comes right before those inside of it, and the one that counts before its equals.
        routes.sort_by_key(|route| {
            (bits(route.prefix.base()), route.prefix.len(), route.metric, route.hop == Hop::Nowhere)
        });
        routes.dedup_by_key(|route| route.prefix);
        let mut table = Self { v4, ranges: vec![(0, Hop::Nowhere)] };
        let mut around: Vec<Route> = Vec::new();
        for route in routes {
            while let Some(inner) = around.pop_if(|outer| !outer.prefix.contains(route.prefix.base())) {
                table.leave(inner, around.last());
            }
            table.begin(bits(route.prefix.base()), route.hop);
            around.push(route);
        }
        while let Some(inner) = around.pop() {
            table.leave(inner, around.last());
        }
        table
    }

    /// After the last address of a prefix, what is around it goes on.
    fn leave(&mut self, inner: Route, outer: Option<&Route>) {
        if let Some(next) = bits(inner.prefix.last()).checked_add(1) {
            self.begin(next, outer.map_or(Hop::Nowhere, |outer| outer.hop));
        }
    }

    fn begin(&mut self, at: u128, hop: Hop) {
        self.ranges.pop_if(|last| last.0 == at);
        if self.ranges.last().is_none_or(|last| last.1 != hop) {
            self.ranges.push((at, hop));
        }
    }

    /// The address on the link that a packet to `target` is handed to; `None` when it does not go
    /// through this interface.
    #[inline]
    pub fn next_hop(&self, target: IpAddr) -> Option<IpAddr> {
        if target.is_ipv4() != self.v4 {
            return None;
        }
        let at = bits(target);
        let after = self.ranges.partition_point(|range| range.0 <= at);
        match self.ranges.get(after.checked_sub(1)?)?.1 {
            Hop::OnLink => Some(target),
            Hop::Gateway(gateway) => Some(gateway),
            Hop::Nowhere => None,
        }
    }
}

const fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => addr.to_bits() as u128,
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn route(text: &str) -> Route {
        let words: Vec<&str> = text.split_whitespace().collect();
        let hop = match words[1] {
            "link" => Hop::OnLink,
            "nowhere" => Hop::Nowhere,
            gateway => Hop::Gateway(gateway.parse().unwrap()),
        };
        let metric = words.get(2).map_or(0, |metric| metric.parse().unwrap());
        Route { prefix: words[0].parse().unwrap(), metric, hop }
    }

    fn check(v4: bool, routes: &[&str], expected: &[(&str, Option<&str>)]) {
        let table = Routes::new(v4, routes.iter().map(|text| route(text)).collect());
        for (target, hop) in expected {
            let hop = hop.map(|hop| hop.parse().unwrap());
            assert_eq!(table.next_hop(target.parse().unwrap()), hop, "{target} by {routes:?}");
        }
    }

    #[test]
    fn the_longest_prefix_counts() {
        check(
            true,
            &[
                "0.0.0.0/0 192.0.2.1",
                "192.0.2.0/24 link",
                "198.18.0.0/15 192.0.2.9",
                "198.18.7.0/24 nowhere",
                "198.18.7.128/25 192.0.2.7",
                "255.255.255.255/32 192.0.2.3",
            ],
            &[
                ("192.0.2.77", Some("192.0.2.77")),
                ("192.0.3.0", Some("192.0.2.1")),
                ("198.17.255.255", Some("192.0.2.1")),
                ("198.18.0.0", Some("192.0.2.9")),
                ("198.18.6.255", Some("192.0.2.9")),
                ("198.18.7.0", None),
                ("198.18.7.127", None),
                ("198.18.7.128", Some("192.0.2.7")),
                ("198.18.8.0", Some("192.0.2.9")),
                ("198.20.0.0", Some("192.0.2.1")),
                ("255.255.255.254", Some("192.0.2.1")),
                ("255.255.255.255", Some("192.0.2.3")),
                ("2001:db8::1", None),
            ],
        );
        check(
            false,
            &["2001:db8::/64 link", "::/0 fe80::1", "ffff::/16 nowhere"],
            &[
                ("2001:db8::5", Some("2001:db8::5")),
                ("2001:db8:0:1::", Some("fe80::1")),
                ("ffff::1", None),
                ("0.0.0.0", None),
            ],
        );
        check(true, &[], &[("192.0.2.1", None)]);
    }

    #[test]
    fn among_equals_the_least_metric_counts_and_then_ours() {
        let routes = [
            "192.0.2.0/24 link 100",
            "192.0.2.0/24 192.0.2.1 50",
            "0.0.0.0/0 nowhere",
            "0.0.0.0/0 192.0.2.2",
        ];
        check(true, &routes, &[("192.0.2.9", Some("192.0.2.1")), ("198.18.0.1", Some("192.0.2.2"))]);
    }

    fn some_routes() -> impl Strategy<Value = Vec<Route>> {
        let route = (0u32..64, 0u8..=8, 0u32..3, 0u8..5).prop_map(|(base, len, metric, hop)| {
            let base = Ipv4Addr::from_bits(base << 26 | base << 24);
            let gateway = Hop::Gateway(Ipv4Addr::from_bits(u32::from(hop)).into());
            let hop = [Hop::OnLink, Hop::Nowhere].get(usize::from(hop)).copied().unwrap_or(gateway);
            Route { prefix: Prefix::containing(base.into(), len), metric, hop }
        });
        proptest::collection::vec(route, 0..20)
    }

    proptest! {
        #[test]
        fn as_a_search_through_all_routes(routes in some_routes(), target: u32) {
            let target = IpAddr::from(Ipv4Addr::from_bits(target));
            let best = routes
                .iter()
                .filter(|route| route.prefix.contains(target))
                .min_by_key(|route| (std::cmp::Reverse(route.prefix.len()), route.metric, route.hop == Hop::Nowhere));
            let table = Routes::new(true, routes.clone());
            let tied: Vec<_> = routes
                .iter()
                .filter(|route| best.is_some_and(|best| (route.prefix, route.metric) == (best.prefix, best.metric)))
                .map(|route| match route.hop {
                    Hop::OnLink => Some(target),
                    Hop::Gateway(gateway) => Some(gateway),
                    Hop::Nowhere => None,
                })
                .collect();
            let found = table.next_hop(target);
            prop_assert!(tied.contains(&found) || (tied.is_empty() && found.is_none()));
            prop_assert!(found.is_some() || tied.iter().all(Option::is_none));
            prop_assert_eq!(table.next_hop(Ipv6Addr::LOCALHOST.into()), None);
        }
    }
}
