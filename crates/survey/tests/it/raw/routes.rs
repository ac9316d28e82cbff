//! Packets go first where the kernel would send them.

use super::*;

fn next_hops(sources: &[&str], targets: &[&str]) -> Vec<Option<String>> {
    let settings = Settings::new(sources.iter().map(|source| addr(source)).collect());
    let links = link::open(&settings).unwrap();
    let hops = targets.iter().map(|target| {
        let target = addr(target);
        let source =
            links[0].sources.iter().find(|source| source.addr.is_ipv4() == target.is_ipv4()).unwrap();
        source.routes.next_hop(target).map(|hop| hop.to_string())
    });
    hops.collect()
}

fn some(hop: &str) -> Option<String> {
    Some(hop.to_owned())
}

#[test]
fn as_the_kernel_routes() {
    let Some(pair) = Pair::new("as_the_kernel_routes") else { return };
    pair.inside("a", || {
        other_interface();
        ip(&["route", "add", "198.18.8.0/24", "dev", "other"]);
        ip(&["route", "add", "unreachable", "198.18.9.0/24"]);
        ip(&["route", "add", "198.18.10.0/24", "via", "198.19.0.9", "metric", "50"]);
        ip(&["route", "add", "198.18.10.0/24", "via", "198.19.0.8", "metric", "60"]);
        ip(&["route", "add", "198.18.11.0/24", "nexthop", "dev", "other", "nexthop", "via", "198.19.0.7"]);
        ip(&["route", "add", "198.18.12.0/24", "via", "inet6", "fe80::9", "dev", "va"]);
        ip(&["route", "add", "2001:db8:9::/48", "via", "fe80::1", "dev", "va"]);
        let targets = [
            "198.18.0.1",
            "198.19.0.77",
            "198.18.8.1",
            "198.18.9.1",
            "198.18.10.1",
            "198.18.11.1",
            "198.18.12.1",
            "2001:db8:1::1",
            "2001:db8:9::1",
            "2001:db8:ffff::77",
        ];
        let expected = [
            some("198.19.0.2"),
            some("198.19.0.77"),
            None,
            None,
            some("198.19.0.9"),
            some("198.19.0.7"),
            some("fe80::9"),
            some("2001:db8:ffff::2"),
            some("fe80::1"),
            some("2001:db8:ffff::77"),
        ];
        assert_eq!(next_hops(&[US_V4, US_V6], &targets), expected);
        // The rules of this machine send what comes from this address another way.
        ip(&["rule", "add", "from", US_V4, "lookup", "77"]);
        ip(&["route", "add", "default", "via", "198.19.0.3", "dev", "va", "table", "77"]);
        assert_eq!(
            next_hops(&[US_V4], &["198.18.0.1", "198.18.10.1"]),
            [some("198.19.0.3"), some("198.19.0.3")]
        );
        assert_eq!(next_hops(&[US_V6], &["2001:db8:1::1"]), [some("2001:db8:ffff::2")]);
        // No way out but the link.
        ip(&["rule", "del", "from", US_V4]);
        ip(&["route", "del", "default"]);
        assert_eq!(next_hops(&[US_V4], &["198.18.0.1", "198.19.0.5"]), [None, some("198.19.0.5")]);
    });
}

#[test]
fn addresses_that_cannot_be_sent_from() {
    let Some(pair) = Pair::new("addresses_that_cannot_be_sent_from") else { return };
    pair.inside("a", || {
        let refused = |sources: &[&str]| {
            let settings = Settings::new(sources.iter().map(|source| addr(source)).collect());
            link::open(&settings).unwrap_err()
        };
        assert!(matches!(refused(&[]), LinkError::NoSource));
        assert!(matches!(refused(&["198.19.0.2"]), LinkError::NotOurs(_)));
        assert!(matches!(refused(&["127.0.0.1"]), LinkError::NotEthernet(name) if name == "lo"));
        assert!(matches!(refused(&[US_V4, "::1"]), LinkError::NotEthernet(_)));
        ip(&["link", "set", "va", "down"]);
        assert!(matches!(refused(&[US_V4]), LinkError::Down(name) if name == "va"));
    });
}

#[test]
fn several_interfaces_and_several_sources() {
    let Some(pair) = Pair::new("several_interfaces_and_several_sources") else { return };
    pair.inside("a", || {
        other_interface();
        ip(&["address", "add", "198.19.7.1/24", "dev", "other"]);
        ip(&["address", "add", "198.19.0.9/24", "dev", "va"]);
        let sources = ["198.19.7.1", US_V4, "198.19.0.9", US_V6, US_V4].map(addr);
        let links = link::open(&Settings::new(sources.into())).unwrap();
        let names: Vec<(&str, usize)> =
            links.iter().map(|link| (link.interface.name.as_str(), link.sources.len())).collect();
        assert_eq!(names, [("other", 1), ("va", 3)]);
        assert_eq!(links[1].interface.mac, Mac([2, 0, 0, 0, 0, 0x0a]));
        assert_eq!(links[1].interface.mtu, 1500);
        assert_eq!(links[0].sources[0].routes.next_hop(addr("198.19.7.9")), Some(addr("198.19.7.9")));
        assert_eq!(links[0].sources[0].routes.next_hop(addr("198.18.0.1")), None);
    });
}
