//! Recipes: how the login form of one model is filled in and how its answer is read, and where a model's
//! stream server has something to describe.
//!
//! A TOML file of the operator's. It holds no password: pairs come from the dictionary, and a recipe only
//! says where they go. What cannot work is refused when the file is read, with its line.

mod sign;
mod template;

use kenshin_observation::protocol;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

pub(super) use self::sign::{Sign, shows};
pub(super) use self::template::{Make, Template, Values};
use super::dictionary::{line_at, without_value};

/// Longest path of a recipe, in bytes.
const PATH_BYTES_MAX: usize = 1024;

/// Most fields, values and signs of one recipe, each.
const PARTS_MAX: usize = 32;

const HINT: &str = "docs/credential-checks.md shows a whole recipe";

/// The recipes of one file, named by its digest. None fits anything by default.
#[derive(Debug, Clone, Default)]
pub struct Recipes {
    sha256: String,
    forms: Vec<Form>,
    streams: Vec<Stream>,
}

/// A file that is not one of recipes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}; hint: {HINT}")]
pub struct RecipeError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    forms: Vec<Spanned<Form>>,
    #[serde(default)]
    streams: Vec<Spanned<Stream>>,
}

/// How the login form of a model is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    /// For messages.
    name: String,
    /// Words that the service must say, all of them, ignoring case.
    #[serde(default)]
    says: Vec<String>,
    /// SHA-256 of its icon, hexadecimal.
    icon_sha256: Option<String>,
    /// Page fetched before each attempt; `None` where the form needs nothing of it.
    pub(super) page: Option<Place>,
    /// Hidden fields of that page that are sent back as they came, after `fields`.
    #[serde(default)]
    pub(super) hidden: Vec<String>,
    /// Values that stand in that page elsewhere.
    #[serde(default)]
    pub(super) take: Vec<Take>,
    /// Values made from others, in order.
    #[serde(default)]
    make: Vec<Make>,
    /// How the fields are sent.
    #[serde(default)]
    pub(super) method: Verb,
    /// Where to.
    pub(super) path: Place,
    /// In what form, when they are posted.
    #[serde(default)]
    pub(super) encoding: Encoding,
    fields: Vec<Field>,
    /// Any of these: the pair opens it.
    pub(super) success: Vec<Sign>,
    /// Any of these: it does not.
    pub(super) failure: Vec<Sign>,
    /// Any of these: the device defends itself.
    #[serde(default)]
    pub(super) lockout: Vec<Sign>,
    /// How to log out after a success, and after what may have been one.
    pub(super) logout: Option<Logout>,
}

/// Where the stream server of a model has something to describe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    says: Vec<String>,
    path: Place,
}

/// A path at the same address and port: a recipe leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Place(String);

/// A value that stands in a page between two texts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Take {
    pub(super) name: String,
    pub(super) after: String,
    pub(super) until: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    value: Template,
}

/// How fields are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verb {
    #[default]
    Post,
    Get,
}

/// In what form fields are posted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    #[default]
    Form,
    Json,
}

/// How to log out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logout {
    #[serde(default)]
    pub(super) method: Verb,
    pub(super) path: Place,
}

impl Recipes {
    /// Most recipes of one file.
    pub const RECIPES_MAX: usize = 1_000;

    /// Parses the text of a file of recipes.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let fault = |at: usize, problem: String| RecipeError { line: line_at(text, at), problem };
        let file: File = toml::from_str(text).map_err(|error| {
            // What is fixed in a form may be a secret where nobody expects one.
            let problem = match error.message() {
                message if message.starts_with("invalid ") => without_value(message),
                message => message.to_owned(),
            };
            fault(error.span().map_or(0, |span| span.start), problem)
        })?;
        match file.forms.len() + file.streams.len() {
            0 => return Err(fault(0, "no recipe at all: neither `[[forms]]` nor `[[streams]]`".to_owned())),
            count if count > Self::RECIPES_MAX => {
                return Err(fault(0, format!("{count} recipes, more than {}", Self::RECIPES_MAX)));
            }
            _ => {}
        }
        for form in &file.forms {
            let at = form.span().start;
            form.get_ref()
                .check()
                .map_err(|problem| fault(at, format!("form `{}` {problem}", form.get_ref().name)))?;
        }
        if let Some(stream) =
            file.streams.iter().find(|stream| stream.get_ref().says.iter().all(|word| word.trim().is_empty()))
        {
            return Err(fault(
                stream.span().start,
                "a stream without `says` would fit every server".to_owned(),
            ));
        }
        Ok(Self {
            sha256: hex::encode(Sha256::digest(text)),
            forms: file.forms.into_iter().map(Spanned::into_inner).collect(),
            streams: file.streams.into_iter().map(Spanned::into_inner).collect(),
        })
    }

    /// SHA-256 of the file's text, hexadecimal; empty when there is no file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// How many recipes there are, of forms and of streams.
    pub fn len(&self) -> usize {
        self.forms.len() + self.streams.len()
    }

    /// True when nothing fits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first form that fits a page and what its service says of itself (`evidence`, in lower case).
    pub(super) fn form(&self, page: &protocol::Http, evidence: &str) -> Option<&Form> {
        self.forms.iter().find(|form| {
            let icon = form.icon_sha256.as_ref().map(|icon| icon.to_ascii_lowercase());
            says(&form.says, evidence) && (icon.is_none() || icon == page.favicon_sha256)
        })
    }

    /// Path of the first stream that fits what its server says of itself; the root for others.
    pub(super) fn stream(&self, evidence: &str) -> &str {
        let fitting = self.streams.iter().find(|stream| says(&stream.says, evidence));
        fitting.map_or("/", |stream| stream.path.as_str())
    }
}

fn says(words: &[String], evidence: &str) -> bool {
    words.iter().all(|word| evidence.contains(&word.to_lowercase()))
}

impl Form {
    /// What makes it unusable, as the end of a sentence.
    fn check(&self) -> Result<(), String> {
        if self.says.iter().any(|word| word.trim().is_empty()) {
            return Err("has an empty word in `says`: every service says that".to_owned());
        }
        if self.says.is_empty() && self.icon_sha256.is_none() {
            return Err("has neither `says` nor `icon_sha256`: it would fit every page".to_owned());
        }
        if let Some(icon) = &self.icon_sha256
            && !(icon.len() == 64 && icon.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err("has an `icon_sha256` that is not 64 hexadecimal digits".to_owned());
        }
        if self.success.is_empty() || self.failure.is_empty() {
            return Err(
                "needs a `success` and a `failure` sign: what shows neither decides nothing".to_owned()
            );
        }
        let parts = [
            self.hidden.len(),
            self.take.len(),
            self.make.len(),
            self.fields.len(),
            self.success.len(),
            self.failure.len(),
            self.lockout.len(),
        ];
        if parts.iter().any(|count| *count > PARTS_MAX) {
            return Err(format!("has more than {PARTS_MAX} parts of one kind"));
        }
        if self.take.iter().any(|take| take.after.is_empty() || take.until.is_empty()) {
            return Err("takes a value from between nothing: `after` and `until` need a text".to_owned());
        }
        if self.page.is_none() && !(self.hidden.is_empty() && self.take.is_empty()) {
            return Err("takes values from a page and names none: add `page`".to_owned());
        }
        let mut known = vec!["user", "password"];
        let taken = self.hidden.iter().chain(self.take.iter().map(|take| &take.name));
        let named = |known: &[&str], template: &Template, what: &str| match template
            .names()
            .find(|name| !known.contains(name))
        {
            Some(name) => Err(format!("says `{{{name}}}` in `{what}`, and nothing before it has that name")),
            None => Ok(()),
        };
        for name in taken {
            if known.contains(&name.as_str()) {
                return Err(format!("names `{name}` twice"));
            }
            known.push(name);
        }
        for make in &self.make {
            named(&known, &make.from, &make.name)?;
            if known.contains(&make.name.as_str()) {
                return Err(format!("names `{}` twice", make.name));
            }
            known.push(&make.name);
        }
        for field in &self.fields {
            named(&known, &field.value, &field.name)?;
        }
        let says_password = |name: &str| {
            let mut wanted = vec![name.to_owned()];
            for make in self.make.iter().rev() {
                if wanted.contains(&make.name) {
                    wanted.extend(make.from.names().map(str::to_owned));
                }
            }
            wanted.iter().any(|name| name == "password")
        };
        match self.fields.iter().any(|field| field.value.names().any(says_password)) {
            true => Ok(()),
            false => Err("sends the password in no field".to_owned()),
        }
    }

    /// The fields for a pair, in order, given what the page handed out.
    pub(super) fn fill(&self, mut values: Values) -> Vec<(String, String)> {
        for make in &self.make {
            values.set(&make.name, make.value(&values));
        }
        let fields = self.fields.iter().map(|field| (field.name.clone(), field.value.fill(&values)));
        let hidden = self.hidden.iter().map(|name| (name.clone(), values.get(name).to_owned()));
        fields.chain(hidden).collect()
    }
}

impl Place {
    /// The path.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        let fits = path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= PATH_BYTES_MAX
            && path.bytes().all(|byte| byte.is_ascii_graphic());
        match fits {
            true => Ok(Self(path)),
            false => Err(format!(
                "`{}` is no path at the same address: it begins with one `/` and has no spaces",
                path.escape_debug()
            )),
        }
    }
}

#[cfg(test)]
mod tests;
