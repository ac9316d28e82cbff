//! The mail that carries a notice, RFC 5322: open parts, PGP/MIME (RFC 3156), or only a link.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};

use super::compose::{Draft, digest};
use super::{NoticeContent, NoticeId};
use crate::error::{CaseworkError, Result};
use crate::escape;
use crate::openpgp::{self, SeededRng};
use crate::providers::Protection;

/// A finished mail.
pub(crate) struct Mail {
    pub(crate) message_id: String,
    /// Link-only too when the provider's key cannot be used any more.
    pub(crate) protection: Protection,
    pub(crate) subject: String,
    pub(crate) content: NoticeContent,
    pub(crate) digest: String,
    pub(crate) message: String,
}

impl Draft<'_> {
    /// Writes the mail. `random` feeds the session key of an encrypted one.
    pub(crate) fn mail(&self, random: SeededRng) -> Result<Mail> {
        let content = self.content();
        let digest = digest(&content.attachments);
        let subject = self.subject();
        let message_id = format!("<{}.{}@{}>", self.notice_id, &digest[..16], self.letterhead.message_domain);
        let boundaries = Boundaries { notice: self.notice_id };
        let secret = self.provider.openpgp_key.as_ref().and_then(|key| {
            let parts = parts(&content, &boundaries).formatted();
            match openpgp::encrypt(key, &parts, self.now, random) {
                Ok(secret) => Some(secret),
                // A key that has expired since the import must hold up neither this provider's
                // notice nor those of all the others: it goes as a link.
                Err(error) => {
                    tracing::warn!(provider = %self.provider.provider_id, %error, "the notice goes as a link only");
                    None
                }
            }
        });
        let (protection, body) = match secret {
            Some(secret) => (Protection::OpenPgp, encrypted(secret, &boundaries)),
            None => {
                let (text, html) = self.link_only(&digest);
                (Protection::LinkOnly, alternative(text, html, &boundaries))
            }
        };
        let message = self.envelope(&subject, &message_id)?.multipart(body).map_err(|error| {
            CaseworkError::Input(format!(
                "cannot write the mail to {}: {error}",
                escape::line(&self.provider.name)
            ))
        })?;
        let message = String::from_utf8(message.formatted()).expect("headers and encoded bodies are ASCII");
        Ok(Mail { message_id, protection, subject, content, digest, message })
    }

    fn envelope(&self, subject: &str, message_id: &str) -> Result<lettre::message::MessageBuilder> {
        // The organisation's name unless the address brings one of its own.
        let mailbox = |name: &str, mail: &str| {
            parse_mailbox(mail).map(|mailbox| {
                let name = mailbox.name.unwrap_or_else(|| name.to_owned());
                Mailbox::new(Some(escape::header(&name)), mailbox.email)
            })
        };
        let seconds = u64::try_from(self.now.micros() / 1_000_000).unwrap_or(0);
        let mut builder = Message::builder()
            .from(mailbox(&self.letterhead.organisation, &self.letterhead.from)?)
            .to(mailbox(&self.provider.name, &self.provider.mail)?)
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(message_id.to_owned()));
        if let Some(reply_to) = &self.letterhead.reply_to {
            builder = builder.reply_to(mailbox(&self.letterhead.organisation, reply_to)?);
        }
        for (name, value) in [
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("X-Kenshin-Notice", self.notice_id.to_string()),
        ] {
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

/// Boundaries of the parts: from the notice's id, so that the same notice has the same bytes.
struct Boundaries {
    notice: NoticeId,
}

impl Boundaries {
    fn of(&self, part: &str) -> String {
        format!("kenshin-{part}-{}", self.notice)
    }
}

fn alternative(text: String, html: String, boundaries: &Boundaries) -> MultiPart {
    MultiPart::alternative()
        .boundary(boundaries.of("alternative"))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html))
}

fn parts(content: &NoticeContent, boundaries: &Boundaries) -> MultiPart {
    let mut mixed = MultiPart::mixed().boundary(boundaries.of("mixed")).multipart(alternative(
        content.text.clone(),
        content.html.clone(),
        boundaries,
    ));
    for attachment in &content.attachments {
        let csv = ContentType::parse("text/csv; charset=utf-8").expect("a fixed content type parses");
        mixed = mixed.singlepart(Attachment::new(attachment.name.clone()).body(attachment.text.clone(), csv));
    }
    mixed
}

fn encrypted(armoured: String, boundaries: &Boundaries) -> MultiPart {
    let octets = ContentType::parse("application/octet-stream; name=\"encrypted.asc\"")
        .expect("a fixed content type parses");
    let control = ContentType::parse("application/pgp-encrypted").expect("a fixed content type parses");
    MultiPart::encrypted("application/pgp-encrypted".to_owned())
        .boundary(boundaries.of("encrypted"))
        .singlepart(SinglePart::builder().header(control).body("Version: 1\r\n".to_owned()))
        .singlepart(SinglePart::builder().header(octets).body(armoured))
}
