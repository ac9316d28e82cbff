//! What updates do when publishers answer, do not answer, and answer wrongly.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kenshin_insight::component::Fact;
use kenshin_insight::intelligence::{IntelligenceKind, Records};
use kenshin_observation::TimeUs;
use sha2::{Digest, Sha256};

use super::server::{Answer, Asked, Server};
use crate::intelligence::download::Limits;
use crate::intelligence::{UpdateEvent, UpdateResult, Updated};
use crate::{Edge, Home, Observatory};

const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);
const ETAG: &str = "\"v1\"";

fn kev(version: &str) -> String {
    format!(
        "{{\"catalogVersion\":\"{version}\",\"vulnerabilities\":[{{\"cveID\":\"CVE-2099-0001\",\"vendorProject\":\"Acme\",\"product\":\"R1\",\
         \"vulnerabilityName\":\"x\",\"dateAdded\":\"2026-02-01\",\"knownRansomwareCampaignUse\":\"Known\"}}]}}"
    )
}

const EPSS: &str = "#model_version:v2026.01.01,score_date:2026-03-31T00:00:00+0000\ncve,epss,percentile\nCVE-2099-0001,0.81,0.99\n";

/// A new home whose settings end with `intel`.
async fn observatory(folder: &tempfile::TempDir, intel: &str) -> Observatory {
    let home = Home::at(folder.path());
    let edge = Edge::fixed(NOW, [7; 32]);
    if !home.settings().exists() {
        Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
    }
    let template = crate::Settings::template("Example CSIRT");
    std::fs::write(home.settings(), format!("{template}\n{intel}")).unwrap();
    Observatory::open(&home, &edge).await.unwrap()
}

fn limits() -> Limits {
    Limits { bytes: 1 << 20, stall: Duration::from_secs(30), whole: Duration::from_secs(60), attempts: 3 }
}

async fn update(observatory: &Observatory, kinds: &[IntelligenceKind], limits: Limits) -> Vec<Updated> {
    observatory.update_within(kinds, limits, |_| {}).await.unwrap()
}

async fn update_kev(observatory: &Observatory) -> UpdateResult {
    update(observatory, &[IntelligenceKind::Kev], limits()).await.remove(0).result
}

/// Version of the snapshot of the exploited catalogue in use.
async fn in_use(observatory: &Observatory) -> Option<String> {
    let status = observatory.intelligence_status().await.unwrap();
    status
        .into_iter()
        .find(|one| one.kind == IntelligenceKind::Kev)
        .unwrap()
        .snapshot
        .map(|held| held.version)
}

fn failed(result: UpdateResult) -> String {
    match result {
        UpdateResult::Failed { error } => error,
        other => panic!("{other:?}"),
    }
}

fn source(server: &Server, more: &str) -> String {
    format!("[[intel]]\nkind = \"kev\"\nurl = \"{}/kev.json\"\n{more}\n", server.base)
}

fn downloads(observatory: &Observatory) -> Vec<String> {
    let folder: PathBuf = observatory.home().intel().join("download/kev");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_has_not_changed_is_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|asked: &Asked| {
        Some(match asked.header("if-none-match") {
            Some(ETAG) => Answer::new("304 Not Modified", ""),
            _ => Answer::new("200 OK", kev("2026.03.01")).header("etag", ETAG),
        })
    })
    .await;
    let observatory = observatory(&folder, &source(&server, "")).await;
    let UpdateResult::Imported(first) = update_kev(&observatory).await else { panic!("imported") };
    assert!(first.snapshot.starts_with("kev@2026.03.01#sha256:"), "{}", first.snapshot);
    assert_eq!((first.records, first.rejected_total, first.files), (1, 0, 1));
    assert_eq!(server.asked()[0].header("if-none-match"), None);

    let mut told = Vec::new();
    let again = observatory
        .update_within(&[IntelligenceKind::Kev], limits(), |event| {
            if let UpdateEvent::NotModified(kind, url) = event {
                told.push((kind, url.to_owned()));
            }
        })
        .await
        .unwrap();
    let UpdateResult::Unchanged { snapshot } = &again[0].result else { panic!("{again:?}") };
    assert_eq!(*snapshot, first.snapshot);
    assert_eq!(told, [(IntelligenceKind::Kev, format!("{}/kev.json", server.base))]);
    assert_eq!(server.asked()[0].header("if-none-match"), Some(ETAG));
    // Something else was imported by hand: the file at hand is read again, and not fetched.
    let other = folder.path().join("other.json");
    std::fs::write(&other, kev("2020.01.01")).unwrap();
    observatory.import_intelligence(IntelligenceKind::Kev, &[other], |_| {}).await.unwrap();
    let by_hand = in_use(&observatory).await;
    let third = update_kev(&observatory).await;
    // The clock stands still, so that which of the two is the newest is decided by their digests.
    match by_hand.as_deref() {
        Some("2020.01.01") => assert!(matches!(third, UpdateResult::Imported(_)), "{third:?}"),
        _ => assert!(matches!(third, UpdateResult::Unchanged { .. }), "{third:?}"),
    }
    assert_eq!(downloads(&observatory).len(), 2, "the file and its note");
}

#[tokio::test]
async fn a_transfer_that_breaks_off_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let text = kev("2026.03.02");
    let half = text.len() / 2;
    let server = Server::start(move |asked: &Asked| {
        Some(match asked.header("range") {
            None => Answer::new("200 OK", &text).header("etag", ETAG).cut(half),
            Some(_) => Answer::new("206 Partial Content", &text[half..])
                .header("etag", ETAG)
                .header("content-range", format!("bytes {half}-{}/{}", text.len() - 1, text.len())),
        })
    })
    .await;
    let observatory = observatory(&folder, &source(&server, "")).await;
    let result = update_kev(&observatory).await;
    assert!(matches!(result, UpdateResult::Imported(_)), "{result:?}");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].header("range"), Some(format!("bytes={half}-").as_str()));
    assert_eq!(asked[1].header("if-range"), Some(ETAG), "only if it is still the same file");
    let file = downloads(&observatory).remove(0);
    let got = std::fs::read_to_string(observatory.home().intel().join("download/kev").join(file)).unwrap();
    assert_eq!(got, kev("2026.03.02"));
}

#[tokio::test]
async fn less_than_the_rest_is_not_the_whole() {
    let text = kev("2026.03.11");
    // The server gives ten bytes a time, and says of how many; or does not say it.
    for (total, whole) in [(text.len().to_string(), true), ("*".to_owned(), false)] {
        let folder = tempfile::tempdir().unwrap();
        let (text, length) = (text.clone(), text.len());
        let server = Server::start(move |asked: &Asked| {
            let Some(range) = asked.header("range") else {
                return Some(Answer::new("200 OK", &text).header("etag", ETAG).cut(length - 25));
            };
            let from: usize = range[6..].trim_end_matches('-').parse().unwrap();
            let to = (from + 10).min(length);
            let range = format!("bytes {from}-{}/{total}", to - 1);
            let answer = Answer::new("206 Partial Content", &text[from..to]);
            Some(answer.header("etag", ETAG).header("content-range", range))
        })
        .await;
        let observatory = observatory(&folder, &source(&server, "")).await;
        let limits = Limits { attempts: 5, ..limits() };
        let result = update(&observatory, &[IntelligenceKind::Kev], limits).await.remove(0).result;
        if whole {
            assert!(matches!(result, UpdateResult::Imported(_)), "{result:?}");
            let ranges: Vec<String> =
                server.asked().iter().filter_map(|asked| asked.header("range").map(str::to_owned)).collect();
            assert_eq!(ranges, [25, 15, 5].map(|rest| format!("bytes={}-", length - rest)));
        } else {
            assert!(failed(result).contains("206 Partial Content"));
            assert_eq!(in_use(&observatory).await, None);
        }
    }
}

#[tokio::test]
async fn what_its_publisher_confirms_is_not_stale() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|asked: &Asked| {
        Some(match asked.header("if-none-match") {
            Some(ETAG) => Answer::new("304 Not Modified", ""),
            _ => Answer::new("200 OK", kev("2026.03.12")).header("etag", ETAG),
        })
    })
    .await;
    let first = observatory(&folder, &source(&server, "")).await;
    assert!(matches!(update_kev(&first).await, UpdateResult::Imported(_)));
    drop(first);
    let later = NOW.plus_secs(5 * 86_400);
    let observatory =
        Observatory::open(&Home::at(folder.path()), &Edge::fixed(later, [7; 32])).await.unwrap();
    let status = async || {
        let all = observatory.intelligence_status().await.unwrap();
        let kev = all.into_iter().find(|one| one.kind == IntelligenceKind::Kev).unwrap();
        let held = kev.snapshot.unwrap();
        (kev.stale, held.imported_at, held.version)
    };
    assert_eq!(status().await, (true, NOW, "2026.03.12".to_owned()));
    assert!(matches!(update_kev(&observatory).await, UpdateResult::Unchanged { .. }));
    assert_eq!(status().await, (false, later, "2026.03.12".to_owned()));
}

#[tokio::test]
async fn bills_that_are_fetched_join_those_that_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let bill = |product: &str, part: &str| {
        format!(
            r#"{{"bomFormat":"CycloneDX","metadata":{{"component":{{"supplier":{{"name":"Acme"}},"name":"{product}","version":"1.0"}}}},
            "components":[{{"name":"{part}","version":"1"}}]}}"#
        )
    };
    let (part, fetched) = (Arc::new(AtomicUsize::new(0)), bill);
    let served = part.clone();
    let server = Server::start(move |_: &Asked| {
        let part = ["zlib", "expat"][served.load(Ordering::SeqCst)];
        Some(Answer::new("200 OK", fetched("Router", part)))
    })
    .await;
    let sources = format!("[[intel]]\nkind = \"sbom\"\nurl = \"{}/router.cdx.json\"\n", server.base);
    let observatory = observatory(&folder, &sources).await;
    let by_hand = folder.path().join("dome.json");
    std::fs::write(&by_hand, bill("Dome", "libpng")).unwrap();
    observatory.import_sbom(None, &[by_hand], |_| {}).await.unwrap();
    // What was said of the same product is replaced, what was said of others stays.
    let mut observatory = observatory;
    for (number, parts) in [["libpng", "zlib"], ["libpng", "expat"]].into_iter().enumerate() {
        part.store(number, Ordering::SeqCst);
        let later = Edge::fixed(NOW.plus_secs(1 + number as i64), [7; 32]);
        observatory = Observatory::open(&Home::at(folder.path()), &later).await.unwrap();
        let result = update(&observatory, &[IntelligenceKind::Sbom], limits()).await.remove(0).result;
        let UpdateResult::Imported(imported) = result else { panic!("{result:?}") };
        assert_eq!(imported.records, 1, "what is new is counted");
        let snapshot = observatory.newest_snapshot(IntelligenceKind::Sbom).await.unwrap().unwrap();
        let Records::Sbom(facts) = snapshot.records else { panic!("bills of materials") };
        let held: Vec<String> = facts.into_iter().filter_map(contained).collect();
        assert_eq!(held, parts);
    }
    let again = update(&observatory, &[IntelligenceKind::Sbom], limits()).await.remove(0).result;
    assert!(matches!(again, UpdateResult::Unchanged { .. }), "{again:?}");
}

fn contained(fact: Fact) -> Option<String> {
    match fact {
        Fact::Contains(contains) => Some(contains.part.name),
        Fact::Upkeep(_) => None,
    }
}

#[tokio::test]
async fn a_server_that_always_breaks_off_fails_and_the_next_update_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let (broken, step) = (Arc::new(AtomicUsize::new(1)), 40);
    let still = broken.clone();
    let server = Server::start(move |asked: &Asked| {
        if asked.path == "/epss_scores-current.csv" {
            return Some(Answer::new("200 OK", EPSS));
        }
        let text = kev("2026.03.03");
        let from = asked.header("range").map_or(0, |range| range[6..].trim_end_matches('-').parse().unwrap());
        let sent =
            if still.load(Ordering::SeqCst) == 1 { step.min(text.len() - from) } else { text.len() - from };
        let answer = match from {
            0 => Answer::new("200 OK", &text),
            from => Answer::new("206 Partial Content", &text[from..])
                .header("content-range", format!("bytes {from}-{}/{}", text.len() - 1, text.len())),
        };
        Some(answer.header("last-modified", "Thu, 26 Mar 2026 00:00:00 GMT").cut(sent))
    })
    .await;
    let both = format!(
        "{}[[intel]]\nkind = \"epss\"\nurl = \"{}/epss_scores-current.csv\"\n",
        source(&server, ""),
        server.base
    );
    let observatory = observatory(&folder, &both).await;
    let kinds = [IntelligenceKind::Kev, IntelligenceKind::Epss];
    let mut results = update(&observatory, &kinds, limits()).await;
    assert!(matches!(results.remove(1).result, UpdateResult::Imported(_)), "the other kind goes on");
    let error = failed(results.remove(0).result);
    assert!(
        error.contains(&format!(
            "`{}/kev.json` cannot be fetched: it breaks off after 120 bytes",
            server.base
        )),
        "{error}"
    );
    assert_eq!(server.asked().len(), 4, "three attempts, and the other kind");
    assert_eq!(in_use(&observatory).await, None);

    broken.store(0, Ordering::SeqCst);
    assert!(matches!(update_kev(&observatory).await, UpdateResult::Imported(_)));
    assert_eq!(server.asked()[0].header("range"), Some("bytes=120-"));
    assert_eq!(in_use(&observatory).await.as_deref(), Some("2026.03.03"));
}

#[tokio::test]
async fn a_part_of_a_file_that_changed_meanwhile_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let asked_before = AtomicUsize::new(0);
    let server = Server::start(move |_: &Asked| {
        // The second time there is another file: If-Range does not hold, and it comes whole.
        Some(match asked_before.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::new("200 OK", kev("2026.03.04")).header("etag", ETAG).cut(30),
            _ => Answer::new("200 OK", kev("2026.03.05")).header("etag", "\"v2\""),
        })
    })
    .await;
    let observatory = observatory(&folder, &source(&server, "")).await;
    assert!(matches!(update_kev(&observatory).await, UpdateResult::Imported(_)));
    assert_eq!(in_use(&observatory).await.as_deref(), Some("2026.03.05"));
}

#[tokio::test]
async fn a_wrong_checksum_refuses_and_keeps_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let good = hex::encode(Sha256::digest(kev("2026.03.06")));
    let version = Arc::new(std::sync::Mutex::new("2026.03.06"));
    let (served, stated) = (version.clone(), good.clone());
    let server = Server::start(move |asked: &Asked| {
        let version = *served.lock().unwrap();
        Some(match asked.path.as_str() {
            "/SHA256SUMS" => {
                Answer::new("200 OK", format!("{}  other\n{stated}  kev.json\n", "0".repeat(64)))
            }
            _ => Answer::new("200 OK", kev(version)).header("etag", format!("\"{version}\"")),
        })
    })
    .await;
    let checksums = format!("sha256 = \"{}/SHA256SUMS\"", server.base);
    let observatory = observatory(&folder, &source(&server, &checksums)).await;
    assert!(matches!(update_kev(&observatory).await, UpdateResult::Imported(_)));
    let before = downloads(&observatory);

    *version.lock().unwrap() = "2026.03.07";
    let error = failed(update_kev(&observatory).await);
    let found = hex::encode(Sha256::digest(kev("2026.03.07")));
    assert!(error.contains(&found) && error.contains(&good) && error.contains("/kev.json"), "{error}");
    assert_eq!(in_use(&observatory).await.as_deref(), Some("2026.03.06"));
    assert_eq!(downloads(&observatory), before, "and no part of it is left");
}

#[tokio::test]
async fn checksums_in_the_settings_and_checksum_files_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|asked: &Asked| {
        Some(match asked.path.as_str() {
            "/SUMS" => Answer::new("200 OK", "nothing here\n"),
            "/gone" => Answer::new("404 Not Found", ""),
            _ => Answer::new("200 OK", kev("2026.03.08")),
        })
    })
    .await;
    let with = |sha256: String| source(&server, &format!("sha256 = \"{sha256}\""));
    for (sha256, problem) in [
        ("0".repeat(64), "and its checksum says 000"),
        (format!("{}/SUMS", server.base), "states no SHA-256 of"),
        (format!("{}/gone", server.base), "/gone` answers 404 Not Found"),
    ] {
        let observatory = observatory(&folder, &with(sha256)).await;
        let error = failed(update_kev(&observatory).await);
        assert!(error.contains(problem), "{error}");
    }
    let right = hex::encode(Sha256::digest(kev("2026.03.08"))).to_uppercase();
    let observatory = observatory(&folder, &with(right)).await;
    assert!(matches!(update_kev(&observatory).await, UpdateResult::Imported(_)));
}

#[tokio::test]
async fn a_mirror_stands_in_and_both_are_named_when_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|asked: &Asked| {
        Some(match asked.path.as_str() {
            "/mirror/kev.json" => Answer::new("200 OK", kev("2026.03.09")),
            _ => Answer::new("503 Service Unavailable", "later"),
        })
    })
    .await;
    let with = |mirror: &str| source(&server, &format!("mirror = \"{}{mirror}\"", server.base));
    let none = observatory(&folder, &with("/nowhere")).await;
    let error = failed(update_kev(&none).await);
    assert!(error.contains("/kev.json` answers 503 Service Unavailable; of its mirror: `"), "{error}");
    assert!(error.ends_with("/nowhere` answers 503 Service Unavailable"), "{error}");
    let observatory = observatory(&folder, &with("/mirror/kev.json")).await;
    assert!(matches!(update_kev(&observatory).await, UpdateResult::Imported(_)));
}

#[tokio::test]
async fn nothing_is_taken_that_is_too_large_too_slow_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|asked: &Asked| match asked.path.as_str() {
        "/silent" => None,
        "/empty" => Some(Answer::new("200 OK", "{\"vulnerabilities\":[]}")),
        "/page" => Some(Answer::new("200 OK", "<!DOCTYPE html>\n<title>Sign in</title>\n")),
        "/round" => Some(Answer::new("302 Found", "").header("location", "/round")),
        _ => Some(Answer::new("200 OK", kev("2026.03.10"))),
    })
    .await;
    let known = observatory(&folder, &source(&server, "")).await;
    assert!(matches!(update_kev(&known).await, UpdateResult::Imported(_)));
    let tight = Limits { bytes: 100, ..limits() };
    let hasty = Limits { stall: Duration::from_millis(1), ..limits() };
    for (path, limits, problem) in [
        ("/large", tight, "/large` is larger than 100 bytes"),
        ("/silent", hasty, "/silent` cannot be fetched: no answer in time"),
        ("/empty", limits(), "/empty held nothing that could be used"),
        ("/page", limits(), "is not a file of kind `kev`"),
        ("/round", limits(), "too many redirections"),
    ] {
        let text = format!("[[intel]]\nkind = \"kev\"\nurl = \"{}{path}\"\n", server.base);
        let observatory = observatory(&folder, &text).await;
        let error = failed(update(&observatory, &[IntelligenceKind::Kev], limits).await.remove(0).result);
        assert!(error.contains(problem), "{error}");
        assert_eq!(in_use(&observatory).await.as_deref(), Some("2026.03.10"), "{path}");
    }
}

#[tokio::test]
async fn a_kind_without_an_address_says_how_to_give_it_one() {
    let folder = tempfile::tempdir().unwrap();
    let observatory = observatory(&folder, "").await;
    let error = observatory.update_within(&[IntelligenceKind::Csaf], limits(), |_| {}).await.unwrap_err();
    assert!(error.hint().unwrap().contains("[[intel]] with kind = \"csaf\""), "{error}");
    let status = observatory.intelligence_status().await.unwrap();
    assert_eq!(status.len(), IntelligenceKind::ALL.len());
    // What nobody publishes does not grow stale.
    assert!(status.iter().all(|one| one.stale == one.fresh_days.is_some() && one.snapshot.is_none()));
}

#[test]
fn settings_refuse_what_is_no_address_and_no_checksum() {
    let parse = |text: &str| {
        let template = crate::Settings::template("x");
        crate::Settings::parse("kenshin.toml", &format!("{template}\n{text}"))
    };
    let good = parse("[[intel]]\nkind = \"cve5\"\nurl = \"https://x.example/cve.json\"\n").unwrap();
    assert_eq!(good.intel[0].kind, IntelligenceKind::Cve);
    for (text, problem) in [
        (
            "[[intel]]\nkind = \"kev\"\nurl = \"file:///etc/passwd\"\n",
            "intel.url `file:///etc/passwd` cannot be used",
        ),
        (
            "[[intel]]\nkind = \"kev\"\nurl = \"https://x\"\nmirror = \"x\"\n",
            "intel.mirror `x` cannot be used",
        ),
        (
            "[[intel]]\nkind = \"kev\"\nurl = \"https://x\"\nsha256 = \"abc\"\n",
            "intel.sha256 `abc` cannot be used",
        ),
        ("[[intel]]\nkind = \"rumours\"\nurl = \"https://x\"\n", "unknown kind of intelligence `rumours`"),
        ("[[intel]]\nkind = \"kev\"\nurl = \"https://x\"\nspeed = 1\n", "unknown field `speed`"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
