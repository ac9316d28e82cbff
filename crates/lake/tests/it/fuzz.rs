//! Questions by chance: whatever is asked, the lake answers or says why not, changes nothing, and tells
//! nobody of rows that they may not see.
//!
//! `KENSHIN_SQL_CASES` asks more of them than a run of the tests does, `KENSHIN_SQL_SEED` others.

use std::net::IpAddr;

use kenshin_lake::view::Sight;
use kenshin_lake::{Extent, Format, Lake, LakeError, Limits, Mandates, Question};
use kenshin_observation::{Observation, Tlp};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::search::service;
use super::{NOW, batch, csv, lake, observation};

const CASES: usize = 150;
/// Every so many questions are spoilt: bytes are taken away, doubled or put in.
const SPOILT: usize = 3;

const COLUMNS: &[(&str, &[&str])] = &[
    (
        "observations",
        &[
            "subject_addr",
            "subject_addr_hi",
            "subject_addr_lo",
            "subject_port",
            "t",
            "t_us",
            "outcome",
            "protocol",
            "telnet['text']",
            "ssh['banner']",
            "labels",
            "blobs",
            "month",
            "mandate_id",
            "row",
            "vantage_addr",
            "clock_err_us",
            "tls['version']",
        ],
    ),
    (
        "services",
        &[
            "addr", "addr_hi", "addr_lo", "port", "protocol", "state", "product", "version", "seen_us",
            "labels",
        ],
    ),
    ("batches", &["batch_id", "rows", "root"]),
    ("salts", &["batch_id", "bytes"]),
    ("nothing", &["a"]),
];
const LITERALS: &[&str] = &[
    "0",
    "1",
    "-1",
    "23",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "NULL",
    "true",
    "''",
    "'telnet'",
    "'192.0.2.0/24'",
    "'198.51.100.0/24'",
    "'x'",
    "'%'",
    "INTERVAL '1 day'",
    "DATE '2026-09-01'",
    "'2026-09'",
    "'\u{202e}検診'",
    "[1, 2]",
    "X'00ff'",
];
const CALLS: &[&str] = &[
    "count({})",
    "count(DISTINCT {})",
    "min({})",
    "max({})",
    "sum({})",
    "ip_text({}, {})",
    "in_cidr({}, {})",
    "asn({})",
    "country({})",
    "version_cmp({}, {})",
    "length({})",
    "lower({})",
    "coalesce({}, {})",
    "substr({}, {})",
    "abs({})",
    "CAST({} AS VARCHAR)",
    "CAST({} AS BIGINT)",
    "regexp_like({}, {})",
    "date_trunc('month', {})",
    "CASE WHEN {} THEN {} ELSE {} END",
    "row_number() OVER (PARTITION BY {} ORDER BY {})",
    "in_sight({}, {})",
    "array_length({})",
    "to_timestamp_micros({})",
    "NULLIF({}, {})",
    "({} IS NULL)",
    "(NOT {})",
    "bit_length({})",
];
const OPERATORS: &[&str] = &[
    "=",
    "<>",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "AND",
    "OR",
    "LIKE",
    "||",
    "IS DISTINCT FROM",
    "~",
    "IN",
    "&",
];

/// Tables with their columns that are numbers, and those that are texts.
const SOUND: &[(&str, &[&str], &[&str])] = &[
    (
        "observations",
        &["subject_port", "t_us", "row", "subject_addr_hi", "subject_addr_lo", "attempt"],
        &["subject_addr", "outcome", "protocol", "telnet['text']", "mandate_id", "vantage_addr"],
    ),
    (
        "services",
        &["port", "seen_us", "first_us", "addr_hi", "addr_lo", "asn"],
        &["addr", "protocol", "state", "product", "version", "country", "banner"],
    ),
];

/// What an expression that makes sense is of.
type Columns = (&'static [&'static str], &'static [&'static str]);

struct Asker {
    random: ChaCha8Rng,
}

impl Asker {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.random).expect("there is something to choose from")
    }

    fn chance(&mut self, of: u32) -> bool {
        self.random.random_range(0..of) == 0
    }

    fn expression(&mut self, columns: &[&str], depth: u32) -> String {
        match self.random.random_range(0..10) {
            0..4 => self.one(columns).to_owned(),
            4 | 5 => self.one(LITERALS).to_owned(),
            _ if depth == 0 => self.one(columns).to_owned(),
            6 | 7 => {
                let operator = self.one(OPERATORS);
                let (left, right) =
                    (self.expression(columns, depth - 1), self.expression(columns, depth - 1));
                match operator {
                    "IN" => format!("({left} IN ({right}, {}))", self.one(LITERALS)),
                    _ => format!("({left} {operator} {right})"),
                }
            }
            _ => {
                let mut call = self.one(CALLS).to_owned();
                while let Some(at) = call.find("{}") {
                    let argument = self.expression(columns, depth - 1);
                    call.replace_range(at..at + 2, &argument);
                }
                call
            }
        }
    }

    fn select(&mut self, depth: u32) -> String {
        let number = if self.chance(4) { self.random.random_range(1..COLUMNS.len()) } else { 0 };
        let (table, columns) = COLUMNS[number];
        let mut from = match self.random.random_range(0..8) {
            0 => format!("stored.{table}"),
            1 if depth > 0 => format!("({}) AS inner_{depth}", self.select(depth - 1)),
            2 => format!(
                "{table} AS a JOIN {table} AS b USING ({})",
                self.one(&["row", "subject_port", "batch_id", "port"])
            ),
            _ => table.to_owned(),
        };
        if depth > 0 && self.chance(8) {
            from = format!("{from} WHERE EXISTS ({})", self.select(depth - 1));
        } else if self.chance(2) {
            from = format!("{from} WHERE {}", self.expression(columns, 2));
        }
        let list: Vec<String> =
            (0..self.random.random_range(1..4)).map(|_| self.expression(columns, 2)).collect();
        let list = if self.chance(5) { vec!["*".to_owned()] } else { list };
        let mut text = format!("SELECT {} FROM {from}", list.join(", "));
        if self.chance(3) {
            text = format!("{text} GROUP BY {}", self.expression(columns, 1));
            if self.chance(3) {
                text = format!("{text} HAVING {}", self.expression(columns, 2));
            }
        }
        match self.random.random_range(0..12) {
            0 if depth > 0 => format!("{text} UNION ALL {}", self.select(depth - 1)),
            1 => format!("EXPLAIN {text}"),
            2 => format!("WITH w AS ({text}) SELECT count(*) FROM w"),
            3 => format!("{text} ORDER BY 1"),
            _ => text,
        }
    }

    fn number(&mut self, of: Columns, depth: u32) -> String {
        if depth == 0 || self.chance(2) {
            let column = self.one(of.0).to_owned();
            return if self.chance(4) { self.random.random_range(-9..70_000).to_string() } else { column };
        }
        let (one, other) = (self.number(of, depth - 1), self.text(of, depth - 1));
        match self.random.random_range(0..7) {
            0 => format!("({one} % {})", self.random.random_range(1..99)),
            1 => format!("({one} / 2 - {})", self.number(of, depth - 1)),
            2 => format!("length({other})"),
            3 => format!(
                "version_cmp({other}, '{}.{}')",
                self.random.random_range(0..9),
                self.random.random_range(0..99)
            ),
            4 => format!("coalesce({one}, {})", self.number(of, depth - 1)),
            5 => format!("CASE WHEN {} THEN {one} ELSE 0 END", self.truth(of, depth - 1)),
            _ => format!(
                "(SELECT count(*) FROM services WHERE {})",
                self.truth((SOUND[1].1, SOUND[1].2), depth - 1)
            ),
        }
    }

    fn text(&mut self, of: Columns, depth: u32) -> String {
        if depth == 0 || self.chance(2) {
            let column = self.one(of.1).to_owned();
            return if self.chance(4) {
                self.one(&["'telnet'", "'192.0.2.3'", "'mine'", "''"]).to_owned()
            } else {
                column
            };
        }
        let one = self.text(of, depth - 1);
        match self.random.random_range(0..6) {
            0 => format!("lower({one})"),
            1 => format!("({one} || {})", self.text(of, depth - 1)),
            2 => format!("substr({one}, {})", self.random.random_range(1..9)),
            3 => format!("CAST({} AS VARCHAR)", self.number(of, depth - 1)),
            4 => format!("coalesce({one}, '?')"),
            _ => format!("country({})", of.1[0]),
        }
    }

    fn truth(&mut self, of: Columns, depth: u32) -> String {
        let inner = depth.saturating_sub(1);
        match self.random.random_range(0..8) {
            0 if depth > 0 => format!("({} AND {})", self.truth(of, inner), self.truth(of, inner)),
            1 if depth > 0 => format!("({} OR NOT {})", self.truth(of, inner), self.truth(of, inner)),
            2 => format!("{} IS NOT NULL", self.text(of, inner)),
            3 => format!("in_cidr({}, '192.0.2.0/{}')", of.1[0], self.random.random_range(24..32)),
            4 => format!("{} LIKE '%{}%'", self.text(of, inner), self.one(&["e", "2", "mine", "%"])),
            5 => format!("{} IN ('telnet', 'mine', {})", self.text(of, inner), self.text(of, inner)),
            _ => format!(
                "{} {} {}",
                self.number(of, inner),
                self.one(&["=", "<", ">=", "<>"]),
                self.number(of, inner)
            ),
        }
    }

    /// A question that makes sense, mostly.
    fn sound(&mut self) -> String {
        let (table, numbers, texts) = *SOUND.choose(&mut self.random).expect("there are two");
        let of = (numbers, texts);
        let (text, number, truth) = (self.text(of, 2), self.number(of, 2), self.truth(of, 2));
        match self.random.random_range(0..7) {
            0 => format!("SELECT {text}, {number} FROM {table} WHERE {truth}"),
            1 => format!("SELECT {text} AS x, count(*), max({number}) FROM {table} WHERE {truth} GROUP BY 1"),
            2 => format!("SELECT {text} AS x, avg({number}) FROM {table} GROUP BY 1 HAVING count(*) > 1"),
            3 => format!("SELECT count(*), count(DISTINCT {text}), min({number}) FROM {table} WHERE {truth}"),
            4 => format!(
                "SELECT {text}, rank() OVER (PARTITION BY {} ORDER BY {number}) FROM {table}",
                self.text(of, 0)
            ),
            5 => {
                let other = (SOUND[0].1, SOUND[0].2);
                format!(
                    "SELECT {text} FROM {table} WHERE {} IN (SELECT subject_addr FROM observations WHERE {})",
                    of.1[0],
                    self.truth(other, 1)
                )
            }
            _ => format!(
                "SELECT {text} FROM {table} WHERE {truth} UNION SELECT {} FROM {table}",
                self.text(of, 1)
            ),
        }
    }

    fn statement(&mut self, number: usize) -> String {
        let mut text = match (number % 2, self.random.random_range(0..30)) {
            (0, _) => self.sound(),
            (_, 0) => format!("DELETE FROM stored.observations WHERE {}", self.expression(COLUMNS[0].1, 1)),
            (_, 1) => format!("CREATE TABLE t AS {}", self.select(1)),
            (_, 2) => format!("COPY ({}) TO '/nowhere/out.csv'", self.select(0)),
            (_, 3) => "DROP TABLE stored.observations".to_owned(),
            _ => self.select(2),
        };
        if number.is_multiple_of(SPOILT) {
            let mut characters: Vec<char> = text.chars().collect();
            for _ in 0..self.random.random_range(1..4) {
                let at = self.random.random_range(0..characters.len());
                match self.random.random_range(0..3) {
                    0 => drop(characters.remove(at)),
                    1 => characters.insert(at, characters[at]),
                    _ => characters.insert(
                        at,
                        *['(', '\'', '"', ';', '\0', '検', '*'].choose(&mut self.random).unwrap(),
                    ),
                }
                if characters.is_empty() {
                    break;
                }
            }
            text = characters.into_iter().collect();
        }
        text
    }
}

/// Rows in whatever order they came; of errors only that they are.
async fn answer(lake: &Lake, sql: &str, sight: &Sight) -> Result<Vec<String>, LakeError> {
    let limits = Limits { rows: 20_000, memory_bytes: 64 << 20, time: std::time::Duration::from_secs(60) };
    let question =
        Question { sql: sql.to_owned(), sight: sight.clone(), limits, places: None, annexes: Vec::new() };
    let answer = lake.ask(&question).await?;
    let mut lines: Vec<String> = answer.render(Format::JsonLines)?.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

#[tokio::test]
async fn questions_by_chance_harm_nothing() {
    let number = |name: &str, or: usize| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (cases, seed) = (number("KENSHIN_SQL_CASES", CASES), number("KENSHIN_SQL_SEED", 1) as u64);
    let (_one, alone) = lake().await;
    let (_two, crowded) = lake().await;
    let own: Vec<_> = (1..9).map(|host| observation(&format!("192.0.2.{host}"), "mine")).collect();
    let foreign = |addr: &str| Observation { mandate_id: "foreign".into(), ..observation(addr, "foreign") };
    let mut all = own.clone();
    // Before, between and behind: no row of ours has the place that it has alone.
    for n in 0..200 {
        all.insert(n % (all.len() + 1), foreign(&format!("198.51.100.{n}")));
    }
    assert_ne!(all[0], own[0]);
    // What its label keeps in the organisation, at addresses that may be seen.
    all.extend(
        [Tlp::Red, Tlp::AmberStrict].into_iter().map(|tlp| Observation { tlp, ..foreign("192.0.2.3") }),
    );
    let own_mandate = own[0].mandate_id.clone();
    alone.commit(&[batch(1, own)], NOW).await.unwrap();
    crowded.commit(&[batch(1, all)], NOW).await.unwrap();
    let services = |prefix: &str, to: u8, product: &str| -> Vec<_> {
        (1..to).map(|host| service(&format!("{prefix}.{host} 23 telnet product={product}"))).collect()
    };
    let seen = [(super::batch(1, vec![]).header.sensor_id, 1)].into();
    alone.whole().add(services("192.0.2", 9, "mine"), &seen).await.unwrap();
    crowded.whole().add(services("192.0.2", 9, "mine"), &seen).await.unwrap();
    crowded.whole().add(services("198.51.100", 99, "foreign"), &seen).await.unwrap();
    let mut kept = services("192.0.2", 40, "foreign").split_off(30);
    kept.iter_mut().for_each(|row| row.tlp = Tlp::Red.to_string());
    crowded.whole().add(kept, &seen).await.unwrap();
    // The same lake, whose view is read from memory.
    let held = Lake::open(crowded.location()).await.unwrap();
    held.hold_columns(usize::MAX);
    let range = |from: &str, to: &str| -> (IpAddr, IpAddr) { (from.parse().unwrap(), to.parse().unwrap()) };
    // Who sees some addresses, and who sees what one mandate brought: their view has nothing else.
    let mandates = Mandates::new([own_mandate]).unwrap();
    for lake in [&alone, &crowded] {
        let view = lake.view_of(&Extent::Mandates(mandates.clone())).await.unwrap();
        let mut made = view.begin_anew(NOW).await.unwrap();
        made.write(services("192.0.2", 9, "mine")).await.unwrap();
        view.finish(made, &seen, NOW).await.unwrap();
    }
    let sights = [Sight::Only(vec![range("192.0.2.0", "192.0.2.255")]), Sight::Mandates(mandates)];

    let mut asker = Asker { random: ChaCha8Rng::seed_from_u64(seed) };
    let (mut answered, mut refused) = (0, 0);
    for number in 0..cases {
        let sql = asker.statement(number);
        let told = format!("question {number} of seed {seed}: {sql}");
        // Whoever sees everything gets an answer or an error that is the question's, never a panic.
        match answer(&crowded, &sql, &Sight::All).await {
            Ok(found) => {
                answered += 1;
                // Any rows may be the first ones, fractions are added up in any order, what fails at a row
                // fails only where it is asked, and plans tell what is read.
                let open = ["LIMIT", "avg(", "EXPLAIN"].iter().any(|word| sql.contains(word));
                if let (Ok(other), false) = (answer(&held, &sql, &Sight::All).await, open) {
                    assert_eq!(found, other, "{told}");
                }
            }
            Err(LakeError::Query { message } | LakeError::Large { message }) => {
                assert!(!message.contains("panicked"), "{told}: {message}");
                refused += 1;
            }
            Err(LakeError::Limit { .. }) => refused += 1,
            Err(error) => panic!("{told}: {error:?}"),
        }
        // Whoever sees some rows sees the same whatever lies beside them.
        let beside = if number % 2 == 0 { &crowded } else { &held };
        let sight = &sights[number / 2 % sights.len()];
        let (one, other) = (answer(&alone, &sql, sight).await, answer(beside, &sql, sight).await);
        match (one, other) {
            (Ok(one), Ok(other)) => {
                assert_eq!(one, other, "{told}");
                assert!(
                    !other.iter().any(|line| line.contains("foreign")
                        || line.contains("198.51.100.") && !sql.contains("198.51.100")),
                    "{told}: {other:?}"
                );
            }
            (Err(one), Err(other)) => {
                let other = other.to_string();
                assert!(!other.contains("foreign") || sql.contains("foreign"), "{told}: {one} / {other}");
            }
            (one, other) => panic!("{told}: {one:?} / {other:?}"),
        }
    }
    assert!(answered > cases / 10 && refused > cases / 10, "{answered} answered, {refused} refused");
    // All is as it was.
    assert_eq!(csv(&crowded, "SELECT count(*) AS n FROM observations").await, "n\n210\n");
}
