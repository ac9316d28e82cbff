//! Message catalogues: a code and its arguments become prose in the reader's language.
//!
//! A catalogue is a TOML file of `"code" = "text with {argument}"`. Japanese and English are
//! built in; a third language is a file. Arguments are put in as they are: the caller escapes
//! them for the place where the text goes, by passing them through [`Messages::render_with`]. An
//! argument that is itself prose may have a form for one language: `name@ja` stands in for `name`
//! wherever the reader's language is Japanese.

use std::collections::BTreeMap;

use crate::Explanation;

/// The language used when a code is missing in the one asked for.
pub(crate) const FALLBACK: &str = "en";

/// Catalogues by language tag.
#[derive(Debug, Clone)]
pub struct Messages {
    languages: BTreeMap<String, BTreeMap<String, String>>,
}

/// A catalogue that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the message catalogue `{language}`")]
pub struct MessagesError {
    language: String,
    #[source]
    source: toml::de::Error,
}

impl Messages {
    /// The catalogues that ship with Kenshin: `en` and `ja`.
    pub fn builtin() -> Self {
        let mut messages = Self { languages: BTreeMap::new() };
        for (language, text) in
            [("en", include_str!("../messages/en.toml")), ("ja", include_str!("../messages/ja.toml"))]
        {
            messages.add(language, text).expect("the built-in catalogues parse: a test reads them");
        }
        messages
    }

    /// Adds or overrides the messages of `language` with those of a TOML text.
    pub fn add(&mut self, language: &str, text: &str) -> Result<(), MessagesError> {
        let catalogue: BTreeMap<String, String> =
            toml::from_str(text).map_err(|source| MessagesError { language: language.to_owned(), source })?;
        self.languages.entry(language.to_owned()).or_default().extend(catalogue);
        Ok(())
    }

    /// Language tags present, sorted.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(String::as_str)
    }

    /// Codes of `language`, sorted.
    pub fn codes(&self, language: &str) -> impl Iterator<Item = &str> {
        self.languages.get(language).into_iter().flat_map(|c| c.keys().map(String::as_str))
    }

    /// True when `language` or the fallback has the code.
    pub fn has(&self, language: &str, code: &str) -> bool {
        self.template(language, code).is_some()
    }

    /// Prose for an explanation; a code that no catalogue knows shows as itself.
    pub fn explain(&self, language: &str, explanation: &Explanation) -> String {
        self.render_with(language, &explanation.code, &explanation.args, str::to_owned)
    }

    /// Prose for a code with its arguments.
    pub fn render(&self, language: &str, code: &str, args: &BTreeMap<String, String>) -> String {
        self.render_with(language, code, args, str::to_owned)
    }

    /// Like [`Messages::render`], with every argument passed through `escape`.
    pub fn render_with(
        &self,
        language: &str,
        code: &str,
        args: &BTreeMap<String, String>,
        escape: impl Fn(&str) -> String,
    ) -> String {
        let Some(template) = self.template(language, code) else {
            return code.to_owned();
        };
        let mut out = String::with_capacity(template.len() + 64);
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            out.push_str(before);
            let Some(close) = from.find('}') else {
                rest = from;
                break;
            };
            let name = &from[1..close];
            match args.get(&format!("{name}@{language}")).or_else(|| args.get(name)) {
                Some(value) => out.push_str(&escape(value)),
                None => out.push_str(&from[..=close]),
            }
            rest = &from[close + 1..];
        }
        out.push_str(rest);
        out
    }

    fn template(&self, language: &str, code: &str) -> Option<&str> {
        let of = |language: &str| self.languages.get(language)?.get(code).map(String::as_str);
        of(language).or_else(|| of(FALLBACK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_code_with_the_same_arguments() {
        let messages = Messages::builtin();
        let arguments = |text: &str| {
            let mut found: Vec<String> = text
                .split('{')
                .skip(1)
                .filter_map(|part| part.split_once('}').map(|(name, _)| name.to_owned()))
                .collect();
            found.sort();
            found.dedup();
            found
        };
        let en = &messages.languages["en"];
        let ja = &messages.languages["ja"];
        assert_eq!(en.keys().collect::<Vec<_>>(), ja.keys().collect::<Vec<_>>());
        for (code, text) in en {
            assert_eq!(arguments(text), arguments(&ja[code]), "{code}");
        }
    }

    #[test]
    fn arguments_are_escaped_and_never_expanded_again() {
        let mut messages = Messages::builtin();
        messages.add("x", "\"a\" = \"[{one}] {two} {missing}\"").unwrap();
        let args = BTreeMap::from([("one".into(), "{two}".into()), ("two".into(), "<b>".into())]);
        assert_eq!(
            messages.render_with("x", "a", &args, |v| v.replace('<', "&lt;")),
            "[{two}] &lt;b> {missing}"
        );
        assert_eq!(messages.render("x", "no.such", &args), "no.such");
    }

    #[test]
    fn an_argument_may_have_a_form_for_one_language() {
        let mut messages = Messages::builtin();
        for language in ["en", "ja"] {
            messages.add(language, "\"a\" = \"{name}\"").unwrap();
        }
        let args = BTreeMap::from([("name".into(), "camera".into()), ("name@ja".into(), "カメラ".into())]);
        assert_eq!(["en", "ja"].map(|language| messages.render(language, "a", &args)), ["camera", "カメラ"]);
    }
}
