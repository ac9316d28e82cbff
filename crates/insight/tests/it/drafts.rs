//! Drafts of advisories are valid CSAF 2.0, name no owner, and show no markup that a device said.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_insight::component::advisory::{Advisory, Publisher, SMALL};
use kenshin_insight::component::{Certainty, Gaps, Maintenance, Supported};
use kenshin_observation::Messages;
use proptest::prelude::*;
use serde_json::Value;

use crate::world::t0;

fn maintenance(since: Option<&str>, source: Option<&str>) -> Maintenance {
    Maintenance {
        supported: Supported::Unmaintained,
        since: since.map(|day| day.parse().unwrap()),
        source: source.map(str::to_owned),
        snapshot: None,
    }
}

fn counts(visible: u64) -> BTreeMap<Certainty, u64> {
    BTreeMap::from([(Certainty::Visible, visible), (Certainty::Known, 40), (Certainty::Inferred, 0)])
}

fn advisory<'a>(
    component: &'a str,
    cpe: Option<&'a str>,
    products: &'a [(String, String)],
    maintenance: &'a Maintenance,
    by_certainty: &'a BTreeMap<Certainty, u64>,
    gaps: &'a Gaps,
) -> Advisory<'a> {
    Advisory {
        publisher: Publisher {
            name: "Example CSIRT".into(),
            namespace: "https://csirt.example".into(),
            contact: "Example <csirt@csirt.example>".into(),
        },
        component,
        cpe,
        versions: BTreeSet::from(["0.94.13", "0.94.14rc21"]),
        maintenance,
        products: products.iter().map(|(vendor, product)| (vendor.as_str(), product.as_str())).collect(),
        by_certainty,
        gaps,
        now: t0(),
    }
}

/// Every product identifier that is defined, and every one that is used.
fn ids(value: &Value, defined: &mut Vec<String>, used: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inside) in fields {
                match (name.as_str(), inside) {
                    ("product_id", Value::String(id)) => defined.push(id.clone()),
                    ("product_reference" | "relates_to_product_reference", Value::String(id)) => {
                        used.push(id.clone())
                    }
                    _ => ids(inside, defined, used),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| ids(item, defined, used)),
        _ => {}
    }
}

/// The branches of a tree: category, name and what they hold.
fn branches(value: &Value, each: &mut impl FnMut(&Value)) {
    for branch in value["branches"].as_array().into_iter().flatten() {
        each(branch);
        branches(branch, each);
    }
}

/// No text of a document may be empty (schema: `minLength` 1), and no list.
fn nothing_is_empty(value: &Value) {
    match value {
        Value::Object(fields) => {
            assert!(!fields.is_empty());
            fields.values().for_each(nothing_is_empty);
        }
        Value::Array(items) => {
            assert!(!items.is_empty());
            items.iter().for_each(nothing_is_empty);
        }
        Value::String(text) => assert!(!text.is_empty()),
        Value::Null => panic!("null is no value of CSAF"),
        _ => {}
    }
}

/// What the schema and the mandatory tests ask of an informational advisory (CSAF 2.0 §3, §4.3, §6.1).
fn check(csaf: &Value) {
    nothing_is_empty(csaf);
    let document = &csaf["document"];
    assert_eq!(document["csaf_version"], "2.0");
    assert_eq!(document["category"], "csaf_informational_advisory");
    for required in ["publisher", "title", "tracking"] {
        assert!(!document[required].is_null(), "{required}");
    }
    assert!(["coordinator"].contains(&document["publisher"]["category"].as_str().unwrap()));
    assert!(document["publisher"]["namespace"].as_str().unwrap().starts_with("http"));
    let labels = ["AMBER", "GREEN", "RED", "WHITE"];
    assert!(labels.contains(&document["distribution"]["tlp"]["label"].as_str().unwrap()));
    // 6.1.1, 6.1.2, 6.1.3: identifiers are defined, once, and not by themselves.
    let (mut defined, mut used) = (Vec::new(), Vec::new());
    ids(csaf, &mut defined, &mut used);
    let once: BTreeSet<&String> = defined.iter().collect();
    assert_eq!(once.len(), defined.len(), "{defined:?}");
    for relationship in csaf["product_tree"]["relationships"].as_array().into_iter().flatten() {
        let own = relationship["full_product_name"]["product_id"].as_str().unwrap();
        assert!(used.iter().all(|id| once.contains(id) && id != own));
        assert_eq!(relationship["category"], "default_component_of");
    }
    // 6.1.12: the language. 6.1.14, 6.1.16, 6.1.17, 6.1.21, 6.1.22: one revision, a draft, the latest.
    assert!(["en", "ja"].contains(&document["lang"].as_str().unwrap()));
    let tracking = &document["tracking"];
    let revisions = tracking["revision_history"].as_array().unwrap();
    assert_eq!(revisions.len(), 1);
    assert_eq!((&tracking["status"], &tracking["version"]), (&"draft".into(), &revisions[0]["number"]));
    assert!(tracking["version"].as_str().unwrap().starts_with("0."));
    for time in ["current_release_date", "initial_release_date"] {
        assert_eq!(tracking[time].as_str().unwrap(), revisions[0]["date"].as_str().unwrap());
        assert!(tracking[time].as_str().unwrap().ends_with('Z'));
    }
    // 5.1: the name of the file is made of the identifier.
    let id = tracking["id"].as_str().unwrap();
    assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
    // 6.1.27.1, 6.1.27.2, 6.1.27.3: notes, an external reference, no vulnerabilities.
    let notes = document["notes"].as_array().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| ["summary", "details", "general"].contains(&note["category"].as_str().unwrap()))
    );
    let references = document["references"].as_array().unwrap();
    assert!(
        references
            .iter()
            .any(|one| one["category"] == "external" && one["url"].as_str().unwrap().contains(':'))
    );
    assert!(csaf.get("vulnerabilities").is_none());
    branches(&csaf["product_tree"], &mut |branch| {
        let known = ["vendor", "product_name", "product_version", "product_version_range"];
        assert!(known.contains(&branch["category"].as_str().unwrap()), "{branch}");
        assert!(
            branch["branches"].is_array() != branch["product"].is_object(),
            "either, and not both: {branch}"
        );
    });
}

#[test]
fn a_draft_names_products_and_counts_and_says_what_is_not_known() {
    let messages = Messages::builtin();
    let maintenance = maintenance(Some("2005-12-31"), Some("https://boa.example/end"));
    let (by_certainty, gaps) =
        (counts(7), Gaps { assets: 500, carriers: 47, unlearned: 300, unidentified: 90, ..Gaps::default() });
    let products =
        [("Acme".to_owned(), "R1".to_owned()), ("Example Optics".to_owned(), "CAM-100".to_owned())];
    let cpe = Some("cpe:2.3:a:boa:boa:*:*:*:*:*:*:*:*");
    let advisory = advisory("Boa", cpe, &products, &maintenance, &by_certainty, &gaps);
    for language in ["en", "ja"] {
        let csaf = advisory.csaf(&messages, language);
        check(&csaf);
        let text = csaf.to_string();
        for wanted in
            ["2005-12-31", "CAM-100", "https://boa.example/end", "cpe:2.3:a:boa:boa:0.94.13:", "390"]
        {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert_eq!(csaf["document"]["tracking"]["id"], "kenshin-boa-2026-04-01");
        assert!(!text.contains("{component}") && !text.contains("advisory."), "every code is prose: {text}");
        let page = advisory.page(&messages, language);
        for wanted in ["# ", "Boa", "2005-12-31", "Example Optics CAM-100", "390", "500"] {
            assert!(page.contains(wanted), "{wanted}: {page}");
        }
        // Seven devices might be told apart; forty are many.
        assert!(!page.contains("| 7 |") && page.contains("| 40 |"), "{page}");
        assert!(page.contains(&SMALL.to_string()));
    }
    assert_ne!(advisory.page(&messages, "en"), advisory.page(&messages, "ja"));
}

#[test]
fn what_devices_said_is_no_markup() {
    let messages = Messages::builtin();
    let maintenance = maintenance(None, Some("a file of mine.json"));
    let (by_certainty, gaps) = (counts(0), Gaps::default());
    let products = [("<script>alert(1)</script>".to_owned(), "[x](javascript:1)\u{202e}\n# R1|`".to_owned())];
    let advisory = advisory("we<b>httpd", None, &products, &maintenance, &by_certainty, &gaps);
    check(&advisory.csaf(&messages, "en"));
    let page = advisory.page(&messages, "en");
    for bad in ["<script", "<b>", "[x](", "\u{202e}", "\n# R1"] {
        assert!(!page.contains(bad), "{bad}: {page}");
    }
}

proptest! {
    #[test]
    fn every_draft_is_valid(
        component in "[ -~\\p{Hiragana}]{1,12}",
        products in proptest::collection::vec(("[a-z<一-十]{0,4}", "\\PC{0,6}"), 0..6),
        source in proptest::option::of("\\PC{0,20}"),
        since: bool,
    ) {
        let maintenance = maintenance(since.then_some("2020-02-29"), source.as_deref());
        let (by_certainty, gaps) = (counts(1), Gaps { assets: 3, ..Gaps::default() });
        let advisory = advisory(&component, None, &products, &maintenance, &by_certainty, &gaps);
        check(&advisory.csaf(&Messages::builtin(), "ja"));
    }
}
