//! Scope, special space, exclusions and targets.

use std::net::IpAddr;
use std::ops::Range;

use kenshin_observation::{ParsePrefixError, Prefix};
use toml::Spanned;

use super::{PrefixesText, Reader, ScopeText, TargetsText};
use crate::AddressSet;
use crate::mandate::{Exclusion, NotEnumerable, SpecialSpace};
use crate::special::unnamed_special;

impl Reader<'_> {
    pub(super) fn scope(
        &mut self,
        text: &ScopeText,
        special_space: &[SpecialSpace],
        exclusions: &[Exclusion],
    ) -> AddressSet {
        let named: AddressSet =
            special_space.iter().flat_map(|space| space.prefixes.iter().copied()).collect();
        let excluded: AddressSet = exclusions.iter().map(|exclusion| &exclusion.addresses).collect();
        self.prefixes_in_span(&text.prefixes, |read, prefix, span| {
            if prefix.len() == 0 {
                read.report.add(
                    span,
                    format!("`{prefix}` is every {} address there is", if prefix.base().is_ipv4() { "IPv4" } else { "IPv6" }),
                    "name the prefixes that the authority is responsible for",
                );
                return;
            }
            let allowed = AddressSet::from(prefix).minus(&excluded);
            let Some((block, refused)) = unnamed_special(&allowed, &named) else { return };
            let whole = AddressSet::from(prefix).intersect(&block.prefix().into());
            let missing = if named.intersect(&whole).is_empty() { whole } else { refused };
            let example = missing.prefixes().next().expect("the set is not empty");
            let (message, hint) = if block.nameable {
                (
                    format!("`{prefix}` reaches {} space ({}), which is not named", block.name, block.prefix),
                    format!("if it is meant, add [[special_space]] with prefixes = [\"{example}\"] and the reason; otherwise exclude it"),
                )
            } else {
                (
                    format!("`{prefix}` reaches {} ({}), to which nothing is ever sent", block.name, block.prefix),
                    format!("remove it, or add [[exclusion]] with prefixes = [\"{}\"] and the reason", block.prefix),
                )
            };
            read.report.add(span, message, hint);
        })
    }

    pub(super) fn special(&mut self, text: &PrefixesText) -> SpecialSpace {
        SpecialSpace {
            prefixes: self.prefixes(&text.prefixes),
            reason: self.text(&text.reason, "the reason"),
        }
    }

    pub(super) fn exclusion(&mut self, text: &PrefixesText) -> Exclusion {
        let addresses = self.prefixes(&text.prefixes).into_iter().collect();
        Exclusion { addresses, reason: self.text(&text.reason, "the reason") }
    }

    pub(super) fn targets(&mut self, text: &Spanned<TargetsText>, scope: Option<&AddressSet>) -> AddressSet {
        let mut targets = Vec::new();
        for text in &text.get_ref().prefixes {
            targets.extend(self.prefix(text).map(|prefix| (prefix, text.span())));
        }
        for text in &text.get_ref().list {
            match text.get_ref().parse::<IpAddr>() {
                Ok(addr) => targets.push((Prefix::host(addr), text.span())),
                Err(_) => self.report.add(
                    text.span(),
                    format!("`{}` is not an address", text.get_ref()),
                    "the list holds single addresses; put prefixes into targets.prefixes",
                ),
            }
        }
        for (prefix, span) in &targets {
            let outside = scope.map(|scope| AddressSet::from(*prefix).minus(scope)).unwrap_or_default();
            if let Some(example) = outside.nth(0) {
                self.report.add(
                    span.clone(),
                    format!("`{prefix}` is not inside the scope: {example} is outside"),
                    "add the prefix to scope.prefixes, or remove it here",
                );
            }
        }
        let set: AddressSet = targets.into_iter().map(|(prefix, _)| prefix).collect();
        if set.is_empty() {
            self.report.add(
                text.span(),
                "[targets] names nothing",
                "name prefixes or a list, or remove the table: then the whole scope is the target",
            );
        } else if let Err(error) = NotEnumerable::check("[targets]", &set) {
            self.report.add(text.span(), error.to_string(), error.hint());
        }
        set
    }

    pub(super) fn prefix(&mut self, text: &Spanned<String>) -> Option<Prefix> {
        match text.get_ref().parse() {
            Ok(prefix) => Some(prefix),
            Err(error) => {
                let hint = "write the lowest address of the prefix and its length";
                self.report.add(text.span(), error.to_string(), hint);
                match error {
                    // The prefix that was meant lets the other rules speak.
                    ParsePrefixError::HostBits(_, meant) => Some(meant),
                    ParsePrefixError::Syntax(_) => None,
                }
            }
        }
    }

    pub(super) fn prefixes(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> Vec<Prefix> {
        if texts.get_ref().is_empty() {
            self.report.add(texts.span(), "no prefix is named", "name at least one, or remove the table");
        }
        texts.get_ref().iter().filter_map(|text| self.prefix(text)).collect()
    }

    pub(super) fn prefixes_in_span(
        &mut self,
        texts: &Spanned<Vec<Spanned<String>>>,
        rule: impl Fn(&mut Self, Prefix, Range<usize>),
    ) -> AddressSet {
        let mut prefixes = Vec::new();
        for text in texts.get_ref() {
            if let Some(prefix) = self.prefix(text) {
                rule(self, prefix, text.span());
                prefixes.push(prefix);
            }
        }
        if texts.get_ref().is_empty() {
            self.report.add(texts.span(), "no prefix is named", "name at least one");
        }
        prefixes.into_iter().collect()
    }
}
