//! Telnet (RFC 854): text and option negotiation taken apart, every option politely refused; prompts
//! recognised in English, Japanese and other languages; and logins decided by what a service does
//! after each line.

mod answer;
mod decoder;
mod login;
mod prompt;
mod words;

pub use answer::defence;
pub use decoder::{IAC, TelnetDecoder};
pub use login::{Ending, Login, Outcome, Step};
pub use prompt::{Prompt, last_line, prompt};
