//! Short texts that stand for much: refused before it is built, and what is just small enough is answered.

use std::time::Duration;

use kenshin_lake::view::Sight;
use kenshin_lake::{Format, Lake, LakeError, Limits, Question};

use super::{NOW, batch, lake, observation};

const LIMITS: Limits = Limits { rows: 100_000, memory_bytes: 64 << 20, time: Duration::from_secs(20) };

async fn ask(lake: &Lake, sql: &str) -> Result<String, LakeError> {
    lake.query(sql, LIMITS).await?.render(Format::Csv)
}

/// `first`, and `count` times `next`.
fn chain(first: &str, next: &str, count: usize) -> String {
    format!("{first}{}", next.repeat(count))
}

/// `WITH` of so many names, each made twice of the one before.
fn doubled(count: usize, first: &str, next: &str) -> String {
    let names = (1..count).map(|n| {
        let before = n - 1;
        format!(", a{n} AS ({})", next.replace('@', &format!("a{before}")))
    });
    let names: String = names.collect();
    format!("WITH a0 AS ({first}){names} SELECT count(*) AS n FROM a{} WHERE x >= 0", count - 1)
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_built() {
    let (_folder, lake) = lake().await;
    let rows: Vec<_> = (0..40).map(|n| observation(&format!("192.0.2.{n}"), "x")).collect();
    lake.commit(&[batch(1, rows)], NOW).await.unwrap();
    let column = "SELECT CAST(row AS BIGINT) AS x FROM observations";
    let (summed, joined) = ("SELECT x + x AS x FROM @", "SELECT p.x FROM @ p JOIN @ q ON p.x = q.x");
    let nested = |count: usize| {
        let heads: String = (0..count).map(|n| format!("WITH a{n} AS (")).collect();
        let tails: String = (0..count).rev().map(|n| format!(") SELECT * FROM a{n}")).collect();
        format!("{heads}SELECT 1 AS x{tails}")
    };
    let joins = |count: usize| {
        let more: String = (1..count)
            .map(|n| format!(" JOIN observations o{n} ON o{n}.subject_addr_lo = o0.subject_addr_lo"))
            .collect();
        format!("SELECT count(*) FROM observations o0{more}")
    };
    for (small, large) in [
        (chain("SELECT 1", "+1", 190), chain("SELECT 1", "+1", 16_000)),
        (chain("SELECT 'a'", "||'a'", 190), chain("SELECT 'a'", "||'a'", 16_000)),
        (chain("SELECT 1", "::int", 190), chain("SELECT 1", "::int", 16_000)),
        (chain("SELECT 1", " IS NULL", 190), chain("SELECT 1", " IS NULL", 16_000)),
        (
            chain("SELECT count(*) FROM observations WHERE row = 0", " OR row = 1", 190),
            chain("SELECT count(*) FROM observations WHERE row = 0", " OR row = 1", 16_000),
        ),
        (chain("SELECT 1", " UNION ALL SELECT 1", 60), chain("SELECT 1", " UNION ALL SELECT 1", 5_000)),
        (chain("VALUES (1)", " UNION ALL VALUES (1)", 60), chain("VALUES (1)", " UNION ALL VALUES (1)", 5_000)),
        (doubled(5, column, joined), doubled(24, column, joined)),
        (doubled(9, column, summed), doubled(40, column, summed)),
        (nested(4), nested(40)),
        (
            format!("SELECT row FROM observations ORDER BY row{}", ", row + 1".repeat(40)),
            format!("SELECT row FROM observations ORDER BY row{}", ", row + 1".repeat(2_500)),
        ),
        (
            format!("SELECT {}1 AS x FROM observations", "sum(row) OVER (ORDER BY t_us) + ".repeat(20)),
            format!("SELECT {}1 AS x FROM observations", "sum(row) OVER (ORDER BY t_us) + ".repeat(150)),
        ),
        (joins(8), joins(120)),
        (chain("SELECT CAST(NULL AS INT", "[]", 4) + ") AS x", chain("SELECT CAST(NULL AS INT", "[]", 1_000) + ") AS x"),
        (chain("SELECT ", "(", 10) + "1" + &")".repeat(10), chain("SELECT ", "(", 190) + "1" + &")".repeat(190)),
        (
            "SELECT arrow_cast('a', 'Binary') AS x FROM observations".to_owned(),
            "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)') AS x FROM range(10)".to_owned(),
        ),
        (
            "SELECT arrow_cast([1], 'List(Int32)') AS x".to_owned(),
            format!("SELECT arrow_cast(NULL, '{}Int32{}') AS x", "List(".repeat(3_000), ")".repeat(3_000)),
        ),
        (
            "SELECT cardinality(array_replace_all(array_repeat('a', 100), 'a', 'b')) AS x".to_owned(),
            "SELECT array_replace_all(array_repeat('a', 10000), 'a', repeat('x', 30000)) AS x".to_owned(),
        ),
        // What is small by itself comes to stand in every row.
        (
            "SELECT repeat('a', 100) AS x FROM observations".to_owned(),
            "SELECT repeat('a', 100000) AS x FROM observations".to_owned(),
        ),
        (
            "SELECT max(length(array_to_string(range(1, 1000), ','))) AS x".to_owned(),
            "SELECT length(array_to_string(range(1, 3000000), ',')) AS x".to_owned(),
        ),
        (
            "SELECT sum(row) OVER w AS x FROM observations WINDOW w AS (ORDER BY row)".to_owned(),
            format!("SELECT sum(row) OVER w AS x FROM observations WINDOW w AS (ORDER BY row{})", ", row + 1".repeat(2_000)),
        ),
        ("EXPLAIN SELECT 1".to_owned(), chain("", "EXPLAIN ", 1_000) + "SELECT 1"),
        (
            "SELECT array_to_string(array_agg(value), ',') AS x FROM range(30000)".to_owned(),
            "SELECT array_to_string(range(0, 100000), repeat('-', 100000)) AS x".to_owned(),
        ),
        (
            "SELECT count(*) FROM observations GROUP BY CUBE (row, subject_port)".to_owned(),
            "SELECT count(*) FROM observations GROUP BY CUBE (row, subject_port, t_us, outcome, protocol, \
             subject_addr, survey_id, mandate_id, batch_id)"
                .to_owned(),
        ),
        (
            "SELECT length(repeat(subject_addr, 1000)) FROM observations".to_owned(),
            "SELECT length(repeat(subject_addr, 1000000)) FROM observations".to_owned(),
        ),
        ("SELECT length(repeat('a', 1000))".to_owned(), "SELECT length(repeat('a', 700000000))".to_owned()),
        (
            "SELECT lpad(subject_addr, 20), rpad(subject_addr, 20) FROM observations".to_owned(),
            "SELECT lpad(subject_addr, 2000000000) FROM observations".to_owned(),
        ),
        (
            "SELECT replace(subject_addr, '.', '-') FROM observations".to_owned(),
            "SELECT replace(repeat('a', 100000), 'a', repeat('a', 100000))".to_owned(),
        ),
        (
            "SELECT regexp_replace(subject_addr, '[0-9]', 'n', 'g') FROM observations".to_owned(),
            "SELECT regexp_replace(repeat('a', 100000), 'a', repeat('a', 100000), 'g')".to_owned(),
        ),
        ("SELECT cardinality(range(0, 1000))".to_owned(), "SELECT range(0, 1000000000)".to_owned()),
        (
            "SELECT cardinality(generate_series(DATE '2026-01-01', DATE '2026-12-31', INTERVAL '1 month'))"
                .to_owned(),
            "SELECT generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2026-01-01', INTERVAL '1 microsecond')"
                .to_owned(),
        ),
        (
            "SELECT cardinality(array_repeat(1, 1000))".to_owned(),
            "SELECT cardinality(array_repeat(1, 1000000000))".to_owned(),
        ),
        ("SELECT 1".to_owned(), format!("SELECT 1 -- {}", "x".repeat(300_000))),
    ] {
        let told: String = large.chars().take(80).collect();
        let answered = ask(&lake, &small).await;
        assert!(answered.is_ok(), "{small}: {answered:?}");
        let refused = ask(&lake, &large).await;
        assert!(matches!(refused, Err(LakeError::Large { .. })), "{told}: {refused:?}");
        // Who asks for the columns alone is told the same, where it shows before rows flow.
        if let Ok(columns) = lake.columns(&question(&large)).await {
            assert!(!columns.fields().is_empty(), "{told}");
        }
    }
    let rows = "SELECT repeat(subject_addr, 10000) AS a FROM observations, (SELECT row AS other FROM observations LIMIT 20)";
    let refused = ask(&lake, rows).await;
    assert!(matches!(refused, Err(LakeError::Limit { unit: "bytes", .. })), "{refused:?}");
}

fn question(sql: &str) -> Question {
    Question { sql: sql.into(), sight: Sight::All, limits: LIMITS, places: None, annexes: Vec::new() }
}

#[tokio::test]
async fn texts_are_joined_as_the_standard_says() {
    let (_folder, lake) = lake().await;
    let rows = ["a", "b"].map(|banner| observation("192.0.2.1", banner));
    lake.commit(&[batch(1, rows.to_vec())], NOW).await.unwrap();
    for (sql, expected) in [
        ("SELECT 'a' || 1 || TRUE || 2.5 AS x", "x\na1true2.5\n"),
        ("SELECT 'a' || NULL || 'b' IS NULL AS x, concat('a', NULL, 'b') AS y", "x,y\ntrue,ab\n"),
        ("SELECT row || '/' || subject_port AS x FROM observations ORDER BY x", "x\n0/23\n1/23\n"),
        ("SELECT count(*) AS n FROM observations WHERE 'x' || row = 'x1'", "n\n1\n"),
        (
            "SELECT 'r' || row AS x, count(*) AS n FROM observations GROUP BY 'r' || row ORDER BY 1",
            "x,n\nr0,1\nr1,1\n",
        ),
        (
            "SELECT CASE WHEN row = 0 THEN NULL ELSE 'b' END || 'c' AS x FROM observations ORDER BY row",
            "x\n\"\"\nbc\n",
        ),
        ("SELECT encode(X'FF' || X'FE', 'hex') AS x", "x\nfffe\n"),
        ("SELECT array_to_string([1, 2] || [3] || 4, '-') AS x", "x\n1-2-3-4\n"),
    ] {
        assert_eq!(ask(&lake, sql).await.unwrap(), expected, "{sql}");
    }
    // A name without AS is that of what was asked.
    let named = ask(&lake, "SELECT subject_addr || ':' FROM observations LIMIT 1").await.unwrap();
    assert_eq!(named, "\"observations.subject_addr || Utf8(\"\":\"\")\"\n192.0.2.1:\n");
}

#[tokio::test]
async fn columns_of_one_name_are_told_apart_or_refused() {
    let (_folder, lake) = lake().await;
    lake.commit(&[batch(1, vec![observation("192.0.2.1", "x")])], NOW).await.unwrap();
    let sql = "SELECT a.row, b.row FROM observations a CROSS JOIN observations b";
    let answer = lake.query(sql, LIMITS).await.unwrap();
    assert_eq!(answer.render(Format::Csv).unwrap(), "row,row\n0,0\n");
    for refused in [answer.render(Format::Json), answer.render(Format::JsonLines)] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("two columns are named `row`"), "{refused}");
    }
    assert!(answer.parquet().is_err());
    // A value without a form of its own in a file is the question's fault.
    let odd = lake.query("SELECT to_timestamp_micros(9223372036854775807) AS t", LIMITS).await.unwrap();
    assert!(matches!(odd.render(Format::Csv), Err(LakeError::Query { .. })));
}
