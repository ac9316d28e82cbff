//! Login forms, filled in as a recipe says: the page is fetched, the fields are sent, and unless the
//! answer is a clear no the session is logged out. Nothing is followed: what a `Location` says is read, not
//! visited.

use kenshin_wire::http::form::{Cookies, between, encode, field};
use kenshin_wire::http::{Body, Request, Response, Session};

use super::Entry;
use super::attempts::Verdict;
use super::door::{DECISION_BYTES_MAX, Door, NotReady, defence};
use super::http::defends;
use super::recipe::{Encoding, Form, Place, Values, Verb, shows};
use super::requests::Requests;
use crate::probe::web::host;
use crate::probe::{Connect, ProbeResult};

pub(super) struct FormDoor<'a, C> {
    requests: Requests<'a, C>,
    recipe: &'a Form,
    cookies: Cookies,
    /// What the page handed out for the next attempt; `None` before it was fetched.
    values: Option<Values>,
}

impl<'a, C: Connect> FormDoor<'a, C> {
    pub(super) fn new(requests: Requests<'a, C>, recipe: &'a Form) -> Self {
        Self { requests, recipe, cookies: Cookies::default(), values: None }
    }

    /// A request, with the cookies of this login.
    fn request(&self, verb: Verb, place: &Place, fields: &[(String, String)]) -> Vec<u8> {
        let lines = &self.requests.lines;
        let host = host(lines.endpoint, self.requests.tls);
        let page = self.recipe.page.as_ref().unwrap_or(&self.recipe.path);
        let scheme = if self.requests.tls { "https" } else { "http" };
        let pairs = || encode(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let (mut target, mut sent) = (place.as_str().to_owned(), None);
        match (verb, self.recipe.encoding) {
            (Verb::Get, _) if fields.is_empty() => {}
            (Verb::Get, _) => {
                let mark = if target.contains('?') { '&' } else { '?' };
                target = format!("{target}{mark}{}", pairs());
            }
            (Verb::Post, Encoding::Form) => sent = Some(("application/x-www-form-urlencoded", pairs())),
            (Verb::Post, Encoding::Json) => {
                let object: serde_json::Map<String, serde_json::Value> =
                    fields.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
                sent = Some(("application/json", serde_json::Value::Object(object).to_string()));
            }
        }
        Request {
            method: if verb == Verb::Get { "GET" } else { "POST" },
            target: &target,
            host: &host,
            user_agent: &lines.settings.introduction.user_agent,
            authorization: None,
            session: Some(Session {
                cookies: &self.cookies.header(),
                referer: &format!("{scheme}://{host}{}", page.as_str()),
            }),
            body: sent.as_ref().map(|(kind, bytes)| Body { kind, bytes: bytes.as_bytes() }),
            keep_alive: true,
        }
        .encode()
    }

    /// What the page hands out for one attempt.
    async fn fetch(&mut self, page: &Place) -> Result<Values, NotReady> {
        self.requests.reopen().await?;
        let request = self.request(Verb::Get, page, &[]);
        let bytes_max = self.requests.lines.settings.limits.bytes_max;
        let response =
            self.requests.exchange(&request, bytes_max).await.map_err(|ending| NotReady::ending(&ending))?;
        match defends(&response) {
            Some(Verdict::Delayed) => return Err(NotReady::Delayed),
            Some(_) => return Err(NotReady::TurnedAway),
            None if shows(&response, &self.recipe.lockout) => return Err(NotReady::TurnedAway),
            None if response.head.status != 200 => return Err(NotReady::limited("page")),
            None => {}
        }
        self.cookies.take(&response.head.headers);
        let (text, mut values) = (response.text(), Values::default());
        let missing = || NotReady::limited("page");
        for name in &self.recipe.hidden {
            values.set(name, field(&text, name).ok_or_else(missing)?);
        }
        for take in &self.recipe.take {
            let value = between(&text, &take.after, &take.until).ok_or_else(missing)?;
            values.set(&take.name, value.to_owned());
        }
        Ok(values)
    }

    fn judge(&self, response: &Response) -> Verdict {
        if shows(response, &self.recipe.lockout) {
            return Verdict::LockedOut;
        }
        if let Some(verdict) = defends(response) {
            return verdict;
        }
        match (shows(response, &self.recipe.failure), shows(response, &self.recipe.success)) {
            (true, false) => defence(&response.text()).unwrap_or(Verdict::Rejected),
            (false, true) => Verdict::Accepted,
            (true, true) => Verdict::Unclear("contradiction"),
            (false, false) => defence(&response.text()).unwrap_or(Verdict::Unclear("signs")),
        }
    }

    /// Ends the session that a pair opened, or may have. That it did not work changes nothing: it ends by
    /// itself.
    async fn log_out(&mut self) {
        let Some(logout) = &self.recipe.logout else { return };
        if self.requests.reopen().await.is_ok() {
            let request = self.request(logout.method, &logout.path, &[]);
            let _ = self.requests.exchange(&request, DECISION_BYTES_MAX).await;
        }
    }
}

impl<C: Connect> Door for FormDoor<'_, C> {
    async fn ready(&mut self, _entry: &Entry) -> Result<(), NotReady> {
        if self.values.is_none() {
            self.cookies = Cookies::default();
            self.values = Some(match &self.recipe.page {
                Some(page) => self.fetch(page).await?,
                None => Values::default(),
            });
        }
        self.requests.reopen().await
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        // A page is for one attempt: its nonces and tokens are.
        let Some(mut values) = self.values.take() else { return Verdict::Unclear("page") };
        values.set("user", entry.user.clone());
        values.set("password", entry.password.clone());
        let request = self.request(self.recipe.method, &self.recipe.path, &self.recipe.fill(values));
        let response = match self.requests.exchange(&request, DECISION_BYTES_MAX).await {
            Ok(response) => response,
            Err(ending) => return Verdict::Unclear(ending.reason()),
        };
        let verdict = self.judge(&response);
        // What is no clear no may have opened a session too.
        if !matches!(verdict, Verdict::Rejected | Verdict::LockedOut | Verdict::Delayed) {
            self.cookies.take(&response.head.headers);
            self.log_out().await;
        }
        verdict
    }

    fn sign(&self, result: &mut ProbeResult) {
        self.requests.sign(result);
    }

    async fn leave(self) {
        self.requests.leave().await;
    }
}
