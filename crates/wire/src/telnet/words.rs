//! Words of prompts and answers, in lower case, in the languages that devices speak.

/// In a prompt: it asks for a password.
pub(super) const PASSWORD_WORDS: &[&str] = &[
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

/// In a prompt: it asks for a user name.
pub(super) const LOGIN_WORDS: &[&str] = &[
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

/// In a prompt: it asks to choose from a menu.
pub(super) const MENU_WORDS: &[&str] =
    &["your selection", "your choice", "enter choice", "enter selection", "番号を選"];

/// In a prompt: it asks for a command, and lets everybody in.
pub(super) const COMMAND_WORDS: &[&str] = &["command", "commands", "cmd", "コマンド", "命令", "指令"];

/// In an answer: the service has closed itself to us, or the account to everybody.
pub(super) const LOCKED_WORDS: &[&str] = &[
    "too many",
    "locked",
    "lockout",
    "lock out",
    "blocked",
    "banned",
    "temporarily disabled",
    "maximum number",
    "max attempts",
    "exceeded",
    "ロックされ",
    "ロック中",
    "ロックアウト",
    "回数を超",
    "制限を超",
];

/// In an answer: no.
pub(super) const REJECTED_WORDS: &[&str] = &[
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
    "not success",
    "unsuccessful",
    "no success",
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

/// In an answer: not now.
pub(super) const WAIT_WORDS: &[&str] = &[
    "try again later",
    "try again in",
    "try again after",
    "retry in",
    "retry after",
    "しばらく",
    "時間をおいて",
    "秒後",
    "分後",
    "稍后",
];

/// In a prompt: it asks for more than a password; a pair alone does not open this.
pub(super) const SECOND_FACTOR_WORDS: &[&str] = &[
    "code",
    "otp",
    "token",
    "verification",
    "captcha",
    "challenge",
    "one-time",
    "確認コード",
    "認証コード",
    "ワンタイム",
    "验证码",
];

/// In a prompt behind a pair: it was right, and is to be changed.
pub(super) const NEW_PASSWORD_WORDS: &[&str] = &[
    "new password",
    "new passwd",
    "change your password",
    "change password",
    "password has expired",
    "password expired",
    "新しいパスワード",
    "新パスワード",
    "パスワードを変更",
    "パスワードの有効期限",
];

/// In an answer: yes.
pub(super) const SUCCESS_WORDS: &[&str] = &[
    "successful",
    "successfully",
    "success",
    "logged in",
    "logged on",
    "login ok",
    "login succeeded",
    "access granted",
    "ログインしました",
    "認証に成功",
    "认证成功",
    "登录成功",
];

/// In an answer that is longer than we read: it comes from behind the login.
pub(super) const SESSION_WORDS: &[&str] =
    &["last login", "last successful login", "前回のログイン", "最終ログイン"];

/// In a line that tells of earlier failures, not of ours.
pub(super) const PAST_WORDS: &[&str] = &["since", "last", "previous", "前回", "これまで"];

/// In a text that waits for a key before it asks.
pub(super) const KEY_WORDS: &[&str] = &[
    "press any key",
    "hit any key",
    "press enter",
    "press <enter>",
    "press [enter]",
    "hit enter",
    "press return",
    "press <return>",
    "press ret",
    "press <cr>",
    "hit return",
    "enterキーを",
    "リターンキーを",
    "何かキーを",
    "いずれかのキー",
    "任意のキー",
    "按任意键",
    "按回车",
];

/// Entries of a menu that lead to a login.
pub(super) const LOGIN_ENTRIES: &[&str] =
    &["login", "log in", "logon", "log on", "sign in", "ログイン", "ログオン", "登录"];
