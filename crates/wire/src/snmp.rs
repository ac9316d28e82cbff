//! SNMP v1 and v2c (RFC 1157, RFC 3416) with a community, and the engine discovery of v3
//! (RFC 3412, RFC 3414 §4), which needs none. Nothing here writes, walks or asks in bulk.

mod engine;

pub use crate::ber::Oid;
pub use engine::{Engine, EngineForm};

use crate::ber::{self, Ber, NULL, OCTET_STRING, SEQUENCE};
use crate::charset;
use crate::malformed::Malformed;

const GET_REQUEST: u8 = 0xa0;
const GET_RESPONSE: u8 = 0xa2;
const REPORT: u8 = 0xa8;

/// sysDescr.0, sysObjectID.0 and sysName.0 of RFC 3418.
const SYS_DESCR: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 1, 0];
const SYS_OBJECT_ID: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];
const SYS_NAME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 5, 0];

/// The message format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// RFC 1157.
    V1,
    /// RFC 1901.
    V2c,
    /// RFC 3412.
    V3,
}

impl Version {
    const fn number(self) -> i64 {
        match self {
            Self::V1 => 0,
            Self::V2c => 1,
            Self::V3 => 3,
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`get`]: the community was accepted.
    Response(Response),
    /// To [`discover`].
    Report(Report),
}

/// What an agent says of itself to whoever names a community that it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// [`Version::V1`] or [`Version::V2c`].
    pub version: Version,
    /// Id of the request.
    pub request_id: i64,
    /// 0; or 2 noSuchName, when a v1 agent lacks one of the objects and so gives none.
    pub error_status: i64,
    /// Description of the device, software version often included.
    pub sys_descr: Option<String>,
    /// The vendor's name for this kind of device.
    pub sys_object_id: Option<Oid>,
    /// Name the operator gave.
    pub sys_name: Option<String>,
}

/// What a v3 engine says of itself to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Id of the message that it answers.
    pub message_id: i64,
    /// The engine.
    pub engine: Engine,
}

/// GetRequest of sysDescr.0, sysObjectID.0 and sysName.0. For [`Version::V3`] see [`discover`]; asked
/// for here it is taken for v2c. An id is positive, so that all agents return it as it was.
pub fn get(version: Version, community: &str, request_id: i32) -> Vec<u8> {
    get_of(&[SYS_DESCR, SYS_OBJECT_ID, SYS_NAME], version, community, request_id)
}

/// GetRequest of sysObjectID.0 alone: the least that shows whether a community is known.
pub fn identify(version: Version, community: &str, request_id: i32) -> Vec<u8> {
    get_of(&[SYS_OBJECT_ID], version, community, request_id)
}

fn get_of(objects: &[[u32; 9]], version: Version, community: &str, request_id: i32) -> Vec<u8> {
    let version = if version == Version::V1 { Version::V1 } else { Version::V2c };
    let objects: Vec<u8> = objects
        .iter()
        .flat_map(|object| ber::write(SEQUENCE, &[&ber::write_oid(object), &ber::write(NULL, &[])]))
        .collect();
    let pdu = get_request(request_id, &objects);
    let community = ber::write(OCTET_STRING, &[community.as_bytes()]);
    ber::write(SEQUENCE, &[&ber::write_integer(version.number()), &community, &pdu])
}

/// The v3 message that every engine answers with a report of its id, boots and time: reportable,
/// without authentication, of no user, for no engine (RFC 3414 §4).
pub fn discover(message_id: i32) -> Vec<u8> {
    let none = ber::write(OCTET_STRING, &[]);
    let zero = ber::write_integer(0);
    let largest = ber::write_integer(65_507);
    let reportable = ber::write(OCTET_STRING, &[&[4]]);
    let user_based = ber::write_integer(3);
    let id = ber::write_integer(message_id.into());
    let header = ber::write(SEQUENCE, &[&id, &largest, &reportable, &user_based]);
    let security = ber::write(SEQUENCE, &[&none, &zero, &zero, &none, &none, &none]);
    let security = ber::write(OCTET_STRING, &[&security]);
    let pdu = get_request(message_id, &[]);
    let scoped = ber::write(SEQUENCE, &[&none, &none, &pdu]);
    ber::write(SEQUENCE, &[&ber::write_integer(Version::V3.number()), &header, &security, &scoped])
}

fn get_request(id: i32, objects: &[u8]) -> Vec<u8> {
    let zero = ber::write_integer(0);
    let list = ber::write(SEQUENCE, &[objects]);
    ber::write(GET_REQUEST, &[&ber::write_integer(id.into()), &zero, &zero, &list])
}

/// Reads a response or a report. Bytes after the message are passed over, as some agents pad.
pub fn parse(bytes: &[u8]) -> Result<Answer, Malformed> {
    let mut message = Ber::new(bytes).enter(SEQUENCE, "an SNMP message")?;
    match message.integer("an SNMP version")? {
        0 => response(message, Version::V1).map(Answer::Response),
        1 => response(message, Version::V2c).map(Answer::Response),
        3 => report(message).map(Answer::Report),
        _ => Err(Malformed::Not("an SNMP version")),
    }
}

fn response(mut message: Ber<'_>, version: Version) -> Result<Response, Malformed> {
    message.expect(OCTET_STRING, "a community")?;
    let mut pdu = message.enter(GET_RESPONSE, "a response")?;
    let request_id = pdu.integer("a request id")?;
    let error_status = pdu.integer("an error status")?;
    pdu.integer("an error index")?;
    let mut response =
        Response { version, request_id, error_status, sys_descr: None, sys_object_id: None, sys_name: None };
    let mut objects = pdu.enter(SEQUENCE, "a list of objects")?;
    while !objects.is_empty() {
        let mut object = objects.enter(SEQUENCE, "an object")?;
        let name = ber::oid(object.expect(ber::OBJECT_IDENTIFIER, "an object's name")?)?;
        let (tag, value) = object.element()?;
        // Anything but the type asked for is an exception such as noSuchObject, or a mistake.
        match (name.arcs(), tag) {
            (arcs, OCTET_STRING) if arcs == SYS_DESCR => response.sys_descr = text(value),
            (arcs, OCTET_STRING) if arcs == SYS_NAME => response.sys_name = text(value),
            (arcs, ber::OBJECT_IDENTIFIER) if arcs == SYS_OBJECT_ID => {
                response.sys_object_id = ber::oid(value).ok();
            }
            _ => {}
        }
    }
    Ok(response)
}

fn report(mut message: Ber<'_>) -> Result<Report, Malformed> {
    let mut header = message.enter(SEQUENCE, "a header")?;
    let message_id = header.integer("a message id")?;
    let security = message.expect(OCTET_STRING, "security parameters")?;
    let engine = engine::parse(message.inside(security)?)?;
    let mut scoped = message.enter(SEQUENCE, "a PDU in the clear")?;
    scoped.expect(OCTET_STRING, "a context engine")?;
    scoped.expect(OCTET_STRING, "a context")?;
    match scoped.element()? {
        // A response needs a user; agents without access control give one all the same.
        (REPORT | GET_RESPONSE, _) => Ok(Report { message_id, engine }),
        _ => Err(Malformed::Not("a report")),
    }
}

/// Text of an agent, end of string and white space at its ends removed; `None` when nothing is left.
fn text(bytes: &[u8]) -> Option<String> {
    let text = charset::decode(bytes, None);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}
