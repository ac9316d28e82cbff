//! A draft advisory that says *do not use this component any more*: as CSAF 2.0 (OASIS, profile
//! *informational advisory*) for machines, and as a page for people.
//!
//! A draft is all that a program may write: a person checks it, gives it a number and publishes it.
//! Products are named, owners and addresses are not, and a count below [`SMALL`] is told as such.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_observation::{Messages, TimeUs};
use serde_json::{Value, json};

use super::{Certainty, Gaps, Maintenance, catalogue, key};
use crate::cpe::{Attribute, Cpe};
use crate::intelligence::Day;

/// Counts below this are told as "fewer than".
pub const SMALL: u64 = 10;

/// Products named at most.
const PRODUCTS_MAX: usize = 500;

/// Version of a draft that nobody has released.
const DRAFT: &str = "0.1.0";

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The organisation.
    pub name: String,
    /// An address that is its own, e.g. `https://csirt.example`.
    pub namespace: String,
    /// How it is reached.
    pub contact: String,
}

/// What an advisory is about.
#[derive(Debug, Clone)]
pub struct Advisory<'a> {
    /// Who writes.
    pub publisher: Publisher,
    /// The component.
    pub component: &'a str,
    /// Its CPE name, when known.
    pub cpe: Option<&'a str>,
    /// Versions seen or known.
    pub versions: BTreeSet<&'a str>,
    /// Whether somebody mends it, and who says so.
    pub maintenance: &'a Maintenance,
    /// Vendor and product of what carries it.
    pub products: BTreeSet<(&'a str, &'a str)>,
    /// How many carry it, by how sure that is.
    pub by_certainty: &'a BTreeMap<Certainty, u64>,
    /// Of how many it is not known.
    pub gaps: &'a Gaps,
    /// When it is written.
    pub now: TimeUs,
}

impl Advisory<'_> {
    /// The advisory as CSAF 2.0, in `language`.
    pub fn csaf(&self, messages: &Messages, language: &str) -> Value {
        let say = |code: &str| messages.render(language, code, &self.args());
        let now = self.now.to_string();
        let note = |category: &str, title: &str, text: String| json!({ "category": category, "title": say(title), "text": text });
        let references: Vec<Value> = self
            .references()
            .into_iter()
            .map(|url| json!({ "category": "external", "summary": say("advisory.reference"), "url": url }))
            .collect();
        json!({
            "document": {
                "category": "csaf_informational_advisory",
                "csaf_version": "2.0",
                "distribution": { "text": say("advisory.draft"), "tlp": { "label": "AMBER" } },
                "lang": language,
                "notes": [
                    note("summary", "advisory.title.summary", say(self.summary())),
                    note("details", "advisory.title.counts", self.counts(messages, language)),
                    note("general", "advisory.title.remedy", say("advisory.remedy")),
                    note("other", "advisory.title.unknown", say("advisory.unknown")),
                ],
                "publisher": {
                    "category": "coordinator",
                    "name": self.publisher.name,
                    "namespace": self.publisher.namespace,
                    "contact_details": self.publisher.contact,
                },
                "references": references,
                "title": say("advisory.title"),
                "tracking": {
                    "current_release_date": now,
                    "generator": { "date": now, "engine": { "name": "Kenshin", "version": env!("CARGO_PKG_VERSION") } },
                    "id": self.id(),
                    "initial_release_date": now,
                    "revision_history": [{ "date": now, "number": DRAFT, "summary": say("advisory.draft") }],
                    "status": "draft",
                    "version": DRAFT,
                },
            },
            "product_tree": self.product_tree(),
        })
    }

    /// The advisory as Markdown, in `language`.
    pub fn page(&self, messages: &Messages, language: &str) -> String {
        let say = |code: &str| messages.render_with(language, code, &self.args(), markdown);
        let mut page = format!("# {}\n\n> {}\n\n", say("advisory.title"), say("advisory.draft"));
        let mut section = |title: &str, text: &str| {
            page.push_str(&format!("## {}\n\n{text}\n\n", say(title)));
        };
        section("advisory.title.summary", &say(self.summary()));
        let rows: String = self
            .figures()
            .into_iter()
            .map(|(code, count)| format!("| {} | {} |\n", say(code), self.told(count, messages, language)))
            .collect();
        section("advisory.title.counts", format!("| | |\n|---|---:|\n{rows}").trim_end());
        section("advisory.title.remedy", &say("advisory.remedy"));
        section("advisory.title.unknown", &say("advisory.unknown"));
        let named: String = self
            .named()
            .map(|(vendor, product)| format!("- {} {}\n", markdown(vendor), markdown(product)))
            .collect();
        let none = say("advisory.products.none");
        section("advisory.title.products", if named.is_empty() { &none } else { named.trim_end() });
        let references: String =
            self.references().iter().map(|url| format!("- {}\n", markdown(url))).collect();
        section("advisory.reference", references.trim_end());
        page.push_str(&format!(
            "{} · {} · {}\n",
            markdown(&self.publisher.name),
            markdown(&self.publisher.contact),
            Day::of(self.now)
        ));
        page
    }

    /// Name of the draft, and of its file: lower case letters, digits and dashes.
    pub fn id(&self) -> String {
        let plain: String =
            key(self.component, self.cpe).chars().filter(char::is_ascii_alphanumeric).collect();
        format!("kenshin-{plain}-{}", Day::of(self.now))
    }

    fn summary(&self) -> &'static str {
        if self.maintenance.since.is_some() { "advisory.summary" } else { "advisory.summary.undated" }
    }

    fn args(&self) -> BTreeMap<String, String> {
        let source = self.maintenance.source.clone().unwrap_or_default();
        let since = self.maintenance.since.map(|day| day.to_string()).unwrap_or_default();
        let args = [("component", self.component.to_owned()), ("source", source), ("since", since)];
        args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Message codes of what was counted, with the counts.
    fn figures(&self) -> Vec<(&'static str, u64)> {
        let of = |certainty| self.by_certainty.get(&certainty).copied().unwrap_or_default();
        vec![
            ("advisory.count.visible", of(Certainty::Visible)),
            ("advisory.count.known", of(Certainty::Known)),
            ("advisory.count.inferred", of(Certainty::Inferred)),
            ("advisory.count.unknown", self.gaps.unknown()),
            ("advisory.count.assets", self.gaps.assets),
        ]
    }

    fn counts(&self, messages: &Messages, language: &str) -> String {
        let none = BTreeMap::new();
        let line = |(code, count)| {
            format!("{}: {}", messages.render(language, code, &none), self.told(count, messages, language))
        };
        self.figures().into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// A count, unless it is small: then only that.
    fn told(&self, count: u64, messages: &Messages, language: &str) -> String {
        if count == 0 || count >= SMALL {
            return count.to_string();
        }
        let args = BTreeMap::from([("count".to_owned(), SMALL.to_string())]);
        messages.render(language, "advisory.count.small", &args)
    }

    /// Addresses of who says that nobody mends it; at least one.
    fn references(&self) -> Vec<String> {
        let source = self.maintenance.source.as_deref().filter(|source| is_uri(source));
        let own = format!(
            "{}/api/v1/components/{}",
            self.publisher.namespace.trim_end_matches('/'),
            key(self.component, self.cpe)
        );
        vec![source.map_or(own, str::to_owned)]
    }

    fn named(&self) -> impl Iterator<Item = &(&str, &str)> {
        let named =
            self.products.iter().filter(|(vendor, product)| !vendor.is_empty() && !product.is_empty());
        named.take(PRODUCTS_MAX)
    }

    fn product_tree(&self) -> Value {
        let maker = catalogue::known(self.component, self.cpe).map(|known| known.maker.to_owned());
        let maker = maker.or_else(|| self.cpe()?.vendor.text().map(str::to_owned));
        let maker = maker.unwrap_or_else(|| self.component.to_owned());
        let every = "component-every-version";
        let mut versions = vec![json!({
            "category": "product_version_range",
            "name": "vers:generic/*",
            "product": self.product(format!("{} (every version)", self.component), every, None),
        })];
        for (number, version) in self.versions.iter().enumerate() {
            versions.push(json!({
                "category": "product_version",
                "name": version,
                "product": self.product(format!("{} {version}", self.component), &format!("component-version-{}", number + 1), Some(version)),
            }));
        }
        let mut branches = vec![json!({
            "category": "vendor",
            "name": maker,
            "branches": [{ "category": "product_name", "name": self.component, "branches": versions }],
        })];
        let mut relationships = Vec::new();
        let mut by_vendor: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (number, (vendor, product)) in self.named().enumerate() {
            let id = format!("carrier-{}", number + 1);
            by_vendor.entry(vendor).or_default().push(json!({
                "category": "product_name",
                "name": product,
                "product": { "name": format!("{vendor} {product}"), "product_id": id },
            }));
            relationships.push(json!({
                "category": "default_component_of",
                "product_reference": every,
                "relates_to_product_reference": id,
                "full_product_name": {
                    "name": format!("{} in {vendor} {product}", self.component),
                    "product_id": format!("{id}-with-component"),
                },
            }));
        }
        branches.extend(
            by_vendor.into_iter().map(
                |(vendor, products)| json!({ "category": "vendor", "name": vendor, "branches": products }),
            ),
        );
        let mut tree = json!({ "branches": branches });
        if !relationships.is_empty() {
            tree["relationships"] = Value::Array(relationships);
        }
        tree
    }

    fn cpe(&self) -> Option<Cpe> {
        self.cpe.and_then(|cpe| cpe.parse().ok())
    }

    fn product(&self, name: String, id: &str, version: Option<&str>) -> Value {
        let mut product = json!({ "name": name, "product_id": id });
        if let Some(mut cpe) = self.cpe() {
            cpe.version = version.map_or(Attribute::Any, Attribute::literal);
            product["product_identification_helper"] = json!({ "cpe": cpe.to_string() });
        }
        product
    }
}

/// `scheme:` and no white space; enough to tell an address from a file's name.
fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.len() > 1
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii())
}

/// Hostile text as Markdown shows it: nothing of it is markup, control and bidirectional characters
/// are left out.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => out.push(' '),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '>' | '#' | '|' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
