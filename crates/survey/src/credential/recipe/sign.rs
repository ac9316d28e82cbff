//! What in a response tells how an attempt ended.

use kenshin_wire::http::Response;
use kenshin_wire::http::form::Cookies;
use serde::Deserialize;

/// Conditions that hold together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Conditions")]
pub(in crate::credential) struct Sign(Conditions);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditions {
    /// The status is one of these.
    #[serde(default)]
    status: Vec<u16>,
    /// `Location` contains this.
    location: Option<String>,
    /// A cookie of this name is set, and not to nothing.
    cookie: Option<String>,
    /// The text of the body, as far as it is read, contains this.
    body: Option<String>,
}

impl TryFrom<Conditions> for Sign {
    type Error = &'static str;

    fn try_from(conditions: Conditions) -> Result<Self, &'static str> {
        let Conditions { status, location, cookie, body } = &conditions;
        match status.is_empty()
            && [location, cookie, body].iter().all(|text| text.as_ref().is_none_or(String::is_empty))
        {
            true => Err("a sign needs one of `status`, `location`, `cookie` and `body`"),
            false => Ok(Self(conditions)),
        }
    }
}

impl Sign {
    fn holds(&self, response: &Response) -> bool {
        let Conditions { status, location, cookie, body } = &self.0;
        let headers = &response.head.headers;
        let sets = |name: &String| {
            let mut cookies = Cookies::default();
            cookies.take(headers);
            cookies.get(name).is_some()
        };
        (status.is_empty() || status.contains(&response.head.status))
            && location.as_ref().is_none_or(|text| headers.get("location").is_some_and(|l| l.contains(text)))
            && cookie.as_ref().is_none_or(sets)
            && body.as_ref().is_none_or(|text| response.text().contains(text))
    }
}

/// True when one of the signs holds.
pub(in crate::credential) fn shows(response: &Response, signs: &[Sign]) -> bool {
    signs.iter().any(|sign| sign.holds(response))
}
