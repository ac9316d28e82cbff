//! Alerts by HTTP: a signed POST, as Standard Webhooks (standardwebhooks.com) describe it, so that
//! receivers check it with a library that exists.
//!
//! `webhook-id` is the same at every attempt: a receiver that knows it already has nothing to do.
//! Redirections are not followed, and nothing is read of the answer but its status.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use kenshin_casework::{Delivery, Outgoing};
use kenshin_observation::TimeUs;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Url, redirect};
use sha2::Sha256;

use crate::error::ActError;

pub(super) use reqwest::Client;

/// Longest wait for a connection, and for the whole conversation.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(15);

/// Who posts.
pub(super) fn client() -> Result<Client, ActError> {
    Client::builder()
        .connect_timeout(CONNECT)
        .timeout(WHOLE)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("kenshin/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ActError::outside("failed to prepare TLS", error))
}

/// An address that messages may be posted to: `https://`, or, where `own_machine`, `http://` on
/// loopback.
pub(super) fn checked(text: &str, own_machine: bool) -> Result<Url, ActError> {
    let refused = |why: &str| {
        Err(ActError::input(format!("the webhook {why}")).with_hint(
            "write https://host/path; on this machine an operator may write http://127.0.0.1:PORT/path",
        ))
    };
    let Ok(url) = text.parse::<Url>() else { return refused("is no URL") };
    if !url.username().is_empty() || url.password().is_some() {
        return refused("has a name or password in it; messages are signed instead");
    }
    let here = is_loopback(&url);
    match url.scheme() {
        _ if here && !own_machine => refused("is on this machine, which is for its operators only"),
        "https" => Ok(url),
        "http" if here => Ok(url),
        "http" => refused("is not protected by TLS"),
        _ => refused("is not an https:// address"),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    match literal {
        Ok(addr) => {
            let addr = addr.to_canonical();
            addr.is_loopback() || addr.is_unspecified()
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// A secret as receivers take it.
pub(super) fn shown(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The signature of a message.
fn signature(secret: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Posts one alert. Whatever does not end in an answer of success may be posted again.
pub(super) async fn post(client: &Client, outgoing: &Outgoing, now: TimeUs) -> Delivery {
    let (id, body) = (&outgoing.delivery.message_id, &outgoing.message);
    let Some(secret) = &outgoing.secret else {
        return Delivery::Failed("there is no secret to sign with".to_owned());
    };
    // What was saved is asked again: nothing leaves in the clear, whatever a database says.
    let url = match checked(&outgoing.delivery.target, true) {
        Ok(url) => url,
        Err(error) => return Delivery::Failed(error.to_string()),
    };
    let seconds = now.micros().div_euclid(1_000_000);
    let request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signature(secret, id, seconds, body))
        .body(body.clone());
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Delivery::Sent(format!("answered {}", answer.status())),
        Ok(answer) if answer.status().is_redirection() => {
            Delivery::Failed(format!("answered {}; redirections are not followed", answer.status()))
        }
        Ok(answer) => Delivery::Failed(format!("answered {}", answer.status())),
        // The address is not repeated: it may be a secret.
        Err(error) => Delivery::Failed(chain(&error.without_url())),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_protected_addresses_are_posted_to() {
        for (url, anybody, operator) in [
            ("https://hooks.example/x?y=1", true, true),
            ("https://192.0.2.1/x", true, true),
            ("http://hooks.example/x", false, false),
            ("http://127.0.0.1:9000/x", false, true),
            ("http://[::1]:9000/x", false, true),
            ("http://localhost:9000/x", false, true),
            ("http://127.1:9000/", false, true),
            ("http://2130706433/", false, true),
            ("https://127.0.0.1/x", false, true),
            ("https://[::ffff:127.0.0.1]/", false, true),
            ("http://127.0.0.1.example/", false, false),
            ("http://192.0.2.1/", false, false),
            ("https://name:password@hooks.example/", false, false),
            ("ftp://hooks.example/", false, false),
            ("file:///etc/passwd", false, false),
            ("hooks.example", false, false),
        ] {
            assert_eq!(
                (checked(url, false).is_ok(), checked(url, true).is_ok()),
                (anybody, operator),
                "{url}"
            );
        }
    }

    /// The example of the specification.
    #[test]
    fn messages_are_signed_as_standard_webhooks_are() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(shown(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }
}
