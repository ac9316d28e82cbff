use super::*;

const NOW: TimeUs = TimeUs::from_secs(1_775_000_000);

fn open(dir: &Path, bytes_max: u64) -> Spool {
    Spool::open(dir, bytes_max, NOW, [7; 32]).unwrap()
}

fn draft(slice: u64) -> Draft {
    Draft {
        survey_id: SurveyId::from_bits(1),
        slice,
        mandate_digest: "00".into(),
        observations: vec![],
        coverage: vec![],
        blobs: vec![],
    }
}

fn seal(spool: &Spool, slice: u64) -> Result<i64, SpoolError> {
    spool.seal(&draft(slice), BatchId::from_bits(slice.into()), NOW, || [0; 16])
}

fn chain_is_whole(spool: &Spool) {
    let mut previous: Option<Batch> = None;
    for batch in spool.pending() {
        let batch = batch.unwrap();
        if let Some(previous) = previous {
            assert_eq!(batch.header.sequence, previous.header.sequence + 1);
            assert_eq!(batch.header.previous, previous.header.digest());
        }
        previous = Some(batch);
    }
    if let Some(last) = previous {
        assert_eq!(spool.head(), ChainHead { sequence: last.header.sequence, digest: last.header.digest() });
    }
}

#[test]
fn the_chain_goes_on_over_acknowledgements_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), 1 << 20);
    for slice in 0..3 {
        assert_eq!(seal(&spool, slice).unwrap(), slice as i64 + 1);
    }
    assert_eq!(spool.pending().next().unwrap().unwrap().header.previous, GENESIS);
    let head = spool.head();
    for sequence in [1, 2, 3, 3] {
        spool.ack(sequence).unwrap();
    }
    assert!(matches!(spool.ack(4), Err(SpoolError::Unknown { .. })));
    drop(spool);
    let spool = open(dir.path(), 1 << 20);
    assert_eq!((spool.head(), spool.bytes()), (head.clone(), 0));
    assert_eq!(spool.sealed(SurveyId::from_bits(1)).iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert!(matches!(seal(&spool, 2), Err(SpoolError::AlreadySealed { .. })));
    assert_eq!(seal(&spool, 3).unwrap(), 4);
    assert_eq!(spool.read(4).unwrap().header.previous, head.digest);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _held = open(dir.path(), 1 << 20);
    let error = Spool::open(dir.path(), 1 << 20, NOW, [7; 32]).unwrap_err();
    assert!(error.to_string().contains("in use by another run"), "{error}");
}

#[test]
fn it_is_bounded_and_drains() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), 1);
    seal(&spool, 0).unwrap();
    assert!(spool.is_full());
    assert!(matches!(seal(&spool, 1), Err(SpoolError::Full { .. })));
    spool.ack(1).unwrap();
    seal(&spool, 1).unwrap();
}

/// Whatever byte of the chain a crash stops at, and whatever part of a batch was written, the
/// chain goes on without a gap and no sealed slice is forgotten.
#[test]
fn a_crash_at_any_byte_leaves_the_chain_whole() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), 1 << 20);
    let chain = dir.path().join("chain.log");
    seal(&spool, 0).unwrap();
    let before = std::fs::metadata(&chain).unwrap().len() as usize;
    seal(&spool, 1).unwrap();
    drop(spool);
    let (whole, batch) = (std::fs::read(&chain).unwrap(), dir.path().join("batches/000000000002.json"));
    let bytes = std::fs::read(&batch).unwrap();

    // The batch was renamed into place; its link was torn.
    for cut in before..=whole.len() {
        std::fs::write(&chain, &whole[..cut]).unwrap();
        let spool = open(dir.path(), 1 << 20);
        assert_eq!(spool.head().sequence, 2, "cut at {cut}");
        assert!(spool.sealed(SurveyId::from_bits(1)).contains(1), "cut at {cut}");
        chain_is_whole(&spool);
    }
    // The batch was not yet renamed into place: it never was.
    for cut in 0..bytes.len() {
        std::fs::write(&chain, &whole[..before]).unwrap();
        let _ = std::fs::remove_file(&batch);
        std::fs::write(batch.with_extension("tmp"), &bytes[..cut]).unwrap();
        let spool = open(dir.path(), 1 << 20);
        assert_eq!(spool.head().sequence, 1, "cut at {cut}");
        assert!(!batch.with_extension("tmp").exists());
        if cut % 97 == 0 {
            assert_eq!(seal(&spool, 1).unwrap(), 2);
            chain_is_whole(&spool);
        }
    }
}

#[test]
fn a_changed_batch_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), 1 << 20);
    seal(&spool, 0).unwrap();
    let path = dir.path().join("batches/000000000001.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"slice\":0", "\"slice\":9")).unwrap();
    assert!(matches!(spool.read(1), Err(SpoolError::Batch { source: BatchFault::Seal(_), .. })));
    std::fs::write(&path, "{").unwrap();
    assert!(matches!(spool.read(1), Err(SpoolError::Batch { source: BatchFault::Json(_), .. })));
}

#[test]
fn as_a_sink_it_takes_only_what_follows() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spool = open(one.path(), 1 << 20);
    let mut other = open(two.path(), 1 << 20);
    // The same seed and instant make the same sensor.
    seal(&spool, 0).unwrap();
    seal(&spool, 1).unwrap();
    let (first, second) = (spool.read(1).unwrap(), spool.read(2).unwrap());
    assert!(other.accept(&second).is_err());
    other.accept(&first).unwrap();
    other.accept(&first).unwrap();
    other.accept(&second).unwrap();
    chain_is_whole(&other);
    let mut forged = second.clone();
    forged.header.sequence = 3;
    assert!(other.accept(&forged).is_err());
}

#[test]
fn rates_are_counted_over_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (survey, later) = (SurveyId::from_bits(1), NOW.plus_secs(60));
    let spool = open(dir.path(), 1 << 20);
    assert_eq!(spool.last_sent("m", later), None);
    spool.record_sending("m", survey, true, NOW).unwrap();
    spool.record_sending("m", survey, false, NOW.plus_secs(5)).unwrap();
    assert_eq!(spool.last_sent("m", later), Some(NOW.plus_secs(5)));
    spool.record_sending("m", survey, true, NOW.plus_secs(6)).unwrap();
    drop(spool);
    // It did not end: it may have sent until now.
    assert_eq!(open(dir.path(), 1 << 20).last_sent("m", later), Some(later));
}
