//! One digest over everything that was concluded, without ids and times: two runs with one seed
//! must give the same.

use kenshin_casework::{CaseFilter, FindingFilter, PAGE_MAX, PageRequest};
use kenshin_lake::{Format, Limits};
use kenshin_observation::SurveyId;
use sha2::{Digest, Sha256};

use crate::Observatory;
use crate::error::ActError;

/// SHA-256, hexadecimal, over the sorted lines of (round, target, check, outcome), (finding) and
/// (case axes).
pub(crate) async fn digest(observatory: &Observatory, rounds: &[SurveyId]) -> Result<String, ActError> {
    let mut lines = Vec::new();
    for (number, survey) in rounds.iter().enumerate() {
        let sql = format!(
            "SELECT subject_addr, subject_port, \"check\", outcome, protocol FROM observations WHERE survey_id = '{survey}'"
        );
        let answer = observatory.lake().await?.query(&sql, Limits::default()).await?;
        lines.extend(
            answer.render(Format::Csv)?.lines().skip(1).map(|line| format!("outcome,{},{line}", number + 1)),
        );
    }
    let mut page = Some(PageRequest { after: None, limit: PAGE_MAX });
    while let Some(request) = page {
        let found = observatory
            .casework()
            .findings(&observatory.viewer(), &FindingFilter::default(), &request)
            .await?;
        page = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
        lines.extend(found.items.iter().map(|record| {
            let finding = &record.finding;
            format!(
                "finding,{},{},{},{}",
                finding.endpoint, finding.kind, finding.explanation.code, record.state
            )
        }));
    }
    let mut page = Some(PageRequest { after: None, limit: PAGE_MAX });
    while let Some(request) = page {
        let cases =
            observatory.casework().cases(&observatory.viewer(), &CaseFilter::default(), &request).await?;
        page = PageRequest::following(&cases).map(|next| PageRequest { limit: PAGE_MAX, ..next });
        lines.extend(cases.items.iter().map(|case| {
            let reason = case.close_reason.map_or("", |reason| reason.as_str());
            format!(
                "case,{},{},{},{},{},{reason},{}",
                case.subject.endpoint, case.endpoint, case.remedy, case.stage, case.condition, case.episode
            )
        }));
    }
    lines.sort();
    Ok(hex::encode(Sha256::digest(lines.join("\n"))))
}
