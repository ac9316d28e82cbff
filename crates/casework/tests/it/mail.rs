//! What a notice says and how it is wrapped: parts, languages, hostile banners, OpenPGP.

use std::collections::BTreeMap;
use std::path::Path;

use kenshin_casework::{Notice, NoticeContent, Protection};
use kenshin_observation::{FindingKind, Messages, Remedy};
use mail_parser::{Message, MessageParser, MimeHeaders};

use crate::notices::{all, queue};
use crate::world::{Place, T0, World, everywhere, finding, key, letterhead, telnet};

fn here(folder: &Path) -> Place {
    Place { url: format!("sqlite://{}/k.db", folder.display()) }
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(Place) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(test(here(folder.path())));
}

fn parse(message: &str) -> Message<'_> {
    MessageParser::default().parse(message.as_bytes()).unwrap()
}

async fn mail_to(world: &World, recipient: &str) -> (Notice, NoticeContent, String) {
    let notice = all(world).await.into_iter().find(|notice| notice.recipient == recipient).unwrap();
    let content = world.casework.notice_content(&world.viewer, notice.notice_id).await.unwrap();
    let message = world.casework.notice_message(&world.viewer, notice.notice_id).await.unwrap();
    (notice, content, message)
}

#[test]
fn a_notice_says_what_why_and_what_to_do_in_the_providers_language() {
    run(|place| async move {
        let world = World::new(&place).await;
        let findings = vec![
            telnet(1, "192.0.2.1", T0),
            finding(2, "192.0.2.2", FindingKind::DefaultCredentials, Remedy::ChangePassword, T0),
            telnet(3, "198.51.100.1", T0),
        ];
        let (survey, _) = world.round(findings, vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        let (notice, content, _) = mail_to(&world, "abuse@nishi.example").await;
        for needed in [
            "Nishi Net ネットワーク・不正利用対応ご担当者様",
            "192.0.2.1:23/tcp — Example Cam <Pro>",
            "ポート 23 で Telnet が応答しています",
            "カメラ Example Cam <Pro>: インターネットから切り離し",
            "なぜ問題か: パスワードが暗号化されずに流れ",
            "観測元 203.0.113.5:40123/tcp",
            "telnet.text = login:",
            "このメールが本物であることの確かめ方",
            &notice.notice_id.to_string(),
            &notice.digest,
            "Hanako Example, +81-3-0000-0000",
            "national-2026 (SHA-256 dddd",
            "https://kenshin.csirt.example/notices/",
        ] {
            assert!(content.text.contains(needed), "missing {needed} in\n{}", content.text);
        }
        assert!(content.html.contains("Example Cam &lt;Pro&gt;") && !content.html.contains("<Pro>"));
        assert!(content.html.contains("<html lang=\"ja\">"));
        let (_, content, _) = mail_to(&world, "abuse@north.example").await;
        assert!(
            content.text.contains("What to do: On Example Cam <Pro>: switch the service off"),
            "{}",
            content.text
        );
        let names: Vec<&str> = content.attachments.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["scan_telnet.csv"]);
        let mut reader = csv::Reader::from_reader(content.attachments[0].text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let row = reader.records().next().unwrap().unwrap();
        let cells: BTreeMap<&str, &str> = header.iter().zip(row.iter()).collect();
        for (column, value) in [
            ("timestamp", "2027-01-15 08:00:00"),
            ("severity", "high"),
            ("ip", "198.51.100.1"),
            ("protocol", "tcp"),
            ("port", "23"),
            ("banner", "login:"),
            ("src_ip", "203.0.113.5"),
            ("src_port", "40123"),
            ("dst_ip", "198.51.100.1"),
            ("dst_port", "23"),
            ("observed_at", "2027-01-15T08:00:00Z"),
            ("finding", "telnet-open"),
            ("remedy", "close-service"),
            ("episode", "1"),
        ] {
            assert_eq!(cells[column], value, "{column}");
        }
    });
}

#[test]
fn a_third_language_is_a_file() {
    run(|place| async move {
        let world = World::new(&place).await;
        let directory = kenshin_casework::providers::Directory::parse(
            "p.csv",
            "prefix_or_asn,name,mail,language,encryption\n192.0.2.0/24,Ouest,a@ouest.example,fr,link-only\n",
            &["en", "ja", "fr"],
            |_| Err("none".into()),
        )
        .unwrap();
        let actor = kenshin_casework::Actor::rule("test");
        world.casework.import_directory(world.org, &directory, &actor, T0).await.unwrap();
        let mut messages = Messages::builtin();
        messages
            .add("fr", "\"notice.greeting\" = \"Aux responsables de {provider}\"\n\"notice.todo.close-service.model.example-cam-pro\" = \"Débranchez {device}.\"")
            .unwrap();
        let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        world
            .casework
            .queue_notices(world.org, survey.survey_id, &letterhead(), &messages, T0)
            .await
            .unwrap();
        let (_, content, _) = mail_to(&world, "a@ouest.example").await;
        assert!(content.text.starts_with("Aux responsables de Ouest"), "{}", content.text);
        assert!(
            content.text.contains("Débranchez Example Cam <Pro>."),
            "what to do may be written for one model"
        );
        assert!(content.text.contains("Why it matters"), "what a catalogue lacks falls back");
    });
}

#[test]
fn a_link_only_mail_holds_no_data() {
    run(|place| async move {
        let world = World::new(&place).await;
        let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        let (notice, _, message) = mail_to(&world, "abuse@nishi.example").await;
        let mail = parse(&message);
        let (text, html) = (mail.body_text(0).unwrap().into_owned(), mail.body_html(0).unwrap().into_owned());
        for part in [&text, &html, &message] {
            for data in ["192.0.2", "Example Cam", "telnet", "Telnet", "login:"] {
                assert!(!part.contains(data), "{data} in\n{part}");
            }
        }
        assert!(text.contains(&format!("https://kenshin.csirt.example/notices/{}", notice.notice_id)));
        assert!(text.contains(&notice.digest) && html.contains(&notice.digest));
        assert_eq!(mail.message_id().unwrap(), notice.message_id.trim_matches(['<', '>']));
        assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("abuse@nishi.example"));
        assert_eq!(mail.from().unwrap().first().unwrap().address(), Some("notices@csirt.example"));
        assert_eq!(mail.subject().unwrap(), format!("[Example CSIRT] セキュリティ通知 {}", notice.notice_id));
        assert_eq!(mail.date().unwrap().to_timestamp(), T0.micros() / 1_000_000);
        assert_eq!(mail.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
        assert_eq!(mail.attachment_count(), 0);
    });
}

#[test]
fn an_encrypted_mail_opens_with_the_key_alone() {
    run(|place| async move {
        let world = World::new(&place).await;
        let (survey, _) = world.round(vec![telnet(3, "198.51.100.1", T0)], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        let (notice, content, message) = mail_to(&world, "abuse@north.example").await;
        assert_eq!(notice.protection, Protection::OpenPgp);
        for data in ["198.51.100", "Example Cam", "Telnet"] {
            assert!(!message.contains(data), "{data}");
        }
        let mail = parse(&message);
        let kind = mail.content_type().unwrap();
        assert_eq!((kind.ctype(), kind.subtype().unwrap()), ("multipart", "encrypted"));
        assert_eq!(kind.attribute("protocol").unwrap(), "application/pgp-encrypted");
        let control = mail.part(1).unwrap();
        assert_eq!(control.content_type().unwrap().subtype().unwrap(), "pgp-encrypted");
        assert_eq!(control.contents(), b"Version: 1\r\n");
        let armoured = String::from_utf8(mail.part(2).unwrap().contents().to_vec()).unwrap();

        let inner = decrypt(&armoured, &key().1);
        let text = String::from_utf8(inner).unwrap();
        let inside = parse(&text);
        let squeeze = |text: &str| text.replace("\r\n", "\n");
        assert_eq!(squeeze(&inside.body_text(0).unwrap()), content.text);
        assert_eq!(squeeze(&inside.body_html(0).unwrap()).trim_end(), content.html.trim_end());
        let file = inside.attachment(0).unwrap();
        assert_eq!(file.attachment_name(), Some("scan_telnet.csv"));
        assert_eq!(file.contents(), content.attachments[0].text.as_bytes());
        gpg_opens(&armoured, &text);
    });
}

fn decrypt(armoured: &str, secret: &str) -> Vec<u8> {
    use pgp::composed::{Deserializable, Message, SignedSecretKey};
    let (key, _) = SignedSecretKey::from_string(secret).unwrap();
    let (message, _) = Message::from_string(armoured).unwrap();
    let mut plain = message.decrypt(&"".into(), &key).unwrap();
    plain.as_data_vec().unwrap()
}

/// GnuPG, where it is installed, reads the same.
#[expect(clippy::disallowed_methods, reason = "the test starts the program it compares with")]
fn gpg_opens(armoured: &str, expected: &str) {
    use std::process::Command;
    let home = tempfile::Builder::new().prefix("kenshin-gpg").tempdir_in("/tmp").unwrap();
    let path = |name: &str| home.path().join(name);
    std::fs::write(path("secret.asc"), key().1).unwrap();
    std::fs::write(path("mail.asc"), armoured).unwrap();
    let gpg = |arguments: &[&str]| {
        Command::new("gpg")
            .arg("--homedir")
            .arg(home.path())
            .args(["--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(arguments)
            .output()
    };
    let Ok(import) = gpg(&["--import", path("secret.asc").to_str().unwrap()]) else {
        eprintln!("gpg_opens: SKIPPED: gpg is not installed");
        return;
    };
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let opened = gpg(&["--decrypt", path("mail.asc").to_str().unwrap()]).unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    assert_eq!(String::from_utf8(opened.stdout).unwrap(), expected);
    let _ = Command::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "all"]).status();
}

#[test]
fn hostile_banners_stay_text_in_every_part() {
    everywhere("hostile_banners_stay_text_in_every_part", |place| async move {
        let world = World::new(&place).await;
        let mut hostile = telnet(1, "198.51.100.1", T0);
        hostile.evidence[0].value = "=cmd|'/c calc'!A1\r\n\u{202e}<script>alert(1)</script>\0\x1b[2J".into();
        hostile.explanation.args.insert("port".into(), "<img src=x onerror=alert(1)>\r\nBcc: a@b".into());
        let (survey, _) = world.round(vec![hostile], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        let (_, content, message) = mail_to(&world, "abuse@north.example").await;
        for part in [&content.text, &content.html, &content.attachments[0].text] {
            assert!(!part.contains(['\0', '\x1b', '\u{202e}']), "{part:?}");
        }
        assert!(!content.html.contains("<script") && !content.html.contains("<img"));
        assert!(content.html.contains("&lt;script&gt;alert(1)"), "and yet it can be read");
        assert!(!content.text.contains("\r\nBcc:") && !content.text.contains("\nBcc:"));
        let mut reader = csv::Reader::from_reader(content.attachments[0].text.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        for cell in row.iter() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
        assert!(row.iter().any(|cell| cell.starts_with("'=cmd|")));
        assert!(message.is_ascii(), "the mail as sent is plain ASCII");
    });
}

#[test]
fn a_sender_may_bring_a_name_of_its_own() {
    run(|place| async move {
        let world = World::new(&place).await;
        let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        let mut letterhead = letterhead();
        letterhead.from = "nonsense".into();
        let error = world
            .casework
            .queue_notices(world.org, survey.survey_id, &letterhead, &Messages::builtin(), T0)
            .await;
        assert!(error.unwrap_err().to_string().contains("`nonsense` is not a mail address"));
        letterhead.from = "検診 <notices@csirt.example>".into();
        world
            .casework
            .queue_notices(world.org, survey.survey_id, &letterhead, &Messages::builtin(), T0)
            .await
            .unwrap();
        let (notice, _, message) = mail_to(&world, "abuse@nishi.example").await;
        assert_eq!(notice.sender, "notices@csirt.example");
        let mail = parse(&message);
        assert_eq!(mail.from().unwrap().first().unwrap().name(), Some("検診"));
    });
}

#[test]
fn a_provider_with_a_hostile_name_injects_no_header() {
    run(|place| async move {
        let world = World::new(&place).await;
        let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
        sqlx::query("UPDATE provider SET name = $1 WHERE name = 'Nishi Net'")
            .bind("Evil\r\nBcc: everyone@example.net\r\n\r\n<b>")
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
        let (survey, _) = world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        queue(&world, survey.survey_id, T0).await;
        let (_, content, message) = mail_to(&world, "abuse@nishi.example").await;
        let mail = parse(&message);
        assert!(mail.header_raw("Bcc").is_none() && mail.bcc().is_none());
        assert!(!content.html.contains("<b>"));
    });
}
