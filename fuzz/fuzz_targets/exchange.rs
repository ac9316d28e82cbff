//! Fuzzes the readers of other scanners' files, target lists too: the first byte chooses one. What was
//! read is written in every format and read again, which must go without a problem.
#![no_main]

use kenshin_exchange::{
    Export, Fields, Format, Import, Look, Origin, ReadError, TargetFormat, Targets, Terms,
};
use kenshin_observation::{Observation, OrgId, TimeUs, Tlp, Transport};

fn terms() -> Terms {
    let look = Look {
        redact: <[u8]>::to_vec,
        title: |page| page.lines().next().map(str::to_owned),
        password_form: |page| page.contains("password"),
        prompt: |text| [text.ends_with(b": "), false, false],
    };
    Terms {
        org_id: OrgId::from_bits(1),
        tlp: Tlp::Amber,
        time: TimeUs::from_secs(0),
        port: Some((80, Transport::Tcp)),
        names: Default::default(),
        look,
    }
}

/// The rows of a file, and how many problems it has.
fn read(format: Format, bytes: &[u8]) -> (Vec<Observation>, usize) {
    let origin = Origin::new(format.tool(), [0; 32]);
    let (mut rows, mut problems) = (Vec::new(), 0);
    for item in Import::new(format, "fuzz", bytes, origin, terms()) {
        match item {
            Ok(imported) => {
                assert!(Origin::of(&imported.observation).is_some());
                rows.push(imported.observation);
            }
            Err(ReadError::Malformed(problem)) => {
                assert!(problem.place.line >= 1 && problem.place.column >= 1);
                problems += 1;
            }
            Err(ReadError::Io { source, .. }) => panic!("memory does not fail: {source}"),
        }
    }
    (rows, problems)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let choice = usize::from(choice) % (Format::ALL.len() + TargetFormat::ALL.len());
    let Some(&format) = Format::ALL.get(choice) else {
        for target in Targets::new(TargetFormat::ALL[choice - Format::ALL.len()], "fuzz", rest) {
            if let Ok(target) = target {
                assert!(target.first <= target.last && target.first.is_ipv4() == target.last.is_ipv4());
            }
        }
        return;
    };
    let (rows, _) = read(format, rest);
    for format in Format::ALL {
        let mut out = Vec::new();
        let fields = Fields { failures: true, ..Fields::default() };
        let mut export = Export::new(*format, &mut out, fields);
        for row in &rows {
            export.row(row).expect("memory takes everything");
        }
        export.finish().expect("memory takes everything");
        let (_, problems) = read(*format, &out);
        assert_eq!(problems, 0, "{format}: {}", String::from_utf8_lossy(&out));
    }
});
