//! Lists that narrow: kept by what they add, written as they are read.

use kenshin_mandate::{AddressSet, Narrowing, ProviderRate, Revocation, Revoked};
use kenshin_observation::Prefix;

fn parse(text: &str) -> Narrowing {
    Narrowing::parse("narrowing.toml", text).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"))
}

fn list() -> Narrowing {
    let mut list = Narrowing::none();
    list.exclude(
        "198.51.100.0/25".parse::<kenshin_observation::Prefix>().unwrap().into(),
        "a \"hospital\"\nward",
    );
    list.opt_out("198.51.100.200".parse().unwrap());
    list.opt_out_prefix("2001:db8::/48".parse().unwrap(), "letter 7");
    list.revoke(Revocation { what: Revoked::Mandate("old".into()), reason: "no basis".into() });
    list.revoke(Revocation { what: Revoked::Digest("ab".repeat(32)), reason: "superseded".into() });
    list.slow_down(provider("Example \"Net\"", 200));
    list
}

fn provider(name: &str, pps: u32) -> ProviderRate {
    let prefixes = ["198.51.100.0/24", "2001:db8:7::/48"].map(|text| text.parse::<Prefix>().unwrap());
    ProviderRate { name: name.to_owned(), addresses: AddressSet::from_iter(prefixes), pps, burst: 20 }
}

#[test]
fn what_is_written_is_read_again() {
    assert_eq!(parse(&list().to_text()), list());
    assert_eq!(parse(&Narrowing::none().to_text()), Narrowing::none());
}

#[test]
fn only_what_an_address_asked_for_itself_is_an_opt_out() {
    let addresses: Vec<String> = list().opt_outs().prefixes().map(|prefix| prefix.to_string()).collect();
    assert_eq!(addresses, ["198.51.100.200/32"]);
}

#[test]
fn a_list_that_became_shorter_gives_nothing_back() {
    let known = list();
    assert!(known.beyond(&known).is_empty());
    assert!(Narrowing::none().beyond(&known).is_empty());
    assert_eq!(known.beyond(&Narrowing::none()), known);
    let mut next = Narrowing::none();
    // Inside of what is excluded already, and outside of it.
    next.opt_out("198.51.100.3".parse().unwrap());
    next.opt_out("198.51.100.201".parse().unwrap());
    next.revoke(Revocation { what: Revoked::Mandate("old".into()), reason: "said again".into() });
    next.slow_down(provider("Example \"Net\"", 200));
    next.slow_down(provider("Example \"Net\"", 100));
    let more = next.beyond(&known);
    assert_eq!((more.exclusions().len(), more.revoked().len()), (1, 0));
    assert_eq!(more.providers(), [provider("Example \"Net\"", 100)]);
    assert!(next.beyond(&known.and(more)).is_empty());
}

#[test]
fn a_provider_without_a_rate_refuses_the_list() {
    for (entry, problem) in [
        ("pps = 0\nburst = 1", "pps is 0"),
        ("pps = 10\nburst = 5_000_000_000", "burst is 5000000000"),
        ("pps = 10", "`burst` is missing"),
        ("pps = 10\nburst = 1\nname = 'x'", "duplicate key"),
    ] {
        let text =
            format!("schema_version = 1\n[[provider]]\nname = 'a'\nprefixes = ['192.0.2.0/24']\n{entry}\n");
        let invalid = Narrowing::parse("narrowing.toml", &text).unwrap_err().to_string();
        assert!(invalid.contains(problem), "{invalid}");
    }
}
