//! FTP login: USER, PASS, QUIT.

use kenshin_wire::reply::{Reply, ReplyDecoder};

use super::Entry;
use super::attempts::Verdict;
use super::door::{
    ATTEMPTS_PER_CONNECTION, AnySession, DECISION_BYTES_MAX, Door, NotReady, defence, on_session,
};
use crate::probe::conversation::Lines;
use crate::probe::greeting::next_reply;
use crate::probe::{Connect, ProbeResult};

struct Open {
    session: AnySession,
    replies: ReplyDecoder,
    attempts: u32,
}

pub(super) struct FtpDoor<'a, C> {
    lines: Lines<'a, C>,
    tls: bool,
    open: Option<Open>,
}

impl<'a, C: Connect> FtpDoor<'a, C> {
    pub(super) fn new(lines: Lines<'a, C>, tls: bool) -> Self {
        Self { lines, tls, open: None }
    }

    async fn reply(&self, open: &mut Open) -> Result<Reply, &'static str> {
        let Open { session, replies, .. } = open;
        on_session!(session, session => next_reply(session, replies, self.lines.settings).await)
    }

    async fn command(&self, open: &mut Open, verb: &str, argument: &str) -> Result<Reply, &'static str> {
        let argument = argument.replace(|c: char| c.is_control(), "");
        let line = format!("{verb} {argument}\r\n");
        open.session.say(line.as_bytes()).await.map_err(|ending| ending.reason())?;
        self.reply(open).await
    }

    async fn try_pair(&self, open: &mut Open, entry: &Entry) -> Result<Verdict, &'static str> {
        open.session.limit_bytes(DECISION_BYTES_MAX);
        let user = self.command(open, "USER", &entry.user).await?;
        let decided =
            if user.code == 331 { self.command(open, "PASS", &entry.password).await? } else { user };
        Ok(match decided.code {
            230 | 202 => Verdict::Accepted,
            code => defence(&decided.shown()).unwrap_or(match code {
                421 | 426 => Verdict::LockedOut,
                430 | 500..=599 => Verdict::Rejected,
                _ => Verdict::Unclear("protocol"),
            }),
        })
    }
}

impl<C: Connect> Door for FtpDoor<'_, C> {
    async fn ready(&mut self, _entry: &Entry) -> Result<(), NotReady> {
        if self.open.as_ref().is_some_and(|open| open.attempts < ATTEMPTS_PER_CONNECTION) {
            return Ok(());
        }
        if let Some(worn) = self.open.take() {
            worn.session.part(b"QUIT\r\n").await;
        }
        let session = AnySession::open(&mut self.lines, self.tls).await?;
        let mut open = Open { session, replies: ReplyDecoder::default(), attempts: 0 };
        match self.reply(&mut open).await {
            Ok(greeting) if greeting.code == 220 => {}
            // 421 and its like: no more connections for us.
            Ok(_) | Err("closed" | "reset") => return Err(NotReady::TurnedAway),
            Err(reason) => return Err(NotReady::limited(reason)),
        }
        self.open = Some(open);
        Ok(())
    }

    async fn attempt(&mut self, entry: &Entry) -> Verdict {
        let Some(mut open) = self.open.take() else { return Verdict::Unclear("closed") };
        open.attempts += 1;
        match self.try_pair(&mut open, entry).await {
            Ok(Verdict::Rejected) => {
                self.open = Some(open);
                Verdict::Rejected
            }
            Ok(verdict) => {
                open.session.part(b"QUIT\r\n").await;
                verdict
            }
            // To hang up on a password is to reject it.
            Err("closed" | "reset") => Verdict::Rejected,
            Err(reason) => Verdict::Unclear(reason),
        }
    }

    fn sign(&self, result: &mut ProbeResult) {
        self.lines.sign(result);
    }

    async fn leave(self) {
        if let Some(open) = self.open {
            open.session.part(b"QUIT\r\n").await;
        }
    }
}
