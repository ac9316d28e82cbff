//! When a name counts as the right one. `docs/insight.md` states the same rules for people.

use std::cmp::Ordering;

use super::Attribute;
use crate::identity::{device_type, normal_product, normal_vendor};
use crate::version::compare;

/// Words at the end of a product's name that do not tell products apart.
const KIND_WORDS: &[&str] =
    &["firmware", "software", "series", "server", "daemon", "httpd", "ftpd", "sshd", "webserver"];

/// One product under two names, in normal form.
const SAME_PRODUCT: &[(&str, &str)] = &[
    ("apachehttpserver", "httpd"),
    ("apachehttpd", "httpd"),
    ("httpserver", "httpd"),
    ("internetinformationserver", "iis"),
    ("internetinformationservices", "iis"),
    ("diskstationmanager", "dsm"),
];

/// True when `answer` says what `truth` says. `vendors` are makers whose names a product's may begin
/// with.
pub fn same(attribute: Attribute, answer: &str, truth: &str, vendors: &[String]) -> bool {
    match attribute {
        Attribute::Vendor => normal_vendor(answer) == normal_vendor(truth),
        Attribute::Product => {
            let (answer, truth) = (spellings(answer, vendors), spellings(truth, vendors));
            answer.iter().any(|name| truth.contains(name))
        }
        Attribute::Version => {
            let (answer, truth) = (number(answer), number(truth));
            answer == truth || compare(&answer, &truth) == Some(Ordering::Equal)
        }
        Attribute::Type => match (device_type(answer), device_type(truth)) {
            (Some(answer), Some(truth)) => answer == truth,
            _ => normal_product(answer) == normal_product(truth),
        },
    }
}

/// Normal forms of a product's name: whole, without its maker in front, without a word of kind at the
/// end.
fn spellings(name: &str, vendors: &[String]) -> Vec<String> {
    let whole = normal_product(name);
    let makers = vendors.iter().flat_map(|vendor| [normal_product(vendor), normal_vendor(vendor)]);
    let mut forms: Vec<String> = makers
        .filter_map(|maker| Some(whole.strip_prefix(maker.as_str())?.to_owned()))
        .chain([whole.clone()])
        .collect();
    let stems: Vec<String> = forms
        .iter()
        .flat_map(|form| KIND_WORDS.iter().filter_map(|word| Some(form.strip_suffix(word)?.to_owned())))
        .collect();
    forms.extend(stems);
    for (one, other) in SAME_PRODUCT {
        if forms.iter().any(|form| form == one) {
            forms.push((*other).to_owned());
        }
    }
    forms.retain(|form| !form.is_empty());
    forms
}

/// A version in lower case without `v`, `ver.` or `version` in front.
fn number(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    for label in ["version", "ver", "v"] {
        if let Some(rest) = lower.strip_prefix(label) {
            let rest = rest.trim_start_matches([' ', '.', ':', '_']);
            if rest.starts_with(|c: char| c.is_ascii_digit()) {
                return rest.to_owned();
            }
        }
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_after_normalisation() {
        let vendors = ["D-Link".to_owned()];
        for (attribute, a, b, expected) in [
            (Attribute::Vendor, "D-Link Systems, Inc.", "dlink", true),
            (Attribute::Vendor, "NEC", "NETGEAR", false),
            (Attribute::Product, "DIR-615", "D-Link DIR-615", true),
            (Attribute::Product, "dir615", "DIR-615 firmware", true),
            (Attribute::Product, "DIR-615", "DIR-600", false),
            (Attribute::Product, "lighttpd", "light", false),
            (Attribute::Product, "HTTP Server", "HTTPD", true),
            (Attribute::Version, "V5.5.0 build 180725", "5.5.0_build180725", true),
            (Attribute::Version, "v1.2", "1.2.0", true),
            (Attribute::Version, "1.2", "1.3", false),
            (Attribute::Version, "abc", "ABC", true),
            (Attribute::Type, "router", "Broadband Router", true),
            (Attribute::Type, "camera", "IP Camera", true),
            (Attribute::Type, "router", "switch", false),
            (Attribute::Type, "whiteboard", "White Board", true),
        ] {
            assert_eq!(same(attribute, a, b, &vendors), expected, "{attribute}: {a} ? {b}");
        }
    }
}
