//! Whether a page is a device's administration that asks nobody who he is.
//!
//! The rule, so that an ordinary website or a login page never falls under it: `GET /` answered
//! 200 with HTML, asked for no HTTP authentication, redirected nowhere and shows no password field;
//! the host is identified as a device (any [`DeviceType`] but a server); and the title speaks of
//! administration (a word of [`WORDS`], [`PHRASES`] or [`JAPANESE`]) but not of logging in
//! ([`LOGIN`]).

use kenshin_observation::{DeviceType, Identity, protocol::Http};

/// Words of titles that only an administration has, with how far each is to be believed.
const WORDS: &[(&str, u8)] = &[
    ("setup", 90),
    ("settings", 90),
    ("setting", 85),
    ("configuration", 75),
    ("configurator", 75),
    ("administration", 75),
    ("administrator", 75),
    ("admin", 75),
    ("management", 70),
    ("maintenance", 85),
    ("status", 85),
];

/// Phrases of more than one word.
const PHRASES: &[(&str, u8)] = &[
    ("remote ui", 85),
    ("control panel", 75),
    ("device manager", 75),
    ("web console", 75),
    ("system information", 85),
    ("device information", 85),
];

/// The same in Japanese, where words are not set apart.
const JAPANESE: &[(&str, u8)] = &[
    ("設定", 85),
    ("管理", 75),
    ("状態", 85),
    ("ステータス", 85),
    ("メンテナンス", 85),
    ("システム情報", 85),
    ("機器情報", 85),
    ("本体情報", 85),
];

/// Titles with these ask who one is, or say no.
const LOGIN: &[&str] = &[
    "login",
    "log in",
    "logon",
    "log on",
    "sign in",
    "signin",
    "authentication",
    "authorization",
    "unauthorized",
    "password",
    "forbidden",
    "error",
    "ログイン",
    "ログオン",
    "サインイン",
    "認証",
    "パスワード",
    "エラー",
];

/// A page that lets everybody administer.
pub(super) struct OpenPage<'a> {
    pub(super) title: &'a str,
    pub(super) confidence: u8,
}

pub(super) fn open_page<'a>(http: &'a Http, identity: &Identity) -> Option<OpenPage<'a>> {
    let html = http.content_type.as_deref().is_none_or(|kind| kind.to_lowercase().contains("html"));
    // The record of a page that `/` redirected to is of that page, and that is often a login.
    let stays = http.location.is_none() && http.redirected_to.is_none();
    let greets = http.status == 200 && http.www_authenticate.is_none() && stays;
    if !greets || !html || http.password_form || http.body_bytes == 0 {
        return None;
    }
    let device = identity.device_type.as_ref()?;
    match device.value.parse() {
        Ok(DeviceType::Server) | Err(_) => return None,
        Ok(_) => {}
    }
    let title = http.title.as_deref()?;
    let told = evidence(title)?;
    Some(OpenPage { title, confidence: told.min(device.confidence) })
}

/// How far a title speaks of administration without a login; `None` when it does not.
fn evidence(title: &str) -> Option<u8> {
    let lower = title.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let spaced = format!(" {} ", words.join(" "));
    let says = |phrase: &str| {
        if phrase.is_ascii() { spaced.contains(&format!(" {phrase} ")) } else { lower.contains(phrase) }
    };
    if LOGIN.iter().any(|phrase| says(phrase)) {
        return None;
    }
    let told = WORDS.iter().chain(PHRASES).chain(JAPANESE).filter(|(phrase, _)| says(phrase));
    told.map(|(_, confidence)| *confidence).max()
}

#[cfg(test)]
mod tests {
    use kenshin_observation::Claim;

    use super::*;

    fn identity(device: &str) -> Identity {
        let claim = Claim { value: device.to_owned(), confidence: 90, reason: "test".to_owned() };
        Identity { device_type: Some(claim), ..Identity::default() }
    }

    fn page(title: &str) -> Http {
        Http { status: 200, title: Some(title.to_owned()), body_bytes: 300, ..Http::default() }
    }

    #[test]
    fn titles_of_administrations() {
        let camera = identity("camera");
        for title in [
            "VB-S30D Settings",
            "D-Link | DCS-932L | SETUP",
            "クイック設定Web",
            "Printer Status",
            "ルーター管理画面",
            "Remote UI: Portal: LBP6680",
        ] {
            assert!(open_page(&page(title), &camera).is_some(), "{title}");
        }
        for title in [
            "Remote UI: Login: LBP6680",
            "設定画面へのログイン",
            "Setup - Sign in",
            "Document Error: Unauthorized",
            "HP LaserJet P2055dn",
            "Welcome",
            "",
            "Nonstatus page",
            "statuses of my life",
            "認証が必要です 設定",
        ] {
            assert!(open_page(&page(title), &camera).is_none(), "{title}");
        }
    }

    #[test]
    fn anything_that_asks_or_is_no_device_is_left_alone() {
        let camera = identity("camera");
        assert!(
            open_page(&page("System Status"), &Identity::default()).is_none(),
            "an unknown host may be a website"
        );
        assert!(open_page(&page("System Status"), &identity("server")).is_none());
        for ask in [
            Http { password_form: true, ..page("Settings") },
            Http { www_authenticate: Some("Basic realm=\"x\"".into()), ..page("Settings") },
            Http { status: 401, ..page("Settings") },
            Http { status: 302, location: Some("/login".into()), ..page("Settings") },
            Http { redirected_to: Some("/login".into()), ..page("Settings") },
            Http { body_bytes: 0, ..page("Settings") },
            Http { content_type: Some("application/json".into()), ..page("Settings") },
        ] {
            assert!(open_page(&ask, &camera).is_none(), "{ask:?}");
        }
    }
}
