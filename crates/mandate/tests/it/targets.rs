//! What a survey goes through.

use kenshin_mandate::{AddressSet, Mandate, template};
use kenshin_observation::Prefix;

use crate::support::{options, read};

fn set(prefix: &str) -> AddressSet {
    prefix.parse::<Prefix>().unwrap().into()
}

#[test]
fn targets_are_gone_through_without_exclusions() {
    let mandate = Mandate::parse("good.toml", &read("good.toml")).unwrap();
    let targets = mandate.enumerate().unwrap();
    assert_eq!(targets.count(), 65_536 - 256 + 2);
    assert!(!targets.contains("127.0.0.9".parse().unwrap()));
    assert!(targets.contains("2400:cb00::1".parse().unwrap()));
}

#[test]
fn a_large_ipv6_scope_is_fine_and_is_not_gone_through() {
    let mut options = options();
    options.prefixes = vec!["2400:cb00::/32".parse().unwrap()];
    options.exclusions.clear();
    let mandate = Mandate::parse("x", &template(&options)).unwrap();
    assert!(mandate.allowed().contains("2400:cb00:ffff::1".parse().unwrap()));
    let error = mandate.enumerate().unwrap_err();
    assert_eq!(error.count, 1 << 96);
    assert!(
        error.to_string().contains(&(1u128 << 96).to_string()) && error.hint().contains("list"),
        "{error}"
    );

    let known = set("2400:cb00::/112").union(&set("2600::/112"));
    assert_eq!(mandate.enumerate_list(&known).unwrap(), set("2400:cb00::/112"), "a list can only narrow");
    assert!(mandate.enumerate_list(&set("2400:cb00::/64")).is_err());
}
