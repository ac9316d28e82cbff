//! Mail services of scanners and printers: they greet and take no mail.

use std::io;

use tokio::io::AsyncWriteExt;

use super::{Lines, Part, Stream, part_from};
use crate::model::ServiceKind;

/// Commands answered before the server hangs up.
const COMMANDS_MAX: usize = 32;

pub(super) async fn play<S: Stream>(part: &Part, mut stream: S) -> io::Result<()> {
    let ServiceKind::Smtp { banner, ehlo } = &part.service().kind else { return Ok(()) };
    stream.write_all(part.line(banner).as_bytes()).await?;
    let mut lines = Lines::new();
    for _ in 0..COMMANDS_MAX {
        let Some(line) = lines.next(&mut stream).await? else { return Ok(()) };
        let reply = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => extensions(ehlo),
            "HELO" => format!("250 {}\r\n", ehlo.first().map_or("", String::as_str)),
            "QUIT" => return part_from(stream, b"221 Bye\r\n").await,
            "NOOP" | "RSET" => "250 OK\r\n".to_owned(),
            _ => "502 Command not implemented\r\n".to_owned(),
        };
        stream.write_all(reply.as_bytes()).await?;
    }
    part_from(stream, b"421 Too many commands\r\n").await
}

fn extensions(lines: &[String]) -> String {
    let mut reply = String::new();
    for (index, line) in lines.iter().enumerate() {
        let separator = if index + 1 == lines.len() { ' ' } else { '-' };
        reply.push_str(&format!("250{separator}{line}\r\n"));
    }
    reply
}
