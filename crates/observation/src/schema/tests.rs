use arrow_array::Array;
use ed25519_dalek::SigningKey;

use super::observation::RECORDS;
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

/// Rows of a batch, by way of rows.
fn rows_of(batch: &Batch) -> Vec<ObservationRow> {
    let (id, at) = (batch.header.batch_id.to_string(), TimeUs::from_secs(5));
    (0..).zip(&batch.observations).map(|(row, o)| ObservationRow::of(o, &id, row, at)).collect()
}

/// All rows of a table that a batch becomes.
fn taken<R: Taken>(batch: &Batch) -> RecordBatch {
    let batches = [batch];
    let intake = Intake::new(&batches, TimeUs::from_secs(5));
    let rows = R::groups(&intake).iter().map(|group| group.rows.len()).sum();
    R::columns(&intake, 0..rows).unwrap()
}

#[test]
fn rows_round_trip_through_arrow() {
    let (batch, _) = sealed(3);
    let rows = rows_of(&batch);
    let arrow = ObservationRow::to_arrow(&rows).unwrap();
    let back = ObservationRow::from_arrow(&arrow).unwrap();
    assert_eq!(back, rows);
    assert_eq!(back[2].to_observation().unwrap(), sample());
    let blobs = BlobRow::from_arrow(&taken::<BlobRow>(&batch)).unwrap();
    assert_eq!(blobs[0].to_blob().unwrap(), batch.blobs[0]);
    let old = BlobRow { bytes: None, bytes_hex: Some("6c6f67696e3a20".into()), ..blobs[0].clone() };
    assert_eq!(old.to_blob().unwrap(), batch.blobs[0]);
    let salts = SaltRow::from_arrow(&taken::<SaltRow>(&batch)).unwrap();
    assert_eq!(salts[2].bytes.as_deref(), Some(&[3; 16][..]));
    assert_eq!(BlobRow::from_arrow(&BlobRow::to_arrow(&blobs).unwrap()).unwrap(), blobs);
    assert_eq!(BatchRow::from_arrow(&taken::<BatchRow>(&batch)).unwrap()[0].root, batch.header.root);
}

/// Columns that are made of batches are those of the rows in between, in the order of storing.
#[test]
fn batches_become_the_columns_of_their_rows() {
    let (_, stored) = stored(3);
    let (mut sealed, _) = sealed(6);
    for (nth, o) in (0..).zip(&mut sealed.observations) {
        // 2026-04-30 and 2026-05-01, two mandates, and addresses and ports that go down.
        o.time = TimeUs::from_secs(1_777_593_597 + nth % 2 * 5);
        o.mandate_id = ["b", "a"][usize::from(nth < 3)].into();
        o.subject = Endpoint::tcp([198, 51, 100, 200 - u8::try_from(nth).unwrap()].into(), 23);
    }
    let batches = [&stored, &sealed];
    let intake = Intake::new(&batches, TimeUs::from_secs(5));
    let groups = ObservationRow::groups(&intake);
    let mut expected: Vec<ObservationRow> = batches.iter().flat_map(|batch| rows_of(batch)).collect();
    let order = |row: &ObservationRow| {
        let group = (TimeUs::from_micros(row.t_us).month(), row.mandate_id.clone());
        let group =
            groups.iter().position(|one| one.values == [Some(group.0.clone()), Some(group.1.clone())]);
        let place = (row.subject_addr_hi, row.subject_addr_lo, row.subject_port, row.t_us);
        (group.unwrap(), place, row.batch_id != stored.header.batch_id.to_string(), row.row)
    };
    expected.sort_by_key(order);
    assert_eq!(groups.iter().map(|group| group.rows.len()).sum::<usize>(), expected.len());
    assert!(groups.windows(2).all(|pair| pair[0].rows.end == pair[1].rows.start));
    assert!(groups.len() >= 5, "{groups:?}");
    let rows = ObservationRow::to_arrow(&expected).unwrap();
    for range in [0..expected.len(), 2..5, 0..1] {
        let made = ObservationRow::columns(&intake, range.clone()).unwrap();
        let rows = rows.slice(range.start, range.len());
        // Records that no row has are no column, and everything else is one.
        let is_made = |at: &usize| {
            let is_record = RECORDS.iter().any(|field| *field == rows.schema_ref().fields()[*at]);
            !is_record || rows.column(*at).null_count() < rows.num_rows()
        };
        let kept: Vec<usize> = (0..rows.num_columns()).filter(is_made).collect();
        assert_eq!(made, rows.project(&kept).unwrap(), "{range:?}");
        // All rows have a record of every protocol, one row has that of one or two.
        assert_eq!(kept.len() == rows.num_columns(), range.len() == expected.len(), "{range:?}");
    }
    let salts = SaltRow::from_arrow(&SaltRow::columns(&intake, 0..expected.len()).unwrap()).unwrap();
    for (salt, row) in salts.iter().zip(&expected) {
        assert_eq!((&salt.batch_id, salt.row), (&row.batch_id, row.row));
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
        .chain(SaltRow::fields())
        .chain(BlobRow::fields())
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

/// Columns of the row as its type has them.
fn columns() -> Vec<String> {
    let records = traced::<Records>();
    traced::<ObservationRow>()
        .iter()
        .flat_map(|field| if field.name() == "records" { records.clone() } else { vec![field.clone()] })
        .map(|f| format!("{} {:?} null={}\n", f.name(), f.data_type(), f.is_nullable()))
        .collect()
}

/// In files the fields of a record may be null, at any depth, and nothing else is another than in the row.
#[test]
fn where_a_record_is_null_so_are_its_fields() {
    fn check(stored: &Field, row: &Field, is_field: bool) {
        assert_eq!(stored.name(), row.name());
        assert_eq!(stored.is_nullable(), is_field || row.is_nullable(), "{stored}");
        match (stored.data_type(), row.data_type()) {
            (DataType::Struct(stored), DataType::Struct(row)) => {
                assert_eq!(stored.len(), row.len());
                stored.iter().zip(row).for_each(|(stored, row)| check(stored, row, true));
            }
            (stored, row) => assert_eq!(stored, row),
        }
    }
    let records = traced::<Records>();
    assert_eq!(RECORDS.len(), records.len());
    RECORDS.iter().zip(&records).for_each(|(stored, row)| check(stored, row, false));
    let names: Vec<&str> = RECORDS.iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, Records::NAMES);
    let plain = traced::<ObservationRow>();
    let plain = plain.iter().filter(|field| field.name() != "records");
    let stored = ObservationRow::fields().iter().filter(|field| !RECORDS.contains(field));
    assert!(plain.eq(stored));
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
    let rows = rows_of(&batch);
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
    let rows = rows_of(&batch);
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
