//! What an alert says: a mail, and the JSON that a webhook gets.

use std::fmt::Write as _;
use std::net::IpAddr;

use kenshin_observation::{AlertId, Messages, TimeUs, words};
use serde::{Deserialize, Serialize};

use super::{SavedSearch, Watch};
use crate::error::{CaseworkError, Result};
use crate::escape;
use crate::letter::{Args, Head, Writer, alternative, args, letter};

/// Version of the JSON that webhooks get.
const SCHEMA: u32 = 1;

words!(
    /// How an answer is otherwise.
    Turn, "turn" {
        /// Services came or went.
        Changed = "changed",
        /// As many services as the threshold, or more.
        Reached = "reached",
        /// Fewer services than the threshold again.
        Fell = "fell",
        /// More services than are told apart.
        Grown = "grown",
    }
);

/// What is otherwise in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerChange {
    /// In which way.
    pub turn: Turn,
    /// Services found now.
    pub services: i64,
    /// Services that came.
    pub added: i64,
    /// Services that went.
    pub gone: i64,
    /// The first of those that came and went.
    pub items: Vec<ChangedService>,
}

/// A service that came or went. What it says of itself is hostile text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedService {
    /// It went; else it came.
    pub gone: bool,
    /// Its address.
    pub addr: IpAddr,
    /// Its port.
    pub port: i32,
    /// `tcp` or `udp`.
    pub transport: String,
    /// What it speaks, when that is known.
    pub protocol: Option<String>,
    /// What the device, or else the software, was taken for.
    pub product: Option<String>,
    /// Its title, banner or Server header, the first that there is.
    pub says: Option<String>,
    /// Who answers for the address.
    pub provider: Option<String>,
    /// Country.
    pub country: Option<String>,
}

/// Who writes, and where more can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Name of the organisation.
    pub organisation: String,
    /// Mail address alerts come from: `address` or `Name <address>`.
    pub from: String,
    /// Where the interface is, e.g. `https://kenshin.example.net`.
    pub base_url: String,
    /// Domain of Message-IDs.
    pub message_domain: String,
}

/// Everything an alert is made from.
pub(super) struct Draft<'a> {
    pub(super) alert_id: AlertId,
    pub(super) search: &'a SavedSearch,
    pub(super) change: &'a AnswerChange,
    pub(super) sender: &'a Sender,
    pub(super) messages: &'a Messages,
    pub(super) now: TimeUs,
}

impl Draft<'_> {
    /// The mail to one address, RFC 5322. Its subject travels in the clear and tells nothing but what
    /// the owner calls the search.
    pub(super) fn mail(&self, to: &str, message_id: &str) -> Result<String> {
        let (search, sender) = (self.search, self.sender);
        let subject = args([("organisation", &sender.organisation), ("name", &search.name)]);
        let subject = escape::header(&self.messages.render(&search.language, "alert.subject", &subject));
        let (text, html) = letter(self.messages, &search.language, &subject, |writer| self.write(writer));
        let head = Head {
            from: (&sender.organisation, &sender.from),
            to: (None, to),
            reply_to: None,
            subject: &subject,
            message_id,
            now: self.now,
            about: ("X-Kenshin-Alert", self.alert_id.to_string()),
        };
        let message = head.builder()?.multipart(alternative(text, html, self.alert_id));
        let message = message.map_err(|error| {
            CaseworkError::Input(format!("cannot write the mail to {}: {error}", escape::line(to)))
        })?;
        Ok(String::from_utf8(message.formatted()).expect("headers and encoded bodies are ASCII"))
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let (search, change) = (self.search, self.change);
        let numbers = [change.services, search.threshold.unwrap_or_default()].map(|n| n.to_string());
        let said = args([("name", &search.name), ("services", &numbers[0]), ("threshold", &numbers[1])]);
        writer.paragraph(&format!("alert.turn.{}", change.turn), &said);
        let mut facts = vec![
            ("alert.label.query", search.query.clone()),
            ("alert.label.time", self.now.to_string()),
            ("alert.label.services", change.services.to_string()),
        ];
        if change.turn == Turn::Changed {
            let counts = [
                ("alert.label.added", change.added, Watch::Gone),
                ("alert.label.gone", change.gone, Watch::New),
            ];
            let watched = counts.into_iter().filter(|(_, _, unwatched)| search.watch != *unwatched);
            facts.extend(watched.map(|(label, count, _)| (label, count.to_string())));
        }
        writer.facts(facts);
        for (gone, heading) in [(false, "alert.heading.added"), (true, "alert.heading.gone")] {
            let items: Vec<&ChangedService> = change.items.iter().filter(|item| item.gone == gone).collect();
            if items.is_empty() {
                continue;
            }
            writer.heading(heading, &Args::new());
            let all = if gone { change.gone } else { change.added };
            let more = all - i64::try_from(items.len()).unwrap_or(i64::MAX);
            writer.list(items.into_iter().map(line));
            if more > 0 {
                writer.paragraph("alert.more", &args([("count", &more.to_string())]));
            }
        }
        writer.heading("alert.heading.more", &Args::new());
        writer.facts([("alert.label.explorer", self.explorer()), ("alert.label.search", self.page())]);
        let why = args([("owner", &search.owner_name), ("organisation", &self.sender.organisation)]);
        writer.paragraph("alert.why", &why);
    }

    /// The JSON that a webhook gets. What services say of themselves is written as it is in mails.
    pub(super) fn body(&self) -> String {
        let (search, change) = (self.search, self.change);
        let shown = |text: &Option<String>| text.as_deref().map(escape::line);
        let items: Vec<serde_json::Value> = change
            .items
            .iter()
            .map(|item| {
                serde_json::json!({
                    "change": if item.gone { "gone" } else { "new" },
                    "addr": item.addr,
                    "port": item.port,
                    "transport": item.transport,
                    "protocol": shown(&item.protocol),
                    "product": shown(&item.product),
                    "says": shown(&item.says),
                    "provider": shown(&item.provider),
                    "country": shown(&item.country),
                })
            })
            .collect();
        let body = serde_json::json!({
            "schema": SCHEMA,
            "type": "search.changed",
            "alert_id": self.alert_id,
            "at": self.now.to_string(),
            "organisation": self.sender.organisation,
            "search": {
                "search_id": search.search_id,
                "name": search.name,
                "query": search.query,
                "on": search.watch,
                "threshold": search.threshold,
            },
            "turn": change.turn,
            "services": change.services,
            "added": change.added,
            "gone": change.gone,
            "items": items,
            "explorer_url": self.explorer(),
            "search_url": self.page(),
        });
        body.to_string()
    }

    /// The query in the explorer.
    fn explorer(&self) -> String {
        format!("{}/search?q={}", self.base(), encoded(&self.search.query))
    }

    /// The saved search in the interface.
    fn page(&self) -> String {
        format!("{}/searches/{}", self.base(), self.search.search_id)
    }

    fn base(&self) -> &str {
        self.sender.base_url.trim_end_matches('/')
    }
}

/// One service on one line.
fn line(item: &ChangedService) -> String {
    let protocol = item.protocol.as_deref().unwrap_or(&item.transport);
    let endpoint = match item.addr {
        IpAddr::V4(addr) => format!("{addr}:{}", item.port),
        IpAddr::V6(addr) => format!("[{addr}]:{}", item.port),
    };
    let more = [&item.product, &item.says, &item.provider, &item.country];
    let more = more.into_iter().flatten().filter(|text| !text.is_empty());
    more.fold(format!("{endpoint} {protocol}"), |line, text| format!("{line} · {text}"))
}

/// A text as the value of a URL's query: all but unreserved characters as percent and digits, RFC 3986.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("writing to a string succeeds"),
        }
        out
    })
}
