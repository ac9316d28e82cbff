//! The mail that carries a notice, RFC 5322: open parts, PGP/MIME (RFC 3156), or only a link.

use lettre::message::header::ContentType;
use lettre::message::{Attachment, MessageBuilder, MultiPart, SinglePart};

use super::compose::{Draft, digest};
use super::{NoticeContent, NoticeId};
use crate::error::{CaseworkError, Result};
use crate::escape;
use crate::letter::{Head, alternative, boundary};
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
        let secret = self.provider.openpgp_key.as_ref().and_then(|key| {
            let parts = parts(&content, self.notice_id).formatted();
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
            Some(secret) => (Protection::OpenPgp, encrypted(secret, self.notice_id)),
            None => {
                let (text, html) = self.link_only(&digest);
                (Protection::LinkOnly, alternative(text, html, self.notice_id))
            }
        };
        let message = self.head(&subject, &message_id)?.multipart(body).map_err(|error| {
            CaseworkError::Input(format!(
                "cannot write the mail to {}: {error}",
                escape::line(&self.provider.name)
            ))
        })?;
        let message = String::from_utf8(message.formatted()).expect("headers and encoded bodies are ASCII");
        Ok(Mail { message_id, protection, subject, content, digest, message })
    }

    fn head(&self, subject: &str, message_id: &str) -> Result<MessageBuilder> {
        let letterhead = self.letterhead;
        Head {
            from: (&letterhead.organisation, &letterhead.from),
            to: (Some(&self.provider.name), &self.provider.mail),
            reply_to: letterhead.reply_to.as_deref(),
            subject,
            message_id,
            now: self.now,
            about: ("X-Kenshin-Notice", self.notice_id.to_string()),
        }
        .builder()
    }
}

fn parts(content: &NoticeContent, id: NoticeId) -> MultiPart {
    let mut mixed = MultiPart::mixed().boundary(boundary("mixed", id)).multipart(alternative(
        content.text.clone(),
        content.html.clone(),
        id,
    ));
    for attachment in &content.attachments {
        let csv = ContentType::parse("text/csv; charset=utf-8").expect("a fixed content type parses");
        mixed = mixed.singlepart(Attachment::new(attachment.name.clone()).body(attachment.text.clone(), csv));
    }
    mixed
}

fn encrypted(armoured: String, id: NoticeId) -> MultiPart {
    let octets = ContentType::parse("application/octet-stream; name=\"encrypted.asc\"")
        .expect("a fixed content type parses");
    let control = ContentType::parse("application/pgp-encrypted").expect("a fixed content type parses");
    MultiPart::encrypted("application/pgp-encrypted".to_owned())
        .boundary(boundary("encrypted", id))
        .singlepart(SinglePart::builder().header(control).body("Version: 1\r\n".to_owned()))
        .singlepart(SinglePart::builder().header(octets).body(armoured))
}
