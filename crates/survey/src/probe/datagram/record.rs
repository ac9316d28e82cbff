//! From answers to what is kept.

use kenshin_observation::protocol::{self, LIST_MAX, Records};
use kenshin_wire::amplification::Tally;
use kenshin_wire::datagram::Answer;
use kenshin_wire::http::Response;
use kenshin_wire::ntp::control;
use kenshin_wire::{coap, dns, mdns, snmp, upnp, wsd};

use super::question::{Asked, Question};
use crate::probe::record;

/// Adds the answers to one question to what is known.
pub(super) fn learn(records: &mut Records, answers: &[Answer], asked: &Asked) {
    let mut discovered = mdns::Discovered::default();
    let mut assembly = control::Assembly::default();
    for answer in answers {
        match answer {
            Answer::Snmp(snmp::Answer::Response(response)) => community(records, response),
            Answer::Snmp(snmp::Answer::Report(report)) => engine(records, report),
            Answer::Ssdp(answer) => {
                let ssdp = records.ssdp.get_or_insert_default();
                keep(&mut ssdp.server, answer.server.as_deref());
                keep(&mut ssdp.location, answer.location.as_deref());
                keep(&mut ssdp.usn, answer.usn.as_deref());
                put(&mut ssdp.search_targets, answer.search_target.as_deref());
            }
            Answer::Wsd(answer) => answer.matches.iter().for_each(|found| matched(records, found)),
            Answer::Dns(message) if *asked.question() == Question::Mdns => discovered.add(message),
            Answer::Dns(message) => name_server(records, message, asked),
            Answer::Ntp(answer) => {
                let ntp = records.ntp.get_or_insert_default();
                ntp.version = Some(answer.version.into());
                ntp.stratum = Some(answer.stratum.into());
                ntp.reference_id = Some(shown(&answer.reference().to_string()));
            }
            Answer::NtpControl(fragment) => {
                records.ntp.get_or_insert_default();
                assembly.push(fragment.clone());
            }
            Answer::NtpPrivate(answer) => {
                records.ntp.get_or_insert_default().private_answers = Some(answer.serves());
            }
            Answer::Coap(message) if message.is_answer() => resources(records, message),
            // That it does not know our message is no answer.
            Answer::Coap(_) => {}
            Answer::Sip(answer) => {
                records.sip = Some(Box::new(protocol::Sip {
                    status: answer.status.into(),
                    server: answer.server.as_deref().map(shown),
                    user_agent: answer.user_agent.as_deref().map(shown),
                    methods: protocol::texts(&answer.methods),
                }));
            }
        }
    }
    if discovered != mdns::Discovered::default() {
        records.mdns = Some(Box::new(neighbour(&discovered)));
    }
    let (text, _) = assembly.text();
    if !text.is_empty() {
        let variables = control::variables(&text);
        let ntp = records.ntp.get_or_insert_default();
        ntp.control_version = variables.version.as_deref().map(shown);
        ntp.control_system = variables.system.as_deref().map(shown);
        ntp.control_processor = variables.processor.as_deref().map(shown);
    }
    // A name server's refusal of what was meant for its neighbours.
    if let (None, Some(Answer::Dns(message))) = (&records.mdns, answers.first())
        && *asked.question() == Question::Mdns
    {
        name_server(records, message, asked);
    }
}

/// How much a question was amplified, as far as it was counted.
pub(super) fn reflector(tally: &Tally) -> protocol::Reflector {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    protocol::Reflector {
        request_bytes: signed(tally.asked.payload_bytes),
        answer_bytes: signed(tally.answered.payload_bytes),
        answer_packets: signed(tally.answered.packets),
        factor_milli: signed(tally.bandwidth_factor_milli()),
    }
}

/// The description that an SSDP answer referred to.
pub(super) fn description(found: &upnp::Description) -> protocol::Upnp {
    let text = |field: &Option<String>| field.as_deref().map(shown);
    protocol::Upnp {
        friendly_name: text(&found.friendly_name),
        manufacturer: text(&found.manufacturer),
        model_name: text(&found.model_name),
        model_number: text(&found.model_number),
        model_description: text(&found.model_description),
        device_type: text(&found.device_type),
        udn: text(&found.udn),
        serial_number: text(&found.serial_number),
    }
}

/// What a web server to which we were referred says of itself. Its page is left out: at this
/// endpoint there is none, and its own endpoint is probed for itself.
pub(super) fn web_server(response: &Response) -> protocol::Http {
    let http = record::http(response);
    protocol::Http {
        status: http.status,
        server: http.server,
        www_authenticate: http.www_authenticate,
        ..protocol::Http::default()
    }
}

fn community(records: &mut Records, response: &snmp::Response) {
    let snmp = records.snmp.get_or_insert_default();
    snmp.version = if response.version == snmp::Version::V1 { "1" } else { "2c" }.to_owned();
    snmp.community_accepted = Some(true);
    snmp.sys_descr = response.sys_descr.as_deref().map(shown);
    snmp.sys_object_id = response.sys_object_id.as_ref().map(|oid| shown(&oid.to_string()));
    snmp.sys_name = response.sys_name.as_deref().map(shown);
}

fn engine(records: &mut Records, report: &snmp::Report) {
    let engine = &report.engine;
    records.snmp = Some(Box::new(protocol::Snmp {
        version: "3".to_owned(),
        engine_id: Some(hex::encode(&engine.id)),
        engine_enterprise: engine.enterprise().map(Into::into),
        engine_boots: Some(engine.boots),
        engine_time: Some(engine.time_s),
        ..protocol::Snmp::default()
    }));
}

fn matched(records: &mut Records, found: &wsd::Match) {
    let wsd = records.wsd.get_or_insert_default();
    keep(&mut wsd.endpoint, found.endpoint.as_deref());
    keep(&mut wsd.name, found.name().as_deref());
    keep(&mut wsd.hardware, found.hardware().as_deref());
    for (list, entries) in
        [(&mut wsd.types, &found.types), (&mut wsd.scopes, &found.scopes), (&mut wsd.xaddrs, &found.xaddrs)]
    {
        entries.iter().for_each(|entry| put(list, Some(entry)));
    }
}

fn name_server(records: &mut Records, message: &dns::Message, asked: &Asked) {
    let record = records.dns.get_or_insert_default();
    if *asked.question() == Question::DnsVersion {
        record.version_bind = message.version_bind().as_deref().map(shown);
    }
    let resolved = matches!(asked.question(), Question::DnsRecursion(_));
    if resolved {
        record.recursion_open = Some(message.recursion_open());
    }
    // An answer to the name tells more than one to `version.bind`, which is in no zone.
    if resolved || record.rcode.is_none() {
        record.recursion_available = Some(message.recursion_available);
        record.rcode = Some(message.rcode.into());
        record.authoritative = Some(message.authoritative);
    }
}

fn neighbour(discovered: &mdns::Discovered) -> protocol::Mdns {
    let names = |names: &[dns::Name]| names.iter().map(|name| shown(&name.to_string())).collect::<Vec<_>>();
    let mut all = names(&discovered.instances);
    all.extend(names(&discovered.hosts));
    all.truncate(LIST_MAX);
    protocol::Mdns {
        services: names(&discovered.services),
        names: all,
        texts: discovered.texts.iter().map(|text| shown(text)).take(LIST_MAX).collect(),
    }
}

fn resources(records: &mut Records, message: &coap::Message) {
    let links = coap::links(&message.payload);
    records.coap = Some(Box::new(protocol::Coap {
        code: message.code_text(),
        resources: links.iter().map(|link| shown(&link.target)).take(LIST_MAX).collect(),
    }));
}

fn shown(text: &str) -> String {
    record::shown(text.as_bytes())
}

/// The first of several stays.
fn keep(field: &mut Option<String>, text: Option<&str>) {
    if field.is_none() {
        *field = text.map(shown);
    }
}

fn put(list: &mut Vec<String>, entry: Option<&str>) {
    let Some(entry) = entry.map(shown) else { return };
    if list.len() < LIST_MAX && !list.contains(&entry) {
        list.push(entry);
    }
}
