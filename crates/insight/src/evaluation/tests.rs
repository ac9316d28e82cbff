use super::*;
use crate::fingerprint::Pack;

fn packs() -> Packs {
    let pack = r#"<fingerprints matches="ssh.banner" protocol="ssh">
        <fingerprint pattern="^AcmeSSH_([\d.]+)$"><description>Acme</description>
          <param pos="0" name="hw.vendor" value="Acme Inc."/><param pos="0" name="hw.product" value="R1"/>
          <param pos="0" name="hw.device" value="Broadband Router"/><param pos="1" name="os.version"/></fingerprint>
        <fingerprint pattern="^Software_([\d.]+)$"><description>Software</description>
          <param pos="0" name="service.vendor" value="Someone"/><param pos="0" name="service.product" value="Software"/>
          <param pos="1" name="service.version"/></fingerprint>
        <fingerprint pattern="^Weak$" certainty="0.1"><description>Weak</description>
          <param pos="0" name="hw.vendor" value="Weak"/></fingerprint>
      </fingerprints>"#;
    Packs::new(vec![std::sync::Arc::new(Pack::parse("test", [("ssh.xml", pack)]).unwrap())])
}

fn of(lines: &str) -> Evaluation {
    evaluate("set.jsonl", lines.as_bytes(), &packs()).unwrap()
}

fn counts(score: &Score) -> (u64, u64, u64) {
    (score.judged, score.answered, score.correct)
}

#[test]
fn every_attribute_is_counted_by_itself() {
    let evaluation = of(
        r#"{"service":"ssh","banner":"SSH-2.0-AcmeSSH_1.2\r\n","truth":{"vendor":"ACME","product":"Acme R1","type":"router","version":"v1.2"},"id":7}
{"service":"ssh","banner":"SSH-2.0-AcmeSSH_1.2","truth":{"vendor":["Other","acme"],"product":"R2","version":1.2}}

{"service":"ssh","banner_base64":"U1NILTIuMC1Tb2Z0d2FyZV8z","truth":{"vendor":"someone","product":"software","type":"server"}}
{"service":"ssh","banner":"SSH-2.0-Weak","truth":{"vendor":"Weak","product":null,"version":[]}}
{"service":"ssh","banner":"SSH-2.0-Nobody","truth":{"vendor":"Nobody"}}
"#,
    );
    assert_eq!((evaluation.banners, evaluation.rejected_total), (5, 0), "{:?}", evaluation.rejected);
    assert_eq!(counts(&evaluation.score(Attribute::Vendor)), (5, 3, 3), "below the threshold it abstains");
    assert_eq!(counts(&evaluation.score(Attribute::Product)), (3, 3, 2));
    assert_eq!(counts(&evaluation.score(Attribute::Type)), (2, 1, 1));
    assert_eq!(counts(&evaluation.score(Attribute::Version)), (2, 2, 2));
    let vendor = evaluation.score(Attribute::Vendor);
    assert_eq!((vendor.precision(), vendor.recall(), vendor.abstention()), (Some(1.0), Some(0.6), Some(0.4)));
    assert_eq!(Score::default().precision(), None);

    let [wrong] = evaluation.wrong.as_slice() else { panic!("{:?}", evaluation.wrong) };
    assert_eq!((wrong.line, wrong.attribute, wrong.answer.as_str()), (2, Attribute::Product, "R1"));
    assert_eq!(wrong.truth, ["R2"]);
    assert!(wrong.reason.starts_with("test:ssh/1 ssh.banner:0"), "{}", wrong.reason);
}

#[test]
fn a_line_that_cannot_be_used_is_reported_with_its_number() {
    let evaluation = of(r#"{"service":"ssh","banner":"x","truth":{}}
not json
{"service":"gopher","banner":"x","truth":{}}
{"service":"ssh","truth":{}}
{"service":"ssh","banner":"x","banner_base64":"eA==","truth":{}}
{"service":"ssh","banner_base64":"%","truth":{}}
{"service":"ssh","banner":"y","truth":{"vendor":{}}}
"#);
    assert_eq!((evaluation.banners, evaluation.rejected_total), (1, 6));
    let lines: Vec<u64> = evaluation.rejected.iter().map(|rejected| rejected.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
    let long = format!("{{\"service\":\"ssh\",\"banner\":\"{}\",\"truth\":{{}}}}\n", "a".repeat(LINE_MAX));
    assert_eq!(of(&long).rejected_total, 1);
}

#[test]
fn calibration_compares_confidence_with_what_was_right() {
    let mut score = Score::default();
    for (confidence, right) in [(90, true), (90, true), (95, true), (95, false), (100, true), (60, false)] {
        score.note(confidence, right);
    }
    // 90 to 100 is one tenth: 4.70 claimed of 5, 4 right; 60: 0.60 claimed, 0 right.
    assert!((score.calibration_error().unwrap() - (0.70 + 0.60) / 6.0).abs() < 1e-9);
    assert_eq!(score.calibration().len(), 2);
    assert_eq!(Score::default().calibration_error(), None);
}
