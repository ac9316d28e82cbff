use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

#[test]
fn orders_that_are_known() {
    // Each line is in strictly rising order.
    for line in [
        "1.2.3 1.2.4 1.2.10 1.3 2",
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1",
        "8.9p1 9.2p1 9.2p2 9.3p1",
        "0.52 2019.78 2020.81 2022.83",
        "1.1.1 1.1.1k 1.1.1w 3.0.0",
        "1.04b11 1.04b12 1.05b01",
        "V1.0.2.62_10.0.60 V1.0.2.88_10.0.81 V1.0.4.1_10.0.1",
        "5.1.5.2645_build_20240116 5.1.6.2722_build_20240402 5.1.7.2770_build_20240520",
        "17.0.0cu.557_b20221024 17.0.0cu.558_b20230101",
        "5.37 5.37_Patch_1 5.37_Patch_2 5.38",
        "1.04 1.05 1.10",
        "6.9.3-9 6.9.3-10 6.9.4",
        "5.21(AAZF.14)C0 5.21(AAZF.15)C0 5.22(AAZF.1)C0",
        "12.4(22)T1 12.4(24)T1 12.4(24)T5",
        "1.2-rc1 1.2 1.2.1",
        "7 7.0.1 7.1",
    ] {
        let versions: Vec<&str> = line.split(' ').collect();
        for (i, a) in versions.iter().enumerate() {
            for (j, b) in versions.iter().enumerate() {
                assert_eq!(compare(a, b), Some(i.cmp(&j)), "{a} ? {b}");
            }
        }
    }
}

#[test]
fn blanks_and_dashes_before_a_word_mean_nothing() {
    for (a, b) in [
        ("V5.5.0 build 180725", "5.5.0_build180725"),
        ("1.2", "1.2.0"),
        ("v1.2.0", "Version 1.2"),
        ("1.0.0+20130313", "1.0.0"),
        ("US_AC10UV1.0RTL_V15.03.06.49_multi_TDE01", "us_ac10uv1.0rtl_v15.03.06.49_multi_tde01"),
        ("R.47.0.0", "r.47"),
        ("V5.21(AAZF.14)C0", "5.21\\(aazf.14\\)c0"),
    ] {
        assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} ? {b}");
    }
}

#[test]
fn guesses_are_refused() {
    for (a, b) in [
        ("1.4", "1.04"),
        ("1.1", "1.03"),
        ("9.2", "9.2p1"),
        ("1.0.2.88", "1.0.2.88_10.0.81"),
        ("2.16ww", "2.16eu"),
        ("2.16", "2.16ww"),
        ("6.9.3", "6.9.3-9"),
        ("1.04b12", "1.04c03"),
        ("V1.0 V15.03.06.28", "15.03.06.28"),
        ("15.03 20190801", "15.03"),
        ("V5.5.0", "V5.5.0 build 180725"),
        ("12.4(24)T5", "12.4(25)M"),
        ("lw90.tu.p205", "230.041"),
        ("n/a", "1.0"),
        ("", ""),
        ("unspecified", "1.0"),
        ("FortiOS 6.2.0 and below.", "6.0"),
        ("2021-01-01, 2021-02-01", "2021"),
        ("1.2\u{2028}3.4", "1.2"),
    ] {
        assert_eq!(compare(a, b), None, "{a} ? {b}");
        assert_eq!(compare(b, a), None, "{b} ? {a}");
    }
}

#[test]
fn distribution_revisions_are_cut_and_remembered() {
    for (text, same_as) in [
        ("9.2p1 Debian-2+deb12u3", "9.2p1"),
        ("1:9.2p1-2+deb12u3", "9.2p1"),
        ("1.18.0-6ubuntu14.4", "1.18.0"),
        ("2.4.57-2~bpo11+1", "2.4.57"),
        ("2.14.2+dfsg-3", "2.14.2"),
        ("7.4p1-21.el7", "7.4p1"),
    ] {
        let version = Version::parse(text).unwrap();
        assert!(version.distribution(), "{text}");
        assert_eq!(compare(text, same_as), Some(Ordering::Equal), "{text}");
    }
    assert!(!Version::parse("6.9.3-9").unwrap().distribution());
    assert!(!Version::parse("1.0-debug").unwrap().distribution());
}

#[test]
fn a_cycle_is_continued_at_component_borders() {
    let continues = |a: &str, b: &str| Version::parse(a).unwrap().continues(&Version::parse(b).unwrap());
    assert!(continues("23.05.2", "23.05"));
    assert!(continues("1.1.1w", "1.1.1"));
    assert!(continues("9", "9"));
    assert!(!continues("5.10", "5.1"));
    assert!(!continues("5", "5.1"));
}

#[test]
fn a_list_of_versions_is_in_order() {
    let ordered = [
        "1.3.3g", "1.4.28", "1.28", "2.0-rc1", "2.0", "2.1.8", "2.4", "2.10", "4.00(2)", "4.1", "11.01.21",
        "2014.63", "2020.81", "unknown",
    ];
    let mut sorted = ordered;
    sorted.reverse();
    sorted.sort_by_key(|text| order_key(text));
    assert_eq!(sorted, ordered);
}

/// Every version of up to four parts: what chance finds once in a hundred thousand is found every time.
#[test]
fn short_versions_are_ordered_as_their_keys() {
    let parts = [".0", ".1", ".04", "-0", "-1", "(0", "(1", "a", "rc"];
    let mut texts = vec!["1".to_owned()];
    let mut longest = 0..1;
    for _ in 0..3 {
        let end = texts.len();
        for stem in longest {
            texts.extend(parts.map(|part| texts[stem].clone() + part));
        }
        longest = end..texts.len();
    }
    let versions: Vec<_> =
        texts.iter().filter_map(|text| Some((text, Version::parse(text)?, order_key(text)))).collect();
    for (a, version_a, key_a) in &versions {
        for (b, version_b, key_b) in &versions {
            if let Some(order) = version_a.compare(version_b) {
                assert_eq!(key_a.cmp(key_b), order, "{a} {b}");
            }
        }
    }
}

fn version() -> impl Strategy<Value = String> {
    let number = prop_oneof![Just("0"), Just("1"), Just("04"), Just("4"), Just("10"), Just("00")];
    let joint = prop_oneof![5 => Just("."), 1 => Just("-"), 1 => Just("_"), 1 => Just("(")];
    let word = prop_oneof![
        Just("a"),
        Just("b"),
        Just("p"),
        Just("rc"),
        Just("beta"),
        Just("-patch "),
        Just(" build "),
        Just("x")
    ];
    let part = prop_oneof![3 => (joint, number.clone()).prop_map(|(j, n)| format!("{j}{n}")), 1 => word.prop_map(str::to_owned)];
    (number, proptest::collection::vec(part, 0..5))
        .prop_map(|(first, rest)| first.to_owned() + &rest.concat())
}

proptest! {
    #[test]
    fn order_is_antisymmetric(a in version(), b in version()) {
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).map(Ordering::reverse));
    }

    #[test]
    fn every_version_equals_itself(a in version()) {
        prop_assert_eq!(compare(&a, &a), Some(Ordering::Equal));
    }

    #[test]
    fn answers_never_contradict_each_other(a in version(), b in version(), c in version()) {
        if let (Some(ab), Some(bc), Some(ac)) = (compare(&a, &b), compare(&b, &c), compare(&a, &c)) {
            if ab == bc {
                prop_assert_eq!(ac, ab, "{} {} {}", a, b, c);
            } else if ab == Ordering::Equal {
                prop_assert_eq!(ac, bc, "{} {} {}", a, b, c);
            } else if bc == Ordering::Equal {
                prop_assert_eq!(ac, ab, "{} {} {}", a, b, c);
            }
        }
    }

    #[test]
    fn keys_are_ordered_as_versions_are(a in version(), b in version()) {
        if let Some(order) = compare(&a, &b) {
            prop_assert_eq!(order_key(&a).cmp(&order_key(&b)), order, "{} {}", a, b);
        }
    }

    #[test]
    fn dotted_numbers_are_totally_ordered(a in proptest::collection::vec(0u64..1 << 40, 1..6), b in proptest::collection::vec(0u64..1 << 40, 1..6)) {
        let text = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let padded = |numbers: &[u64]| { let mut n = numbers.to_vec(); n.resize(6, 0); n };
        prop_assert_eq!(compare(&text(&a), &text(&b)), Some(padded(&a).cmp(&padded(&b))));
    }

    #[test]
    fn any_text_is_survived(a in ".{0,200}", b in ".{0,200}") {
        let _ = compare(&a, &b);
        let _ = compare(&a, &a);
        prop_assert!(order_key(&a).len() <= 4 * a.len() + 8);
    }
}
