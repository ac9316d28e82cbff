//! What a text that stops is waiting for.

use crate::charset;

/// What a service waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// A user name.
    Login,
    /// A password.
    Password,
    /// A command: it never asked, or is satisfied with, who we are.
    Shell,
}

/// What a service answered to a user name and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A command prompt or menu.
    Accepted,
    /// It said no, or asks again.
    Rejected,
    /// It said that too many tried.
    LockedOut,
    /// Nothing that decides.
    Unclear,
}

/// Longest line that can be a prompt, in characters.
const PROMPT_CHARS_MAX: usize = 80;

const PASSWORD_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passcode",
    "passphrase",
    "pass word",
    "pass",
    "pwd",
    "pin",
    "access code",
    "secret",
    "contraseña",
    "clave",
    "senha",
    "mot de passe",
    "kennwort",
    "passwort",
    "wachtwoord",
    "parola",
    "heslo",
    "hasło",
    "пароль",
    "パスワード",
    "ﾊﾟｽﾜｰﾄﾞ",
    "暗証番号",
    "合言葉",
    "密码",
    "密碼",
    "口令",
    "비밀번호",
    "รหัสผ่าน",
    "mật khẩu",
];

const LOGIN_WORDS: &[&str] = &[
    "login",
    "log in",
    "logon",
    "username",
    "user name",
    "user id",
    "userid",
    "user",
    "account",
    "name",
    "id",
    "operator",
    "who are you",
    "usuario",
    "usuário",
    "benutzer",
    "kennung",
    "utilisateur",
    "identifiant",
    "utente",
    "gebruiker",
    "uživatel",
    "użytkownik",
    "логин",
    "имя",
    "пользователь",
    "ログイン",
    "ﾛｸﾞｲﾝ",
    "ログオン",
    "ユーザ",
    "ﾕｰｻﾞ",
    "アカウント",
    "利用者",
    "登録名",
    "用户",
    "用戶",
    "账号",
    "帳號",
    "아이디",
    "사용자",
    "ชื่อผู้ใช้",
    "tên đăng nhập",
];

const MENU_WORDS: &[&str] = &["your selection", "your choice", "enter choice", "enter selection", "番号を選"];

const LOCKED_WORDS: &[&str] = &[
    "too many",
    "locked",
    "lockout",
    "lock out",
    "blocked",
    "banned",
    "temporarily disabled",
    "try again later",
    "try again in",
    "maximum number",
    "max attempts",
    "exceeded",
    "ロックされ",
    "ロック中",
    "ロックアウト",
    "回数を超",
    "制限を超",
    "しばらく",
    "時間をおいて",
];

const REJECTED_WORDS: &[&str] = &[
    "incorrect",
    "invalid",
    "fail",
    "denied",
    "wrong",
    "bad password",
    "bad user",
    "not correct",
    "unauthorized",
    "authentication error",
    "login error",
    "unknown user",
    "no such user",
    "not allowed",
    "mismatch",
    "sorry",
    "失敗",
    "誤り",
    "誤って",
    "違います",
    "違い",
    "間違",
    "正しくあり",
    "正しくな",
    "不正",
    "拒否",
    "認証エラー",
    "できません",
    "错误",
    "失败",
];

/// What the text of a service waits for, if it stops at a prompt. `bytes` are as sent, in any
/// encoding that [`charset::decode`] knows.
pub fn prompt(bytes: &[u8]) -> Option<Prompt> {
    let text = plain(bytes);
    let open = !text.ends_with(['\n', '\r']);
    let line = last_line_of(&text)?;
    if line.chars().count() > PROMPT_CHARS_MAX {
        return None;
    }
    let lower = line.to_lowercase();
    // `user@name:~$` names a user and asks for none.
    if open && is_shell(line) && (line.ends_with(['#', '$', '%']) || line.contains('@')) {
        return Some(Prompt::Shell);
    }
    // A sentence about a login is no prompt: a prompt ends by inviting an answer.
    let inviting = lower.ends_with([':', '：', '>', '＞', '?', '？', '=', ']', ')']) || open;
    let first_of = |words: &[&str]| words.iter().filter_map(|word| find_word(&lower, word)).max();
    if inviting && (open || lower.ends_with([':', '：'])) {
        match (first_of(PASSWORD_WORDS), first_of(LOGIN_WORDS)) {
            // `Password for user admin:` and `login password:` ask for a password; the word that
            // stands last decides only between prompts such as `password or user name:`.
            (Some(_), _) => return Some(Prompt::Password),
            (None, Some(_)) => return Some(Prompt::Login),
            (None, None) => {}
        }
    }
    (open && is_shell(line)).then_some(Prompt::Shell)
}

/// What a service says to a user name and password just sent; `bytes` are what came since.
pub fn reply(bytes: &[u8]) -> Reply {
    let text = plain(bytes);
    let lower = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(LOCKED_WORDS) {
        return Reply::LockedOut;
    }
    if says(REJECTED_WORDS) {
        return Reply::Rejected;
    }
    match prompt(bytes) {
        Some(Prompt::Login | Prompt::Password) => Reply::Rejected,
        Some(Prompt::Shell) => Reply::Accepted,
        None => Reply::Unclear,
    }
}

/// The last line that is not empty, decoded, without terminal control sequences.
pub fn last_line(bytes: &[u8]) -> Option<String> {
    last_line_of(&plain(bytes)).map(str::to_owned)
}

fn last_line_of(text: &str) -> Option<&str> {
    text.split(['\n', '\r']).map(str::trim).rfind(|line| !line.is_empty())
}

/// Ends like a command prompt: a short line whose last character invites a command.
fn is_shell(line: &str) -> bool {
    let words = line.split_whitespace().count();
    match line.chars().last() {
        Some('#' | '$' | '%') => words <= 4,
        Some('>') => words <= 3 && !line.contains('<'),
        // A menu takes commands too: `Key in your selection:`.
        Some(':') => words <= 6 && MENU_WORDS.iter().any(|word| line.to_lowercase().contains(word)),
        _ => false,
    }
}

/// Where `word` stands in `text`; a word of letters must not be part of a longer one.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(word)?;
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let bounded = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphabetic());
        if !word.is_ascii() || bounded(before) && bounded(after) {
            return Some(at);
        }
        from = at + word.len();
    }
}

/// Decoded, without terminal control sequences and other control characters except line ends.
fn plain(bytes: &[u8]) -> String {
    let text = charset::decode(bytes, None);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']') => while chars.next().is_some_and(|c| c != '\u{7}' && c != '\u{1b}') {},
                // A character set choice takes one more character.
                Some('(' | ')') => _ = chars.next(),
                _ => {}
            },
            '\n' | '\r' | '\t' => out.push(c),
            _ if c.is_control() => {}
            _ => out.push(c),
        }
    }
    // Spaces behind a prompt are part of it; line ends are what tells it from a finished line.
    out.trim_end_matches([' ', '\t', '\u{3000}']).to_owned()
}
