//! What a service says, put into the columns of its row.

use kenshin_observation::protocol::Records;
use kenshin_observation::schema::ServiceRow;

/// Longest text of a column made of several, in bytes.
const TEXT_MAX: usize = 512;

/// Fills the columns of what it said; those that the records say nothing about stay.
pub(super) fn fill(row: &mut ServiceRow, records: &Records) {
    let put = |column: &mut Option<String>, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            *column = Some(text);
        }
    };
    put(&mut row.banner, banner(records));
    if let Some(http) = &records.http {
        put(&mut row.title, http.title.clone());
        put(&mut row.server, http.server.clone());
        row.status = Some(http.status);
        row.favicon = http.favicon_mmh3.or(row.favicon);
    }
    if let Some(rtsp) = &records.rtsp {
        put(&mut row.server, rtsp.server.clone());
        row.status = Some(rtsp.status);
    }
    if let Some(sip) = &records.sip {
        put(&mut row.server, sip.server.clone().or_else(|| sip.user_agent.clone()));
        row.status = Some(sip.status);
    }
    if let Some(cwmp) = &records.cwmp {
        put(&mut row.server, cwmp.server.clone());
    }
    if let Some(ssdp) = &records.ssdp {
        put(&mut row.server, ssdp.server.clone());
    }
    if let Some(tls) = &records.tls {
        put(&mut row.tls, Some(tls.version.clone()));
        put(&mut row.cert_sha256, tls.certificate_sha256.clone());
        put(&mut row.cert_subject, tls.subject.clone());
        put(&mut row.cert_names, Some(cut(tls.alternative_names.join(" "))));
        put(&mut row.cert_issuer, tls.issuer.clone());
        put(&mut row.key_sha256, tls.public_key_sha256.clone());
        put(&mut row.ja3s, tls.server_fingerprint.clone());
        row.cert_expires_us = tls.not_after_us.or(row.cert_expires_us);
    }
    if let Some(ssh) = &records.ssh {
        put(&mut row.key_sha256, ssh.host_key_sha256.clone());
        put(&mut row.hassh, ssh.hassh_server.clone());
    }
}

/// What a service says first, or of itself.
fn banner(records: &Records) -> Option<String> {
    let mut texts: Vec<Option<&str>> = Vec::new();
    if let Some(ssh) = &records.ssh {
        texts.push(Some(&ssh.banner));
    }
    if let Some(telnet) = &records.telnet {
        texts.push(Some(&telnet.text));
    }
    if let Some(ftp) = &records.ftp {
        texts.push(Some(&ftp.banner));
    }
    if let Some(smtp) = &records.smtp {
        texts.push(Some(&smtp.banner));
    }
    if let Some(unknown) = &records.unknown {
        texts.push(Some(&unknown.banner));
    }
    if let Some(http) = &records.http {
        texts.extend([http.www_authenticate.as_deref(), http.powered_by.as_deref()]);
    }
    if let Some(rtsp) = &records.rtsp {
        texts.push(rtsp.www_authenticate.as_deref());
    }
    if let Some(snmp) = &records.snmp {
        texts.extend([snmp.sys_descr.as_deref(), snmp.sys_name.as_deref()]);
    }
    if let Some(upnp) = &records.upnp {
        let names = [&upnp.friendly_name, &upnp.manufacturer, &upnp.model_name, &upnp.model_number];
        texts.extend(names.map(|name| name.as_deref()));
    }
    if let Some(wsd) = &records.wsd {
        texts.extend([wsd.name.as_deref(), wsd.hardware.as_deref()]);
    }
    if let Some(mdns) = &records.mdns {
        texts.extend(mdns.names.iter().chain(&mdns.services).map(|text| Some(text.as_str())));
    }
    if let Some(dns) = &records.dns {
        texts.push(dns.version_bind.as_deref());
    }
    if let Some(ntp) = &records.ntp {
        texts.extend([ntp.control_version.as_deref(), ntp.control_system.as_deref()]);
    }
    if let Some(coap) = &records.coap {
        texts.extend(coap.resources.iter().map(|text| Some(text.as_str())));
    }
    if let Some(cwmp) = &records.cwmp {
        texts.push(cwmp.realm.as_deref());
    }
    if let Some(redis) = &records.redis {
        texts.push(redis.version.as_deref());
    }
    if let Some(memcached) = &records.memcached {
        texts.push(memcached.version.as_deref());
    }
    if let Some(mongodb) = &records.mongodb {
        texts.push(mongodb.version.as_deref());
    }
    if let Some(elastic) = &records.elasticsearch {
        texts.extend([elastic.version.as_deref(), elastic.cluster_name.as_deref()]);
    }
    if let Some(modbus) = &records.modbus {
        let plate = [&modbus.vendor, &modbus.product_code, &modbus.revision];
        texts.extend(plate.map(|text| text.as_deref()));
    }
    if let Some(s7) = &records.s7 {
        texts.extend([&s7.module, &s7.system_name, &s7.version].map(|text| text.as_deref()));
    }
    if let Some(bacnet) = &records.bacnet {
        let plate = [&bacnet.vendor, &bacnet.model, &bacnet.firmware, &bacnet.object_name];
        texts.extend(plate.map(|text| text.as_deref()));
    }
    let said: Vec<&str> = texts.into_iter().flatten().filter(|text| !text.trim().is_empty()).collect();
    (!said.is_empty()).then(|| cut(said.join("\n")))
}

/// At most [`TEXT_MAX`] bytes, cut at a character.
fn cut(mut text: String) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
