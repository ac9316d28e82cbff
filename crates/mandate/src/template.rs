//! Writes a commented mandate, for people to complete and sign.

use std::fmt::Write;
use std::net::IpAddr;

use kenshin_observation::{Check, Prefix, SensorId, TimeUs};

use crate::AddressSet;
use crate::mandate::{AddressRate, PrefixRate, Rate, SCHEMA_VERSION};
use crate::special::unnamed_special;

/// What the template is filled with; [`TemplateOptions::example`] has something for everything.
#[derive(Debug, Clone)]
pub struct TemplateOptions {
    /// Name of the mandate.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Programme.
    pub programme: String,
    /// One line.
    pub title: String,
    /// Why it is measured.
    pub purpose: String,
    /// Principal that issues it.
    pub authority: String,
    /// Signers needed.
    pub signers_required: u8,
    /// Legal basis to measure.
    pub legal_basis: String,
    /// Legal basis to notify, when that is authorised.
    pub legal_basis_notify: Option<String>,
    /// Begin.
    pub valid_from: TimeUs,
    /// End.
    pub valid_until: TimeUs,
    /// IANA time zone.
    pub time_zone: String,
    /// Scope.
    pub prefixes: Vec<Prefix>,
    /// Why special-purpose space in the scope is meant; the space itself is found and named.
    pub special_reason: String,
    /// Exclusions with their reasons.
    pub exclusions: Vec<(Prefix, String)>,
    /// TCP ports.
    pub tcp_ports: Vec<u16>,
    /// UDP ports.
    pub udp_ports: Vec<u16>,
    /// Checks.
    pub checks: Vec<Check>,
    /// Rates.
    pub rate: Rate,
    /// Name of the contact.
    pub contact_name: String,
    /// Its mail address.
    pub contact_email: String,
    /// Its page.
    pub contact_web: Option<String>,
    /// Sensors.
    pub sensors: Vec<TemplateSensor>,
    /// Where the revocation list is.
    pub revocation_list: String,
    /// How fresh it must be.
    pub revocation_max_age_minutes: u32,
}

/// A sensor in the template.
#[derive(Debug, Clone)]
pub struct TemplateSensor {
    /// Its id.
    pub id: SensorId,
    /// Its name.
    pub name: String,
    /// Its public key.
    pub public_key: ed25519_dalek::VerifyingKey,
    /// Addresses it sends from.
    pub source_addresses: Vec<IpAddr>,
    /// Its share.
    pub share_percent: u8,
}

impl TemplateOptions {
    /// An example that parses: documentation addresses, a key nobody holds.
    pub fn example() -> Self {
        Self {
            id: "example-isp-2026".to_owned(),
            version: 1,
            programme: "example-isp-health".to_owned(),
            title: "Health check of the customers of Example ISP".to_owned(),
            purpose: "Find devices that attackers can take over, and tell those who own them.".to_owned(),
            authority: "authority@example.jp".to_owned(),
            signers_required: 1,
            legal_basis: "Contract with the customers, terms of service section 12".to_owned(),
            legal_basis_notify: Some("Contract with the customers, terms of service section 13".to_owned()),
            valid_from: "2026-04-01T00:00:00+09:00".parse().expect("an instant"),
            valid_until: "2027-04-01T00:00:00+09:00".parse().expect("an instant"),
            time_zone: "Asia/Tokyo".to_owned(),
            prefixes: ["198.51.100.0/24", "2001:db8:100::/48"].map(|p| p.parse().expect("a prefix")).to_vec(),
            special_reason: "Addresses for documentation: this is an example".to_owned(),
            exclusions: vec![(
                "198.51.100.128/28".parse().expect("a prefix"),
                "Hospital with devices that tolerate nothing".to_owned(),
            )],
            tcp_ports: vec![21, 22, 23, 25, 80, 443, 554, 1883, 8080, 8443],
            udp_ports: Vec::new(),
            checks: vec![Check::Sweep, Check::Banner, Check::Handshake],
            rate: Rate {
                whole_pps: 200,
                whole_burst: 20,
                per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 50, burst: 10 },
                per_address: AddressRate { per_minute: 12, burst: 4 },
            },
            contact_name: "Example ISP, office for customer security".to_owned(),
            contact_email: "kenshin@example.jp".to_owned(),
            contact_web: Some("https://kenshin.example.jp/".to_owned()),
            sensors: vec![TemplateSensor {
                id: SensorId::new("2026-04-01T00:00:00Z".parse().expect("an instant"), 1),
                name: "sensor-1".to_owned(),
                public_key: ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key(),
                source_addresses: vec!["192.0.2.10".parse().expect("an address")],
                share_percent: 100,
            }],
            revocation_list: "revocation.toml".to_owned(),
            revocation_max_age_minutes: 15,
        }
    }
}

/// A mandate with every key and its explanation in Japanese and English. It parses as it is.
pub fn template(options: &TemplateOptions) -> String {
    let o = options;
    let mut out = head(o);
    out.push_str(&scope(o));
    out.push_str(&ports(o));
    out.push_str(&rate(&o.rate));
    out.push_str(&people(o));
    out
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| quoted(&item.to_string())).collect::<Vec<_>>().join(", ")
}

fn head(o: &TemplateOptions) -> String {
    let notify = match &o.legal_basis_notify {
        Some(basis) => format!("notify = {}", quoted(basis)),
        None => "# notify = \"...\"".to_owned(),
    };
    format!(
        r#"# Kenshin 調査命令書 / Kenshin mandate
#
# この文書は、どこを・何のために・どのくらいの速さで調べてよいかを定めます。記入し、署名してください:
# This document says what may be measured, why and how fast. Complete it, then sign it:
#
#   ssh-keygen -Y sign -n kenshin-mandate -f KEY THIS.toml      (または / or: kenshin mandate sign)
#   kenshin mandate check THIS.toml
#
# 署名の後に一文字でも変えると無効になります。知らない鍵は誤りとして拒まれます。
# Any change after signing makes the signature void. Unknown keys are refused.

schema_version = {SCHEMA_VERSION}

# 命令書の名前(英小文字・数字・ハイフン)と版。新しい版では数を増やします。
# Name of the mandate (lower-case letters, digits, hyphens) and its version; raise it with every new text.
id = {id}
version = {version}

# 前の版を置き換えるとき: その版と、文書の SHA-256。
# When it replaces a version: that version and the SHA-256 of its text.
# supersedes = {{ version = 1, sha256 = "..." }}

# 年度をまたいで命令書を結ぶ事業名 / Links the mandates of a programme over the years.
programme = {programme}
title = {title}
purpose = {purpose}

# 発行者。allowed_signers に載っている名前で、命令書と失効一覧に署名します。
# Who issues it: a principal of allowed_signers, who signs the mandate and its revocation lists.
authority = {authority}

# 必要な署名者の人数(1 か 2)。credential-check と ics-identity には異なる 2 人が要ります。
# How many signers it needs (1 or 2). credential-check and ics-identity need two different people.
signers_required = {signers}

# 許す検査。閉じた一覧から: sweep, banner, handshake, anonymous-login, reflector, ics-identity, credential-check
# Checks granted, from that closed list. The usual three are sweep, banner, handshake.
checks = [{checks}]

# 応答の本文を残す上限バイト数(省略時 512)/ Bytes of an answer's body that may be kept (512 when left out).
blob_bytes_max = 512

# 行為ごとの法的根拠。書かれていない行為は許されません。
# Legal basis of each act; an act that is not written here is not authorised.
[legal_basis]
measure = {measure}
{notify}
# observe = "..."   # 通信の観測 / to observe traffic
# share = "..."     # 共有 / to share with a community
# release = "..."   # 公開 / to publish

# 有効期間(時差つき)と、時刻を読む時間帯 / Validity with offsets, and the zone in which hours are read.
[validity]
from = {from}
until = {until}
time_zone = {zone}

# 送信してよい曜日と時刻(なければ終日)/ Days and hours at which sending is allowed (always, when there is none).
# [[validity.window]]
# days = ["mon", "tue", "wed", "thu", "fri"]
# from = "09:00"
# until = "17:00"

"#,
        id = quoted(&o.id),
        version = o.version,
        programme = quoted(&o.programme),
        title = quoted(&o.title),
        purpose = quoted(&o.purpose),
        authority = quoted(&o.authority),
        signers = o.signers_required,
        checks = list(&o.checks),
        measure = quoted(&o.legal_basis),
        from = o.valid_from,
        until = o.valid_until,
        zone = quoted(&o.time_zone),
    )
}

fn scope(o: &TemplateOptions) -> String {
    let mut out = format!(
        "# 範囲: 送信先がこの外に出ることは決してありません。広さは自由です(IPv6 も)。\n\
         # Scope: nothing is ever sent outside it. Any size, IPv6 too; never 0.0.0.0/0 or ::/0.\n\
         [scope]\nprefixes = [{}]\n\n\
         # 特別な用途の空間(私用・ループバック・文書用など)は、理由とともに名指しが要ります。\n\
         # Special-purpose space (private, loopback, documentation ...) must be named with the reason.\n",
        list(&o.prefixes)
    );
    for prefix in special_parts(&o.prefixes) {
        write!(
            out,
            "[[special_space]]\nprefixes = [\"{prefix}\"]\nreason = {}\n\n",
            quoted(&o.special_reason)
        )
        .expect("writing to a string does not fail");
    }
    out.push_str(
        "# 対象: 調査が順に訪ねる番地(範囲の内側)。なければ範囲の全体。広い IPv6 は一覧で書きます。\n\
         # Targets: what a survey goes through, inside the scope; the whole scope when left out.\n\
         # A large IPv6 prefix cannot be gone through: list addresses known to be in use.\n\
         # [targets]\n# prefixes = [\"198.51.100.0/25\"]\n# list = [\"2001:db8:100::1\"]\n\n\
         # 除外: 範囲の中でも訪ねないところと、その理由。\n\
         # Exclusions: what is left out of the scope, each with its reason.\n",
    );
    for (prefix, reason) in &o.exclusions {
        write!(out, "[[exclusion]]\nprefixes = [\"{prefix}\"]\nreason = {}\n\n", quoted(reason))
            .expect("writing to a string does not fail");
    }
    out
}

/// The parts of the scope that are special-purpose space and have to be named.
fn special_parts(prefixes: &[Prefix]) -> Vec<Prefix> {
    let scope: AddressSet = prefixes.iter().copied().collect();
    let mut named = AddressSet::new();
    while let Some((block, refused)) = unnamed_special(&scope, &named) {
        if !block.nameable {
            break;
        }
        named = named.union(&refused);
    }
    named.prefixes().collect()
}

fn ports(o: &TemplateOptions) -> String {
    let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    format!(
        r#"# ポート。範囲は "8000-8100" のように書きます。
# Ports; a range is written as "8000-8100".
[ports]
tcp = [{}]
udp = [{}]
icmp_echo = false

# 迷惑なバイトが害になるポート(9100 印刷、502 Modbus など、同梱の一覧)では、許しがない限り聞くだけです。
# At ports where stray bytes do harm (9100 printing, 502 Modbus ..., a shipped list) nothing is said without a grant.
# [[ports.speak]]
# port = 9100
# reason = "..."

"#,
        list(&o.tcp_ports),
        list(&o.udp_ports)
    )
}

fn rate(rate: &Rate) -> String {
    let (prefix, address) = (rate.per_prefix, rate.per_address);
    format!(
        r#"# 速さ。単位は試行(新しいやり取り一つ: SYN、データグラム、エコー要求)。burst は間をおいた後に続けて送れる数。
# Rates in probes; a probe is one new exchange (a SYN, a datagram, an echo request). A burst is how many
# may leave at once after a pause. In any span of time at most burst + rate x span are sent.
[rate]
whole_pps = {}       # 全体、毎秒 / all sensors together, per second
whole_burst = {}
per_prefix = {{ v4_len = {}, v6_len = {}, pps = {}, burst = {} }}
per_address = {{ per_minute = {}, burst = {} }}

"#,
        rate.whole_pps,
        rate.whole_burst,
        prefix.v4_len,
        prefix.v6_len,
        prefix.pps,
        prefix.burst,
        address.per_minute,
        address.burst
    )
}

fn people(o: &TemplateOptions) -> String {
    let web = match &o.contact_web {
        Some(web) => format!("web = {}", quoted(web)),
        None => "# web = \"https://...\"".to_owned(),
    };
    let mut out = format!(
        r#"# 連絡先。調べられる側に示されます / Contact, shown to those who are measured.
[contacts]
name = {}
email = {}
{web}
# phone = "..."

# 失効一覧の場所と、送信に要る新しさ(分、省略時 15)。
# Where the revocation list is, and how fresh it must be to send (minutes, 15 when left out).
[revocation]
list = {}
max_age_minutes = {}

# 観測器: 名前、鍵、送信元の番地、速さの分け前(合計 100 % まで)。
# Sensors: name, key, source addresses, share of every rate (at most 100 % together).
"#,
        quoted(&o.contact_name),
        quoted(&o.contact_email),
        quoted(&o.revocation_list),
        o.revocation_max_age_minutes
    );
    for sensor in &o.sensors {
        write!(
            out,
            "[[sensor]]\nid = \"{}\"\nname = {}\npublic_key = \"{}\"\nsource_addresses = [{}]\nshare_percent = {}\n\n",
            sensor.id,
            quoted(&sensor.name),
            hex::encode(sensor.public_key.as_bytes()),
            list(&sensor.source_addresses),
            sensor.share_percent
        )
        .expect("writing to a string does not fail");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
