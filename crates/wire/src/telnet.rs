//! Telnet (RFC 854): text and option negotiation taken apart, every option politely refused, and
//! prompts recognised in English and Japanese.

mod decoder;
mod prompt;

pub use decoder::{IAC, TelnetDecoder};
pub use prompt::{Prompt, Reply, last_line, prompt, reply};
