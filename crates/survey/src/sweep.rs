//! Sweep engines: who answers.
//!
//! [`Sweep`] is the seam between the survey and the way packets leave this machine. The survey
//! hands an engine targets, each with the [`Permit`] for that one exchange, and takes answers back
//! in whatever order they come. [`ConnectSweep`] does it with ordinary sockets; an engine over raw
//! packets keeps a table of what it sent and reads a ring instead of sockets, and gives no stream
//! with its answers. Nothing else of the survey knows which engine it runs on.
//!
//! | | [`ConnectSweep`] | an engine over raw packets |
//! |---|---|---|
//! | [`Sweep::ask`] | begins one `connect()` | puts one SYN into the send ring |
//! | [`Sweep::room`] | descriptors left | places left in its table of unanswered SYNs |
//! | [`Sweep::answer`] | a connection opened, failed or timed out | a packet arrived, or a place in the table grew too old |
//! | [`Answer::stream`] | the open connection | nothing: the probe asks for a connection and a permit of its own |
//! | [`Sweep::abort`] | closes every socket | empties the table |

mod connect;

use std::future::Future;
use std::net::SocketAddr;

use kenshin_mandate::Permit;
use kenshin_observation::Endpoint;
use tokio::net::TcpStream;

pub use connect::{ConnectSettings, ConnectSweep, descriptors};
pub(crate) use connect::{LOST, check_sources, dial};

/// One exchange to be made.
#[derive(Debug)]
pub struct Ask {
    /// Comes back with the answer; chosen by the survey.
    pub token: u64,
    /// Whom to ask.
    pub target: Endpoint,
    /// Proof that this one exchange is allowed now. It is used up by sending.
    pub permit: Permit,
}

/// What came back for one [`Ask`]. Every ask has exactly one answer, unless it was aborted.
#[derive(Debug)]
pub struct Answer {
    /// Token of the ask.
    pub token: u64,
    /// What came back.
    pub reply: Reply,
    /// Our side of the exchange, as far as it is known.
    pub vantage: Option<SocketAddr>,
    /// The open connection, from an engine that makes connections.
    pub stream: Option<TcpStream>,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Somebody listens.
    Answered,
    /// The host says that nobody listens.
    Refused,
    /// Nothing came back in time.
    Silent,
    /// A network element said the way is closed; why.
    Filtered(&'static str),
    /// Nothing was sent because this machine has no room (descriptors, ports, memory); why. Ask
    /// again later: it is no answer.
    Busy(&'static str),
    /// This machine failed otherwise; why.
    Failed(&'static str),
}

/// An engine that asks endpoints who answers.
pub trait Sweep: Send {
    /// Begins one exchange, using up its permit. Never waits: the caller has looked at
    /// [`Sweep::room`] before.
    fn ask(&mut self, ask: Ask);

    /// The next answer, in any order. Waits for ever while nothing is in flight. Dropping the
    /// future loses no answer.
    fn answer(&mut self) -> impl Future<Output = Answer> + Send;

    /// Exchanges begun and not yet answered.
    fn in_flight(&self) -> usize;

    /// How many exchanges may be begun now, when `held` connections are open elsewhere.
    fn room(&self, held: usize) -> usize;

    /// Gives up everything in flight at once; none of it is answered any more.
    fn abort(&mut self);

    /// What this engine cannot see or do, as message codes (`survey.lost.…`).
    fn lost(&self) -> &'static [&'static str];
}
