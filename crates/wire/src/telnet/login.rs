//! A login by name and password, decided by what the service does after each line.
//!
//! Words help where a language is known, and structure decides: a prompt is where the service stops
//! and waits; a pair was refused when the prompt from before comes back; it was right when a command
//! prompt or a menu comes that was not there before. What neither shows is not guessed.

use super::answer::{
    asks_command, asks_second_factor, fold, is_password_line, is_question, is_same, says, succeeds, verdict,
};
use super::decoder::TelnetDecoder;
use super::prompt::{
    Prompt, is_form, is_menu, is_open, last_line_of, lines_of, login_entry, plain, prompt_of, wants_key,
};
use super::words::{LOCKED_WORDS, NEW_PASSWORD_WORDS, SESSION_WORDS, WAIT_WORDS};

/// Text kept of one turn, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Most keys pressed before a service asks who we are.
const KEYS_MAX: usize = 2;

/// Prompts remembered of a service.
const LEARNED_MAX: usize = 8;

/// Lines in which a service says what it thinks of a pair; what comes later is its greeting.
const VERDICT_LINES: usize = 2;

/// How a turn of the service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It waits.
    Silent,
    /// It hung up.
    Closed,
    /// It said more than is read.
    TooLong,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Say these bytes, which are no answer: a key was asked for.
    Press(Vec<u8>),
    /// It asks for what [`Login::asks_for`] says.
    Asks,
    /// There is no more to say.
    Decided(Outcome),
}

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The pair opens it.
    Accepted,
    /// It does not.
    Rejected,
    /// The service has closed itself to us, or the account to everybody.
    LockedOut,
    /// It wants us to wait before we try again.
    Delayed,
    /// Nothing that decides, for this reason: `silent`, `closed`, `bytes`, `prompt` (it waits for we do not
    /// know what), `no-login` (it lets everybody in, or asks for no name), `second-factor`, `line-end` (it
    /// took one line for two) or `contradiction`.
    Unclear(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until the service asks.
    Greeting,
    /// The name was said.
    Named,
    /// The password was said.
    Proven,
}

/// One connection's login, as it goes on.
#[derive(Debug)]
pub struct Login {
    decoder: TelnetDecoder,
    stage: Stage,
    asks_for: Prompt,
    /// The prompts for name (or password, where that is all) and for password, folded.
    prompts: Vec<String>,
    /// The first prompt was known by its words.
    worded: bool,
    /// Name and password are fields of a form on a screen.
    form: bool,
    /// Prompts at which it was seen to wait, over earlier connections too, folded: whatever their words, a
    /// long silence has shown what they are.
    learned: Vec<String>,
    /// Where keys were pressed, folded.
    pressed: Vec<String>,
    /// What we said last: services repeat it.
    said: String,
    /// The service echoed when we said it.
    echoed_then: bool,
    greeting: String,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            decoder: TelnetDecoder::typing(TEXT_BYTES_MAX),
            stage: Stage::Greeting,
            asks_for: Prompt::Login,
            prompts: Vec::new(),
            learned: Vec::new(),
            worded: false,
            form: false,
            pressed: Vec::new(),
            said: String::new(),
            echoed_then: false,
            greeting: String::new(),
        }
    }
}

impl Login {
    /// A login over another connection to the same service, whose prompts are known by now.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { learned: self.learned.clone(), ..Self::default() }
    }

    /// Takes the bytes that arrived; returns the negotiation to send, empty when there is none.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.decoder.push(bytes)
    }

    /// The service seems to wait for us: a short pause will tell.
    pub fn seems_to_wait(&self) -> bool {
        let text = self.heard();
        let known = || self.learned.contains(&fold(last_line_of(&text).unwrap_or_default()));
        prompt_of(&text).is_some() || wants_key(&text) || self.is_back(&text) || known()
    }

    /// What it asks for: [`Prompt::Login`] or [`Prompt::Password`].
    pub const fn asks_for(&self) -> Prompt {
        self.asks_for
    }

    /// The line with `text`, ended as this service ends lines.
    pub fn line(&mut self, text: &str) -> Vec<u8> {
        self.decoder.clear_text();
        self.stage = match self.asks_for {
            Prompt::Login => Stage::Named,
            Prompt::Password | Prompt::Shell => Stage::Proven,
        };
        self.said = text.replace(char::is_control, "");
        self.echoed_then = self.decoder.echoes();
        [self.said.as_bytes(), self.line_end()].concat()
    }

    /// Judges the turn of the service that ended so. After [`Step::Asks`] comes [`Login::line`], after
    /// [`Outcome::Rejected`] perhaps [`Login::again`].
    pub fn turn(&mut self, ending: Ending) -> Step {
        match self.stage {
            Stage::Greeting => self.greeted(ending),
            Stage::Named => self.named(ending),
            Stage::Proven => Step::Decided(self.proven(ending)),
        }
    }

    /// After a rejection: true when the service asks from the beginning, so that another pair can be said
    /// over the same connection. Where it asks for another password of the same name only, it cannot.
    pub fn again(&mut self) -> bool {
        let (first, text) = (self.prompts.first().cloned().unwrap_or_default(), self.heard());
        let back = is_same(&first, &fold(last_line_of(&text).unwrap_or_default()));
        self.asks_for = if self.prompts.len() > 1 { Prompt::Login } else { self.asks_for };
        self.prompts.truncate(1);
        back || (self.form && is_form(&text))
    }

    fn greeted(&mut self, ending: Ending) -> Step {
        let text = self.heard();
        let (line, lower) = (last_line_of(&text).unwrap_or_default(), text.to_lowercase());
        let asks = prompt_of(&text);
        if ending != Ending::Silent
            || (asks.is_none() && (says(&lower, LOCKED_WORDS) || says(&lower, WAIT_WORDS)))
        {
            return Step::Decided(match () {
                () if says(&lower, LOCKED_WORDS) => Outcome::LockedOut,
                () if says(&lower, WAIT_WORDS) => Outcome::Delayed,
                () if ending == Ending::TooLong => Outcome::Unclear("bytes"),
                () if ending == Ending::Closed => Outcome::Unclear("closed"),
                () => Outcome::Unclear("prompt"),
            });
        }
        if let Some(label) = login_entry(&text).filter(|_| self.pressed.len() < KEYS_MAX) {
            return self.press(line, label);
        }
        if (line.is_empty() || wants_key(&text)) && self.pressed.len() < KEYS_MAX {
            return self.press(line, "");
        }
        self.asks_for = match asks {
            Some(Prompt::Password) => Prompt::Password,
            Some(Prompt::Shell) => return Step::Decided(Outcome::Unclear("no-login")),
            None if line.is_empty() => return Step::Decided(Outcome::Unclear("silent")),
            None if is_menu(&text) || asks_command(line) => {
                return Step::Decided(Outcome::Unclear("no-login"));
            }
            // In no words we know: who stops in a line waits for an answer, and a name is what is asked first.
            None if !is_question(&text, line) => return Step::Decided(Outcome::Unclear("prompt")),
            Some(Prompt::Login) | None => Prompt::Login,
        };
        self.worded = asks.is_some();
        self.form = is_form(&text);
        self.prompts = vec![fold(line)];
        self.learn();
        self.greeting = text;
        Step::Asks
    }

    fn press(&mut self, line: &str, label: &str) -> Step {
        self.pressed.push(fold(line));
        let bytes = [label.as_bytes(), self.line_end()].concat();
        self.decoder.clear_text();
        Step::Press(bytes)
    }

    /// After the name.
    fn named(&mut self, ending: Ending) -> Step {
        let text = self.heard();
        let line = last_line_of(&text).unwrap_or_default().to_owned();
        let word = verdict(&text, usize::MAX);
        if ending != Ending::Silent {
            let unclear = if ending == Ending::Closed { "closed" } else { "bytes" };
            return Step::Decided(word.unwrap_or(Outcome::Unclear(unclear)));
        }
        if self.form && (line.is_empty() || is_form(&text) || !is_open(&text)) && word.is_none() {
            return self.asks_password(String::new());
        }
        let asks = prompt_of(&text);
        if self.is_back(&text) {
            let before = lines_of(&text).rev().skip(1).any(is_password_line);
            return Step::Decided(match word {
                Some(word @ (Outcome::LockedOut | Outcome::Delayed)) => word,
                // It asked for a password and had one at once: the second half of our line end.
                _ if before => Outcome::Unclear("line-end"),
                // In no words we know: we guessed that a name was asked for. It may have been a password, or
                // a command.
                _ if !self.worded => Outcome::Unclear("prompt"),
                _ => Outcome::Rejected,
            });
        }
        if asks_second_factor(&line) {
            return Step::Decided(Outcome::Unclear("second-factor"));
        }
        let hidden = self.decoder.echoes() && !self.echoed_then;
        match asks {
            Some(Prompt::Password) => match word {
                Some(word @ (Outcome::LockedOut | Outcome::Delayed)) => Step::Decided(word),
                _ => self.asks_password(line),
            },
            Some(Prompt::Shell) | None if asks.is_some() || is_menu(&text) => Step::Decided(match word {
                // Some need a name only. Where we only guessed that a name was asked for, we guessed wrong.
                None if self.worded => Outcome::Accepted,
                None => Outcome::Unclear("no-login"),
                Some(_) => Outcome::Unclear("contradiction"),
            }),
            _ if word.is_some() => Step::Decided(word.unwrap_or(Outcome::Rejected)),
            Some(_) => Step::Decided(Outcome::Unclear("prompt")),
            // From now on what we say is hidden; or it has one more question, and nothing else to say.
            None if hidden || (is_question(&text, &line) && lines_of(&text).count() == 1) => {
                self.asks_password(line)
            }
            None if line.is_empty() => Step::Decided(Outcome::Unclear("silent")),
            None => Step::Decided(Outcome::Unclear("prompt")),
        }
    }

    fn asks_password(&mut self, line: String) -> Step {
        self.prompts.push(fold(&line));
        self.learn();
        self.asks_for = Prompt::Password;
        Step::Asks
    }

    /// Remembers the newest prompt.
    fn learn(&mut self) {
        let new = self.prompts.last().filter(|line| !line.is_empty() && !self.learned.contains(line));
        if let Some(line) = new.filter(|_| self.learned.len() < LEARNED_MAX).cloned() {
            self.learned.push(line);
        }
    }

    /// After the password.
    fn proven(&self, ending: Ending) -> Outcome {
        let text = self.heard();
        let (line, lower) = (last_line_of(&text).unwrap_or_default(), text.to_lowercase());
        let (word, early) = (verdict(&text, usize::MAX), verdict(&text, VERDICT_LINES));
        match ending {
            Ending::Silent => {}
            Ending::TooLong => {
                return match early {
                    Some(early) => early,
                    None if says(&lower, SESSION_WORDS) => Outcome::Accepted,
                    // Rejected, and everything from the beginning.
                    None if self.greets_again(&text) => Outcome::Rejected,
                    None => Outcome::Unclear("bytes"),
                };
            }
            Ending::Closed => {
                return match word {
                    Some(word) => word,
                    None if succeeds(&lower) => Outcome::Unclear("closed"),
                    // To hang up on a password is to reject it.
                    None => Outcome::Rejected,
                };
            }
        }
        let asks = prompt_of(&text);
        // A notice may speak of new passwords, and the prompt below it be the one from before.
        let asks_anew = says(&line.to_lowercase(), NEW_PASSWORD_WORDS)
            || !self.prompts.iter().any(|prompt| prompt.ends_with(&fold(line)));
        if says(&lower, NEW_PASSWORD_WORDS) && asks == Some(Prompt::Password) && asks_anew && word.is_none() {
            return Outcome::Accepted;
        }
        if self.is_back(&text) || (self.form && is_form(&text)) {
            return word.unwrap_or(Outcome::Rejected);
        }
        if asks_second_factor(line) {
            return Outcome::Unclear("second-factor");
        }
        match asks {
            Some(Prompt::Login | Prompt::Password) => word.unwrap_or(Outcome::Rejected),
            Some(Prompt::Shell) | None if asks.is_some() || (is_menu(&text) && is_question(&text, line)) => {
                match early {
                    None => Outcome::Accepted,
                    // A prompt for commands, and a no: nothing more is said to it.
                    Some(_) => Outcome::Unclear("contradiction"),
                }
            }
            _ => match word {
                Some(word) => word,
                None if succeeds(&lower) => Outcome::Accepted,
                None if line.is_empty() => Outcome::Unclear("silent"),
                None => Outcome::Unclear("prompt"),
            },
        }
    }

    /// The text of this turn, without our own line where the service repeats it, or stars in its place.
    fn heard(&self) -> String {
        let text = plain(self.decoder.text());
        let start = text.trim_start();
        match start.strip_prefix(self.said.as_str()) {
            Some(rest) if !self.said.is_empty() && self.stage != Stage::Greeting => rest.to_owned(),
            _ if self.stage == Stage::Proven => start.trim_start_matches(['*', '•', '●']).to_owned(),
            _ => text,
        }
    }

    /// The text stops at a prompt that was there before.
    fn is_back(&self, text: &str) -> bool {
        let line = fold(last_line_of(text).unwrap_or_default());
        self.stage != Stage::Greeting
            && self.prompts.iter().chain(&self.pressed).any(|prompt| is_same(prompt, &line))
    }

    /// The text begins like the greeting.
    fn greets_again(&self, text: &str) -> bool {
        let greeting: Vec<&str> = lines_of(&self.greeting).take(2).collect();
        !greeting.is_empty() && greeting.iter().all(|line| lines_of(text).any(|other| other == *line))
    }

    fn line_end(&self) -> &'static [u8] {
        match self.decoder.takes_characters() {
            // RFC 854: the key without a new line; what a terminal sends.
            true => b"\r\0",
            false => b"\r\n",
        }
    }
}
