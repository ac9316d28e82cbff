//! One connection with a stranger, bounded in bytes, time and steps.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_openssl::SslStream;

use super::Limits;

/// Largest single read.
const READ_BYTES_MAX: usize = 4096;

/// A byte stream that can choose how it ends: reset at once (as long as nobody says otherwise, so
/// that a cancelled conversation leaves nothing behind), or in order.
pub(crate) trait Link: AsyncRead + AsyncWrite + Unpin + Send {
    /// From now on dropping the stream ends it in order.
    fn release(&self);
}

impl Link for TcpStream {
    fn release(&self) {
        // Failure leaves the reset in place, which ends the connection as well.
        let _ = SockRef::from(self).set_linger(None);
    }
}

impl<S: Link> Link for SslStream<Metered<S>> {
    fn release(&self) {
        self.get_ref().inner.release();
    }
}

/// What a service said, played again.
impl Link for DuplexStream {
    fn release(&self) {}
}

/// What came within the time given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// At least one byte.
    Bytes(Vec<u8>),
    /// The host ended the connection.
    Closed,
    /// The host reset the connection, or the way to it broke.
    Reset,
    /// Nothing.
    Silent,
    /// A limit of ours: `bytes`, `time` or `steps`.
    Limit(&'static str),
}

impl Heard {
    /// The reason code of an ending.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Silent => "silent",
            Self::Limit(limit) => limit,
        }
    }
}

/// A bounded conversation over a stream.
#[derive(Debug)]
pub(crate) struct Session<S> {
    stream: S,
    deadline: Instant,
    bytes_left: usize,
    steps_left: u32,
}

/// Makes dropping `stream` abort it, and sends small writes at once.
pub(crate) fn prepare(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.set_nodelay(true);
}

impl<S: Link> Session<S> {
    pub(crate) fn new(stream: S, limits: &Limits) -> Self {
        Self {
            stream,
            deadline: Instant::now() + limits.conversation,
            bytes_left: limits.bytes_max,
            steps_left: limits.steps_max,
        }
    }

    /// When the conversation must be over.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// From now on at most `bytes` more are read.
    pub(crate) fn limit_bytes(&mut self, bytes: usize) {
        self.bytes_left = bytes;
    }

    /// The stream, given up for a layer above.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// What the host says next, waiting for at most `wait`.
    pub(crate) async fn hear(&mut self, wait: Duration) -> Heard {
        if self.bytes_left == 0 {
            return Heard::Limit("bytes");
        }
        if self.steps_left == 0 {
            return Heard::Limit("steps");
        }
        self.steps_left -= 1;
        let now = Instant::now();
        if now >= self.deadline {
            return Heard::Limit("time");
        }
        let until = (now + wait).min(self.deadline);
        let mut bytes = vec![0; READ_BYTES_MAX.min(self.bytes_left)];
        match timeout_at(until, self.stream.read(&mut bytes)).await {
            Err(_) if until == self.deadline => Heard::Limit("time"),
            Err(_) => Heard::Silent,
            Ok(Ok(0)) => Heard::Closed,
            Ok(Ok(read)) => {
                bytes.truncate(read);
                self.bytes_left -= read;
                Heard::Bytes(bytes)
            }
            // A TLS peer that ends without close_notify ends all the same.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Heard::Closed,
            Ok(Err(_)) => Heard::Reset,
        }
    }

    /// Says `bytes`; an ending when the host does not take them.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> Result<(), Heard> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(self.deadline, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Heard::Reset),
            Err(_) => Err(Heard::Limit("time")),
        }
    }

    /// Ends in order, after saying `last`.
    pub(crate) async fn part(mut self, last: &[u8]) {
        let goodbye = async {
            if !last.is_empty() {
                self.stream.write_all(last).await?;
            }
            self.stream.shutdown().await
        };
        let until = (Instant::now() + Duration::from_millis(500)).min(self.deadline);
        if matches!(timeout_at(until, goodbye).await, Ok(Ok(()))) {
            self.stream.release();
        }
    }
}

/// Counts what a layer above reads, and keeps the first bytes so that they can be named when that
/// layer fails.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    inner: S,
    bytes_left: usize,
    first: Vec<u8>,
}

/// How many first bytes are kept: a ServerHello with a post-quantum key share fits.
const FIRST_BYTES: usize = 2048;

impl<S> Metered<S> {
    pub(crate) const fn new(inner: S, bytes_max: usize) -> Self {
        Self { inner, bytes_left: bytes_max, first: Vec::new() }
    }

    /// The first bytes read.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes_left == 0 {
            return Poll::Ready(Err(io::Error::other("byte limit")));
        }
        let mut chunk = [0; READ_BYTES_MAX];
        let most = READ_BYTES_MAX.min(self.bytes_left).min(buf.remaining());
        let mut part = ReadBuf::new(&mut chunk[..most]);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        let read = part.filled();
        buf.put_slice(read);
        self.bytes_left -= read.len();
        let room = FIRST_BYTES - self.first.len();
        self.first.extend_from_slice(&read[..read.len().min(room)]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
