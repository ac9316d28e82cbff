//! Telnet login, whatever the prompts say: [`Login`] decides, this side carries.

use kenshin_wire::telnet::{Ending, Login, Outcome, Prompt, Step};

use super::Entry;
use super::attempts::Verdict;
use super::door::{ATTEMPTS_PER_CONNECTION, AnySession, DECISION_BYTES_MAX, Door, NotReady};
use crate::probe::conversation::Lines;
use crate::probe::session::Heard;
use crate::probe::{Connect, ProbeResult};

struct Open {
    session: AnySession,
    login: Login,
    attempts: u32,
}

pub(super) struct TelnetDoor<'a, C> {
    lines: Lines<'a, C>,
    tls: bool,
    open: Option<Open>,
    /// The login over the connection before this one.
    before: Option<Login>,
}

impl<'a, C: Connect> TelnetDoor<'a, C> {
    pub(super) fn new(lines: Lines<'a, C>, tls: bool) -> Self {
        Self { lines, tls, open: None, before: None }
    }

    /// Hears what the service says until it waits for us or ends, answering negotiation, and judges it. A
    /// limit of ours but that of bytes decides nothing.
    async fn turn(&self, open: &mut Open) -> Result<Step, &'static str> {
        let limits = &self.lines.settings.limits;
        loop {
            let wait = if open.login.seems_to_wait() { limits.listen / 4 } else { limits.answer };
            let ending = match open.session.hear(wait).await {
                Heard::Bytes(bytes) => {
                    let answer = open.login.push(&bytes);
                    match answer.is_empty() {
                        true => continue,
                        false => match open.session.say(&answer).await {
                            Ok(()) => continue,
                            Err(ending) => ending,
                        },
                    }
                }
                ending => ending,
            };
            return Ok(open.login.turn(match ending {
                Heard::Silent => Ending::Silent,
                Heard::Limit("bytes") => Ending::TooLong,
                // What it said before it left still counts.
                Heard::Closed | Heard::Reset => Ending::Closed,
                other => return Err(other.reason()),
            }));
        }
    }

    /// Reaches the prompt for a name, or for a password where that is all.
    async fn reach_prompt(&self, open: &mut Open) -> Result<(), NotReady> {
        loop {
            match self.turn(open).await.map_err(NotReady::limited)? {
                Step::Asks => return Ok(()),
                Step::Press(keys) => {
                    open.session.say(&keys).await.map_err(|ending| NotReady::ending(&ending))?;
                }
                Step::Decided(Outcome::LockedOut | Outcome::Unclear("closed")) => {
                    return Err(NotReady::TurnedAway);
                }
                Step::Decided(Outcome::Delayed) => return Err(NotReady::Delayed),
                Step::Decided(Outcome::Unclear(reason)) => return Err(NotReady::limited(reason)),
                Step::Decided(Outcome::Accepted | Outcome::Rejected) => {
                    return Err(NotReady::limited("prompt"));
                }
            }
        }
    }

    async fn part(&mut self, open: Open) {
        open.session.part(&[]).await;
        self.before = Some(open.login);
    }

    async fn try_pair(&self, open: &mut Open, entry: &Entry) -> Result<Verdict, &'static str> {
        open.session.limit_bytes(DECISION_BYTES_MAX);
        loop {
            let word = match open.login.asks_for() {
                Prompt::Password => &entry.password,
                Prompt::Login | Prompt::Shell => &entry.user,
            };
            let line = open.login.line(word);
            // Where it hung up meanwhile, what it said before tells more than that.
            let _ = open.session.say(&line).await;
            return Ok(match self.turn(open).await? {
                Step::Asks => continue,
                Step::Press(_) => Verdict::Unclear("prompt"),
                Step::Decided(Outcome::Accepted) => Verdict::Accepted,
                Step::Decided(Outcome::Rejected) => Verdict::Rejected,
                Step::Decided(Outcome::LockedOut) => Verdict::LockedOut,
                Step::Decided(Outcome::Delayed) => Verdict::Delayed,
                Step::Decided(Outcome::Unclear(reason)) => Verdict::Unclear(reason),
            });
        }
    }
}

impl<C: Connect> Door for TelnetDoor<'_, C> {
    async fn ready(&mut self, _entry: &Entry) -> Result<(), NotReady> {
        if self.open.as_ref().is_some_and(|open| open.attempts < ATTEMPTS_PER_CONNECTION) {
            return Ok(());
        }
        if let Some(worn) = self.open.take() {
            self.part(worn).await;
        }
        let session = AnySession::open(&mut self.lines, self.tls).await?;
        let login = self.before.as_ref().map_or_else(Login::default, Login::afresh);
        let mut open = Open { session, login, attempts: 0 };
        self.reach_prompt(&mut open).await?;
        self.open = Some(open);
        Ok(())
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        let Some(mut open) = self.open.take() else { return Verdict::Unclear("closed") };
        open.attempts += 1;
        let verdict = self.try_pair(&mut open, entry).await.unwrap_or_else(Verdict::Unclear);
        // The same connection serves again only when it asks again.
        if verdict == Verdict::Rejected && open.login.again() {
            self.open = Some(open);
        } else {
            self.part(open).await;
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
