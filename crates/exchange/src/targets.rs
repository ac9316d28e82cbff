//! Lists of targets.

use std::io::BufRead;

use kenshin_observation::Transport;

use crate::format::TargetFormat;
use crate::lines::{Line, Lines};
use crate::masscan::{self, What};
use crate::nmap::{Entries, Entry};
use crate::problem::{Problem, ReadError};
use crate::target::{HostBits, Target};
use crate::zmap::Responses;

/// Reads targets, one after the other, in the memory of one line. A line that cannot be used is a
/// [`ReadError::Malformed`]; whether the others count all the same is for the caller to say, and a
/// list of what to spare is better refused whole.
pub struct Targets<'a> {
    source: Source<Box<dyn BufRead + 'a>>,
    /// Targets of the line that was read last.
    line: std::vec::IntoIter<Result<Target, Problem>>,
}

enum Source<R> {
    Lines(TargetFormat, Lines<R>),
    Zmap(Responses<R>),
    Nmap(Box<Entries<R>>),
}

impl<'a> Targets<'a> {
    /// Reads `from`; `file` names it in messages.
    pub fn new(format: TargetFormat, file: &str, from: impl BufRead + 'a) -> Self {
        let from: Box<dyn BufRead + 'a> = Box::new(from);
        let source = match format {
            TargetFormat::List | TargetFormat::ZmapList | TargetFormat::Masscan => {
                Source::Lines(format, Lines::new(file, from))
            }
            TargetFormat::ZmapCsv => Source::Zmap(Responses::csv(file, from)),
            TargetFormat::NmapXml => Source::Nmap(Box::new(Entries::new(file, from))),
        };
        Self { source, line: Vec::new().into_iter() }
    }
}

impl TargetFormat {
    /// The format that the beginning of a file looks like. A list of prefixes may be anybody's: it
    /// is taken for [`TargetFormat::List`], which ignores nothing.
    pub fn of(beginning: &[u8]) -> Self {
        let text = String::from_utf8_lossy(beginning);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with("<?xml") || text.starts_with("<nmaprun") {
            return Self::NmapXml;
        }
        let lines = || text.lines().map(str::trim);
        if lines().any(|line| line == "#masscan" || line.starts_with("open ") || line.starts_with("banner "))
        {
            return Self::Masscan;
        }
        let names = lines().find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
        if names.split(',').any(|name| name.trim() == "saddr") { Self::ZmapCsv } else { Self::List }
    }
}

impl Iterator for Targets<'_> {
    type Item = Result<Target, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.line.next() {
                return Some(found.map_err(ReadError::from));
            }
            match &mut self.source {
                Source::Lines(format, lines) => match lines.next()? {
                    Ok(line) => self.line = of_line(*format, line).into_iter(),
                    Err(error) => return Some(Err(error)),
                },
                Source::Zmap(responses) => {
                    let found = responses.next()?;
                    return Some(found.map(|response| {
                        let port = response.sport.filter(|port| *port > 0);
                        Target::address(response.saddr, port.map(|port| (port, response.spoken())))
                    }));
                }
                Source::Nmap(entries) => match entries.next()? {
                    Ok(entry) => {
                        if let Some(target) = of_entry(&entry) {
                            return Some(Ok(target));
                        }
                    }
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}

fn of_line(format: TargetFormat, line: Line<'_>) -> Vec<Result<Target, Problem>> {
    if format == TargetFormat::Masscan
        && ["open ", "closed ", "banner "].iter().any(|state| line.text.starts_with(state))
    {
        return match masscan::status(line) {
            Ok(Some(status)) if !matches!(status.what, What::Closed) => {
                let (subject, transport) = (status.subject, status.subject.transport);
                let port = (transport != Transport::Icmp).then_some((subject.port, transport));
                vec![Ok(Target::address(subject.addr, port))]
            }
            Ok(_) => Vec::new(),
            Err(problem) => vec![Err(problem)],
        };
    }
    let host_bits = if format == TargetFormat::List { HostBits::Refused } else { HostBits::Ignored };
    let comment = if line.text.trim_start().starts_with([';', '/']) { Some(0) } else { line.text.find('#') };
    let words = line.words(|c| c.is_whitespace() || c == ',');
    words
        .take_while(|(at, _)| comment.is_none_or(|comment| *at < comment))
        .map(|(at, word)| {
            // A comment may begin in the middle of a word.
            let word = &word[..comment.map_or(word.len(), |comment| word.len().min(comment - at))];
            Target::parse(word, host_bits)
                .map_err(|(within, message, hint)| line.place(at + within).problem(message, hint))
        })
        .collect()
}

fn of_entry(entry: &Entry) -> Option<Target> {
    match entry {
        Entry::Port(host, port) if port.state.state == "open" => {
            Some(Target::address(host.addr?, Some((port.number, port.transport))))
        }
        Entry::End(host) if host.ports == 0 && host.up == Some(true) => {
            Some(Target::address(host.addr?, None))
        }
        _ => None,
    }
}
