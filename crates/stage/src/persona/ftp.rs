//! File services: greeting, login, nothing to fetch.

use std::io;

use tokio::io::AsyncWriteExt;

use super::{Lines, Part, Stream, Witness, part_from};
use crate::model::ServiceKind;

/// Commands answered before the server hangs up.
const COMMANDS_MAX: usize = 32;

pub(super) async fn play<S: Stream>(part: &Part, mut stream: S, witness: &Witness) -> io::Result<()> {
    let ServiceKind::Ftp { banner, .. } = &part.service().kind else { return Ok(()) };
    stream.write_all(part.line(banner).as_bytes()).await?;
    let mut lines = Lines::new();
    let mut user = String::new();
    let mut inside = false;
    for _ in 0..COMMANDS_MAX {
        let Some(line) = lines.next(&mut stream).await? else { return Ok(()) };
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let anonymous = |user: &str| matches!(user, "anonymous" | "ftp");
        let reply = match command.to_ascii_uppercase().as_str() {
            "USER" => {
                user = argument.to_owned();
                match anonymous(&user) {
                    true if part.anonymous => {
                        "331 Guest login ok, send your complete e-mail address as password.\r\n"
                    }
                    _ => "331 Password required.\r\n",
                }
            }
            "PASS" => {
                inside = match anonymous(&user) {
                    true => part.anonymous,
                    false => part.admits(&user, argument, witness),
                };
                if inside { "230 User logged in.\r\n" } else { "530 Login incorrect.\r\n" }
            }
            "QUIT" => return part_from(stream, b"221 Goodbye.\r\n").await,
            "SYST" => "215 UNIX Type: L8\r\n",
            "NOOP" => "200 NOOP command successful.\r\n",
            "FEAT" => "211 No features.\r\n",
            _ if inside => "502 Command not implemented.\r\n",
            _ => "530 Please login with USER and PASS.\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
    }
    part_from(stream, b"421 Too many commands.\r\n").await
}
