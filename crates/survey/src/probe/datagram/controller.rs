//! BACnet, asked only when the mandate grants `ics-identity` and speaking at its port: the name plate
//! of the device itself, one property a datagram. Nothing that it controls is read.

use std::time::Duration;

use kenshin_observation::protocol;
use kenshin_wire::bacnet::{Property, Reply, Value, read_property, reply};

use super::ASKS_MAX;
use super::channel::{Dialogue, Ending};
use crate::probe::record;

/// What came of it.
pub(super) struct NamePlate {
    /// `None` when nobody spoke BACnet.
    pub(super) record: Option<protocol::Bacnet>,
    /// What ended it early.
    pub(super) ending: Option<Ending>,
}

/// Asks for the vendor's number, by which a device is recognised, and then for the rest. `wait` is the
/// longest silence after a question.
pub(super) async fn read_name_plate(dialogue: &mut Dialogue, wait: Duration) -> NamePlate {
    let mut record = None;
    let mut asks_left = ASKS_MAX;
    for property in Property::ALL {
        let answer = loop {
            match ask(dialogue, property, wait).await {
                // Only the first question is put again: who answered it has had its time.
                Err(Ending::Silent) if record.is_none() && asks_left > 1 => asks_left -= 1,
                answer => break answer,
            }
        };
        match answer {
            Ok(reply) => note(record.get_or_insert_default(), property, reply),
            Err(Ending::Silent) if record.is_some() => {}
            Err(ending) => return NamePlate { record, ending: Some(ending) },
        }
    }
    NamePlate { record, ending: None }
}

async fn ask(dialogue: &mut Dialogue, property: Property, wait: Duration) -> Result<Reply, Ending> {
    dialogue.say(&read_property(property)).await?;
    loop {
        let bytes = dialogue.hear(wait).await?;
        if let Some(reply) = reply(property, &bytes) {
            return Ok(reply);
        }
    }
}

fn note(record: &mut protocol::Bacnet, property: Property, reply: Reply) {
    let Reply::Value(value) = reply else { return };
    let number = |value| match value {
        Value::Unsigned(number) | Value::Instance(number) => i32::try_from(number).ok(),
        Value::Text(_) | Value::Other => None,
    };
    let text = |value| match value {
        Value::Text(text) if !text.is_empty() => Some(record::shown(text.as_bytes())),
        _ => None,
    };
    match property {
        Property::VendorIdentifier => record.vendor_id = number(value),
        Property::ObjectIdentifier => record.instance = number(value),
        Property::VendorName => record.vendor = text(value),
        Property::ModelName => record.model = text(value),
        Property::FirmwareRevision => record.firmware = text(value),
        Property::ObjectName => record.object_name = text(value),
    }
}
