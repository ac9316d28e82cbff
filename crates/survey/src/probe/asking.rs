//! The questions put to a service that waits, until one is answered.

use kenshin_observation::{Check, Outcome, protocol};
use kenshin_wire::http::{Response, Version};
use kenshin_wire::{Answer as Read, Recognised, mongodb, recognise, redis, tls};
use tokio::net::TcpStream;

use super::conversation::{Lines, attach, inside};
use super::exchange::{Asked, known};
use super::order::Question;
use super::session::{Heard, Session};
use super::web::{self, Answer};
use super::{Connect, ProbeResult, ProbeSettings, anonymous, greeting, industrial, page, remote, stores};
use crate::tls::{Established, Offer, establish};

/// After so many questions that were met by nothing but silence, each class of exchange that has not
/// been tried yet asks once at most: protocols answer or hang up, and what does neither is a sink.
const SILENCES_MAX: u32 = 3;

pub(super) struct Asking<'a, 'b, C> {
    lines: &'a mut Lines<'b, C>,
    connect: &'b C,
    check: Check,
    /// For a service that kept silent to a question: it has had its time.
    hurried: &'b ProbeSettings,
    /// The best answer so far that was not enough to stop.
    fallback: Option<ProbeResult>,
    /// Why the last question got nothing; `silent` also before the first.
    silence: &'static str,
    /// The same of the last question of the handshake.
    reason: &'static str,
    /// Questions met by silence.
    silences: u32,
    /// It hung up on a question without a word.
    hung_up: bool,
    /// It did anything but keep silent.
    reacts: bool,
    /// Checks of their own, in which questions of other classes are put.
    asides: Vec<Aside<'b, C>>,
}

/// A check beside the handshake, with connections of its own.
struct Aside<'b, C> {
    lines: Lines<'b, C>,
    check: Check,
    result: Option<ProbeResult>,
}

impl<'a, 'b, C: Connect> Asking<'a, 'b, C> {
    pub(super) const fn new(
        lines: &'a mut Lines<'b, C>,
        connect: &'b C,
        check: Check,
        hurried: &'b ProbeSettings,
    ) -> Self {
        Self {
            lines,
            connect,
            check,
            hurried,
            fallback: None,
            silence: "silent",
            reason: "silent",
            silences: 0,
            hung_up: false,
            reacts: false,
            asides: Vec::new(),
        }
    }

    /// The results of the checks beside the handshake.
    pub(super) fn asides(self) -> Vec<ProbeResult> {
        let sign = |aside: Aside<'_, C>| {
            let mut result = aside.result?;
            aside.lines.sign(&mut result);
            Some(result)
        };
        self.asides.into_iter().filter_map(sign).collect()
    }

    /// Puts the questions in their order, the first one on the connection already open.
    pub(super) async fn ask(
        &mut self,
        first: Session<TcpStream>,
        mut questions: Vec<Question>,
    ) -> ProbeResult {
        let mut open = Some(first);
        while !questions.is_empty() {
            let question = questions.remove(0);
            let shakes = question.check() == Check::Handshake;
            let answered = if shakes {
                let session = match open.take() {
                    Some(session) => session,
                    None => match self.lines.open().await {
                        Ok(session) => session,
                        // We asked as often as we may; other checks have connections of their own.
                        Err(none) if none.reason == "connections" => {
                            questions.retain(|other| other.check() != question.check());
                            continue;
                        }
                        Err(none) => {
                            return self.fallback.take().unwrap_or_else(|| none.result(self.check));
                        }
                    },
                };
                self.put(question, session, &mut questions).await
            } else {
                // A permit of its own: the connection that listened is not for a login.
                if let Some(idle) = open.take() {
                    idle.part(&[]).await;
                }
                self.put_aside(question, &mut questions).await
            };
            if let Some(result) = answered {
                if shakes {
                    self.lines.settings.orders.learn(self.lines.endpoint.port, question, &result);
                }
                return result;
            }
            if shakes {
                self.reason = self.silence;
            }
            self.judge_silence(question, &mut questions);
        }
        let reason = self.reason;
        self.fallback.take().unwrap_or_else(|| ProbeResult::new(self.check, Outcome::Limited, Some(reason)))
    }

    /// What the lack of an answer to `question` means for those that are left.
    fn judge_silence(&mut self, question: Question, questions: &mut Vec<Question>) {
        if self.silence == "silent" {
            self.lines.settings = self.hurried;
            self.silences += 1;
        } else {
            self.reacts = true;
        }
        // Services that wait for the end of a line are silent to much, and yet no sinks.
        if self.silences == SILENCES_MAX && !self.reacts {
            let mut tried: Vec<Check> = self.asides.iter().map(|aside| aside.check).collect();
            tried.push(Check::Handshake);
            questions.retain(|left| {
                let new = !tried.contains(&left.check());
                tried.push(left.check());
                new
            });
        }
        if question.check() == Check::Handshake
            && matches!(self.silence, "closed" | "reset")
            && self.fallback.is_none()
        {
            self.hung_up = true;
            // So do brokers with what is not MQTT, and remote desktops with what is not RDP.
            promote(Question::Rdp, Question::Rtsp, questions);
            if let Some(&next) = questions.first() {
                promote(Question::Mqtt, next, questions);
            }
        }
    }

    /// Puts a question of the handshake.
    async fn put(
        &mut self,
        question: Question,
        session: Session<TcpStream>,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        let settings = self.lines.settings;
        let asked = match question {
            Question::Http => return self.http(session, questions).await,
            Question::Rtsp => return self.rtsp(session, questions).await,
            Question::Tls => return self.tls(session, questions).await,
            Question::Rdp => remote::rdp(session, self.check, settings).await,
            _ => {
                let usual = matches!(self.lines.endpoint.port, 139 | 445);
                remote::smb(session, self.lines, self.check, usual).await
            }
        };
        match asked {
            Asked::Answer(result) => Some(result),
            Asked::Other(heard, _) => self.aside_of(heard, questions).await,
            Asked::Nothing(reason) => {
                self.silence = reason;
                None
            }
        }
    }

    /// Puts a question of another class, on a connection of that check.
    async fn put_aside(&mut self, question: Question, questions: &mut Vec<Question>) -> Option<ProbeResult> {
        let (check, settings) = (question.check(), self.lines.settings);
        let at = match self.asides.iter().position(|aside| aside.check == check) {
            Some(at) => at,
            None => {
                let lines = Lines::new(self.lines.endpoint, check, None, self.connect, settings);
                self.asides.push(Aside { lines, check, result: None });
                self.asides.len() - 1
            }
        };
        let aside = &mut self.asides[at];
        aside.lines.settings = settings;
        let session = match aside.lines.open().await {
            Ok(session) => session,
            Err(none) => {
                aside.result.get_or_insert_with(|| none.result(check));
                questions.retain(|other| other.check() != check);
                return None;
            }
        };
        let result = match question {
            Question::Redis => stores::redis(session, settings).await,
            Question::Mongodb => stores::mongodb(session, settings).await,
            Question::Adb => stores::adb(session, settings).await,
            Question::Memcached => stores::memcached(session, settings).await,
            Question::Modbus => industrial::modbus(session, settings).await,
            Question::S7 => industrial::s7(session, &mut aside.lines).await,
            _ => anonymous::mqtt_session(session, settings).await,
        };
        match &result.protocol {
            Some(name) => {
                // The handshake has its name; a banner is what came without asking, and that was nothing.
                let mut first = match self.check {
                    Check::Banner => ProbeResult::new(self.check, Outcome::Limited, Some("silent")),
                    _ => known(self.check, name),
                };
                if let Some(fallback) = self.fallback.take() {
                    first.blobs = fallback.blobs;
                }
                self.lines.settings.orders.learn(self.lines.endpoint.port, question, &result);
                aside.result = Some(result);
                Some(first)
            }
            None => {
                self.silence = match result.reason.as_deref() {
                    Some("silent") => "silent",
                    Some("closed") => "closed",
                    Some("reset") => "reset",
                    _ => "protocol",
                };
                // The best guess says why there is nothing.
                aside.result.get_or_insert(result);
                None
            }
        }
    }

    async fn http(
        &mut self,
        mut session: Session<TcpStream>,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        let settings = self.lines.settings;
        match web::get(&mut session, self.lines.endpoint, "/", false, settings).await {
            Answer::Response(response, limit) => self.response(session, response, limit, questions).await,
            Answer::Other(heard, limit) => {
                drop(session);
                self.other(heard, limit, questions).await
            }
            Answer::Nothing(reason) => {
                self.silence = reason;
                None
            }
        }
    }

    async fn response(
        &mut self,
        mut session: Session<TcpStream>,
        response: Response,
        limit: Option<&'static str>,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        let settings = self.lines.settings;
        let mut result = web::response_result(self.check, &response, limit, settings);
        if response.head.version == Version::Rtsp10 {
            // It speaks RTSP: OPTIONS says what it can, on this connection if it may stay.
            if !response.keeps_alive() {
                drop(session);
                match self.lines.open().await {
                    Ok(again) => session = again,
                    Err(_) => return Some(result),
                }
            }
            return Some(match web::options(&mut session, settings).await {
                Answer::Response(better, limit) if better.head.version == Version::Rtsp10 => {
                    session.part(&[]).await;
                    web::response_result(self.check, &better, limit, settings)
                }
                _ => result,
            });
        }
        session.part(&[]).await;
        if web::wants_tls(&response) && questions.contains(&Question::Tls) {
            self.fallback = Some(result);
            questions.retain(|&question| question == Question::Tls);
            return None;
        }
        if questions.contains(&Question::Mongodb) && response.text().starts_with(mongodb::HTTP_ANSWER) {
            self.fallback = Some(result);
            questions.retain(|&question| question == Question::Mongodb);
            return None;
        }
        page::explore(self.lines, None, response, &mut result).await;
        Some(result)
    }

    /// Bytes that answer no HTTP question: an alert, a greeting that came late, or something else.
    async fn other(
        &mut self,
        heard: Vec<u8>,
        limit: Option<&'static str>,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        let settings = self.lines.settings;
        let mut result = web::other_result(self.check, &heard, limit, settings);
        match recognise(&heard) {
            Recognised::Tls if questions.contains(&Question::Tls) => {
                self.fallback = Some(result);
                questions.retain(|&question| question == Question::Tls);
                None
            }
            Recognised::Http if questions.contains(&Question::Http) => {
                self.next(Question::Http, result, questions)
            }
            Recognised::Rdp if questions.contains(&Question::Rdp) => {
                self.next(Question::Rdp, result, questions)
            }
            Recognised::Redis => {
                // Its error names it, and may say that it wants a password.
                let closed = match redis::ping(&heard) {
                    Read::Whole((access, _)) => Some(access != redis::Access::Open),
                    Read::More | Read::Other => None,
                };
                let record =
                    protocol::Redis { authentication_required: closed, ..protocol::Redis::default() };
                (result.protocol, result.records) = (Some("redis".to_owned()), protocol::Records::default());
                result.records.redis = Some(Box::new(record));
                self.named(Question::Redis, result, questions)
            }
            Recognised::Memcached => {
                (result.protocol, result.records) =
                    (Some("memcached".to_owned()), protocol::Records::default());
                result.records.memcached = Some(Box::default());
                self.named(Question::Memcached, result, questions)
            }
            Recognised::Ssh
            | Recognised::Telnet
            | Recognised::Ftp
            | Recognised::Smtp
            | Recognised::Vnc
            | Recognised::Greeting => {
                // It was only slow. Our question spoiled this conversation; have another, patiently.
                if let Ok(mut session) = self.lines.open().await
                    && let Heard::Bytes(bytes) = session.hear(settings.limits.answer).await
                {
                    return Some(greeting::greet(session, bytes, self.check, true, settings).await);
                }
                // What it said before still tells what it is.
                let (replayed, _) = tokio::io::duplex(1);
                let session = Session::new(replayed, &settings.limits);
                Some(greeting::greet(session, heard, self.check, true, settings).await)
            }
            _ => Some(result),
        }
    }

    /// What was said names a protocol that is asked next; `result` is what there is when that fails.
    fn next(
        &mut self,
        question: Question,
        result: ProbeResult,
        questions: &mut [Question],
    ) -> Option<ProbeResult> {
        self.silence = "protocol";
        self.fallback = Some(result);
        if let Some(&first) = questions.first() {
            promote(question, first, questions);
        }
        None
    }

    /// An error of a service named it: it is asked properly when that is granted.
    fn named(
        &mut self,
        question: Question,
        result: ProbeResult,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        if !questions.contains(&question) {
            return Some(result);
        }
        self.fallback = Some(result);
        questions.retain(|&other| other == question);
        None
    }

    /// What a service said to a question of another protocol, when nothing better comes.
    async fn aside_of(&mut self, heard: Vec<u8>, questions: &mut Vec<Question>) -> Option<ProbeResult> {
        match recognise(&heard) {
            Recognised::Unknown | Recognised::Http | Recognised::Rtsp | Recognised::Mqtt => {
                let result = web::other_result(self.check, &heard, None, self.lines.settings);
                self.fallback.get_or_insert(result);
                self.silence = "protocol";
                None
            }
            _ => self.other(heard, None, questions).await,
        }
    }

    async fn rtsp(
        &mut self,
        mut session: Session<TcpStream>,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        let settings = self.lines.settings;
        match web::options(&mut session, settings).await {
            Answer::Response(response, limit) if response.head.version == Version::Rtsp10 => {
                session.part(&[]).await;
                Some(web::response_result(self.check, &response, limit, settings))
            }
            Answer::Response(response, limit) => {
                // An HTTP server refuses the version; ask it as it likes, if that is still to come.
                let result = web::response_result(self.check, &response, limit, settings);
                if questions.contains(&Question::Http) {
                    self.fallback = Some(result);
                    questions.retain(|&question| question.check() == Check::Handshake);
                    return None;
                }
                Some(result)
            }
            Answer::Other(heard, limit) => {
                drop(session);
                self.other(heard, limit, questions).await
            }
            Answer::Nothing(reason) => {
                self.silence = reason;
                None
            }
        }
    }

    async fn tls(
        &mut self,
        session: Session<TcpStream>,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        let limits = &self.lines.settings.limits;
        let mut failure = match establish(session, Offer::All, limits).await {
            Ok(established) => return Some(self.inside(Offer::All, established).await),
            Err(failure) => failure,
        };
        // Old servers stumble over a new ClientHello: they send an alert or hang up. One that hung up
        // on something else before has told nothing by that.
        let stumbles = failure.first.is_empty() && failure.reason == "closed" && !self.hung_up;
        let speaks = |first: &[u8]| tls::recognise(first).is_some();
        if failure.reason != "time"
            && (speaks(&failure.first) || stumbles)
            && let Ok(session) = self.lines.open().await
        {
            match establish(session, Offer::Old, limits).await {
                Ok(established) => return Some(self.inside(Offer::Old, established).await),
                Err(again) if !again.first.is_empty() || failure.first.is_empty() => failure = again,
                Err(_) => {}
            }
        }
        if failure.first.is_empty() {
            self.silence = if failure.reason == "time" { "silent" } else { "closed" };
            return None;
        }
        if speaks(&failure.first) {
            // It speaks TLS, and we have no version or cipher in common.
            let limit = (failure.reason == "time").then_some("time");
            let mut result = web::other_result(self.check, &failure.first, limit, self.lines.settings);
            result.reason.get_or_insert("tls".to_owned());
            return Some(result);
        }
        // What it said to a ClientHello is worth something only when nothing better comes.
        self.aside_of(failure.first, questions).await
    }

    /// The conversation inside an established TLS session.
    async fn inside(&mut self, offer: Offer, established: Established<TcpStream>) -> ProbeResult {
        let Established { session, record, certificate } = established;
        let (mut result, response) =
            inside(self.lines.endpoint, self.check, session, self.lines.settings).await;
        attach(&mut result, record, certificate);
        if let Some(response) = response {
            page::explore(self.lines, Some(offer), response, &mut result).await;
        }
        result
    }
}

/// Moves `question` before `other`, when it stands behind it.
fn promote(question: Question, other: Question, questions: &mut [Question]) {
    let find = |wanted| questions.iter().position(|&question| question == wanted);
    if let (Some(from), Some(to)) = (find(question), find(other))
        && to < from
    {
        questions[to..=from].rotate_right(1);
    }
}
