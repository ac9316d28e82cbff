//! One probe: listen, then ask, best guess first, until the service is recognised or the connections
//! are used up; then the login without a secret that applies to what was recognised.

use kenshin_observation::{Blob, Check, Endpoint, Outcome, protocol};
use kenshin_wire::http::Response;
use tokio::net::TcpStream;

use super::asking::Asking;
use super::session::{Heard, Link, Session, prepare};
use super::web::{self, Answer};
use super::{Connect, ConnectError, ProbeResult, ProbeSettings, anonymous, greeting, tells};

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
    let may = |check| settings.granted.contains(&check) && !settings.listen_only;
    let talk = may(Check::Handshake);
    let check = if talk {
        Check::Handshake
    } else if settings.granted.contains(&Check::Banner) {
        Check::Banner
    } else {
        return Vec::new();
    };
    // A login presupposes that we may talk; an identity does not.
    let asks = |check| match check {
        Check::AnonymousLogin => talk && may(check),
        check => may(check),
    };
    let questions = settings.orders.questions(endpoint.port, asks);
    let hurried = ProbeSettings { limits: settings.limits.hurried(), ..settings.clone() };
    let mut lines = Lines::new(endpoint, check, first, connect, settings);
    let (mut result, mut results) = match listen(&mut lines, check, talk, !questions.is_empty()).await {
        Listened::Result(result) => (*result, Vec::new()),
        Listened::Silent(session) => {
            let mut asking = Asking::new(&mut lines, connect, check, &hurried);
            let result = asking.ask(session, questions).await;
            (result, asking.asides())
        }
    };
    lines.sign(&mut result);
    let logged_in = results.iter().any(|result| result.check == Check::AnonymousLogin);
    if asks(Check::AnonymousLogin) && !logged_in {
        results.extend(anonymous::login(endpoint, &result, connect, settings).await);
    }
    results.insert(0, result);
    results.sort_by_key(|result| result.check);
    for result in &mut results {
        if tells::honeypot(result) {
            result.labels.push(tells::HONEYPOT.to_owned());
        }
    }
    results
}

enum Listened {
    /// It spoke, or will not.
    Result(Box<ProbeResult>),
    /// It waits for us.
    Silent(Session<TcpStream>),
}

/// `asks`: there is a question to be put to a service that keeps silent.
async fn listen<C: Connect>(lines: &mut Lines<'_, C>, check: Check, talk: bool, asks: bool) -> Listened {
    let settings = lines.settings;
    let mut session = match lines.open().await {
        Ok(session) => session,
        Err(none) => return Listened::Result(Box::new(none.result(check))),
    };
    Listened::Result(Box::new(match session.hear(settings.limits.listen).await {
        Heard::Bytes(bytes) => greeting::greet(session, bytes, check, talk, settings).await,
        Heard::Silent if asks => return Listened::Silent(session),
        ending => {
            if ending == Heard::Silent {
                session.part(&[]).await;
            }
            ProbeResult::new(check, Outcome::Limited, Some(ending.reason()))
        }
    }))
}

/// Listens, then asks as HTTP; the response is there when that was the answer.
pub(super) async fn inside<S: Link>(
    endpoint: Endpoint,
    check: Check,
    mut session: Session<S>,
    settings: &ProbeSettings,
) -> (ProbeResult, Option<Response>) {
    // Web servers never speak first: on their usual ports the time is not spent on waiting.
    if !matches!(endpoint.port, 443 | 8443 | 4443 | 9443 | 10443) {
        match session.hear(settings.limits.listen).await {
            Heard::Bytes(bytes) => {
                return (greeting::greet(session, bytes, check, true, settings).await, None);
            }
            Heard::Silent => {}
            ending => return (spoke_only_tls(check, ending.reason()), None),
        }
    }
    match web::get(&mut session, endpoint, "/", true, settings).await {
        Answer::Response(response, limit) => {
            session.part(&[]).await;
            (web::response_result(check, &response, limit, settings), Some(response))
        }
        Answer::Other(heard, limit) => (web::other_result(check, &heard, limit, settings), None),
        Answer::Nothing(reason) => (spoke_only_tls(check, reason), None),
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
