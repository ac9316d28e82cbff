//! MongoDB's wire protocol: `hello`, `buildInfo`, and one command that only an open server obeys.
//!
//! `hello` goes out the way drivers send it, as an OP_QUERY for `isMaster`, which servers of every
//! age answer; the rest goes out as OP_MSG to those that know it. Whether a password is needed is
//! told by `getParameter: quiet`, which reads one switch of the log: no database is named, listed
//! or read.

mod bson;

pub use bson::{Document, Value};

use crate::Answer;
use crate::answer::{begins, frame};
use crate::reader::Reader;
use bson::Writer;

/// Longest message read.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

const HEADER_BYTES: usize = 16;
const OP_REPLY: u32 = 1;
const OP_QUERY: u32 = 2004;
const OP_MSG: u32 = 2013;

/// The request id of every question: each is asked alone.
const REQUEST_ID: u32 = 1;

/// First wire version that speaks OP_MSG (MongoDB 3.6).
const WIRE_VERSION_OP_MSG: i64 = 6;

/// Code of the error `Unauthorized`.
const UNAUTHORIZED: i64 = 13;

/// The first question.
pub fn hello() -> Vec<u8> {
    query(Writer::new().int32("isMaster", 1).boolean("helloOk", true))
}

/// Asks for the version, of a server with this wire version.
pub fn build_info(wire_version: i64) -> Vec<u8> {
    command(wire_version, Writer::new().int32("buildInfo", 1))
}

/// Asks for the value of a harmless parameter, which needs an authenticated user on servers that
/// have users at all.
pub fn parameter(wire_version: i64) -> Vec<u8> {
    command(wire_version, Writer::new().int32("getParameter", 1).int32("quiet", 1))
}

fn command(wire_version: i64, document: Writer) -> Vec<u8> {
    if wire_version < WIRE_VERSION_OP_MSG {
        return query(document);
    }
    let mut body = vec![0; 4];
    body.push(0); // a section that is one document
    body.extend(document.string("$db", "admin").finish());
    message(OP_MSG, &body)
}

fn query(document: Writer) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend_from_slice(b"admin.$cmd\0");
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&(-1_i32).to_le_bytes());
    body.extend(document.finish());
    message(OP_QUERY, &body)
}

fn message(code: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    for number in [(HEADER_BYTES + body.len()) as u32, REQUEST_ID, 0, code] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(body);
    out
}

/// The document answered at the start of `bytes`, and how many bytes the message took.
pub fn reply(bytes: &[u8]) -> Answer<(Document<'_>, usize)> {
    let Some(len) = Reader::new(bytes).u32_le() else { return Answer::More };
    let Some(len) = usize::try_from(len).ok().filter(|len| (HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(len))
    else {
        return Answer::Other;
    };
    // The answer names our question: bytes 8 to 11.
    if bytes.get(8..).is_some_and(|rest| !begins(rest, &REQUEST_ID.to_le_bytes())) {
        return Answer::Other;
    }
    frame(bytes, len).read(|message| {
        let mut reader = Reader::new(message);
        reader.take(12)?;
        match reader.u32_le()? {
            // Flags, cursor, position, count; then the documents.
            OP_REPLY => reader.take(20)?,
            // Flags, then a section that is one document.
            OP_MSG => reader.take(5).filter(|head| head[4] == 0)?,
            _ => return None,
        };
        Some((Document::read(reader.rest())?, len))
    })
}

/// What a server says about itself in answer to [`hello`]; `None` when the document is no such
/// answer.
pub fn wire_version(hello: Document<'_>) -> Option<i64> {
    hello.get("ismaster").or_else(|| hello.get("isWritablePrimary"))?;
    // Servers before 2.6 have no wire version.
    Some(hello.get("maxWireVersion").and_then(Value::integer).unwrap_or(0))
}

/// What a server writes to somebody who comes with HTTP.
pub const HTTP_ANSWER: &str = "It looks like you are trying to access MongoDB over HTTP";

/// The version in the answer to [`build_info`].
pub fn version(build_info: Document<'_>) -> Option<String> {
    build_info.get("version").and_then(Value::text)
}

/// Whether the answer to [`parameter`] was given or withheld; `None` when it failed for another
/// reason.
pub fn authentication_required(parameter: Document<'_>) -> Option<bool> {
    let ok = parameter.get("ok").and_then(Value::integer)?;
    let code = parameter.get("code").and_then(Value::integer);
    let message = parameter.get("errmsg").and_then(Value::text).unwrap_or_default();
    match (ok, code) {
        (1, _) => Some(false),
        (_, Some(UNAUTHORIZED)) => Some(true),
        // Servers before 2.6 have no codes.
        _ if message.starts_with("unauthorized") || message.starts_with("need to login") => Some(true),
        _ => None,
    }
}
