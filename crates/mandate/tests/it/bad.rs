//! Every mandate in `testdata/mandate/bad` is refused with exactly the message beside it.

use std::fs;

use kenshin_mandate::Mandate;

use crate::support::{read, testdata};

/// Set to write the messages down anew; look at the difference before committing it.
const UPDATE: &str = "KENSHIN_UPDATE";

#[test]
fn bad_mandates_are_refused_in_plain_words() {
    let mut names: Vec<String> = fs::read_dir(testdata("bad"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 40, "{} files", names.len());
    for name in names {
        let text = read(&format!("bad/{name}"));
        let message = match Mandate::parse(&name, &text) {
            Ok(_) => panic!("{name} is accepted"),
            Err(invalid) => {
                for problem in invalid.problems() {
                    assert!(
                        !problem.hint.is_empty()
                            && problem.message.chars().next().is_some_and(|c| !c.is_uppercase()),
                        "{name}: {problem}"
                    );
                }
                format!("{invalid}\n")
            }
        };
        let expected = testdata(&format!("bad/{}", name.replace(".toml", ".expected")));
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&expected, &message).unwrap();
        }
        assert_eq!(fs::read_to_string(&expected).unwrap_or_default(), message, "{name}");
    }
}

#[test]
fn the_mandate_they_were_made_from_is_good() {
    let mandate = Mandate::parse("good.toml", &read("good.toml")).unwrap();
    assert_eq!(mandate.version, 3);
    assert_eq!(mandate.supersedes.as_ref().unwrap().version, 2);
    assert_eq!(mandate.allowed().count_v4(), (1 << 24) - 256 + 256);
    assert_eq!(mandate.ports.tcp.count(), 6 + 101);
    assert_eq!(mandate.sensors.iter().map(|s| s.share_percent).collect::<Vec<_>>(), [60, 40]);
    assert_eq!(mandate.revocation.max_age_s, 15 * 60);
    assert_eq!(mandate.blob_bytes_max, 1024);
}

/// Whatever bytes come: an answer, never a panic.
mod hostile {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text(text in "\\PC{0,400}") {
            let _ = Mandate::parse("x", &text);
        }

        #[test]
        fn any_cut_and_any_replaced_character(at in 0usize..2600, replacement in "\\PC", cut: bool) {
            let good = read("good.toml");
            let at = at.min(good.len() - 1);
            let text = match cut {
                true => good[..at].to_owned(),
                false => format!("{}{replacement}{}", &good[..at], &good[at + 1..]),
            };
            let _ = Mandate::parse("x", &text);
        }
    }
}
