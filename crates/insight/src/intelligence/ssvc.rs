//! SSVC as CISA adds it to CVE records (`containers.adp[].metrics[].other`, type `ssvc`).

use std::collections::BTreeMap;

use kenshin_observation::{Automatable, Exploitation};
use serde_json::Value;

use super::Ssvc;

/// The answers in a metric of a kind that the record format does not know, when all three questions
/// are answered with words that are known.
pub(super) fn answers(other: &Value) -> Option<Ssvc> {
    if !other.get("type")?.as_str()?.eq_ignore_ascii_case("ssvc") {
        return None;
    }
    // A list of objects with one entry each; records differ in upper and lower case.
    let options = other.get("content")?.get("options")?.as_array()?;
    let said: BTreeMap<String, String> = options
        .iter()
        .filter_map(|option| option.as_object()?.iter().next())
        .filter_map(|(question, answer)| Some((question.to_lowercase(), answer.as_str()?.to_lowercase())))
        .collect();
    let exploitation = match said.get("exploitation")?.as_str() {
        "none" => Exploitation::None,
        "poc" | "public poc" => Exploitation::Poc,
        "active" => Exploitation::Active,
        _ => return None,
    };
    let automatable = match said.get("automatable")?.as_str() {
        "no" => Automatable::No,
        "yes" => Automatable::Yes,
        _ => return None,
    };
    let total = match said.get("technical impact")?.as_str() {
        "partial" => false,
        "total" => true,
        _ => return None,
    };
    Some(Ssvc { exploitation, automatable, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_whole_or_none() {
        let ssvc = |options: &str| {
            let text = format!(r#"{{"type":"ssvc","content":{{"options":{options}}}}}"#);
            answers(&serde_json::from_str(&text).unwrap())
        };
        let known = Ssvc { exploitation: Exploitation::Poc, automatable: Automatable::Yes, total: true };
        let all = r#"[{"Exploitation":"PoC"},{"Automatable":"yes"},{"Technical Impact":"Total"}]"#;
        assert_eq!(ssvc(all), Some(known));
        for part in [
            "[]",
            "{}",
            "7",
            r#"[{"Exploitation":"active"},{"Automatable":"maybe"},{"Technical Impact":"total"}]"#,
        ] {
            assert_eq!(ssvc(part), None, "{part}");
        }
        for other in [r#"{"type":"kev","content":{"dateAdded":"2023-05-12"}}"#, "7", r#"{"type":7}"#, "null"]
        {
            assert_eq!(answers(&serde_json::from_str(other).unwrap()), None, "{other}");
        }
    }
}
