//! Following what an answer refers to: one GET at the address that was asked, over TCP.

use kenshin_mandate::HARMFUL_PORTS;
use kenshin_observation::{Check, Endpoint};
use kenshin_wire::http::{Request, Response};
use kenshin_wire::referral::Referral;

use crate::probe::session::{Link, Session, prepare};
use crate::probe::web::{self, Answer};
use crate::probe::{Connect, ProbeSettings};
use crate::tls::{Offer, establish};

/// What is at `referral`, an address of `endpoint`'s host; `None` when it may not be asked or gives
/// no HTTP response. Nobody is sent to a port where a question does harm, whatever the mandate
/// grants there: that is for the one who asks that port for itself.
pub(super) async fn fetch(
    endpoint: Endpoint,
    referral: &Referral,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> Option<Response> {
    let harmful =
        |port| HARMFUL_PORTS.iter().any(|entry| entry.tcp && (entry.first..=entry.last).contains(&port));
    if harmful(referral.port) {
        return None;
    }
    let target = Endpoint::tcp(endpoint.addr, referral.port);
    let stream = connect.connect(target, Check::Handshake).await.ok()?;
    prepare(&stream);
    let session = Session::new(stream, &settings.limits);
    if referral.tls {
        let established = establish(session, Offer::All, &settings.limits).await.ok()?;
        return get(established.session, target, referral, settings).await;
    }
    get(session, target, referral, settings).await
}

async fn get<S: Link>(
    mut session: Session<S>,
    target: Endpoint,
    referral: &Referral,
    settings: &ProbeSettings,
) -> Option<Response> {
    let request = Request {
        method: "GET",
        target: &referral.path,
        host: &web::host(target, referral.tls),
        user_agent: &settings.introduction.user_agent,
        authorization: None,
        session: None,
        body: None,
        keep_alive: false,
    };
    match web::ask(&mut session, &request.encode(), settings).await {
        Answer::Response(response, _) => {
            session.part(&[]).await;
            Some(response)
        }
        Answer::Other(..) | Answer::Nothing(_) => None,
    }
}
