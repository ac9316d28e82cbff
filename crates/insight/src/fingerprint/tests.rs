use super::*;

const GOOD: &str = r#"<?xml version="1.0"?>
<!-- a comment -->
<fingerprints matches="x.banner" protocol="x" database_type="service" preference="0.75">
  <fingerprint pattern="^Foo(?:/([\d.]+))?( beta)?$" flags="REG_ICASE" certainty="0.5" source="a manual">
    <description>Foo &amp; friends</description>
    <example service.version="1.2" service.cpe23="cpe:/a:foo:foo:1.2">foo/1.2</example>
    <example service.cpe23="cpe:/a:foo:foo:-"><![CDATA[Foo]]></example>
    <example _encoding="base64" service.version="3">Rm9v
      LzM=</example>
    <param pos="0" name="service.vendor" value="Foo"/>
    <param pos="1" name="service.version"/>
    <param pos="1" name="_tmp.again"/>
    <param pos="0" name="service.cpe23" value="cpe:/a:foo:foo:{service.version}"/>
    <param pos="0" name="note" value="{_tmp.again} {not this} {}"/>
    <param pos="0" name="gone" value="is {missing}"/>
  </fingerprint>
</fingerprints>
"#;

fn match_of<'d>(database: &'d Database, text: &str) -> Match<'d> {
    database.first_match(text.as_bytes()).expect("matches")
}

#[test]
fn the_format_is_read_whole() {
    let database = Database::parse("x.xml", GOOD).unwrap();
    assert_eq!(
        (database.key(), database.protocol(), database.database_type()),
        ("x.banner", Some("x"), Some("service"))
    );
    assert!((database.preference() - 0.75).abs() < 1e-6);
    let fingerprint = &database.fingerprints()[0];
    assert_eq!((fingerprint.line(), fingerprint.description()), (4, "Foo & friends"));
    assert_eq!((fingerprint.source(), fingerprint.examples().len()), (Some("a manual"), 3));
    let result = database.verify(|_| None);
    assert_eq!((result.examples, result.right, result.first, result.faults), (3, 3, 3, Vec::new()));

    let found = match_of(&database, "FOO/1.2 beta");
    assert_eq!(found.get("service.version"), Some("1.2"));
    assert_eq!(found.get("service.protocol"), Some("x"));
    assert_eq!(found.get("note"), Some("1.2 {not this} {}"));
    assert_eq!((found.get("gone"), found.get("_tmp.again")), (None, None));
    assert_eq!((found.certainty("service"), found.number), (Some(0.5), 1));
    assert!(database.first_match(b"bar").is_none());
    assert_eq!(match_of(&database, "foo").attributes.get("note"), None);
}

#[test]
fn a_file_without_a_key_is_known_by_its_name() {
    let xml = r#"<fingerprints protocol="telnet"/>"#;
    assert!(Database::parse("dir/telnet_banners.xml", xml).is_err(), "an empty element holds nothing");
    let xml = r#"<fingerprints protocol="telnet"></fingerprints>"#;
    assert_eq!(Database::parse("dir/telnet_banners.xml", xml).unwrap().key(), "telnet_banners");
}

#[test]
fn what_is_wrong_is_named_with_file_and_line() {
    let inside = |what: &str| {
        format!("<fingerprints>\n<fingerprint pattern='a'>\n{what}\n</fingerprint>\n</fingerprints>")
    };
    let cases = [
        ("".to_owned(), "x.xml:1: no <fingerprints> element"),
        ("<x/>".to_owned(), "x.xml:1: expected <fingerprints>"),
        ("<fingerprints>\n<x/></fingerprints>".to_owned(), "x.xml:2: expected <fingerprint>"),
        ("<fingerprints a='1'>".to_owned(), "unknown attribute `a` of <fingerprints>"),
        ("<fingerprints preference='2'>".to_owned(), "preference `2` is not a number from 0 to 1"),
        ("<fingerprints>\n\n<fingerprint>".to_owned(), "x.xml:3: <fingerprint> without `pattern`"),
        ("<fingerprints><fingerprint pattern='a' flags='REG_X'>".to_owned(), "unknown flag `REG_X`"),
        ("<fingerprints>".to_owned(), "the file ends inside <fingerprints>"),
        ("<fingerprints></fingerprints><y/>".to_owned(), "something after </fingerprints>"),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]><fingerprints></fingerprints>".to_owned(),
            "x.xml:1: a document type is not allowed",
        ),
        (inside("<example>&b;</example>"), "x.xml:3: unknown entity `&b;`"),
        (inside("<example><b/></example>"), "x.xml:3: <example> holds text only"),
        (inside("<example _encoding='rot13'>a</example>"), "unknown encoding `rot13`"),
        (inside("<example _encoding='base64'>!</example>"), "x.xml:3: <example> is not base64"),
        (inside("<example _filename='../a'></example>"), "x.xml:3: `../a` is not the name of a file"),
        (inside("<param name='a' value='b'/>"), "x.xml:3: <param> without `pos`"),
        (inside("<param pos='-1' name='a'/>"), "`-1` is not a position"),
        (inside("<param pos='0' name='a'/>"), "the constant `a` has no `value`"),
        (inside("<param pos='1'/>"), "<param> without `name`"),
        (inside("</example>"), "x.xml:3: not well-formed XML"),
        (inside("<example a='1' a='2'/>"), "x.xml:3: not well-formed XML"),
        (inside("<example a='&b;'/>"), "x.xml:3: not well-formed XML"),
    ];
    for (xml, expected) in cases {
        let error = Database::parse("x.xml", &xml).unwrap_err().to_string();
        assert!(error.contains(expected), "`{error}` should hold `{expected}`\n{xml}");
    }
}

#[test]
fn limits_hold() {
    let pattern = format!("<fingerprints><fingerprint pattern='{}'>", "a".repeat(limits::PATTERN_BYTES + 1));
    let params = "<param pos='1' name='a'/>".repeat(limits::PARAMS + 1);
    let examples = "<example/>".repeat(limits::EXAMPLES + 1);
    let long = format!("<example>{}</example>", "a".repeat(limits::EXAMPLE_BYTES + 1));
    let inside =
        |what: &str| format!("<fingerprints><fingerprint pattern='a'>{what}</fingerprint></fingerprints>");
    let file = " ".repeat(limits::FILE_BYTES + 1);
    for xml in [pattern, inside(&params), inside(&examples), inside(&long), file] {
        let error = Database::parse("x.xml", &xml).unwrap_err();
        assert!(matches!(error, PackError::Limit { .. }), "{error}");
    }
}

#[test]
fn a_bad_pattern_matches_nothing_and_is_reported() {
    let xml = "<fingerprints><fingerprint pattern='(a'><example>(a</example></fingerprint>\
               <fingerprint pattern='a{1000}{1000}{1000}'></fingerprint>\
               <fingerprint pattern='b'><example c='1'>b</example><param pos='1' name='c'/></fingerprint>\
               <fingerprint pattern='b+'><example>bb</example></fingerprint></fingerprints>";
    let database = Database::parse("x.xml", xml).unwrap();
    assert!(database.first_match(b"(a").is_none());
    let faults: Vec<String> = database.verify(|_| None).faults.iter().map(ToString::to_string).collect();
    let expected = [
        "fingerprint 1: the pattern does not compile",
        "fingerprint 2: the pattern does not compile",
        "fingerprint 3: the pattern has no capture group 1",
        "fingerprint 3: `c` should be `1` and is not there",
        "fingerprint 4: fingerprint 3 matches the example first",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.contains(expected), "{fault}");
    }
}

#[test]
fn databases_of_one_key_answer_in_order_of_preference() {
    let file = |preference: &str, vendor: &str| {
        format!(
            "<fingerprints matches='k' preference='{preference}'><fingerprint pattern='a'>\
             <param pos='0' name='service.vendor' value='{vendor}'/></fingerprint></fingerprints>"
        )
    };
    let (low, high) = (file("0.2", "low"), file("0.9", "high"));
    let pack = Pack::parse("p", [("low.xml", low.as_str()), ("high.xml", high.as_str())]).unwrap();
    assert_eq!((pack.len(), pack.is_empty(), pack.name()), (2, false, "p"));
    let packs = Packs::new(vec![Arc::new(pack)]);
    let found = packs.first_matches("k", b"a");
    let vendors: Vec<_> = found.iter().map(|one| one.get("service.vendor")).collect();
    assert_eq!(vendors, [Some("high"), Some("low")]);
    assert_eq!(found[0].name(), "p:high/1");
}

#[test]
fn text_beyond_ascii_is_read_as_characters_when_bytes_do_not_match() {
    let xml = "<fingerprints><fingerprint pattern='^a . b$'></fingerprint></fingerprints>";
    let database = Database::parse("x.xml", xml).unwrap();
    assert!(database.first_match("a · b".as_bytes()).is_some());
    assert!(database.first_match(b"a x b").is_some());
    assert!(database.first_match(b"a \xff\xfe b").is_none());
}

/// The prefilter only leaves out what cannot match.
#[test]
fn the_prefilter_changes_no_answer() {
    for database in Pack::own().databases() {
        let examples = database.fingerprints().iter().flat_map(|one| one.examples());
        let mut texts: Vec<Vec<u8>> = examples.map(|example| example.text.clone()).collect();
        let changed: Vec<Vec<u8>> = texts
            .iter()
            .flat_map(|text| {
                let upper = text.to_ascii_uppercase();
                let half = text[..text.len() / 2].to_vec();
                [upper, half, [b"x ".as_slice(), text, b"\r\ny"].concat()]
            })
            .collect();
        texts.extend(changed);
        for text in texts {
            let all = (0..database.fingerprints().len()).filter_map(|index| database.match_one(index, &text));
            let all: Vec<usize> = all.map(|found| found.number).collect();
            let filtered: Vec<usize> = database.all_matches(&text).iter().map(|found| found.number).collect();
            assert_eq!(filtered, all, "{}: {}", database.file(), String::from_utf8_lossy(&text));
            assert_eq!(database.first_match(&text).map(|found| found.number), all.first().copied());
        }
    }
}

proptest::proptest! {
    #[test]
    fn hostile_xml_never_panics(text in "(<|>|/|'|\"|&|;|=|a|!|\\[|\\]|-|\\?|fingerprints|fingerprint|example|param|pattern| |\n|\u{0}|é){0,60}") {
        let _ = Database::parse("x.xml", &text);
        let _ = Database::parse("x.xml", &format!("<fingerprints><fingerprint pattern='a'>{text}"));
    }

    #[test]
    fn damaged_xml_never_panics(at in 0..GOOD.len(), byte in 0u8..128) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(database) = Database::parse("x.xml", std::str::from_utf8(&bytes).unwrap()) {
            let _ = database.verify(|_| None);
            let _ = database.first_match(b"foo/1.2");
        }
    }
}
