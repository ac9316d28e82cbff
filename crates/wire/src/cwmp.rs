//! Servers for connection requests of TR-069 (CWMP, §3.2.2): HTTP servers in home gateways by which a
//! provider wakes its device. They are known by what they call themselves in answer to `GET /`; many
//! call themselves nothing, and are not guessed by their port.

use crate::http::Response;
use crate::http::challenge::challenges;
use crate::http::page;

/// A server for connection requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionRequestServer {
    /// `Server` field.
    pub server: Option<String>,
    /// Realm of the first challenge.
    pub realm: Option<String>,
}

/// Words for the protocol in names, compared without case and without `-`, `_` and spaces.
const NAMES: [&str; 6] =
    ["tr069", "cwmp", "cpeserver", "connectionrequest", "dslforumcpe", "huaweihomegateway"];

/// The server that gave this answer, if it is one.
pub fn recognise(response: &Response) -> Option<ConnectionRequestServer> {
    let server = response.head.headers.get("server").map(str::to_owned);
    let realm = challenges(&response.head.headers)
        .iter()
        .find_map(|challenge| challenge.parameter("realm").map(str::to_owned));
    let title = page::title(&response.text());
    let names_it = [&server, &realm, &title].into_iter().flatten().any(|name| {
        let folded: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .take(256)
            .collect();
        NAMES.iter().any(|word| folded.contains(word))
    });
    names_it.then_some(ConnectionRequestServer { server, realm })
}
