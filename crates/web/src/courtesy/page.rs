//! What the courtesy page says, in Japanese and English on one page: a visitor who reads a log has
//! chosen no language.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use axum::http::StatusCode;
use kenshin_casework::escape::html;
use kenshin_mandate::Statement;
use kenshin_observation::Messages;
use kenshin_observatory::{Courtesy, ShownMandate};

/// Languages of the page, in order.
const LANGUAGES: [&str; 2] = ["ja", "en"];

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The address is left alone from now on.
    LeftOut,
    /// A person will decide.
    Asked,
    /// The form was not filled in so that it can be read.
    Unreadable,
    /// A page of another site sent the form.
    Elsewhere,
    /// Too many requests from there.
    TooMany,
    /// It could not be kept.
    Failed,
}

impl Said {
    fn code(self) -> &'static str {
        match self {
            Self::LeftOut => "left-out",
            Self::Asked => "asked",
            Self::Unreadable => "unreadable",
            Self::Elsewhere => "elsewhere",
            Self::TooMany => "too-many",
            Self::Failed => "failed",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::LeftOut | Self::Asked => StatusCode::OK,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The page for one visitor.
pub(super) struct Page<'a> {
    pub(super) courtesy: &'a Courtesy,
    pub(super) messages: &'a Messages,
    pub(super) mandates: &'a [ShownMandate],
    pub(super) addr: IpAddr,
    pub(super) left_out: bool,
    pub(super) said: Option<Said>,
}

impl Page<'_> {
    pub(super) fn render(&self) -> String {
        let mut out = String::from(
            "<!doctype html>\n<html lang=\"ja\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>検診 Kenshin</title>\n\
             <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<main>\n\
             <h1>検診 <span lang=\"en\">Kenshin</span></h1>\n\
             <nav><a href=\"#ja\">日本語</a> <a href=\"#en\" lang=\"en\">English</a></nav>\n",
        );
        for language in LANGUAGES {
            self.section(language, &mut out);
        }
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }

    fn section(&self, language: &str, out: &mut String) {
        let say = |code: &str, args: &[(&str, String)]| {
            let args: BTreeMap<String, String> =
                args.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            self.messages.render_with(language, &format!("courtesy.{code}"), &args, html)
        };
        let mut line =
            |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").expect("a string takes everything");
        let organisation = ("organisation", self.courtesy.organisation.clone());
        line(format_args!("<section id=\"{language}\" lang=\"{language}\">"));
        line(format_args!("<h2>{}</h2>", say("title", &[])));
        if let Some(said) = self.said {
            line(format_args!(
                "<p role=\"status\">{}</p>",
                say(said.code(), &[("address", self.addr.to_string())])
            ));
        }
        line(format_args!("<p>{}</p>", say("who", &[organisation])));
        line(format_args!("<p>{}</p>", say("why", &[])));

        line(format_args!("<h3>{}</h3>", say("leave-alone.title", &[])));
        let address = ("address", self.addr.to_string());
        if self.left_out {
            line(format_args!("<p>{}</p>", say("leave-alone.done", &[address])));
        } else {
            line(format_args!("<p>{}</p>", say("leave-alone.address", std::slice::from_ref(&address))));
            line(format_args!(
                "<form method=\"post\" action=\"/opt-out\"><button>{}</button></form>",
                say("leave-alone.button", &[address])
            ));
        }
        line(format_args!("<p>{}</p>", say("leave-alone.prefix", &[])));
        line(format_args!("<form method=\"post\" action=\"/request\">"));
        for (name, kind, most) in [("prefix", "text", 50), ("contact", "text", 200)] {
            line(format_args!(
                "<label for=\"{language}-{name}\">{}</label><input id=\"{language}-{name}\" name=\"{name}\" type=\"{kind}\" maxlength=\"{most}\" required>",
                say(&format!("form.{name}"), &[])
            ));
        }
        line(format_args!(
            "<label for=\"{language}-words\">{}</label><textarea id=\"{language}-words\" name=\"words\" rows=\"4\" maxlength=\"2000\"></textarea>",
            say("form.words", &[])
        ));
        line(format_args!("<button>{}</button></form>", say("form.button", &[])));

        line(format_args!("<h3>{}</h3>", say("mandates.title", &[])));
        if self.mandates.is_empty() {
            line(format_args!("<p>{}</p>", say("mandates.none", &[])));
        }
        for shown in self.mandates {
            let mandate = shown.mandate.mandate();
            let statement = Statement::new(mandate, shown.mandate.signers(), Some(shown.standing.clone()));
            line(format_args!(
                "<details><summary>{} ({})</summary>\n<ul>",
                html(&mandate.title),
                html(&mandate.id)
            ));
            for sentence in &statement.sentences {
                let text = self.messages.render_with(language, &sentence.code, &sentence.args, html);
                line(format_args!("<li>{text}</li>"));
            }
            line(format_args!("</ul>"));
            let id = ("id", mandate.id.clone());
            line(format_args!("<p>{}</p>", say("verify", &[])));
            line(format_args!(
                "<p><a href=\"/mandates/{0}.toml\">{0}.toml</a> <a href=\"/mandates/{0}.toml.sig\">{0}.toml.sig</a></p>",
                html(&mandate.id)
            ));
            line(format_args!(
                "<pre>{}</pre></details>",
                say("verify.command", &[id, ("authority", mandate.authority.clone())])
            ));
        }
        line(format_args!("<h3>{}</h3>", say("sensor.title", &[])));
        line(format_args!(
            "<p>{}</p>",
            say(
                "sensor",
                &[("sensor", self.courtesy.sensor_id.to_string()), ("key", self.courtesy.public_key.clone()),]
            )
        ));
        line(format_args!("</section>"));
    }
}

/// The probe description file (RFC 9511 §2).
pub(super) fn probing(courtesy: &Courtesy, mandates: &[ShownMandate]) -> String {
    let line = |text: &str| kenshin_casework::escape::line(text);
    let mut out = String::new();
    let mut contacts: Vec<String> = Vec::new();
    for shown in mandates {
        let told = &shown.mandate.contacts;
        contacts.push(format!("Contact: mailto:{}\n", line(&told.email)));
        contacts.extend(told.web.as_ref().map(|web| format!("Contact: {}\n", line(web))));
    }
    contacts.sort();
    contacts.dedup();
    out.extend(contacts);
    let expires = courtesy.now().plus_secs(7 * 86_400);
    let ids: Vec<String> = mandates.iter().map(|shown| line(&shown.mandate.id)).collect();
    writeln!(out, "Expires: {expires}\nPreferred-Languages: ja, en").expect("a string takes everything");
    writeln!(
        out,
        "Description: authorised security survey of {}, mandates: {}; see / for what is measured and how to be left alone",
        line(&courtesy.organisation),
        if ids.is_empty() { "none at present".to_owned() } else { ids.join(", ") }
    )
    .expect("a string takes everything");
    out
}
