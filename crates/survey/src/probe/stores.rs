//! Data stores and debug bridges that may be open to everybody, asked only when the mandate grants
//! `anonymous-login`: Redis, memcached, MongoDB, ADB. Each is asked who it is and whether it wants to
//! know who we are; no item, key, database, stream or file is ever named.

use kenshin_observation::{Check, protocol};
use kenshin_wire::adb::{self, Connected};
use kenshin_wire::memcached::{self, Versioned};
use kenshin_wire::redis::{self, Access};
use kenshin_wire::{Answer, mongodb};
use tokio::net::TcpStream;

use super::exchange::{ask, known};
use super::session::Session;
use super::{ProbeResult, ProbeSettings, record};

const CHECK: Check = Check::AnonymousLogin;

/// PING, and when that is answered `INFO server`.
pub(super) async fn redis(mut session: Session<TcpStream>, settings: &ProbeSettings) -> ProbeResult {
    let wait = settings.limits.answer;
    let asked = ask(&mut session, redis::PING, wait, redis::ping).await;
    let access = match asked.answer_or_missed(CHECK) {
        Ok((access, _)) => access,
        Err(missed) => return *missed,
    };
    let mut record = protocol::Redis {
        authentication_required: Some(access != Access::Open),
        ..protocol::Redis::default()
    };
    if access == Access::Open
        && let Some(Some(info)) = ask(&mut session, redis::INFO, wait, redis::info).await.answer()
    {
        record.version = Some(record::shown(info.version.as_bytes()));
        record.mode = info.mode.map(|mode| record::shown(mode.as_bytes()));
    }
    session.part(&[]).await;
    let mut result = known(CHECK, "redis");
    result.records.redis = Some(Box::new(record));
    result
}

/// `version`.
pub(super) async fn memcached(mut session: Session<TcpStream>, settings: &ProbeSettings) -> ProbeResult {
    let asked = ask(&mut session, memcached::VERSION, settings.limits.answer, memcached::answer).await;
    let version = match asked.answer_or_missed(CHECK) {
        Ok(Versioned::Version(version)) => Some(record::shown(version.as_bytes())),
        Ok(Versioned::AuthenticationRequired) => None,
        Err(missed) => return *missed,
    };
    session.part(&[]).await;
    let mut result = known(CHECK, "memcached");
    result.records.memcached = Some(Box::new(protocol::Memcached { version }));
    result
}

/// `hello`, `buildInfo`, and a parameter that only an open server tells.
pub(super) async fn mongodb(mut session: Session<TcpStream>, settings: &ProbeSettings) -> ProbeResult {
    let wait = settings.limits.answer;
    let hello = |bytes: &[u8]| match mongodb::reply(bytes).map(|(hello, _)| mongodb::wire_version(hello)) {
        Answer::Whole(Some(wire_version)) => Answer::Whole(wire_version),
        Answer::More => Answer::More,
        Answer::Whole(None) | Answer::Other => Answer::Other,
    };
    let wire_version = match ask(&mut session, &mongodb::hello(), wait, hello).await.answer_or_missed(CHECK) {
        Ok(wire_version) => wire_version,
        Err(missed) => return *missed,
    };
    let mut record =
        protocol::Mongodb { wire_version: i32::try_from(wire_version).ok(), ..protocol::Mongodb::default() };
    let version = |bytes: &[u8]| mongodb::reply(bytes).map(|(answer, _)| mongodb::version(answer));
    let asked = ask(&mut session, &mongodb::build_info(wire_version), wait, version).await;
    record.version = asked.answer().flatten().map(|version| record::shown(version.as_bytes()));
    let required =
        |bytes: &[u8]| mongodb::reply(bytes).map(|(answer, _)| mongodb::authentication_required(answer));
    let asked = ask(&mut session, &mongodb::parameter(wire_version), wait, required).await;
    record.authentication_required = asked.answer().flatten();
    session.part(&[]).await;
    let mut result = known(CHECK, "mongodb");
    result.records.mongodb = Some(Box::new(record));
    result
}

/// CONNECT. A bridge that lets us in is left at once.
pub(super) async fn adb(mut session: Session<TcpStream>, settings: &ProbeSettings) -> ProbeResult {
    let asked = ask(&mut session, &adb::connect(), settings.limits.answer, adb::answer).await;
    let connected = match asked.answer_or_missed(CHECK) {
        Ok(connected) => connected,
        Err(missed) => return *missed,
    };
    session.part(&[]).await;
    let shown = |text: String| record::shown(text.as_bytes());
    let record = match connected {
        Connected::Open(banner) => protocol::Adb {
            authentication_required: Some(false),
            banner: Some(shown(banner.text)),
            product: banner.product.map(shown),
            model: banner.model.map(shown),
            device: banner.device.map(shown),
        },
        Connected::KeyRequired | Connected::TlsRequired => {
            protocol::Adb { authentication_required: Some(true), ..protocol::Adb::default() }
        }
    };
    let mut result = known(CHECK, "adb");
    result.records.adb = Some(Box::new(record));
    result
}
