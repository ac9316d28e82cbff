//! Telnet logins as devices hold them. Names are invented, manners are not.
//!
//! A dialogue is what a device says: first by itself, then after each thing that we say. `{}` is our own
//! line, echoed; `«WILL ECHO»` and its like are negotiation.

use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS, UTF_8};
use kenshin_wire::telnet::{Ending, Login, Outcome, Prompt, Step};
use proptest::prelude::*;

use super::exercise::reads;
use Outcome::{Accepted, Delayed, LockedOut, Rejected, Unclear};

const NAME: &str = "maint";
const PASSWORD: &str = "orange-55";

struct Dialogue {
    device: &'static str,
    says: &'static [&'static str],
    ends: Ending,
    charset: &'static Encoding,
    outcome: Outcome,
}

const fn dialogue(device: &'static str, says: &'static [&'static str], outcome: Outcome) -> Dialogue {
    Dialogue { device, says, ends: Ending::Silent, charset: UTF_8, outcome }
}

const fn hanging_up(device: &'static str, says: &'static [&'static str], outcome: Outcome) -> Dialogue {
    Dialogue { ends: Ending::Closed, ..dialogue(device, says, outcome) }
}

static DIALOGUES: &[Dialogue] = &[
    dialogue(
        "terminal adapter that opens a shell",
        &[
            "«WILL ECHO»«WILL SGA»\r\nTA-9 login: ",
            "{}\r\nPassword: ",
            "\r\n\r\nBusyBox v1.19 built-in shell\r\n~ # ",
        ],
        Accepted,
    ),
    dialogue(
        "terminal adapter that says no",
        &["«WILL ECHO»«WILL SGA»\r\nTA-9 login: ", "{}\r\nPassword: ", "\r\nLogin incorrect\r\nTA-9 login: "],
        Rejected,
    ),
    dialogue(
        "camera whose prompt comes back without a word",
        &["«WILL ECHO»Kamera-3 login:", "{}\r\nPassword:", "\r\nKamera-3 login:"],
        Rejected,
    ),
    dialogue(
        "router that asks for a password only, right",
        &["«WILL ECHO»«WILL SGA»\r\nUser Access Verification\r\n\r\nPassword: ", "\r\nkoi-gw>"],
        Accepted,
    ),
    dialogue(
        "router that asks for a password only, wrong",
        &["«WILL ECHO»«WILL SGA»\r\nUser Access Verification\r\n\r\nPassword: ", "\r\nPassword: "],
        Rejected,
    ),
    hanging_up(
        "router that hangs up after bad passwords",
        &["\r\nPassword: ", "\r\n% Bad passwords\r\n"],
        Rejected,
    ),
    dialogue(
        "VPN router in Japanese, Shift_JIS, password only",
        &["\r\nパスワード: ", "\r\nTSR-107 Rev.9.00.31\r\nメモリ 32Mbytes, 2LAN\r\n> "],
        Accepted,
    )
    .in_charset(SHIFT_JIS),
    dialogue(
        "VPN router in Japanese that says no",
        &["\r\nパスワード: ", "\r\nエラー: パスワードが違います\r\nパスワード: "],
        Rejected,
    )
    .in_charset(SHIFT_JIS),
    dialogue(
        "printer in EUC-JP",
        &[
            "プリンタ管理\r\nユーザ名：",
            "{}\r\nパスワード：",
            "\r\n 1) 状態\r\n 2) 設定\r\n 3) 終了\r\n番号を選択: ",
        ],
        Accepted,
    )
    .in_charset(EUC_JP),
    dialogue(
        "printer in UTF-8 with full-width prompts",
        &["ユーザ名　", "{}\r\n暗証番号　", "\r\n認証に失敗しました\r\nユーザ名　"],
        Rejected,
    ),
    dialogue(
        "gateway of words nobody knows, right",
        &["«WILL SGA»Nafn: ", "«WILL ECHO»{}\r\nLeynd: ", "«WONT ECHO»\r\nVelkomin\r\nhlid# "],
        Accepted,
    ),
    dialogue(
        "gateway of words nobody knows, wrong: its prompt is back",
        &["«WILL SGA»Nafn: ", "«WILL ECHO»{}\r\nLeynd: ", "«WONT ECHO»\r\nNei.\r\nNafn: "],
        Rejected,
    ),
    dialogue(
        "gateway of words nobody knows that asks for the second field again",
        &["Nafn: ", "\r\nLeynd: ", "\r\nLeynd: "],
        Rejected,
    ),
    dialogue(
        "prompts without a colon",
        &["Welcome\r\nEnter user id ", "{}\r\nEnter password ", "\r\nACCESS GRANTED\r\nbridge$ "],
        Accepted,
    ),
    dialogue("prompts with an angle", &["username>", "{}\r\npassword>", "\r\nWrong!\r\nusername>"], Rejected),
    dialogue("an account and a secret", &["Account: ", "{}\r\nSecret: ", "\r\n[box:/] > "], Accepted),
    dialogue(
        "console server that waits for a key",
        &[
            "\r\nPress any key to continue...",
            "\r\nconsole login: ",
            "{}\r\nPassword: ",
            "\r\nLogin incorrect\r\n\r\nconsole login: ",
        ],
        Rejected,
    ),
    dialogue(
        "switch that wants Enter, in colours",
        &[
            "\x1b[2J\x1b[1;1H\x1b[32mSW-24\x1b[0m\r\n\r\nPress <Enter> to start",
            "\x1b[1mUser Name:\x1b[0m ",
            "{}\r\n\x1b[1mPassword:\x1b[0m ",
            "*********\r\n\x1b[31mSW-24#\x1b[0m ",
        ],
        Accepted,
    ),
    dialogue(
        "serial server that says nothing before Enter",
        &["«WILL ECHO»«DO 31»", "\r\nlogin: ", "{}\r\npassword: ", "\r\nInvalid login\r\nlogin: "],
        Rejected,
    ),
    dialogue(
        "recorder that wants Enter in Japanese",
        &[
            "録画装置\r\nEnterキーを押してください",
            "ログイン名：",
            "{}\r\nパスワード：",
            "\r\nようこそ\r\nREC> ",
        ],
        Accepted,
    ),
    dialogue(
        "menu that leads to the login",
        &[
            "1) Status\r\n2) Login\r\n3) Quit\r\nSelect: ",
            "User: ",
            "{}\r\nPassword: ",
            "\r\nBad user or password\r\n1) Status\r\n2) Login\r\n3) Quit\r\nSelect: ",
        ],
        Rejected,
    ),
    dialogue(
        "console for commands that lets everybody in",
        &["GW-4 ready\r\nCommand: "],
        Unclear("no-login"),
    ),
    dialogue(
        "console for commands in Japanese",
        &["制御盤\r\nコマンドを入力してください："],
        Unclear("no-login"),
    ),
    dialogue(
        "console for commands in words nobody knows",
        &["Skipun: ", "{}\r\nSkipun: "],
        Unclear("prompt"),
    ),
    dialogue(
        "console for commands in words nobody knows that knows no such command",
        &["Skipun: ", "{}\r\nInvalid input\r\nSkipun: "],
        Unclear("prompt"),
    ),
    dialogue(
        "console in words nobody knows that closes itself",
        &["Nafn: ", "{}\r\nToo many failures\r\nNafn: "],
        LockedOut,
    ),
    dialogue(
        "gateway that says no and speaks of new passwords",
        &[
            "login: ",
            "{}\r\nPassword: ",
            "\r\nAccess denied\r\n\r\nChange password every 90 days.\r\nPassword: ",
        ],
        Rejected,
    ),
    dialogue(
        "gateway that speaks of new passwords above the prompt from before",
        &["Change password every 90 days.\r\nPassword: ", "\r\nChange password every 90 days.\r\nPassword: "],
        Rejected,
    ),
    dialogue(
        "server whose password is of yesterday",
        &[
            "login: ",
            "{}\r\nPassword: ",
            "\r\nYour password has expired.\r\nChanging password for maint.\r\nCurrent password: ",
        ],
        Accepted,
    ),
    dialogue(
        "controller whose login was not successful",
        &["login: ", "{}\r\nPassword: ", "\r\nLogin was not successful\r\n"],
        Rejected,
    ),
    dialogue(
        "controller whose login was unsuccessful",
        &["login: ", "{}\r\nPassword: ", "\r\nUnsuccessful login.\r\n"],
        Rejected,
    ),
    dialogue(
        "server that tells of earlier attempts",
        &[
            "login: ",
            "{}\r\nPassword: ",
            "\r\nLast unsuccessful login: Mon 9 from 192.0.2.4\r\nLast login: Mon 8\r\nmaint@srv:~$ ",
        ],
        Accepted,
    ),
    dialogue(
        "menu behind the login",
        &[
            "Login: ",
            "{}\r\nPassword: ",
            "\r\n\r\n[1] Network\r\n[2] Serial\r\n[q] Quit\r\n\r\nKey in your selection: ",
        ],
        Accepted,
    ),
    dialogue(
        "form on a screen, wrong",
        &[
            "\x1b[2J\x1b[3;5HUser name : \x1b[5;5HPassword  : \x1b[3;17H",
            "{}\x1b[5;17H",
            "*********\x1b[10;5HLogin failed\x1b[3;17H",
        ],
        Rejected,
    ),
    dialogue(
        "form on a screen, right",
        &[
            "\x1b[2J\x1b[3;5HUser name : \x1b[5;5HPassword  : \x1b[3;17H",
            "{}\x1b[5;17H",
            "*********\x1b[2J\x1b[1;1HMain menu\x1b[3;1H1. System\x1b[4;1H2. Ports\x1b[6;1HEnter choice: ",
        ],
        Accepted,
    ),
    dialogue(
        "device that negotiates in the middle of words",
        &[
            "lo«DO 24»gi«WILL ECHO»n: ",
            "«DO 31»{}\r\nPass«WILL SGA»word: ",
            "\r\nLast login: Mon from 192.0.2.9\r\nfoo@bar:~$ ",
        ],
        Accepted,
    ),
    dialogue(
        "device with long subnegotiation",
        &["«DO 24»«SB 24 1»login: ", "Password: ", "\r\nLogin incorrect\r\nlogin: "],
        Rejected,
    ),
    dialogue("lines that end with CR NUL", &["\r\0Name: \0", "{}\r\0Password: ", "\r\0\r\0unit> "], Accepted),
    dialogue(
        "lines that end with LF",
        &["\n\nlogin:", "\npassword:", "\nincorrect password\n\nlogin:"],
        Rejected,
    ),
    dialogue(
        "a server that echoes the password too",
        &["login: ", "{}\r\npassword: ", "{}\r\n\r\n/ # "],
        Accepted,
    ),
    dialogue(
        "finished lines that ask",
        &["Please log in.\r\nUsername:\r\n", "Password:\r\n", "Access denied.\r\nUsername:\r\n"],
        Rejected,
    ),
    dialogue(
        "a clock in the prompt",
        &["[09:14:02] node login: ", "{}\r\n[09:14:03] password: ", "\r\n[09:14:06] node login: "],
        Rejected,
    ),
    dialogue("a name that is not known", &["Username: ", "{}\r\nUnknown user\r\nUsername: "], Rejected),
    dialogue("a name suffices", &["login: ", "{}\r\n\r\n# "], Accepted),
    dialogue(
        "a right password that must be changed",
        &["login: ", "Password: ", "\r\nYou must change your password now.\r\nNew password: "],
        Accepted,
    ),
    dialogue(
        "failures of others in the greeting",
        &[
            "login: ",
            "Password: ",
            "\r\nThere were 3 failed login attempts since the last successful login.\r\nhost:~$ ",
        ],
        Accepted,
    ),
    dialogue(
        "a warning about misuse behind the login",
        &[
            "login: ",
            "Password: ",
            "\r\nWelcome\r\nThis is ours.\r\nMisuse is denied and will be blocked.\r\n$ ",
        ],
        Accepted,
    ),
    dialogue(
        "too many failures",
        &["login: ", "Password: ", "\r\nToo many failures, console locked\r\n"],
        LockedOut,
    ),
    dialogue(
        "locked, and asks all the same",
        &["login: ", "Password: ", "\r\nThe account is locked due to 3 failed logins.\r\nlogin: "],
        LockedOut,
    ),
    dialogue(
        "locked, in Japanese",
        &["ログイン: ", "パスワード: ", "\r\nアカウントはロックされています\r\n"],
        LockedOut,
    ),
    dialogue("locked before a password", &["login: ", "\r\nUser locked out\r\n"], LockedOut),
    hanging_up("closed to us from the beginning", &["Too many connections, you are blocked\r\n"], LockedOut),
    dialogue(
        "wait so many seconds",
        &["login: ", "Password: ", "\r\nLogin failed. Please wait 30 seconds.\r\n"],
        Delayed,
    ),
    dialogue(
        "later, in Japanese",
        &["ログイン: ", "パスワード: ", "\r\nしばらくしてから入力してください\r\nログイン: "],
        Delayed,
    ),
    hanging_up("try again later", &["login: ", "Password: ", "\r\nTry again in 5 minutes\r\n"], Delayed),
    hanging_up("hangs up on a password", &["login: ", "Password: ", "\r\n"], Rejected),
    hanging_up("hangs up on a name", &["login: ", ""], Unclear("closed")),
    dialogue(
        "a code behind the password",
        &["login: ", "Password: ", "\r\nVerification code: "],
        Unclear("second-factor"),
    ),
    dialogue("a code behind the name", &["login: ", "\r\nワンタイム認証コード："], Unclear("second-factor")),
    dialogue(
        "thinks and says no more",
        &["login: ", "Password: ", "\r\nVerifying, please wait..."],
        Unclear("prompt"),
    ),
    dialogue("says nothing at all", &["", "", ""], Unclear("silent")),
    dialogue("says nothing to a password", &["login: ", "Password: ", "\r\n"], Unclear("silent")),
    dialogue("a shell that lets everybody in", &["Kamera-3\r\n~ # "], Unclear("no-login")),
    dialogue("a menu that lets everybody in", &["1) Status\r\n2) Reboot\r\nChoose: "], Unclear("no-login")),
    dialogue("text without a question", &["Hello. Good bye.\r\n"], Unclear("prompt")),
    dialogue(
        "one line end taken for two",
        &["login: ", "{}\r\nPassword: \r\nLogin incorrect\r\nlogin: "],
        Unclear("line-end"),
    ),
    dialogue(
        "a no, and a prompt for commands all the same",
        &["login: ", "Password: ", "\r\nAccess denied\r\nguest> "],
        Unclear("contradiction"),
    ),
    dialogue(
        "hides what it takes for a name: it may be a password",
        &["«WILL ECHO»Leynd? ", "\r\nLeynd? "],
        Unclear("prompt"),
    ),
    Dialogue {
        ends: Ending::TooLong,
        ..dialogue(
            "a long greeting behind the login",
            &["login: ", "Password: ", "\r\nLast login: Tue\r\nblah blah"],
            Accepted,
        )
    },
    Dialogue {
        ends: Ending::TooLong,
        ..dialogue(
            "a long greeting before the login, again",
            &[
                "DR-4 of somebody\r\nnotes and notes\r\nlogin: ",
                "Password: ",
                "\r\nDR-4 of somebody\r\nnotes and notes\r\nand",
            ],
            Rejected,
        )
    },
    Dialogue {
        ends: Ending::TooLong,
        ..dialogue(
            "a long text that tells nothing",
            &["login: ", "Password: ", "\r\nLorem\r\nipsum"],
            Unclear("bytes"),
        )
    },
];

impl Dialogue {
    const fn in_charset(self, charset: &'static Encoding) -> Self {
        Self { charset, ..self }
    }

    /// What the device sends: text in its charset, our line where it echoes, negotiation.
    fn bytes(&self, text: &str, said: &str) -> Vec<u8> {
        const VERBS: [&str; 4] = ["WILL", "WONT", "DO", "DONT"];
        let mut out = Vec::new();
        for (number, part) in text.split(['«', '»']).enumerate() {
            if number % 2 == 0 {
                out.extend_from_slice(&self.charset.encode(&part.replace("{}", said)).0);
                continue;
            }
            let words: Vec<&str> = part.split(' ').collect();
            let option = match words[1] {
                "ECHO" => 1,
                "SGA" => 3,
                number => number.parse().unwrap(),
            };
            match VERBS.iter().position(|verb| *verb == words[0]) {
                Some(verb) => out.extend([255, 251 + verb as u8, option]),
                None => out.extend([255, 250, option, 255, 255, 1, 255, 240]),
            }
        }
        out
    }

    /// Holds the dialogue, every turn cut into reads by `cuts`; gives the outcome and what we said.
    fn hold(&self, cuts: u64) -> (Outcome, Vec<Vec<u8>>) {
        let (mut login, mut said) = (Login::default(), Vec::<Vec<u8>>::new());
        let mut line = "";
        for (number, text) in self.says.iter().enumerate() {
            let bytes = self.bytes(text, line);
            for read in reads(&bytes, cuts.rotate_left(number as u32)) {
                login.push(read);
            }
            let last = number + 1 == self.says.len();
            match login.turn(if last { self.ends } else { Ending::Silent }) {
                Step::Decided(outcome) => {
                    assert!(last, "{}: decided by {text:?}: {outcome:?}", self.device);
                    return (outcome, said);
                }
                Step::Press(bytes) => {
                    line = "";
                    said.push(bytes);
                }
                Step::Asks => {
                    line = if login.asks_for() == Prompt::Login { NAME } else { PASSWORD };
                    said.push(login.line(line));
                }
            }
        }
        panic!("{}: not decided after {said:?}", self.device)
    }
}

#[test]
fn every_device_is_understood() {
    assert!(DIALOGUES.len() >= 40);
    for dialogue in DIALOGUES {
        let (outcome, _) = dialogue.hold(7);
        assert_eq!(outcome, dialogue.outcome, "{}", dialogue.device);
    }
}

/// A pair is said once, name before password, and nothing but line ends and the labels of menus besides.
#[test]
fn nothing_is_said_that_was_not_asked_for() {
    for dialogue in DIALOGUES {
        let (_, said) = dialogue.hold(7);
        let words: Vec<String> = said
            .iter()
            .map(|bytes| {
                String::from_utf8(bytes.clone()).unwrap().trim_end_matches(['\r', '\n', '\0']).to_owned()
            })
            .filter(|word| !word.is_empty() && word != "2")
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(
            [&[NAME, PASSWORD][..], &[NAME], &[PASSWORD], &[]].contains(&&words[..]),
            "{}: {words:?}",
            dialogue.device
        );
    }
}

#[test]
fn lines_end_as_the_service_takes_them() {
    let mut plain = Login::default();
    plain.push(b"login: ");
    assert_eq!(plain.turn(Ending::Silent), Step::Asks);
    assert_eq!(plain.line("a\r\nb"), b"ab\r\n");
    let mut typed = Login::default();
    assert_eq!(
        typed.push(b"\xff\xfb\x01\xff\xfb\x03\xff\xfd\x18login: "),
        b"\xff\xfd\x01\xff\xfd\x03\xff\xfc\x18"
    );
    assert_eq!(typed.turn(Ending::Silent), Step::Asks);
    assert_eq!(typed.line("a"), b"a\r\0");
}

#[test]
fn a_connection_serves_again_where_it_asks_from_the_beginning() {
    let again = |says: &[&str]| {
        let mut login = Login::default();
        for text in says {
            login.push(text.as_bytes());
            if login.turn(Ending::Silent) == Step::Asks {
                login.line("x");
            }
        }
        (login.again(), login.asks_for())
    };
    assert_eq!(again(&["gw login: ", "Password: ", "\r\nNo.\r\nlogin: "]), (true, Prompt::Login));
    assert_eq!(again(&["Password: ", "\r\nPassword: "]), (true, Prompt::Password));
    // Another password of the same name would be another pair's.
    assert!(!again(&["gw login: ", "Password: ", "\r\nNo.\r\nPassword: "]).0);
    assert!(!again(&["gw login: ", "Password: ", "\r\nNo.\r\n"]).0);
}

#[test]
fn a_short_pause_suffices_where_it_seems_to_wait() {
    let seems = |text: &[u8]| {
        let mut login = Login::default();
        login.push(text);
        login.seems_to_wait()
    };
    assert!(seems(b"login: ") && seems(b"Press any key") && seems(b"~ # "));
    assert!(!seems(b"") && !seems(b"Nafn: ") && !seems(b"Welcome\r\n"));
}

/// In words that nobody knows a prompt is one when it comes again, whole, over whatever connection.
#[test]
fn a_short_pause_suffices_where_it_waited_before() {
    let mut login = Login::default();
    let mut hears = |texts: [&str; 2]| {
        let mut hear = |text: &str| {
            login.push(text.as_bytes());
            login.seems_to_wait()
        };
        let seemed = texts.map(&mut hear);
        match login.turn(Ending::Silent) {
            Step::Asks => drop(login.line("x")),
            step => {
                assert_eq!((step, login.again()), (Step::Decided(Rejected), true));
                login.line("x");
            }
        }
        seemed
    };
    assert_eq!(hears(["Hlid 4\r\nNafn", "? "]), [false, false]);
    assert_eq!(hears(["\r\nLeynd", "? "]), [false, false]);
    assert_eq!(hears(["\r\nNei.\r\nNafn", "? "]), [false, true]);
    assert_eq!(hears(["\r\nLeynd", "? "]), [false, true]);
    let mut next = login.afresh();
    next.push(b"Hlid 4\r\nNafn");
    assert!(!next.seems_to_wait());
    next.push(b"? ");
    assert!(next.seems_to_wait());
    assert_eq!(next.turn(Ending::Silent), Step::Asks);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// How the network cuts what a device says changes nothing.
    #[test]
    fn outcomes_do_not_depend_on_how_bytes_are_cut(cuts: u64) {
        for dialogue in DIALOGUES {
            let (outcome, said) = dialogue.hold(cuts);
            prop_assert_eq!(outcome, dialogue.outcome, "{}", dialogue.device);
            prop_assert_eq!(said, dialogue.hold(0).1);
        }
    }

    /// Whatever a device says, we say little, and the login ends.
    #[test]
    fn any_device_ends(turns: Vec<Vec<u8>>, closed: bool) {
        let mut login = Login::default();
        for _ in 0..8 {
            for turn in &turns {
                login.push(turn);
            }
            login.seems_to_wait();
            match login.turn(if closed { Ending::Closed } else { Ending::Silent }) {
                Step::Decided(_) => { login.again(); return Ok(()); }
                Step::Press(bytes) => prop_assert!(bytes.len() <= 8),
                Step::Asks => prop_assert!(login.line("name").len() <= 6),
            }
        }
        prop_assert!(false, "two keys, a name, a password");
    }
}
