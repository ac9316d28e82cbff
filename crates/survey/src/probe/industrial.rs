//! Controllers, asked for their identity only when the mandate grants `ics-identity` and, at the ports
//! where unsolicited bytes do harm, speaking: Modbus and S7. Nothing that they control is read.

use kenshin_observation::{Check, protocol};
use kenshin_wire::modbus::{self, Identified};
use kenshin_wire::s7;
use tokio::net::TcpStream;

use super::conversation::Lines;
use super::exchange::{Asked, ask, known};
use super::session::Session;
use super::{Connect, ProbeResult, ProbeSettings, record};

const CHECK: Check = Check::IcsIdentity;

/// The server itself, not a unit behind a gateway.
const UNIT: u8 = 0;

/// Read Device Identification.
pub(super) async fn modbus(mut session: Session<TcpStream>, settings: &ProbeSettings) -> ProbeResult {
    let question = modbus::read_identification(UNIT);
    let asked = ask(&mut session, &question, settings.limits.answer, modbus::answer).await;
    let identified = match asked.answer_or_missed(CHECK) {
        Ok(identified) => identified,
        Err(missed) => return *missed,
    };
    session.part(&[]).await;
    let record = match identified {
        Identified::Identity(identity) => protocol::Modbus {
            vendor: shown(identity.vendor),
            product_code: shown(identity.product_code),
            revision: shown(identity.revision),
            exception: None,
        },
        Identified::Exception(code) => {
            protocol::Modbus { exception: Some(code.into()), ..protocol::Modbus::default() }
        }
    };
    let mut result = known(CHECK, "modbus");
    result.records.modbus = Some(Box::new(record));
    result
}

/// Connection, setup and two lists; the second destination on a connection of its own when the first
/// is refused.
pub(super) async fn s7<C: Connect>(mut session: Session<TcpStream>, lines: &mut Lines<'_, C>) -> ProbeResult {
    let wait = lines.settings.limits.answer;
    let [first, second] = s7::DESTINATIONS;
    let mut asked = ask(&mut session, &s7::connect(first), wait, s7::connected).await;
    if matches!(asked, Asked::Nothing("closed" | "reset"))
        && let Ok(again) = lines.open().await
    {
        session = again;
        asked = ask(&mut session, &s7::connect(second), wait, s7::connected).await;
    }
    if let Err(missed) = asked.answer_or_missed(CHECK) {
        return *missed;
    }
    // ISO transport is spoken by others as well: it is S7 once the setup is answered.
    if let Err(missed) = ask(&mut session, &s7::setup(), wait, s7::set_up).await.answer_or_missed(CHECK) {
        return *missed;
    }
    let mut identity = s7::Identity::default();
    for list in [s7::MODULE, s7::COMPONENT] {
        let read = |bytes: &[u8]| {
            s7::list(bytes).map(|(list, _)| {
                let mut learned = identity.clone();
                if let Some(list) = list {
                    learned.learn(&list);
                }
                learned
            })
        };
        match ask(&mut session, &s7::read_list(list), wait, read).await.answer() {
            Some(learned) => identity = learned,
            None => break,
        }
    }
    session.part(&[]).await;
    let mut result = known(CHECK, "s7");
    result.records.s7 = Some(Box::new(protocol::S7 {
        module: shown(identity.module),
        system_name: shown(identity.system_name),
        module_name: shown(identity.module_name),
        plant: shown(identity.plant),
        serial_number: shown(identity.serial_number),
        version: shown(identity.version),
    }));
    result
}

fn shown(text: Option<String>) -> Option<String> {
    text.map(|text| record::shown(text.as_bytes()))
}
