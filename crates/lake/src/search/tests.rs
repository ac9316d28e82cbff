use proptest::prelude::*;

use super::*;

/// Reads each line left of ` => ` and expects it written as on the right.
#[test]
fn queries_are_understood() {
    for line in r#"
port:23 country:JP => port:23 country:JP
  port:23   AND	country:JP  => port:23 country:JP
a OR b c => "a" OR "b" "c"
(a OR b) c => ("a" OR "b") "c"
((a)) (b (c d)) => "a" "b" "c" "d"
-a NOT b --c -(d e) => -"a" -"b" --"c" -("d" "e")
port:1..1024,>=8000 => port:1..1024,>=8000
port:<23,>23,..5,65535.. => port:<=22,>=24,<=5,>=65535
net:203.0.113.0/24 => ip:203.0.113.0/24
192.0.2.1 => ip:192.0.2.1/32
2001:db8::/32 => ip:2001:db8::/32
cidr:2001:db8::/32,192.0.2.0/24 => ip:2001:db8::/32,192.0.2.0/24
PORT:23 Maker:Buffalo => port:23 vendor:Buffalo
product:"DVR (old)",dvr* => product:"DVR (old)",dvr*
product:"a*" => product:"a*"
cpe:cpe:2.3:o:buffalo:* => cpe:cpe:2.3:o:buffalo:*
version:<2020.1 => version:<2020.1
version:1.0..1.99,>=3,2.* => version:1.0..1.99,>=3,2.*
version:"1.2 build 7".."2" => version:"1.2 build 7"..2
seen:7d => seen:7d
seen:<7d asked:>30d => seen:7d asked:>30d
seen:2026-10-01..2026-10-31 first:<2026-01-01 => seen:2026-10-01..2026-10-31 first:<2026-01-01
seen:>=2026-10-01T09:00:00+09:00 => seen:>=2026-10-01T00:00:00Z
seen:..2026-10-01 => seen:<=2026-10-01
has:title -has:prefecture => has:title -has:region
title:"say \"検診\" \\ twice" => title:"say \"検診\" \\ twice"
title:a,b => title:"a","b"
favicon:-1203021870 => favicon:-1203021870
state:REFUSED => state:REFUSED
or and not => "or" "and" "not"
ORacle => "ORacle"
"#
    .lines()
    .filter(|line| !line.is_empty())
    {
        let (asked, written) = line.split_once(" => ").unwrap();
        let query: Query = asked.parse().unwrap_or_else(|error: QueryError| panic!("{asked}: {error}"));
        assert_eq!(query.to_string(), written, "{asked}");
        assert_eq!(written.parse::<Query>().unwrap(), query, "{asked}");
    }
    assert_eq!(" ".parse::<Query>().unwrap(), Query::All);
}

/// A query, carets below what is wrong, and a part of what is said.
#[test]
fn errors_point_at_the_character() {
    for (query, carets, said) in [
        ("prot:23", "^^^^", "no field `prot`; did you mean `port`?"),
        ("port:23 contry:JP", "        ^^^^^^", "did you mean `country`?"),
        ("has:titel", "    ^^^^^", "did you mean `title`?"),
        ("http://x", "^^^^", "goes into quotes"),
        ("port:http", "     ^^^^", "`http` is not a number; for example port:23"),
        ("port:70000", "     ^^^^^", "from 0 to 65535"),
        ("port:9..3", "     ^^^^", "no number is in this range"),
        ("port:<0", "      ^", "no number is in this range"),
        ("port:", "     ^", "needs a value"),
        ("port:23,", "        ^", "needs a value"),
        ("vendor:<b", "       ^", "has no order"),
        ("ip:192.0.2.1/24", "   ^^^^^^^^^^^^", "192.0.2.0/24"),
        ("version:<new", "         ^^^", "no version that others"),
        ("version:3..2", "        ^^^^", "no version is in this range"),
        ("seen:yesterday", "     ^^^^^^^^^", "neither an age nor a date"),
        ("seen:7d..1d", "     ^^", "an age, and a range is of dates"),
        ("seen:999y", "     ^^^^", "at most 200 years"),
        ("type:ruter", "     ^^^^^", "did you mean `router`?"),
        ("transport:quic", "          ^^^^", "one of: tcp, udp, icmp"),
        ("(a", "^", "never closed"),
        ("a)", " ^", "closes nothing"),
        ("a ()", "  ^^", "nothing in these parentheses"),
        ("検診 \"x", "     ^", "never closed"),
        ("\"\"", "^^", "nothing in these quotes"),
        ("a OR", "    ^", "something is expected"),
        ("OR a", "^^", "both sides"),
        ("a -", "  ^", "nothing follows"),
        ("(a OR ) b", "      ^", "before this parenthesis"),
    ] {
        let error = query.parse::<Query>().unwrap_err();
        let pointed = error.pointed(query);
        assert_eq!(pointed, format!("{query}\n{carets}"), "{query}: {error}");
        let whole = format!("{error}; {}", error.hint.as_deref().unwrap_or_default());
        assert!(whole.contains(said), "{query}: {whole}");
    }
    let hostile = "prot:\u{1b}[2J\u{202e}";
    assert!(!hostile.parse::<Query>().unwrap_err().pointed(hostile).contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn queries_are_bounded() {
    let deep = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(deep(DEPTH_MAX).parse::<Query>().is_ok());
    assert!(deep(DEPTH_MAX + 1).parse::<Query>().unwrap_err().to_string().contains("deep"));
    assert!("-".repeat(QUERY_BYTES_MAX).parse::<Query>().is_err());
    assert!("a".repeat(QUERY_BYTES_MAX + 1).parse::<Query>().unwrap_err().to_string().contains("longer"));
    let many = vec!["1"; VALUES_MAX + 1].join(",");
    let texts = |n: usize| format!("title:a,b {}", vec!["login"; n - 2].join(" "));
    assert!(texts(TEXTS_MAX).parse::<Query>().is_ok());
    let error = texts(TEXTS_MAX + 1).parse::<Query>().unwrap_err();
    assert_eq!((error.to_string(), error.span.len()), ("the query looks for more than 32 texts".into(), 5));
    assert!(format!("port:{many}").parse::<Query>().unwrap_err().to_string().contains("more than 512"));
}

#[test]
fn the_examples_of_the_table_are_read() {
    for info in FIELDS {
        let query: Query = info.example.parse().unwrap_or_else(|e| panic!("{}: {e}", info.example));
        assert!(query.mentions(info.field), "{}", info.example);
    }
}

fn any_word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.-]{1,12}", "[^\\s]{1,12}", "[ \"\\\\*(),a:検]{1,12}"]
        .prop_filter("blank", |text| !text.trim().is_empty())
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        (any_word(), any::<bool>()).prop_map(|(text, quoted)| {
            let quoted = quoted || !super::query::is_plain(&text);
            Pattern { text, wild: false, quoted }
        }),
        "[a-z0-9]{0,6}\\*[a-z0-9.*]{0,6}"
            .prop_filter("a range", |text| !text.contains(".."))
            .prop_map(|text| Pattern { text, wild: true, quoted: false }),
    ]
}

fn any_term() -> impl Strategy<Value = Term> {
    let port = 0i64..=65535;
    let spans = prop_oneof![
        port.clone().prop_map(|n| Span { low: Some(n), high: Some(n) }),
        (port.clone(), port.clone()).prop_map(|(a, b)| Span { low: Some(a.min(b)), high: Some(a.max(b)) }),
        port.clone().prop_map(|n| Span { low: Some(n), high: None }),
        port.prop_map(|n| Span { low: None, high: Some(n) }),
    ];
    let age = (0u32..100, prop::sample::select(vec!['h', 'd', 'w', 'y']))
        .prop_map(|(count, unit)| Age { count, unit });
    let moment = prop_oneof![
        (1970i16..=9998, 1i8..=12, 1i8..=28).prop_map(|(y, m, d)| Moment::Day(jiff::civil::date(y, m, d))),
        (0i64..4_000_000_000_000_000)
            .prop_map(|us| Moment::Instant(kenshin_observation::TimeUs::from_micros(us))),
    ];
    let times = prop_oneof![
        age.clone().prop_map(TimeTest::Within),
        age.prop_map(TimeTest::Beyond),
        moment.clone().prop_map(TimeTest::On),
        moment.clone().prop_map(TimeTest::Before),
        moment.clone().prop_map(TimeTest::Until),
        moment.clone().prop_map(TimeTest::After),
        moment.clone().prop_map(TimeTest::From),
        (moment.clone(), moment).prop_map(|(a, b)| {
            let (a, b) = if a.start() <= b.start() { (a, b) } else { (b, a) };
            TimeTest::Between(a, b)
        }),
    ];
    let number = "[1-9][0-9]{0,2}(\\.[1-9][0-9]{0,2}){0,3}(p[1-9])?";
    let versions = prop_oneof![
        any_pattern()
            .prop_filter("a sign or a range", |p| p.wild || !p.text.starts_with(['<', '>', '.']))
            .prop_map(VersionTest::Is),
        number.prop_map(VersionTest::Below),
        number.prop_map(VersionTest::AtMost),
        number.prop_map(VersionTest::Above),
        number.prop_map(VersionTest::AtLeast),
        number.prop_map(|v| VersionTest::Between(v.clone(), v)),
    ];
    let prefix = (any::<u32>(), 0u8..=32).prop_map(|(bits, len)| {
        kenshin_observation::Prefix::containing(std::net::Ipv4Addr::from_bits(bits).into(), len)
    });
    let list = 1..4usize;
    prop_oneof![
        any_word().prop_map(Term::Anywhere),
        Just(Term::Has(Field::Title)),
        prop::collection::vec(prefix, list.clone()).prop_map(|v| Term::Network(Field::Ip, v)),
        prop::collection::vec(spans, list.clone()).prop_map(|v| Term::Number(Field::Port, v)),
        prop::collection::vec(any_pattern(), list.clone()).prop_map(|v| Term::Word(Field::Product, v)),
        prop::collection::vec(any_word(), list.clone()).prop_map(|v| Term::Text(Field::Banner, v)),
        prop::collection::vec(versions, list.clone()).prop_map(|v| Term::Version(Field::Version, v)),
        prop::collection::vec(times, list).prop_map(|v| Term::Time(Field::Seen, v)),
    ]
}

fn any_query() -> impl Strategy<Value = Query> {
    any_term().prop_map(Query::Term).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|query| Query::Not(Box::new(query))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Query::and),
            prop::collection::vec(inner, 1..4).prop_map(Query::or),
        ]
    })
}

fn texts_of(query: &Query) -> usize {
    match query {
        Query::Term(Term::Anywhere(_)) => 1,
        Query::Term(Term::Text(_, texts)) => texts.len(),
        Query::All | Query::Term(_) => 0,
        Query::Not(inner) => texts_of(inner),
        Query::And(parts) | Query::Or(parts) => parts.iter().map(texts_of).sum(),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(query in any_query()) {
        let written = query.to_string();
        prop_assume!(written.len() <= QUERY_BYTES_MAX && texts_of(&query) <= TEXTS_MAX);
        prop_assert_eq!(written.parse::<Query>().map_err(|e| format!("{written}: {e}")), Ok(query));
    }

    #[test]
    fn hostile_text_never_panics(text in "\\PC{0,64}", noise in "[-()\":,.<>=*a-z0-9 \\\\]{0,64}") {
        for text in [text, noise] {
            match text.parse::<Query>() {
                Ok(query) => prop_assert_eq!(query.to_string().parse::<Query>(), Ok(query)),
                Err(error) => {
                    prop_assert!(text.get(error.span.clone()).is_some(), "{}: {:?}", text, error.span);
                    error.pointed(&text);
                }
            }
        }
    }
}

#[test]
fn an_age_anywhere_makes_the_answer_change_as_time_passes() {
    for (text, ages) in [
        ("port:23 seen:7d", true),
        ("port:23 OR -(expires:30d)", true),
        ("first:>1y", true),
        ("seen:2026-10-01..2026-10-31 has:expires", false),
        ("\"seen:7d\" port:7", false),
        ("", false),
    ] {
        assert_eq!(text.parse::<Query>().unwrap().names_age(), ages, "{text}");
    }
}

#[test]
fn networks_outside_of_which_nothing_is_found_are_known() {
    for (text, networks) in [
        ("ip:192.0.2.0/24 port:23", Some(vec!["192.0.2.0/24"])),
        ("192.0.2.7", Some(vec!["192.0.2.7/32"])),
        ("ip:192.0.2.0/24,198.51.100.0/24 ip:203.0.113.7", Some(vec!["203.0.113.7/32"])),
        ("ip:192.0.2.0/24 OR (port:23 2001:db8::1)", Some(vec!["192.0.2.0/24", "2001:db8::1/128"])),
        ("ip:192.0.2.0/24 OR port:23", None),
        ("-ip:192.0.2.0/24", None),
        ("port:23 -ip:192.0.2.0/24", None),
        ("", None),
    ] {
        let found = text.parse::<Query>().unwrap().networks();
        let found = found.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found, networks.map(|all| all.into_iter().map(str::to_owned).collect()), "{text}");
    }
}
