//! Telnet options by number (IANA's registry of Telnet options).

use serde_json::{Value, json};

/// Names that a greeting is likely to hold.
const NAMES: &[(u8, &str)] = &[
    (0, "Binary Transmission"),
    (1, "Echo"),
    (2, "Reconnection"),
    (3, "Suppress Go Ahead"),
    (4, "Approx Message Size Negotiation"),
    (5, "Status"),
    (6, "Timing Mark"),
    (17, "Extended ASCII"),
    (18, "Logout"),
    (23, "Send Location"),
    (24, "Terminal Type"),
    (25, "End of Record"),
    (31, "Negotiate About Window Size"),
    (32, "Terminal Speed"),
    (33, "Remote Flow Control"),
    (34, "Linemode"),
    (35, "X Display Location"),
    (36, "Environment Option"),
    (37, "Authentication Option"),
    (38, "Encryption Option"),
    (39, "New Environment Option"),
    (40, "TN3270E"),
    (42, "CHARSET"),
    (44, "Com Port Control Option"),
];

/// zgrab2's lists: the verb of ours and the key of theirs.
pub(super) const VERBS: &[(&str, &str)] =
    &[("WILL", "will"), ("DO", "do"), ("WONT", "wont"), ("DONT", "dont")];

/// The options of one verb.
pub(super) fn told(options: &[String], verb: &str) -> Vec<Value> {
    let of_verb = options.iter().filter_map(|option| {
        let (said, number) = option.split_once(' ')?;
        (said == verb).then(|| number.parse::<u8>().ok()).flatten()
    });
    of_verb
        .map(|number| {
            let name = NAMES.iter().find(|(of, _)| *of == number).map_or("unknown", |(_, name)| name);
            json!({ "name": name, "value": number })
        })
        .collect()
}

/// Our options of zgrab2's lists.
pub(super) fn heard(result: &Value) -> Vec<String> {
    let lists = VERBS.iter().filter_map(|(verb, key)| Some((verb, result[*key].as_array()?)));
    let options = lists.flat_map(|(verb, list)| {
        let numbers = list.iter().filter_map(|option| option["value"].as_u64());
        numbers.filter(|number| *number < 256).map(move |number| format!("{verb} {number}"))
    });
    options.take(kenshin_observation::protocol::LIST_MAX).collect()
}
