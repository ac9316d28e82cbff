//! Problems as gRPC tells them.

use std::fmt::Write;

use axum::response::Response;
use tonic::{Code, Status};

use crate::Problem;

/// Bytes of a message at most: it travels in a header, and clients bound those.
const MESSAGE_MAX: usize = 2_000;

/// Statuses of HTTP and the codes that say the same.
const CODES: [(u16, Code); 9] = [
    (400, Code::InvalidArgument),
    (401, Code::Unauthenticated),
    (403, Code::PermissionDenied),
    (404, Code::NotFound),
    (409, Code::FailedPrecondition),
    (429, Code::ResourceExhausted),
    (500, Code::Internal),
    (501, Code::Unimplemented),
    (503, Code::Unavailable),
];

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let code = CODES.iter().find(|(status, _)| *status == problem.status);
        let code = code.map_or(Code::Unknown, |(_, code)| *code);
        let mut said = problem.detail.unwrap_or(problem.title);
        if said.len() > MESSAGE_MAX {
            said.truncate(said.floor_char_boundary(MESSAGE_MAX));
            said.push('…');
        }
        if let Some(hint) = problem.hint {
            write!(said, "; hint: {hint}").expect("writing to a string succeeds");
        }
        Self::new(code, said)
    }
}

/// The status of HTTP that says what an answer says; 200 when it began.
pub(super) fn http(response: &Response) -> u16 {
    let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
    match code {
        Code::Ok => 200,
        code => CODES.iter().find(|(_, known)| *known == code).map_or(500, |(status, _)| *status),
    }
}
