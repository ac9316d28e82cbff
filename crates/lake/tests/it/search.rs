//! Searching the current view: what is found, counted, shown; what somebody may not see.

use std::net::IpAddr;

use kenshin_lake::Lake;
use kenshin_lake::search::{Field, Query};
use kenshin_lake::view::{Counted, Search, Sight, Sort, Total, View};
use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow};
use kenshin_observation::{SensorId, TimeUs, addr_to_hi_lo};

use crate::NOW;

const DAY: i64 = 86_400_000_000;

/// A service from a line: address port protocol and `column=value` pairs.
pub(crate) fn service(line: &str) -> ServiceRow {
    let mut words = line.split(' ');
    let (addr_hi, addr_lo) = addr_to_hi_lo(words.next().unwrap().parse().unwrap());
    let port = words.next().unwrap().parse().unwrap();
    let protocol = words.next().filter(|word| *word != "-").map(str::to_owned);
    let mut row = ServiceRow {
        schema: SERVICE_VERSION,
        addr_hi,
        addr_lo,
        port,
        transport: "tcp".into(),
        protocol,
        state: "answered".into(),
        first_us: NOW.micros() - 100 * DAY,
        seen_us: NOW.micros() - DAY,
        asked_us: NOW.micros() - DAY,
        known_us: NOW.micros() - DAY,
        tlp: "TLP:AMBER".into(),
        ..ServiceRow::default()
    };
    for (name, value) in words.map(|word| word.split_once('=').unwrap()) {
        let value = value.replace('_', " ");
        let days_ago = || NOW.micros() - value.parse::<i64>().unwrap() * DAY;
        match name {
            "vendor" => row.vendor = Some(value),
            "product" => row.product = Some(value),
            "version" => row.version = Some(value),
            "type" => row.device_type = Some(value),
            "software" => row.software = Some(value),
            "banner" => row.banner = Some(value),
            "title" => row.title = Some(value),
            "country" => row.country = Some(value),
            "labels" => row.labels = Some(value),
            "subject" => row.cert_subject = Some(value),
            "state" => row.state = value,
            "asn" => row.asn = value.parse().ok(),
            "seen" => (row.seen_us, row.asked_us) = (days_ago(), days_ago()),
            "first" => row.first_us = days_ago(),
            "asked" => row.asked_us = days_ago(),
            "expires" => row.cert_expires_us = Some(days_ago()),
            other => panic!("no column {other}"),
        }
    }
    row
}

const TOWN: &str = r#"
192.0.2.1 23 telnet vendor=Buffalo product=WZR-HP-G450H version=1.90 type=router country=JP banner=BUFFALO_login: asn=64500
192.0.2.1 22 ssh vendor=Buffalo product=WZR-HP-G450H version=1.90 type=router country=JP software=[{"vendor":"Matt","product":"dropbear","version":"0.53.1"}] banner=SSH-2.0-dropbear asn=64500
192.0.2.2 22 ssh vendor=Buffalo product=WSR version=1.99 country=JP software=[{"product":"dropbear","version":"2020.81"}]
192.0.2.3 80 http software=[{"vendor":"F5","product":"nginx","version":"1.18.0"},{"product":"PHP","version":"7.4"}] title=検診_<script> country=JP
198.51.100.7 443 http vendor=Example product=Camera_(old) version=2.0 title=IP_CAMERA subject=CN=cam.example.jp expires=-20 country=DE seen=40
198.51.100.8 23 telnet banner=login: labels=tarpit_honeypot-tell country=US first=2
198.51.100.9 2323 - state=refused seen=9 asked=1
2001:db8::7 8080 http title=router country=JP first=300
"#;

fn town() -> Vec<ServiceRow> {
    TOWN.lines().filter(|line| !line.is_empty()).map(service).collect()
}

fn search(query: &str) -> Search {
    Search { query: query.parse().unwrap(), sight: Sight::All, now: NOW }
}

async fn found(view: &View, search: &Search) -> Vec<String> {
    let found = view.find(search).await.unwrap();
    let page = found.page(None, None, 100).await.unwrap();
    assert_eq!(found.total().await.unwrap().services, page.services.len() as u64);
    page.services.iter().map(|row| format!("{} {}", row.addr(), row.port)).collect()
}

/// Each query and what it finds, by last part of the address and port.
#[tokio::test]
async fn queries_find_what_they_ask_for() {
    let view = View::of(town()).unwrap();
    for line in r#"
port:23 => 1/23 8/23
port:22,8000.. => 1/22 2/22 7/8080
port:23 -label:honeypot-tell => 1/23
label:tarpit => 8/23
vendor:buffalo => 1/22 1/23 2/22
product:dropbear => 1/22 2/22
product:dropbear version:<2020.1 => 1/22
vendor:buffalo version:<1.99 => 1/22 1/23
vendor:buffalo product:dropbear version:<2020.1 => 1/22
product:dropbear version:1.90 =>
product:dropbear -version:<2020.1 => 2/22
product:dropbear -version:1.90 => 1/22 2/22
product:dropbear (version:<2020.1 OR country:DE) => 1/22
product:dropbear (version:1.90 OR version:2020.81) => 2/22
product:dropbear country:jp -(version:0.* OR version:1.*) => 2/22
(product:php OR product:nginx) version:1.* => 3/80
(product:php version:1.*) OR (product:nginx version:1.*) => 3/80
product:php -version:1.* => 3/80
product:php (has:title version:1.*) =>
version:1.90 (product:dropbear OR country:DE) =>
version:1.90 (product:wzr* OR country:DE) => 1/22 1/23
version:1.90 -product:dropbear => 1/23
vendor:buffalo (version:0.53.1 OR port:80) =>
product:telnetd -has:version =>
version:1.18.0 => 3/80
product:php version:7.* => 3/80
product:nginx version:7.* =>
vendor:f5 version:1.0..2 => 3/80
product:wzr* => 1/22 1/23
product:"camera (old)" => 7/443
product:camera => 7/443
product:"camera" =>
product:cam =>
-product:camera port:443,8080 => 7/8080
product:camera version:2.0 => 7/443
net:192.0.2.0/31 => 1/22 1/23
2001:db8::/32 => 7/8080
ip:192.0.2.3,198.51.100.8 => 3/80 8/23
"login" => 1/23 8/23
"LOGIN:" country:jp => 1/23
検診 => 3/80
"cam.example" => 7/443
cert:"cn=cam" => 7/443
seen:7d port:443 =>
seen:>30d => 7/443
first:<2024-01-01 =>
first:7d => 8/23
first:>200d => 7/8080
expires:30d => 7/443
expires:7d =>
has:title -country:JP => 7/443
has:version -vendor:buffalo => 3/80 7/443
has:ip port:23 => 1/23 8/23
-has:ip =>
has:cert => 7/443
ip:::/0 => 7/8080
-net:::/0 port:23 => 1/23 8/23
net:0.0.0.0/0 port:8080,443 => 7/443
state:refused => 9/2323
state:* port:2323 => 9/2323
port:2323 =>
asn:64500 (port:22 OR title:x) => 1/22
-country:jp -country:de => 8/23
type:router OR title:router => 1/22 1/23 7/8080
"#
    .lines()
    .filter(|line| !line.is_empty())
    {
        let (query, expected) = line.split_once(" =>").unwrap();
        let short = |full: String| {
            let (addr, port) = full.split_once(' ').unwrap();
            format!("{}/{port}", addr.rsplit(['.', ':']).next().unwrap())
        };
        let names: Vec<String> = found(&view, &search(query)).await.into_iter().map(short).collect();
        assert_eq!(names.join(" "), expected.trim(), "{query}");
    }
}

#[tokio::test]
async fn what_is_found_is_counted() {
    let view = View::of(town()).unwrap();
    let all = search("");
    let found = view.find(&all).await.unwrap();
    assert_eq!(found.total().await.unwrap(), Total { services: 7, hosts: 6 });
    for (field, top, expected) in [
        (Field::Country, 2, "JP 5, DE 1 + 1"),
        (Field::Port, 9, "22 2, 23 2, 443 1, 80 1, 8080 1 + 0"),
        (Field::Product, 3, "WZR-HP-G450H 2, dropbear 2, Camera (old) 1 + 3"),
        (Field::Vendor, 2, "Buffalo 3, Example 1 + 2"),
        (Field::Asn, 2, "64500 2 + 0"),
        (Field::First, 1, "2026-06-13 5 + 2"),
        (Field::Label, 1, "tarpit honeypot-tell 1 + 0"),
    ] {
        let facet = found.facets(&[Counted { field, top }]).await.unwrap().remove(0);
        let values: Vec<String> = facet.values.iter().map(|v| format!("{} {}", v.value, v.count)).collect();
        assert_eq!(format!("{} + {}", values.join(", "), facet.more), expected);
    }
}

/// Pages join to the whole, in every order, each service once.
#[tokio::test]
async fn pages_join_to_the_whole() {
    let view = View::of(town()).unwrap();
    for sort in
        ["", "port", "-seen", "title", "-product", "version", "-version", "asn", "-country", "ip", "-ip"]
    {
        let sort: Option<Sort> = (!sort.is_empty()).then(|| sort.parse().unwrap());
        let all = search("");
        let found = view.find(&all).await.unwrap();
        let whole = found.page(sort, None, 100).await.unwrap().services;
        assert_eq!(whole.len(), 7);
        let mut pieces = Vec::new();
        let mut after = None;
        loop {
            let page = found.page(sort, after.as_ref(), 2).await.unwrap();
            pieces.extend(page.services);
            let Some(next) = page.next else { break };
            // A mark is handed out as text and comes back as text.
            after = Some(next.to_string().parse().unwrap());
            assert_eq!(after.as_ref(), Some(&next));
        }
        assert_eq!(pieces, whole, "{sort:?}");
    }
    let all = search("");
    let by_seen = view.find(&search("")).await.unwrap().page(Some("seen".parse().unwrap()), None, 1).await;
    assert_eq!(by_seen.unwrap().services[0].addr().to_string(), "198.51.100.7", "seen 40 days ago");
    let by_addr = view.find(&search("")).await.unwrap().page(Some("-ip".parse().unwrap()), None, 9).await;
    let by_addr: Vec<String> =
        by_addr.unwrap().services.iter().map(|row| format!("{} {}", row.addr(), row.port)).collect();
    assert_eq!(by_addr[..2], ["2001:db8::7 8080", "198.51.100.8 23"]);
    assert_eq!(by_addr[5..], ["192.0.2.1 22", "192.0.2.1 23"]);
    let versions = ["11.1", "1.28", "2.10", "1.3.3g", "2.4"];
    let rows = versions.iter().zip(1..).map(|(version, host)| {
        service(&format!("192.0.2.{host} 22 ssh vendor=x product=y version={version}"))
    });
    let by_version = View::of(rows.collect()).unwrap();
    let page = by_version.find(&all).await.unwrap().page(Some("version".parse().unwrap()), None, 9).await;
    let ordered: Vec<_> = page.unwrap().services.into_iter().filter_map(|row| row.version).collect();
    assert_eq!(ordered, ["1.3.3g", "1.28", "2.4", "2.10", "11.1"]);
    assert!("~~~".parse::<kenshin_lake::view::Mark>().is_err());
}

/// What one service was at different times lies side by side, and a page may end between.
#[tokio::test]
async fn pages_of_history_join_to_the_whole() {
    let then = |days: i64| {
        let row = service(&format!("192.0.2.1 23 telnet banner=v{days} asked={}", days / 2));
        // Of two that were asked at once the one was known later.
        ServiceRow { known_us: NOW.micros() + days, ..row }
    };
    let rows: Vec<ServiceRow> = (2..=9).chain([1]).map(then).chain(town()).collect();
    let view = View::of(rows).unwrap();
    let search = search("");
    let found = view.find(&search).await.unwrap();
    for sort in [None, Some("port".parse().unwrap()), Some("-asn".parse().unwrap())] {
        for limit in 1..5 {
            let (mut banners, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = found.page(sort, after.as_ref(), limit).await.unwrap();
                banners.extend(page.services.into_iter().filter_map(|row| row.banner));
                pages += 1;
                let Some(next) = page.next else { break };
                after = Some(next.to_string().parse().unwrap());
            }
            banners.retain(|banner| banner.starts_with('v'));
            banners.sort();
            assert_eq!(
                banners,
                (1..=9).map(|days| format!("v{days}")).collect::<Vec<_>>(),
                "{sort:?} {limit}"
            );
            assert_eq!(pages, 16_usize.div_ceil(limit));
        }
    }
}

/// A service that was shown and is asked again before the next page is not shown again.
#[tokio::test]
async fn pages_do_not_repeat_what_was_asked_meanwhile() {
    let at = |asked: i64| {
        View::of(vec![service(&format!("192.0.2.1 23 telnet asked={asked}")), service("192.0.2.2 23 telnet")])
    };
    let (before, after) = (at(9).unwrap(), at(1).unwrap());
    let search = search("");
    let first = before.find(&search).await.unwrap().page(None, None, 1).await.unwrap();
    let second = after.find(&search).await.unwrap().page(None, first.next.as_ref(), 1).await.unwrap();
    assert_eq!(second.services[0].addr().to_string(), "192.0.2.2");
}

async fn lake() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    (folder, lake)
}

/// Of several rows about one service that which was asked last holds, in whatever order they came,
/// before and after runs are merged and the lake is opened anew.
#[tokio::test]
async fn the_view_is_kept_in_runs() {
    let (folder, lake) = lake().await;
    let sensor = SensorId::new(NOW, 3);
    let add = async |sequence, lines: &str| {
        let rows = lines.split('\n').map(service).collect();
        lake.whole().add(rows, &[(sensor, sequence)].into()).await.unwrap();
    };
    lake.whole().add(town(), &[(sensor, 1)].into()).await.unwrap();
    add(2, "192.0.2.1 23 telnet version=1.99 asked=0\n192.0.2.4 23 telnet asked=0").await;
    add(3, "192.0.2.1 23 telnet version=1.00 asked=50\n192.0.2.2 22 ssh state=dark asked=0").await;
    let check = async |lake: &Lake, runs: usize| {
        let view = lake.view().await.unwrap();
        assert_eq!((view.runs(), view.services()), (runs, 9));
        assert_eq!(found(&view, &search("version:1.99 port:23")).await, ["192.0.2.1 23"]);
        assert_eq!(found(&view, &search("version:1.00")).await, [""; 0]);
        assert_eq!(found(&view, &search("state:dark")).await, ["192.0.2.2 22"]);
        assert_eq!(found(&view, &search("port:23 ip:192.0.2.0/24")).await, ["192.0.2.1 23", "192.0.2.4 23"]);
        let total = view.find(&search("")).await.unwrap().total().await.unwrap();
        assert_eq!(total, Total { services: 7, hosts: 6 }, "192.0.2.1 is in two runs and one host");
        let sql =
            "SELECT count(*) AS n, max(version) AS v FROM services WHERE addr = '192.0.2.1' AND port = 23";
        assert_eq!(crate::csv(lake, sql).await, "n,v\n1,1.99\n");
    };
    check(&lake, 3).await;
    assert!(!lake.whole().merge(NOW).await.unwrap(), "three runs are not too many");
    assert!(lake.whole().compact(NOW).await.unwrap());
    check(&lake, 1).await;
    let reopened = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    check(&reopened, 1).await;
    assert_eq!(reopened.whole().progress(sensor).await.unwrap(), 3);

    let mut new = lake.whole().begin_anew(NOW).await.unwrap();
    new.write(town()).await.unwrap();
    assert_eq!(lake.view().await.unwrap().services(), 9, "until it is finished nothing changes");
    assert_eq!(lake.whole().finish(new, &[(sensor, 7)].into(), NOW).await.unwrap(), 8);
    assert_eq!(reopened.view().await.unwrap().services(), 8, "made anew from nothing");
    assert_eq!(reopened.whole().progress(sensor).await.unwrap(), 7);
}

/// What is added and merged while a view is made anew goes with the old view, and its progress too,
/// so that whoever made it knows what to fold in.
#[tokio::test]
async fn a_new_view_replaces_what_came_meanwhile() {
    let (folder, lake) = lake().await;
    let sensor = SensorId::new(NOW, 3);
    lake.whole().add(town(), &[(sensor, 1)].into()).await.unwrap();
    let mut new = lake.whole().begin_anew(NOW).await.unwrap();
    new.write(town().split_off(3)).await.unwrap();
    let other = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let late = vec![service("192.0.2.9 23 telnet")];
    other.whole().add(late.clone(), &[(sensor, 2)].into()).await.unwrap();
    assert!(other.whole().compact(NOW).await.unwrap());
    other.whole().add(late, &[(sensor, 3)].into()).await.unwrap();
    assert_eq!(lake.whole().finish(new, &[(sensor, 1)].into(), NOW).await.unwrap(), 5);
    for lake in [&lake, &other] {
        let view = lake.view().await.unwrap();
        assert_eq!((view.runs(), view.services()), (1, 5));
        assert_eq!(lake.whole().progress(sensor).await.unwrap(), 1, "what came meanwhile is missing");
    }
}

/// Runs come and are merged; what a view keeps in mind of the runs before is what it finds anew.
#[tokio::test]
async fn many_runs_are_merged_and_swept_away() {
    let (folder, lake) = lake().await;
    let sensor = SensorId::new(NOW, 3);
    let now: TimeUs = "2100-01-01T00:00:00Z".parse().unwrap();
    let files = || {
        let entries = std::fs::read_dir(folder.path().join("services")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some()).count()
    };
    let host = |n: i64| format!("192.0.2.{} 23 telnet version=1.{n} asked={}", n % 17, 200 - n * 7 % 90);
    let base = (0..2_000).map(|n| service(&format!("198.51.{}.{} 80 http", n / 250, n % 250)));
    lake.whole().add(base.collect(), &[(sensor, 1)].into()).await.unwrap();
    let mut merges = 0;
    for n in 0..60 {
        let rows = (n..n + 3).map(|n| service(&host(n))).collect();
        lake.whole().add(rows, &[(sensor, n + 2)].into()).await.unwrap();
        let held = lake.view().await.unwrap();
        let merged = lake.whole().merge(now).await.unwrap();
        merges += u32::from(merged);
        if !merged && n % 20 != 0 {
            continue;
        }
        let after = lake.view().await.unwrap();
        let anew = Lake::open(folder.path().to_str().unwrap()).await.unwrap().view().await.unwrap();
        let all = search("ip:192.0.2.0/24");
        let mut texts = Vec::new();
        for view in [&held, &after, &anew] {
            let found = view.find(&all).await.unwrap();
            let page = found.page(None, None, 100).await.unwrap();
            let texts_of = page.services.iter().map(|row| format!("{} {:?}", row.addr(), row.version));
            texts.push(texts_of.collect::<Vec<_>>());
        }
        assert_eq!(texts[0].len(), 17.min(n as usize + 3));
        assert!(texts[1] == texts[0] && texts[2] == texts[0], "{n}: {texts:?}");
        assert!(after.runs() <= 24);
    }
    assert_eq!(merges, 2);
    let runs = lake.view().await.unwrap().runs();
    assert!(files() > 60, "somebody may be reading what was replaced");
    assert!(lake.whole().compact(now.plus_secs(3_500)).await.unwrap());
    assert!(files() > runs);
    assert!(!lake.whole().compact(now.plus_secs(7_200)).await.unwrap());
    assert_eq!((files(), lake.view().await.unwrap().services()), (1, 2_017));
}

/// Rows that another version wrote are noticed.
#[tokio::test]
async fn a_view_of_another_version_is_noticed() {
    let (_folder, lake) = lake().await;
    let sensor = SensorId::new(NOW, 3);
    lake.whole().add(town(), &[(sensor, 1)].into()).await.unwrap();
    assert!(lake.view().await.unwrap().is_current().await.unwrap());
    let old = ServiceRow { schema: SERVICE_VERSION - 1, ..service("192.0.2.9 23 telnet") };
    lake.whole().add(vec![old], &[(sensor, 2)].into()).await.unwrap();
    assert!(lake.whole().compact(NOW).await.unwrap());
    assert!(!lake.view().await.unwrap().is_current().await.unwrap());
    let mut new = lake.whole().begin_anew(NOW).await.unwrap();
    new.write(town()).await.unwrap();
    lake.whole().finish(new, &[(sensor, 2)].into(), NOW).await.unwrap();
    assert!(lake.view().await.unwrap().is_current().await.unwrap());
}

/// Whatever somebody may not see changes nothing of what they see.
#[tokio::test]
async fn what_is_out_of_sight_changes_nothing() {
    let (_folder, lake) = lake().await;
    let sensor = SensorId::new(NOW, 3);
    lake.whole().add(town(), &[(sensor, 1)].into()).await.unwrap();
    let range =
        |first: &str, last: &str| -> (IpAddr, IpAddr) { (first.parse().unwrap(), last.parse().unwrap()) };
    let sight = Sight::Only(vec![range("192.0.2.2", "192.0.2.255"), range("2001:db8::", "2001:db8::ffff")]);
    let everything = async || {
        let view = lake.view().await.unwrap();
        let mut seen = String::new();
        for query in ["", "port:22 OR port:8080", "-port:22", "state:*", "title:x", "has:title", "router"] {
            let search = Search { query: query.parse::<Query>().unwrap(), sight: sight.clone(), now: NOW };
            let found = view.find(&search).await.unwrap();
            seen.push_str(&format!("{query}: {:?}\n", found.total().await.unwrap()));
            for sort in [None, Some("-seen".parse().unwrap()), Some("title".parse().unwrap())] {
                seen.push_str(&format!("{:?}\n", found.page(sort, None, 3).await.unwrap()));
            }
            let counted = [Field::Port, Field::Title, Field::Product, Field::First, Field::State]
                .map(|field| Counted { field, top: 2 });
            seen.push_str(&format!("{:?}\n", found.facets(&counted).await.unwrap()));
        }
        seen
    };
    let before = everything().await;
    assert!(before.contains("192.0.2.2") || before.contains("Total { services: 3, hosts: 3 }"), "{before}");
    let invisible = (0..5_000u32).map(|n| {
        let addr = std::net::Ipv4Addr::from_bits(0xC633_6400 + (n << 8));
        service(&format!("{addr} {} http title=router product=P{n} first={}", n % 60_000, n % 300))
    });
    // Within the ranges too, what its label keeps in the organisation.
    let kept = ["TLP:RED", "TLP:AMBER+STRICT"].into_iter().zip(60..).map(|(label, host)| ServiceRow {
        tlp: label.to_owned(),
        ..service(&format!("192.0.2.{host} 8080 http title=router product=P1 first=9"))
    });
    let invisible: Vec<ServiceRow> = invisible.chain(kept).collect();
    lake.whole().add(invisible, &[(sensor, 2)].into()).await.unwrap();
    assert_eq!(lake.view().await.unwrap().services(), 5_010);
    assert_eq!(everything().await, before);
}

#[tokio::test]
async fn what_is_known_at_an_endpoint() {
    let view = View::of(town()).unwrap();
    let at = |text: &str, port| kenshin_observation::Endpoint::tcp(text.parse().unwrap(), port);
    let known =
        view.known(&[at("198.51.100.9", 2323), at("192.0.2.1", 22), at("192.0.2.9", 1)]).await.unwrap();
    assert_eq!(known.len(), 2);
    assert_eq!((known[1].state.as_str(), known[0].protocol.as_deref()), ("refused", Some("ssh")));
    assert_eq!(known[0].software().unwrap()[0].product, "dropbear");
    assert!(TimeUs::from_micros(known[0].first_us) < NOW);
}

/// What tells services apart comes once for each that holds, in order, whatever runs it lies in.
#[tokio::test]
async fn the_keys_of_an_answer() {
    let (_folder, lake) = lake().await;
    let sensor = SensorId::from_bits(1);
    let empty = lake.view().await.unwrap();
    assert_eq!(empty.known_until().await.unwrap(), None);
    let older = ["198.51.100.2 23 telnet seen=3", "192.0.2.1 23 telnet", "192.0.2.1 80 http"];
    lake.whole().add(older.map(service).into(), &[(sensor, 1)].into()).await.unwrap();
    let mut newer = service("192.0.2.9 23 telnet seen=0");
    newer.known_us = NOW.micros();
    let again = service("198.51.100.2 23 telnet seen=0");
    lake.whole().add(vec![newer, again], &[(sensor, 2)].into()).await.unwrap();
    let view = lake.view().await.unwrap();
    assert!(view.version() > empty.version());
    assert_eq!(view.known_until().await.unwrap(), Some(NOW));
    let found = view.find(&search("port:23")).await.unwrap();
    let keys = found.keys().await.unwrap();
    let told: Vec<(String, i64)> = keys
        .iter()
        .map(|(key, known)| {
            let addr = kenshin_observation::addr_from_hi_lo(key.addr.0, key.addr.1);
            (
                format!("{addr} {} {} {:?}", key.port, key.transport, key.protocol),
                NOW.micros_since(*known) / DAY,
            )
        })
        .collect();
    let line = |addr: &str, days: i64| (format!("{addr} 23 tcp Some(\"telnet\")"), days);
    assert_eq!(told, [line("192.0.2.1", 1), line("192.0.2.9", 0), line("198.51.100.2", 1)]);
    assert_eq!(found.count(), 3);
}

/// SQL over columns in memory and over files is the same: of several runs, of which some rows took the
/// place of others, with conditions on texts, numbers and addresses.
#[tokio::test]
async fn sql_reads_columns_as_it_reads_files() {
    let (_folder, lake) = super::lake().await;
    let ports = [22, 23, 80];
    let rows = |hosts: std::ops::Range<u32>, product: &str, asked: i64| -> Vec<ServiceRow> {
        let of_host = |host: u32| ports.map(|port| (host, port));
        let row = |(host, port): (u32, i32)| {
            let addr = format!("198.{}.{}.{}", 18 + (host >> 16), (host >> 8) & 255, host & 255);
            let version = if host % 5 == 0 { String::new() } else { format!(" version=1.{}", host % 7) };
            let mut row =
                service(&format!("{addr} {port} telnet product={product}{version} banner=login_{host}"));
            row.asked_us += asked;
            row.asn = (host % 3 != 0).then_some(i64::from(64500 + host % 4));
            row
        };
        hosts.flat_map(of_host).map(row).collect()
    };
    // More rows than a block has, then some of them anew.
    lake.whole().add(rows(0..7_000, "router", 0), &kenshin_lake::Progress::new()).await.unwrap();
    lake.whole().add(rows(3_000..3_300, "camera", 1), &kenshin_lake::Progress::new()).await.unwrap();
    let late = vec![service("2001:db8::1 443 https product=recorder"), service("203.0.113.9 80 http")];
    lake.whole().add(late, &kenshin_lake::Progress::new()).await.unwrap();
    let (held, cramped) =
        (Lake::open(lake.location()).await.unwrap(), Lake::open(lake.location()).await.unwrap());
    held.hold_columns(usize::MAX);
    cramped.hold_columns(1);
    let sorted = async |lake: &Lake, sql: &str| {
        let mut lines: Vec<String> = super::csv(lake, sql).await.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let plan = async |lake: &Lake, sql: &str| super::csv(lake, &format!("EXPLAIN {sql}")).await;
    for sql in [
        "SELECT count(*) AS n FROM services",
        "SELECT product, count(*) AS n, count(version) AS v FROM services GROUP BY product",
        "SELECT addr, port, product, version, asn FROM services WHERE product = 'camera' AND version IS NULL",
        "SELECT count(*) AS n FROM services WHERE product <> 'camera'",
        "SELECT count(*) AS n FROM services WHERE NOT (version = '1.3') OR banner ILIKE '%LOGIN_12%'",
        "SELECT count(*) AS n FROM services WHERE version IN ('1.1', '1.2') AND asn IS NOT NULL AND port < 80",
        "SELECT count(*) AS n FROM services WHERE asn IS NULL OR asn = 64501",
        "SELECT count(*) AS n FROM services WHERE port + 1 = 24 AND banner LIKE 'login 3%'",
        "SELECT count(*) AS n FROM services WHERE in_cidr(addr, '198.18.11.0/24')",
        "SELECT addr, banner FROM services WHERE in_cidr(addr, '198.18.12.3/32') AND port = 22",
        "SELECT addr FROM services WHERE in_cidr(addr, '2001:db8::/32')",
        "SELECT count(*) AS n FROM services WHERE in_cidr(addr, '192.0.2.0/24')",
        "SELECT count(*) AS n FROM (SELECT addr_hi, addr_lo FROM services GROUP BY addr_hi, addr_lo HAVING count(*) = 3)",
        "SELECT asn, count(*) AS n FROM (SELECT DISTINCT asn, addr_hi, addr_lo FROM services) GROUP BY asn",
        "SELECT a.addr, b.port FROM services a JOIN services b USING (addr_hi, addr_lo) WHERE a.product = 'camera' AND a.port = 22",
        "SELECT a.addr FROM services a JOIN (SELECT addr, count(*) AS n FROM services GROUP BY addr) b ON a.addr = b.addr WHERE a.port = 23 AND n = 1",
        // Parts by address beside parts by hash, in joins of every kind, unions and windows.
        "SELECT count(*) AS m, sum(p) AS p FROM services a JOIN (SELECT addr_hi AS h, addr_lo AS l, max(port) AS p FROM services \
         WHERE port < 80 GROUP BY addr_hi, addr_lo, version) b ON a.addr_hi = b.h AND a.addr_lo = b.l",
        "SELECT count(*) AS m, count(v) AS v FROM services a LEFT JOIN (SELECT DISTINCT version AS v, addr_lo AS l, addr_hi AS h \
         FROM services WHERE product = 'camera' OR version = '1.4') b ON a.addr_lo = b.l AND a.addr_hi = b.h",
        "SELECT port, count(*) AS m FROM services WHERE addr_lo IN (SELECT addr_lo FROM services WHERE banner LIKE '%_77') GROUP BY port",
        "SELECT n, count(*) AS m FROM (SELECT addr_hi, addr_lo, count(*) AS n FROM (SELECT addr_hi, addr_lo FROM services \
         WHERE port = 22 UNION ALL SELECT addr_hi, addr_lo FROM services WHERE product = 'camera') GROUP BY 1, 2) GROUP BY n",
        "SELECT place, count(*) AS m FROM (SELECT row_number() OVER (PARTITION BY addr_hi, addr_lo ORDER BY port) AS place \
         FROM services) GROUP BY place",
        "SELECT count(*) AS m FROM services s LEFT JOIN observations o ON s.addr_hi = o.subject_addr_hi AND s.addr_lo = o.subject_addr_lo",
        "SELECT addr_hi, addr_lo, port FROM services ORDER BY addr_hi, addr_lo, port",
        "SELECT addr, min(port) AS a, max(seen_us) AS b FROM services GROUP BY addr_lo, addr_hi, addr ORDER BY addr LIMIT 50",
        "SELECT median(port) AS m, max(banner) AS b FROM services WHERE state = 'answered'",
        "SELECT 1 AS one FROM services WHERE port = 443",
    ] {
        assert_eq!(sorted(&held, sql).await, sorted(&lake, sql).await, "{sql}");
        assert!(sql.ends_with("n FROM services") || plan(&held, sql).await.contains("InMemory"), "{sql}");
        assert!(!plan(&cramped, sql).await.contains("InMemory"), "{sql}: there is no room");
    }
    // In the order that is asked for, not only the same rows.
    let ordered = "SELECT addr, port FROM services ORDER BY addr_hi DESC, addr_lo, port LIMIT 7000";
    assert_eq!(super::csv(&held, ordered).await, super::csv(&lake, ordered).await);
    // Whole rows are read from files; a host of one run is grouped once, in order.
    assert!(!plan(&held, "SELECT * FROM services").await.contains("InMemory"));
    lake.whole().compact(NOW).await.unwrap();
    let by_host = "SELECT addr_hi, addr_lo, count(*) AS n FROM services GROUP BY addr_hi, addr_lo";
    let planned = plan(&held, by_host).await;
    assert!(planned.contains("SinglePartitioned") && planned.contains("Sorted"), "{planned}");
    assert_eq!(sorted(&held, by_host).await, sorted(&lake, by_host).await);
    // One host is found in one block.
    let analyzed = "EXPLAIN ANALYZE SELECT port FROM services WHERE in_cidr(addr, '198.18.12.3/32')";
    let analyzed = super::csv(&held, analyzed).await;
    assert!(analyzed.contains("InMemory") && analyzed.contains("output_rows=3,"), "{analyzed}");
}
