//! Letters: text and HTML that say the same, and the mail that carries them, RFC 5322.
//!
//! Prose comes from message catalogues by code, and whatever came from outside passes
//! [`crate::escape`] on its way in.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use kenshin_observation::{Messages, TimeUs};
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};

use crate::error::{CaseworkError, Result};
use crate::escape;

const HTML: &str = include_str!("../templates/letter.html");

/// Arguments of a message.
pub(crate) type Args = BTreeMap<String, String>;

/// Arguments from pairs.
pub(crate) fn args<const N: usize>(pairs: [(&str, &str); N]) -> Args {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What `write` writes, as text and as an HTML page.
pub(crate) fn letter(
    messages: &Messages,
    language: &str,
    title: &str,
    write: impl Fn(&mut Writer<'_>),
) -> (String, String) {
    let part = |html: bool| {
        let mut writer = Writer { messages, language, html, out: String::new() };
        write(&mut writer);
        writer.out
    };
    let page = HTML
        .replace("{language}", &escape::html(language))
        .replace("{title}", &escape::html(title))
        .replace("{body}", &part(true));
    (part(false), page)
}

/// A part being written: text or HTML.
pub(crate) struct Writer<'a> {
    messages: &'a Messages,
    language: &'a str,
    html: bool,
    out: String,
}

impl Writer<'_> {
    pub(crate) fn prose(&self, code: &str, args: &Args) -> String {
        let text = self.messages.render_with(self.language, code, args, escape::line);
        if self.html { escape::markup(&text) } else { text }
    }

    pub(crate) fn value(&self, value: &str) -> String {
        if self.html { escape::html(value) } else { escape::line(value) }
    }

    pub(crate) fn heading(&mut self, code: &str, args: &Args) {
        let text = self.prose(code, args);
        let block = if self.html {
            format!("<h2 style=\"font-size: 1.15em; margin: 1.6em 0 .4em\">{text}</h2>\n")
        } else {
            let apart = if self.out.ends_with("\n\n") { "" } else { "\n" };
            format!("{apart}## {text}\n\n")
        };
        self.out.push_str(&block);
    }

    pub(crate) fn paragraph(&mut self, code: &str, args: &Args) {
        let text = self.prose(code, args);
        self.raw_paragraph(&text);
    }

    pub(crate) fn raw_paragraph(&mut self, escaped: &str) {
        let block = if self.html { format!("<p>{escaped}</p>\n") } else { format!("{escaped}\n\n") };
        self.out.push_str(&block);
    }

    pub(crate) fn begin_case(&mut self, number: usize, title: &str) {
        let title = self.value(title);
        let block = if self.html {
            format!(
                "<h3 style=\"font-size: 1em; margin: 1.2em 0 .2em\">{number}. {title}</h3>\n<dl style=\"margin: 0\">\n"
            )
        } else {
            format!("{number}. {title}\n")
        };
        self.out.push_str(&block);
    }

    pub(crate) fn end_case(&mut self) {
        self.out.push_str(if self.html { "</dl>\n" } else { "\n" });
    }

    /// A labelled line; `escaped` has been through [`Writer::value`] or [`Writer::prose`].
    pub(crate) fn fact(&mut self, label: &str, escaped: &str) {
        let label = self.prose(label, &Args::new());
        let block = if self.html {
            format!(
                "<dt style=\"font-weight: 600\">{label}</dt><dd style=\"margin: 0 0 .3em 1.2em\">{escaped}</dd>\n"
            )
        } else {
            format!("   {label}: {escaped}\n")
        };
        self.out.push_str(&block);
    }

    /// Labelled lines of their own.
    pub(crate) fn facts<'f>(&mut self, facts: impl IntoIterator<Item = (&'f str, String)>) {
        if self.html {
            self.out.push_str("<dl style=\"margin: 0\">\n");
        }
        for (label, value) in facts {
            let value = self.value(&value);
            self.fact(label, &value);
        }
        self.end_case();
    }

    /// A list of lines, each on its own.
    pub(crate) fn list(&mut self, lines: impl IntoIterator<Item = String>) {
        let lines: String = lines
            .into_iter()
            .map(|line| {
                let line = self.value(&line);
                if self.html { format!("<li>{line}</li>\n") } else { format!("  {line}\n") }
            })
            .collect();
        self.out.push_str(&if self.html { format!("<ul>\n{lines}</ul>\n") } else { format!("{lines}\n") });
    }
}

/// The head of a mail that a machine writes.
pub(crate) struct Head<'a> {
    /// Name and address it comes from; a name that stands with the address goes before this one.
    pub(crate) from: (&'a str, &'a str),
    /// Name, where one is known, and address it goes to.
    pub(crate) to: (Option<&'a str>, &'a str),
    pub(crate) reply_to: Option<&'a str>,
    pub(crate) subject: &'a str,
    pub(crate) message_id: &'a str,
    pub(crate) now: TimeUs,
    /// A header that tells programs what it is about.
    pub(crate) about: (&'static str, String),
}

impl Head<'_> {
    pub(crate) fn builder(&self) -> Result<MessageBuilder> {
        // The organisation's name unless the address brings one of its own.
        let mailbox = |name: Option<&str>, mail: &str| {
            parse_mailbox(mail).map(|mailbox| {
                let name = mailbox.name.or_else(|| name.map(str::to_owned));
                Mailbox::new(name.map(|name| escape::header(&name)), mailbox.email)
            })
        };
        let seconds = u64::try_from(self.now.micros() / 1_000_000).unwrap_or(0);
        let mut builder = Message::builder()
            .from(mailbox(Some(self.from.0), self.from.1)?)
            .to(mailbox(self.to.0, self.to.1)?)
            .subject(self.subject)
            .date(UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(self.message_id.to_owned()));
        if let Some(reply_to) = self.reply_to {
            builder = builder.reply_to(mailbox(Some(self.from.0), reply_to)?);
        }
        let (name, value) = &self.about;
        for (name, value) in [("Auto-Submitted", "auto-generated".to_owned()), (*name, value.clone())] {
            let name = HeaderName::new_from_ascii(name.to_owned()).expect("a fixed header name is ASCII");
            builder = builder.raw_header(HeaderValue::new(name, value));
        }
        Ok(builder)
    }
}

/// `Name <address>` or only the address.
pub(crate) fn parse_mailbox(text: &str) -> Result<Mailbox> {
    text.parse().map_err(|error| {
        CaseworkError::Input(format!(
            "`{}` is not a mail address: {error}; hint: write it as abuse@example.net or Name <abuse@example.net>",
            escape::line(text)
        ))
    })
}

/// A boundary of parts: from the id of what the mail carries, so that the same one has the same bytes.
pub(crate) fn boundary(part: &str, id: impl std::fmt::Display) -> String {
    format!("kenshin-{part}-{id}")
}

/// Text and HTML that say the same.
pub(crate) fn alternative(text: String, html: String, id: impl std::fmt::Display) -> MultiPart {
    MultiPart::alternative()
        .boundary(boundary("alternative", id))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html))
}
