//! The order of exchanges of one probe: listen, then ask, best guess first, until the service is
//! recognised or the connections are used up.

use kenshin_observation::{Blob, Check, Endpoint, Outcome, protocol};
use kenshin_wire::http::{Response, Version};
use kenshin_wire::{Recognised, recognise, tls};
use tokio::net::TcpStream;

use super::session::{Heard, Link, Session, prepare};
use super::web::{self, Answer};
use super::{Connect, ConnectError, ProbeResult, ProbeSettings, anonymous, greeting};
use crate::tls::{Established, Offer, establish};

/// A way to ask a silent service what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Http,
    Tls,
    Rtsp,
    /// Only when `anonymous-login` is granted: an MQTT CONNECT is a login.
    Mqtt,
}

/// What is tried first; the port is a hint about the order and nothing else.
fn order(port: u16, mqtt: bool) -> Vec<Question> {
    use Question::{Http, Mqtt, Rtsp, Tls};
    let mut order = match port {
        443 | 465 | 636 | 853 | 990 | 993 | 995 | 4433 | 4443 | 5061 | 8443 | 8883 | 9443 | 10443 => {
            vec![Tls, Http, Rtsp, Mqtt]
        }
        554 | 8554 | 10554 => vec![Rtsp, Http, Tls, Mqtt],
        1883..=1885 | 11883 => vec![Mqtt, Http, Tls, Rtsp],
        _ => vec![Http, Tls, Rtsp, Mqtt],
    };
    if !mqtt {
        order.retain(|&question| question != Mqtt);
    }
    order
}

/// Why a check got no connection.
pub(crate) struct NoConnection {
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
}

impl NoConnection {
    /// The result of a check that ended so.
    pub(crate) fn result(&self, check: Check) -> ProbeResult {
        ProbeResult::new(check, self.outcome, Some(&self.reason))
    }
}

impl From<ConnectError> for NoConnection {
    fn from(error: ConnectError) -> Self {
        let (outcome, reason) = match error {
            ConnectError::Refused { reason } => (Outcome::Limited, reason),
            ConnectError::Closed => (Outcome::Refused, "refused".to_owned()),
            ConnectError::TimedOut => (Outcome::Limited, "connect".to_owned()),
            ConnectError::Failed(_) => (Outcome::Error, "connect".to_owned()),
        };
        Self { outcome, reason }
    }
}

/// Hands out connections to one endpoint, one at a time, and counts them.
pub(crate) struct Lines<'a, C> {
    pub(crate) endpoint: Endpoint,
    pub(crate) settings: &'a ProbeSettings,
    connect: &'a C,
    check: Check,
    first: Option<TcpStream>,
    used: u32,
    vantage: Option<std::net::SocketAddr>,
}

impl<'a, C: Connect> Lines<'a, C> {
    pub(crate) fn new(
        endpoint: Endpoint,
        check: Check,
        first: Option<TcpStream>,
        connect: &'a C,
        settings: &'a ProbeSettings,
    ) -> Self {
        if let Some(first) = &first {
            prepare(first);
        }
        Self { endpoint, settings, connect, check, first, used: 0, vantage: None }
    }

    /// A connection of its own, for an exchange of this check. The caller has dropped the one
    /// before.
    pub(crate) async fn open(&mut self) -> Result<Session<TcpStream>, NoConnection> {
        if self.used >= self.settings.limits.connections_max {
            return Err(NoConnection { outcome: Outcome::Limited, reason: "connections".to_owned() });
        }
        let stream = match self.first.take() {
            Some(stream) => stream,
            None => self.connect.connect(self.endpoint, self.check).await?,
        };
        prepare(&stream);
        self.used += 1;
        self.vantage = stream.local_addr().ok().or(self.vantage);
        Ok(Session::new(stream, &self.settings.limits))
    }

    /// Adds to `result` what only we know.
    pub(crate) fn sign(&self, result: &mut ProbeResult) {
        result.vantage = self.vantage;
        result.connections = self.used;
    }
}

pub(super) async fn run(
    endpoint: Endpoint,
    first: Option<TcpStream>,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> Vec<ProbeResult> {
    let granted = |check| settings.granted.contains(&check);
    let talk = granted(Check::Handshake) && !settings.listen_only;
    let check = if talk {
        Check::Handshake
    } else if granted(Check::Banner) {
        Check::Banner
    } else {
        return Vec::new();
    };
    let anonymous = granted(Check::AnonymousLogin) && !settings.listen_only;
    let hurried = ProbeSettings { limits: settings.limits.hurried(), ..settings.clone() };
    let mut lines = Lines::new(endpoint, check, first, connect, settings);
    let mut results = Vec::new();
    let mut result = match listen(&mut lines, check, talk).await {
        Listened::Result(result) => *result,
        Listened::Silent(session) => {
            let mut asking = Asking {
                lines: &mut lines,
                check,
                hurried: &hurried,
                fallback: None,
                silence: "silent",
                mqtt: None,
            };
            let result = asking.ask(session, anonymous, connect).await;
            results.extend(asking.mqtt.take());
            result
        }
    };
    lines.sign(&mut result);
    if anonymous && results.is_empty() && talk {
        results.extend(anonymous::login(endpoint, &result, connect, settings).await);
    }
    results.insert(0, result);
    results
}

enum Listened {
    /// It spoke, or will not.
    Result(Box<ProbeResult>),
    /// It waits for us.
    Silent(Session<TcpStream>),
}

async fn listen<C: Connect>(lines: &mut Lines<'_, C>, check: Check, talk: bool) -> Listened {
    let settings = lines.settings;
    let mut session = match lines.open().await {
        Ok(session) => session,
        Err(none) => return Listened::Result(Box::new(none.result(check))),
    };
    Listened::Result(Box::new(match session.hear(settings.limits.listen).await {
        Heard::Bytes(bytes) => greeting::greet(session, bytes, check, talk, settings).await,
        Heard::Silent if talk => return Listened::Silent(session),
        ending => {
            if ending == Heard::Silent {
                session.part(&[]).await;
            }
            ProbeResult::new(check, Outcome::Limited, Some(ending.reason()))
        }
    }))
}

/// The questions put to a service that waits.
struct Asking<'a, 'b, C> {
    lines: &'a mut Lines<'b, C>,
    check: Check,
    /// For a service that kept silent to a question: it has had its time.
    hurried: &'b ProbeSettings,
    /// The best answer so far that was not enough to stop.
    fallback: Option<ProbeResult>,
    /// Why the last question got nothing; `silent` also before the first.
    silence: &'static str,
    /// The result of the MQTT question, a check of its own.
    mqtt: Option<ProbeResult>,
}

impl<C: Connect> Asking<'_, '_, C> {
    /// Puts the questions in their order, the first one on the connection already open.
    async fn ask(&mut self, first: Session<TcpStream>, anonymous: bool, connect: &C) -> ProbeResult {
        let mut questions = order(self.lines.endpoint.port, anonymous);
        let mut open = Some(first);
        while !questions.is_empty() {
            let question = questions.remove(0);
            if question == Question::Mqtt {
                // A permit of its own: the connection that listened is not for a login.
                if let Some(idle) = open.take() {
                    idle.part(&[]).await;
                }
                let result = anonymous::mqtt(self.lines.endpoint, false, connect, self.lines.settings).await;
                let spoke = result.records.mqtt.is_some();
                self.mqtt = Some(result);
                if spoke {
                    let mut result = ProbeResult::new(self.check, Outcome::Answered, None);
                    result.protocol = Some("mqtt".to_owned());
                    return result;
                }
                continue;
            }
            let session = match open.take() {
                Some(session) => session,
                None => match self.lines.open().await {
                    Ok(session) => session,
                    Err(none) => {
                        return self.fallback.take().unwrap_or_else(|| match none.reason.as_str() {
                            // We asked as often as we may: what is left is that it said nothing.
                            "connections" => {
                                ProbeResult::new(self.check, Outcome::Limited, Some(self.silence))
                            }
                            _ => none.result(self.check),
                        });
                    }
                },
            };
            let answered = match question {
                Question::Http => self.http(session, &mut questions).await,
                Question::Rtsp => self.rtsp(session, &mut questions).await,
                Question::Tls => self.tls(session, &mut questions).await,
                Question::Mqtt => None,
            };
            if let Some(result) = answered {
                return result;
            }
            if self.silence == "silent" {
                self.lines.settings = self.hurried;
            }
            // Brokers hang up on what is not MQTT: after that sign it is asked next.
            if matches!(self.silence, "closed" | "reset") && self.fallback.is_none() {
                promote(Question::Mqtt, &mut questions);
            }
        }
        let silence = self.silence;
        self.fallback.take().unwrap_or_else(|| ProbeResult::new(self.check, Outcome::Limited, Some(silence)))
    }

    async fn http(
        &mut self,
        mut session: Session<TcpStream>,
        questions: &mut Vec<Question>,
    ) -> Option<ProbeResult> {
        let settings = self.lines.settings;
        match web::get(&mut session, self.lines.endpoint, false, settings).await {
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
        let result = web::response_result(self.check, &response, limit, settings);
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
        let result = web::other_result(self.check, &heard, limit, settings);
        match recognise(&heard) {
            Recognised::Tls if questions.contains(&Question::Tls) => {
                self.fallback = Some(result);
                questions.retain(|&question| question == Question::Tls);
                None
            }
            Recognised::Ssh
            | Recognised::Telnet
            | Recognised::Ftp
            | Recognised::Smtp
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
                    questions.retain(|&question| question != Question::Mqtt);
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
            Ok(established) => return Some(self.inside(established).await),
            Err(failure) => failure,
        };
        // Old servers stumble over a new ClientHello: they send an alert or hang up.
        let speaks = |first: &[u8]| tls::recognise(first).is_some();
        if failure.reason != "time"
            && (speaks(&failure.first) || failure.first.is_empty() && failure.reason == "closed")
            && let Ok(session) = self.lines.open().await
        {
            match establish(session, Offer::Old, limits).await {
                Ok(established) => return Some(self.inside(established).await),
                Err(again) if !again.first.is_empty() || failure.first.is_empty() => failure = again,
                Err(_) => {}
            }
        }
        if failure.first.is_empty() {
            self.silence = if failure.reason == "time" { "silent" } else { "closed" };
            return None;
        }
        let settings = self.lines.settings;
        if speaks(&failure.first) {
            // It speaks TLS, and we have no version or cipher in common.
            let limit = (failure.reason == "time").then_some("time");
            let mut result = web::other_result(self.check, &failure.first, limit, settings);
            result.reason.get_or_insert("tls".to_owned());
            return Some(result);
        }
        // What it said to a ClientHello is worth something only when nothing better comes.
        match recognise(&failure.first) {
            Recognised::Unknown | Recognised::Http | Recognised::Rtsp | Recognised::Mqtt => {
                let result = web::other_result(self.check, &failure.first, None, settings);
                self.fallback.get_or_insert(result);
                None
            }
            _ => self.other(failure.first, None, questions).await,
        }
    }

    /// The conversation inside an established TLS session.
    async fn inside(&mut self, established: Established<TcpStream>) -> ProbeResult {
        let Established { session, record, certificate } = established;
        let mut result = inside(self.lines.endpoint, self.check, session, self.lines.settings).await;
        attach(&mut result, record, certificate);
        result
    }
}

/// Listens, then asks as HTTP.
async fn inside<S: Link>(
    endpoint: Endpoint,
    check: Check,
    mut session: Session<S>,
    settings: &ProbeSettings,
) -> ProbeResult {
    // Web servers never speak first: on their usual ports the time is not spent on waiting.
    if !matches!(endpoint.port, 443 | 8443 | 4443 | 9443 | 10443) {
        match session.hear(settings.limits.listen).await {
            Heard::Bytes(bytes) => return greeting::greet(session, bytes, check, true, settings).await,
            Heard::Silent => {}
            ending => return spoke_only_tls(check, ending.reason()),
        }
    }
    match web::get(&mut session, endpoint, true, settings).await {
        Answer::Response(response, limit) => {
            session.part(&[]).await;
            web::response_result(check, &response, limit, settings)
        }
        Answer::Other(heard, limit) => web::other_result(check, &heard, limit, settings),
        Answer::Nothing(reason) => spoke_only_tls(check, reason),
    }
}

/// TLS was spoken, and nothing inside it.
fn spoke_only_tls(check: Check, reason: &str) -> ProbeResult {
    let mut result = ProbeResult::new(check, Outcome::Answered, Some(reason));
    result.protocol = Some("unknown".to_owned());
    result.records.unknown = Some(Box::default());
    result
}

/// Adds the TLS session to the result of what was said inside it.
pub(super) fn attach(result: &mut ProbeResult, record: protocol::Tls, certificate: Option<Blob>) {
    result.records.tls = Some(Box::new(record));
    result.blobs.extend(certificate);
}

fn promote(question: Question, questions: &mut [Question]) {
    if let Some(at) = questions.iter().position(|&other| other == question) {
        questions[..=at].rotate_right(1);
    }
}
