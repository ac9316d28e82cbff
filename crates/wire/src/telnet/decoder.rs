//! The stream taken apart.

use std::collections::BTreeSet;

/// "Interpret as command".
pub const IAC: u8 = 255;

const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;

/// Most negotiations kept for the record.
const OPTIONS_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    Command,
    Option(u8),
    Subnegotiation,
    SubnegotiationCommand,
}

/// What the other side may offer to do, of what matters to who types.
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// Separates text from negotiation and refuses every option once.
#[derive(Debug)]
pub struct TelnetDecoder {
    text_bytes_max: usize,
    /// Take up the offers that a person at a terminal takes up.
    typing: bool,
    /// ECHO and SUPPRESS-GO-AHEAD, as the other side does them.
    does: [bool; 2],
    text: Vec<u8>,
    options: Vec<String>,
    answered: BTreeSet<(u8, u8)>,
    negotiated: bool,
    state: State,
}

impl TelnetDecoder {
    /// A decoder that keeps the last `text_bytes_max` bytes of text.
    pub const fn new(text_bytes_max: usize) -> Self {
        Self {
            text_bytes_max,
            typing: false,
            does: [false; 2],
            text: Vec::new(),
            options: Vec::new(),
            answered: BTreeSet::new(),
            negotiated: false,
            state: State::Text,
        }
    }

    /// The same, for somebody who types: offers to echo, and to go on without turns, are taken up, so
    /// that what is not echoed tells something. Each is answered once.
    pub const fn typing(text_bytes_max: usize) -> Self {
        let mut decoder = Self::new(text_bytes_max);
        decoder.typing = true;
        decoder
    }

    /// The other side offered to echo what we say: what it shows is then its own doing.
    pub const fn echoes(&self) -> bool {
        self.does[0]
    }

    /// The other side takes characters as they come: a line ends as the key does, with CR NUL.
    pub const fn takes_characters(&self) -> bool {
        self.does[0] && self.does[1]
    }

    /// Takes the bytes that arrived; returns the answer to send, empty when there is none. Each
    /// option is refused once, so that two stubborn sides cannot talk forever.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Text, IAC) => State::Command,
                (State::Text, _) => {
                    self.keep(byte);
                    State::Text
                }
                (State::Command, IAC) => {
                    self.keep(IAC);
                    State::Text
                }
                (State::Command, SB) => State::Subnegotiation,
                (State::Command, WILL..=DONT) => State::Option(byte),
                (State::Command, _) => State::Text,
                (State::Option(command), option) => {
                    self.negotiate(command, option, &mut out);
                    State::Text
                }
                (State::Subnegotiation, IAC) => State::SubnegotiationCommand,
                (State::Subnegotiation, _) => State::Subnegotiation,
                (State::SubnegotiationCommand, SE) => State::Text,
                (State::SubnegotiationCommand, _) => State::Subnegotiation,
            };
        }
        if self.text.len() > self.text_bytes_max {
            self.text.drain(..self.text.len() - self.text_bytes_max);
        }
        out
    }

    /// Text so far, negotiation removed.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Forgets the text, not the negotiation.
    pub fn clear_text(&mut self) {
        self.text.clear();
    }

    /// Negotiations in order, such as `DO 24` and `WILL 1`.
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// At least one well-formed negotiation was seen.
    pub const fn negotiated(&self) -> bool {
        self.negotiated
    }

    fn keep(&mut self, byte: u8) {
        // NUL only pads a carriage return.
        if byte != 0 && self.text.len() < self.text_bytes_max.saturating_mul(2) {
            self.text.push(byte);
        }
    }

    fn negotiate(&mut self, command: u8, option: u8, out: &mut Vec<u8>) {
        self.negotiated = true;
        if let (WILL | WONT, ECHO | SUPPRESS_GO_AHEAD) = (command, option) {
            self.does[usize::from(option != ECHO)] = command == WILL;
        }
        let taken_up = self.typing && matches!(option, ECHO | SUPPRESS_GO_AHEAD);
        let (word, answer) = match command {
            WILL if taken_up => ("WILL", Some(DO)),
            WILL => ("WILL", Some(DONT)),
            WONT => ("WONT", None),
            DO => ("DO", Some(WONT)),
            _ => ("DONT", None),
        };
        if self.options.len() < OPTIONS_MAX {
            self.options.push(format!("{word} {option}"));
        }
        if let Some(answer) = answer
            && self.answered.insert((command, option))
        {
            out.extend_from_slice(&[IAC, answer, option]);
        }
    }
}
