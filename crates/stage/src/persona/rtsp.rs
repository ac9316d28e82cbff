//! Stream servers of cameras and recorders: OPTIONS is answered, nothing is shown.

use std::io;

use tokio::io::AsyncWriteExt;

use super::{Lines, Part, Stream, part_from};
use crate::model::ServiceKind;

/// Requests answered before the server hangs up.
const REQUESTS_MAX: usize = 8;

pub(super) async fn play<S: Stream>(part: &Part, mut stream: S) -> io::Result<()> {
    let ServiceKind::Rtsp { options } = &part.service().kind else { return Ok(()) };
    let server =
        options.lines().find(|l| l.starts_with("Server:")).map_or(String::new(), |l| format!("{l}\r\n"));
    let mut lines = Lines::new();
    for _ in 0..REQUESTS_MAX {
        let Some(first) = lines.next(&mut stream).await? else { return Ok(()) };
        let mut sequence = String::from("0");
        loop {
            let Some(line) = lines.next(&mut stream).await? else { return Ok(()) };
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("cseq")
            {
                sequence = value.trim().chars().filter(char::is_ascii_digit).take(10).collect();
            }
        }
        if !first.ends_with("RTSP/1.0") {
            return part_from(stream, format!("RTSP/1.0 400 Bad Request\r\n{server}\r\n").as_bytes()).await;
        }
        let answer = match first.split(' ').next() {
            Some("OPTIONS") => {
                options.trim_end().replace("{cseq}", &sequence).replace('\n', "\r\n") + "\r\n\r\n"
            }
            _ => format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {sequence}\r\n{server}\r\n"),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
    part_from(stream, b"").await
}
