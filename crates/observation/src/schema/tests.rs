use ed25519_dalek::SigningKey;

use super::*;
use crate::batch::{BatchError, GENESIS, Seal};
use crate::protocol::{Records, Telnet, Tls};
use crate::{BatchId, Check, Direction, Endpoint, Observation, OrgId, Outcome, SensorId, SurveyId, Tlp};

fn sample() -> Observation {
    let at = TimeUs::from_secs(1_775_000_000);
    let tls = Tls { version: "TLSv1".into(), alternative_names: vec!["a".into()], ..Default::default() };
    let telnet = Telnet { text: "\u{1b}[2Jlogin: ".into(), login_prompt: true, ..Default::default() };
    Observation {
        org_id: OrgId::new(at, 1),
        mandate_id: "demo-2026".into(),
        survey_id: SurveyId::new(at, 2),
        sensor_id: SensorId::new(at, 3),
        tlp: Tlp::Amber,
        time: at,
        clock_error_us: None,
        subject: Endpoint::tcp("198.51.100.7".parse().unwrap(), 23),
        vantage: Endpoint::tcp("2001:db8::1".parse().unwrap(), 0),
        direction: Direction::Probed,
        check: Check::Handshake,
        method_version: 1,
        attempt: 1,
        outcome: Outcome::Answered,
        reason: None,
        protocol: Some("telnet".into()),
        records: Records { tls: Some(tls.into()), telnet: Some(telnet.into()), ..Default::default() },
        blobs: vec!["ab".into()],
        labels: vec![],
    }
}

fn sealed(rows: usize) -> (Batch, SigningKey) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let o = sample();
    let mut n = 0u8;
    let batch = Batch::seal(
        Seal {
            batch_id: BatchId::new(o.time, 9),
            sensor_id: o.sensor_id,
            survey_id: o.survey_id,
            slice: 0,
            sequence: 1,
            previous: GENESIS.into(),
            mandate_digest: "00".into(),
            build: "test".into(),
            now: o.time,
            key: &key,
        },
        vec![o; rows],
        vec![],
        vec![Blob { class: BlobClass::Banner, bytes: b"login: ".to_vec() }],
        || {
            n += 1;
            [n; 16]
        },
    );
    (batch, key)
}

#[test]
fn rows_round_trip_through_arrow() {
    let (batch, _) = sealed(3);
    let rows = Rows::of(&batch, TimeUs::from_secs(5));
    let arrow = ObservationRow::to_arrow(&rows.observations).unwrap();
    let back = ObservationRow::from_arrow(&arrow).unwrap();
    assert_eq!(back, rows.observations);
    assert_eq!(back[2].to_observation().unwrap(), sample());
    let arrow = BlobRow::to_arrow(&rows.blobs).unwrap();
    assert_eq!(BlobRow::from_arrow(&arrow).unwrap()[0].to_blob().unwrap(), batch.blobs[0]);
    for columns in [
        BatchRow::to_arrow(&rows.batches).unwrap(),
        CoverageRow::to_arrow(&rows.coverage).unwrap(),
        SaltRow::to_arrow(&rows.salts).unwrap(),
    ] {
        assert!(columns.num_columns() > 0);
    }
}

#[test]
fn no_column_is_unsigned() {
    fn check(field: &arrow_schema::Field) {
        use arrow_schema::DataType;
        assert!(!field.data_type().is_unsigned_integer(), "{field:?}");
        match field.data_type() {
            DataType::Struct(fields) => fields.iter().for_each(|f| check(f)),
            DataType::List(inner) => check(inner),
            _ => {}
        }
    }
    ObservationRow::fields()
        .iter()
        .chain(BatchRow::fields())
        .chain(CoverageRow::fields())
        .for_each(|f| check(f));
}

/// The stored schema of version 3 is what today's code reads and writes.
#[test]
fn version_3_of_the_schema_does_not_drift() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/schema/observations-v3.txt");
    let now = columns().concat();
    if std::env::var_os("KENSHIN_BLESS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(now, stored, "the schema changed: raise VERSION and keep the old sample");
}

fn columns() -> Vec<String> {
    ObservationRow::fields()
        .iter()
        .map(|f| format!("{} {:?} null={}\n", f.name(), f.data_type(), f.is_nullable()))
        .collect()
}

const VERSION_1: &str = include_str!("../../../../testdata/schema/observations-v1.txt");
const VERSION_2: &str = include_str!("../../../../testdata/schema/observations-v2.txt");

/// Every column of the versions before is there with its type; new columns and new fields may be null.
#[test]
fn versions_only_add_what_may_be_null() {
    for version in [VERSION_1, VERSION_2] {
        only_adds(version);
    }
}

fn only_adds(version: &str) {
    let now = columns();
    for old in version.lines() {
        let open = old.strip_suffix("]) null=true").unwrap_or(old);
        let line = now.iter().find(|line| line.starts_with(open)).expect(old);
        for added in line[open.len()..].split("Field {").skip(1) {
            assert!(added.contains(", nullable: true }"), "{line}");
        }
    }
    let names: Vec<&str> = version.lines().filter_map(|line| line.split(' ').next()).collect();
    for line in now.iter().filter(|line| !names.contains(&line.split(' ').next().unwrap())) {
        assert!(line.ends_with(" null=true\n"), "{line}");
    }
}

#[test]
fn rows_of_version_1_open() {
    let (batch, _) = sealed(2);
    let rows = Rows::of(&batch, TimeUs::from_secs(5)).observations;
    let arrow = ObservationRow::to_arrow(&rows).unwrap();
    let columns: Vec<usize> = VERSION_1
        .lines()
        .map(|line| arrow.schema().index_of(line.split(' ').next().unwrap()).unwrap())
        .collect();
    let old = arrow.project(&columns).unwrap();
    assert!(old.num_columns() < arrow.num_columns());
    assert_eq!(ObservationRow::from_arrow(&old).unwrap(), rows);
}

/// A batch as it was sealed by the version in its name, with every record that version knew.
fn stored(version: i32) -> (&'static str, Batch) {
    let text = match version {
        1 => include_str!("../../../../testdata/schema/batch-v1.json"),
        2 => include_str!("../../../../testdata/schema/batch-v2.json"),
        _ => include_str!("../../../../testdata/schema/batch-v3.json"),
    };
    (text.trim_end(), serde_json::from_str(text).unwrap())
}

/// Leaves and signatures of old batches hold, and written again they have the same bytes.
#[test]
fn batches_of_every_version_open() {
    for version in 1..=crate::batch::SCHEMA {
        let (text, batch) = stored(version);
        assert_eq!(batch.header.schema, version);
        batch.verify(&SigningKey::from_bytes(&[7; 32]).verifying_key()).unwrap();
        assert_eq!(serde_json::to_string(&batch).unwrap(), text);
    }
}

#[test]
fn every_record_survives_arrow() {
    let (_, batch) = stored(3);
    let rows = Rows::of(&batch, TimeUs::from_secs(5)).observations;
    let arrow = ObservationRow::to_arrow(&rows).unwrap();
    for (field, column) in arrow.schema().fields().iter().zip(arrow.columns()) {
        assert!(column.null_count() < rows.len(), "the sample lacks `{}`", field.name());
    }
    let back = ObservationRow::from_arrow(&arrow).unwrap();
    let back: Vec<_> = back.iter().map(|row| row.to_observation().unwrap()).collect();
    assert_eq!(back, batch.observations);
}

#[test]
fn a_changed_batch_is_noticed() {
    let (batch, key) = sealed(5);
    let key = key.verifying_key();
    batch.verify(&key).unwrap();
    let changed = |change: fn(&mut Batch)| {
        let mut copy = batch.clone();
        change(&mut copy);
        copy.verify(&key).unwrap_err()
    };
    assert_eq!(changed(|b| b.observations[4].outcome = Outcome::Dark), BatchError::Root);
    assert_eq!(changed(|b| b.salts.swap(0, 1)), BatchError::Root);
    assert_eq!(changed(|b| b.blobs.clear()), BatchError::Attachments);
    assert_eq!(changed(|b| b.header.sequence = 2), BatchError::Signature);
    assert!(matches!(
        changed(|b| {
            b.salts.pop();
        }),
        BatchError::Count { .. }
    ));
    assert_eq!(changed(|b| b.header.schema = 4), BatchError::Schema(4));
    assert_eq!(changed(|b| b.header.schema = 0), BatchError::Schema(0));
    let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
    assert_eq!(batch.verify(&other), Err(BatchError::Signature));
}
