//! Closed lists of words that are stored and sent. Their text is part of the format and never
//! changes; the first sample of each lives in the tests below.

/// A word that is not in the closed list asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {list} `{word}`; one of: {known}")]
pub struct UnknownWord {
    list: &'static str,
    word: String,
    known: String,
}

impl UnknownWord {
    /// The error for `word` not being in `list`, whose words are `known`.
    pub fn new(list: &'static str, word: &str, known: impl IntoIterator<Item = &'static str>) -> Self {
        Self { list, word: word.to_owned(), known: known.into_iter().collect::<Vec<_>>().join(", ") }
    }
}

/// Declares a closed list of words: an enum with `ALL`, `as_str`, `Display`, `FromStr` and serde by
/// the stored text. The crate that uses it depends on `serde`.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $list:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every word of the list, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it is stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;
            fn from_str(text: &str) -> Result<Self, $crate::UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownWord::new($list, text, [$($text),+])),
                }
            }
        }
    };
}
pub(crate) use words;

words!(
    /// A class of exchange that a mandate grants (DESIGN.md §6).
    Check, "check" {
        /// Who answers: one connection attempt, nothing said.
        Sweep = "sweep",
        /// Read what the service says by itself.
        Banner = "banner",
        /// A protocol's ordinary greeting, no login.
        Handshake = "handshake",
        /// Anonymous FTP, MQTT CONNECT and other logins without a secret.
        AnonymousLogin = "anonymous-login",
        /// UDP services that amplify.
        Reflector = "reflector",
        /// Identity of industrial control systems.
        IcsIdentity = "ics-identity",
        /// Factory passwords from a dictionary; needs two signers.
        CredentialCheck = "credential-check",
    }
);

words!(
    /// How one attempt ended. Exactly one is final for a (survey, target, check).
    Outcome, "outcome" {
        /// The service spoke, or accepted the connection for a sweep.
        Answered = "answered",
        /// The host answered that nobody listens.
        Refused = "refused",
        /// This port was silent, the host answers elsewhere.
        SilentHostAlive = "silent-host-alive",
        /// Nothing at this address answered.
        Dark = "dark",
        /// A network element said the way is closed.
        Filtered = "filtered",
        /// Not finished because a limit was reached: bytes, time, steps, or the rate of the mandate.
        Limited = "limited",
        /// Something failed on our side or the attempts ran out.
        Error = "error",
    }
);

words!(
    /// Which way the traffic went.
    Direction, "direction" {
        /// We asked.
        Probed = "probed",
        /// It sent by itself (telescope).
        SeenSending = "seen-sending",
        /// It touched a decoy (stage).
        TouchedDecoy = "touched-decoy",
    }
);

words!(
    /// FIRST Traffic Light Protocol 2.0.
    Tlp, "TLP label" {
        /// For everybody.
        Clear = "TLP:CLEAR",
        /// The community.
        Green = "TLP:GREEN",
        /// The organisation and its clients.
        Amber = "TLP:AMBER",
        /// The organisation only.
        AmberStrict = "TLP:AMBER+STRICT",
        /// Named recipients only.
        Red = "TLP:RED",
    }
);

impl Tlp {
    /// Labels of what the clients of an organisation may see: providers, of their own addresses.
    pub const FOR_CLIENTS: [Self; 3] = [Self::Clear, Self::Green, Self::Amber];

    /// Labels of what a community outside of the organisation may see.
    pub const FOR_COMMUNITIES: [Self; 2] = [Self::Clear, Self::Green];

    /// True when what bears this label may be shown to the clients of an organisation.
    pub fn is_for_clients(self) -> bool {
        Self::FOR_CLIENTS.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_never_change() {
        let all = |words: Vec<&str>| words.join(" ");
        assert_eq!(
            all(Check::ALL.iter().map(|w| w.as_str()).collect()),
            "sweep banner handshake anonymous-login reflector ics-identity credential-check"
        );
        assert_eq!(
            all(Outcome::ALL.iter().map(|w| w.as_str()).collect()),
            "answered refused silent-host-alive dark filtered limited error"
        );
        assert_eq!(
            all(Direction::ALL.iter().map(|w| w.as_str()).collect()),
            "probed seen-sending touched-decoy"
        );
        assert_eq!(
            all(Tlp::ALL.iter().map(|w| w.as_str()).collect()),
            "TLP:CLEAR TLP:GREEN TLP:AMBER TLP:AMBER+STRICT TLP:RED"
        );
    }

    #[test]
    fn an_unknown_word_lists_the_known_ones() {
        let error = "sniff".parse::<Check>().unwrap_err().to_string();
        assert!(error.contains("unknown check `sniff`") && error.contains("credential-check"), "{error}");
    }

    #[test]
    fn serde_and_text_agree() {
        for check in Check::ALL {
            assert_eq!(serde_json::to_string(check).unwrap(), format!("\"{check}\""));
            assert_eq!(check.as_str().parse::<Check>().unwrap(), *check);
        }
    }
}
