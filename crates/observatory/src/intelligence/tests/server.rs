//! An HTTP server on loopback that answers as it is told, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A request: its path and its headers, names in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) path: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// An answer. `sent` is how much of the body goes out before the connection is closed.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) sent: usize,
}

impl Answer {
    pub(super) fn new(status: &'static str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        Self { status, headers: Vec::new(), sent: body.len(), body }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn cut(self, sent: usize) -> Self {
        Self { sent, ..self }
    }
}

/// The server. It ends with the runtime of its test.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers every request by `answer`; `None` is silence on an open connection.
    pub(super) async fn start(answer: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, heard) = (Arc::new(answer), asked.clone());
        tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let (answer, heard) = (answer.clone(), heard.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) if head.len() < 8192 => head.push(byte),
                            _ => return,
                        }
                    }
                    let request = parse(&String::from_utf8_lossy(&head));
                    heard.lock().unwrap().push(request.clone());
                    let Some(answer) = answer(&request) else {
                        // Silence until the other side gives up.
                        while stream.read_u8().await.is_ok() {}
                        return;
                    };
                    let mut text = format!("HTTP/1.1 {}\r\nconnection: close\r\n", answer.status);
                    text.push_str(&format!("content-length: {}\r\n", answer.body.len()));
                    for (name, value) in &answer.headers {
                        text.push_str(&format!("{name}: {value}\r\n"));
                    }
                    text.push_str("\r\n");
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.write_all(&answer.body[..answer.sent]).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { base, asked }
    }

    /// What it was asked since the last time.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn parse(head: &str) -> Asked {
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Asked { path, headers }
}
