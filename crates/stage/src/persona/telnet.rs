//! Telnet consoles: negotiation as the product sends it, login dialogue, a shell that does
//! nothing.

use std::io;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;

use super::{Lines, Part, PortState, Stream, Witness, part_from};
use crate::model::ServiceKind;

const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;

/// What a locked console says.
const LOCKED: &str = "\r\nToo many login failures. Please try again later.\r\n";

pub(super) async fn play<S: Stream>(
    part: &Part,
    mut stream: S,
    state: &PortState,
    witness: &Witness,
) -> io::Result<()> {
    let ServiceKind::Telnet { options, text, login, password, fail, shell, tries, locks } =
        &part.service().kind
    else {
        return Ok(());
    };
    let shell = shell.as_deref().unwrap_or("\r\n> ");
    let options = hex::decode(options).unwrap_or_default();
    stream.write_all(&options).await?;
    let locked = || locks.is_some_and(|limit| state.failures.load(Ordering::Relaxed) >= u64::from(limit));
    stream.write_all(part.line(text).replace("\r\n", "\n").replace('\n', "\r\n").as_bytes()).await?;
    if locked() {
        return part_from(stream, LOCKED.as_bytes()).await;
    }
    let mut input = Input { lines: Lines::new(), echo: options.windows(3).any(|w| w == [IAC, 251, 1]) };
    if part.open {
        return input.sit(stream, &part.line(shell)).await;
    }
    for _ in 0..*tries {
        let user = match login {
            Some(prompt) => {
                stream.write_all(prompt.as_bytes()).await?;
                let Some(user) = input.line(&mut stream, true).await? else { return Ok(()) };
                user
            }
            None => String::new(),
        };
        let prompt = password.as_deref().unwrap_or("Password: ");
        stream.write_all(prompt.as_bytes()).await?;
        let Some(password) = input.line(&mut stream, false).await? else { return Ok(()) };
        if part.admits(&user, &password, witness) {
            return input.sit(stream, &part.line(shell)).await;
        }
        state.failures.fetch_add(1, Ordering::Relaxed);
        stream.write_all(fail.as_bytes()).await?;
        if locked() {
            return part_from(stream, LOCKED.as_bytes()).await;
        }
    }
    part_from(stream, b"").await
}

struct Input {
    lines: Lines,
    /// The product said that it echoes.
    echo: bool,
}

impl Input {
    /// A line without negotiation, echoed when it may be seen.
    async fn line<S: Stream>(&mut self, stream: &mut S, visible: bool) -> io::Result<Option<String>> {
        let line = loop {
            if let Some(line) = take_line(&mut self.lines.buffer) {
                break line;
            }
            if !self.lines.more(stream).await? {
                return Ok(None);
            }
        };
        if self.echo {
            let shown = if visible { line.as_str() } else { "" };
            stream.write_all(format!("{shown}\r\n").as_bytes()).await?;
        }
        Ok(Some(line))
    }

    /// The shell: shows its prompt again after every line, runs nothing.
    async fn sit<S: Stream>(mut self, mut stream: S, shell: &str) -> io::Result<()> {
        stream.write_all(shell.as_bytes()).await?;
        let prompt = shell.rsplit('\n').next().unwrap_or("> ").to_owned();
        while let Some(line) = self.line(&mut stream, true).await? {
            if matches!(line.as_str(), "exit" | "quit" | "logout" | "q") {
                break;
            }
            stream.write_all(b"\r\n").await?;
            stream.write_all(prompt.as_bytes()).await?;
        }
        part_from(stream, b"").await
    }
}

/// Takes the first whole line out of `buffer`, leaving out commands of the protocol. Lines end
/// with CR LF, CR NUL, CR or LF.
fn take_line(buffer: &mut Vec<u8>) -> Option<String> {
    let mut line = Vec::new();
    let mut at = 0;
    let end = loop {
        match buffer.get(at..)? {
            [] => return None,
            [IAC, IAC, ..] => {
                line.push(IAC);
                at += 2;
            }
            [IAC, SB, rest @ ..] => {
                let close = rest.windows(2).position(|w| w == [IAC, SE])?;
                at += 2 + close + 2;
            }
            [IAC, 251..=254, _, ..] => at += 3,
            [IAC, 251..=254] | [IAC] => return None,
            [IAC, _, ..] => at += 2,
            [b'\r', b'\n' | 0, ..] => break at + 2,
            [b'\r' | b'\n', ..] => break at + 1,
            [byte, ..] => {
                line.push(*byte);
                at += 1;
            }
        }
    };
    buffer.drain(..end);
    Some(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_without_negotiation() {
        let mut buffer = b"\xff\xfc\x01ro\xff\xfa\x18\x00xterm\xff\xf0ot\r\0pass\nre".to_vec();
        assert_eq!(take_line(&mut buffer).unwrap(), "root");
        assert_eq!(take_line(&mut buffer).unwrap(), "pass");
        assert_eq!(take_line(&mut buffer), None);
        assert_eq!(buffer, b"re");
    }
}
