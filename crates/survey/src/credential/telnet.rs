//! Telnet login, whatever the prompts say.

use kenshin_wire::telnet::{Prompt, Reply, TelnetDecoder, last_line, prompt, reply};

use super::Entry;
use super::attempts::Verdict;
use super::door::{ATTEMPTS_PER_CONNECTION, AnySession, DECISION_BYTES_MAX, Door, NotReady};
use crate::probe::conversation::Lines;
use crate::probe::session::Heard;
use crate::probe::{Connect, ProbeResult};

/// Text kept while a login is decided.
const TEXT_BYTES_MAX: usize = 4096;

/// A prompt that asks for more than a password: a pair alone does not open this.
const SECOND_FACTOR_WORDS: &[&str] =
    &["code", "otp", "token", "verification", "captcha", "確認コード", "認証コード"];

struct Open {
    session: AnySession,
    decoder: TelnetDecoder,
    at: Prompt,
    attempts: u32,
}

pub(super) struct TelnetDoor<'a, C> {
    lines: Lines<'a, C>,
    tls: bool,
    open: Option<Open>,
}

/// What the service did after we said something.
enum Turn {
    Text(Reply),
    Ended(Heard),
}

impl<'a, C: Connect> TelnetDoor<'a, C> {
    pub(super) fn new(lines: Lines<'a, C>, tls: bool) -> Self {
        Self { lines, tls, open: None }
    }

    /// Hears until the service waits for us, answering negotiation.
    async fn hear_prompt(&self, open: &mut Open) -> Result<Option<Prompt>, Heard> {
        let limits = &self.lines.settings.limits;
        loop {
            let found = prompt(open.decoder.text());
            let wait = if found.is_some() { limits.listen / 4 } else { limits.answer };
            match open.session.hear(wait).await {
                Heard::Bytes(bytes) => {
                    let answer = open.decoder.push(&bytes);
                    if !answer.is_empty() {
                        open.session.say(&answer).await?;
                    }
                }
                Heard::Silent => return Ok(found),
                // What it said before it left still counts, but it waits for nothing.
                ending => return Err(ending),
            }
        }
    }

    /// Says a line and hears what it brings.
    async fn turn(&self, open: &mut Open, line: &str) -> Turn {
        open.decoder.clear_text();
        open.session.limit_bytes(DECISION_BYTES_MAX);
        let mut bytes = line.replace(|c: char| c.is_control(), "").into_bytes();
        bytes.extend_from_slice(b"\r\n");
        if let Err(ending) = open.session.say(&bytes).await {
            return Turn::Ended(ending);
        }
        match self.hear_prompt(open).await {
            Ok(_) => Turn::Text(reply(open.decoder.text())),
            Err(ending) => match reply(open.decoder.text()) {
                Reply::LockedOut => Turn::Text(Reply::LockedOut),
                Reply::Rejected => Turn::Text(Reply::Rejected),
                _ => Turn::Ended(ending),
            },
        }
    }

    async fn try_pair(&self, open: &mut Open, entry: &Entry) -> Verdict {
        if open.at == Prompt::Login {
            match self.turn(open, &entry.user).await {
                Turn::Ended(Heard::Limit("bytes")) => return Verdict::Unclear("bytes"),
                Turn::Ended(ending) => return Verdict::Unclear(ending.reason()),
                Turn::Text(Reply::LockedOut) => return Verdict::LockedOut,
                // Some need a name only.
                Turn::Text(Reply::Accepted) => return Verdict::Accepted,
                Turn::Text(Reply::Rejected | Reply::Unclear) => match prompt(open.decoder.text()) {
                    Some(Prompt::Password) => {}
                    Some(Prompt::Login) => return Verdict::Rejected,
                    _ => return Verdict::Unclear("prompt"),
                },
            }
        }
        match self.turn(open, &entry.password).await {
            Turn::Text(Reply::Accepted) => Verdict::Accepted,
            Turn::Text(Reply::LockedOut) => Verdict::LockedOut,
            Turn::Text(Reply::Rejected) => Verdict::Rejected,
            Turn::Text(Reply::Unclear) => match waits_for_input(open.decoder.text()) {
                true => Verdict::Accepted,
                false => Verdict::Unclear("prompt"),
            },
            // To hang up on a password is to reject it.
            Turn::Ended(Heard::Closed | Heard::Reset) => Verdict::Rejected,
            // A long welcome is none of what a rejection looks like, and none of what decides.
            Turn::Ended(ending) => Verdict::Unclear(ending.reason()),
        }
    }
}

/// An unfinished line that invites an answer and asks for no second factor: a menu.
fn waits_for_input(text: &[u8]) -> bool {
    let unfinished = !matches!(text.trim_ascii_end().len().cmp(&text.len()), std::cmp::Ordering::Less)
        || matches!(text.last(), Some(b' '));
    let Some(line) = last_line(text).filter(|_| unfinished) else { return false };
    let lower = line.to_lowercase();
    lower.ends_with([':', '：', '>', ']', ')', '?', '？'])
        && !SECOND_FACTOR_WORDS.iter().any(|word| lower.contains(word))
}

impl<C: Connect> Door for TelnetDoor<'_, C> {
    async fn ready(&mut self, _entry: &Entry) -> Result<(), NotReady> {
        if self.open.as_ref().is_some_and(|open| open.attempts < ATTEMPTS_PER_CONNECTION) {
            return Ok(());
        }
        if let Some(worn) = self.open.take() {
            worn.session.part(&[]).await;
        }
        let session = AnySession::open(&mut self.lines, self.tls).await?;
        let decoder = TelnetDecoder::new(TEXT_BYTES_MAX);
        let mut open = Open { session, decoder, at: Prompt::Login, attempts: 0 };
        match self.hear_prompt(&mut open).await {
            Ok(Some(at @ (Prompt::Login | Prompt::Password))) => open.at = at,
            Ok(_) => return Err(NotReady::limited("prompt")),
            Err(_) if reply(open.decoder.text()) == Reply::LockedOut => return Err(NotReady::TurnedAway),
            Err(ending) => return Err(NotReady::ending(&ending)),
        }
        self.open = Some(open);
        Ok(())
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        let Some(mut open) = self.open.take() else { return Verdict::Unclear("closed") };
        open.attempts += 1;
        let verdict = self.try_pair(&mut open, entry).await;
        // The same connection serves again only when it asks again.
        let asks = prompt(open.decoder.text());
        open.decoder.clear_text();
        match (verdict, asks) {
            (Verdict::Rejected, Some(at @ (Prompt::Login | Prompt::Password))) => {
                open.at = at;
                self.open = Some(open);
            }
            _ => open.session.part(&[]).await,
        }
        verdict
    }

    fn sign(&self, result: &mut ProbeResult) {
        self.lines.sign(result);
    }

    async fn leave(self) {
        if let Some(open) = self.open {
            open.session.part(&[]).await;
        }
    }
}
