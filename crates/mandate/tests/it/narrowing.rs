//! Lists that narrow: kept by what they add, written as they are read.

use kenshin_mandate::{Narrowing, Revocation, Revoked};

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
    list
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
    let more = next.beyond(&known);
    assert_eq!((more.exclusions().len(), more.revoked().len()), (1, 0));
    assert!(next.beyond(&known.and(more)).is_empty());
}
