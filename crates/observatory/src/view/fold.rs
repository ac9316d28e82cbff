//! How the rows of a host's services are after a survey looked at it.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow, Software};
use kenshin_observation::{
    Check, Claim, Direction, Endpoint, Identity, Observation, Outcome, TimeUs, Transport, addr_to_hi_lo,
};

use super::saying;
use crate::intelligence::Tables;

/// What is known of a host beside what was seen.
pub(super) struct Fold<'a> {
    /// What the survey took it for.
    pub(super) identity: &'a Identity,
    /// Who answers for it.
    pub(super) provider: Option<&'a str>,
    /// Autonomous systems and countries of addresses.
    pub(super) tables: Option<&'a Tables>,
    /// When the lake took the observations.
    pub(super) known_at: TimeUs,
}

const ANSWERED: &str = "answered";
/// The port speaks another protocol now.
const CHANGED: &str = "changed";

impl Fold<'_> {
    /// Brings the rows of one host up to what one survey saw; rows that say something else than
    /// they did go to `before` as they were.
    pub(super) fn host(
        &self,
        rows: &mut Vec<ServiceRow>,
        seen: &[&Observation],
        mut before: Option<&mut Vec<ServiceRow>>,
    ) {
        let mut by_endpoint: BTreeMap<Endpoint, Vec<&Observation>> = BTreeMap::new();
        let about_services = seen.iter().filter(|o| {
            o.direction == Direction::Probed
                && o.check != Check::CredentialCheck
                && o.subject.transport != Transport::Icmp
        });
        for observation in about_services {
            by_endpoint.entry(observation.subject).or_default().push(observation);
        }
        for (endpoint, mut seen) in by_endpoint {
            seen.sort_by_key(|o| (o.time, o.check));
            for row in self.endpoint(rows, endpoint, &seen) {
                match rows.iter_mut().find(|held| held.compare_keys(&row).is_eq()) {
                    // Older than what is known: it changes nothing.
                    Some(held) if held.asked_us > row.asked_us => {}
                    Some(held) => {
                        if let Some(before) = before.as_deref_mut().filter(|_| says(held) != says(&row)) {
                            before.push(held.clone());
                        }
                        *held = row;
                    }
                    None => rows.push(row),
                }
            }
        }
    }

    /// The rows of one endpoint that are other than they were.
    fn endpoint(&self, rows: &[ServiceRow], endpoint: Endpoint, seen: &[&Observation]) -> Vec<ServiceRow> {
        let (addr_hi, addr_lo) = addr_to_hi_lo(endpoint.addr);
        let key = (addr_hi, addr_lo, i32::from(endpoint.port), endpoint.transport.as_str());
        let here = |row: &&ServiceRow| (row.addr_hi, row.addr_lo, row.port, row.transport.as_str()) == key;
        let known: Vec<&ServiceRow> = rows.iter().filter(here).collect();
        let mut spoken: BTreeSet<&str> = seen.iter().filter_map(|o| o.protocol.as_deref()).collect();
        if spoken.len() > 1 {
            spoken.remove("unknown");
        }
        let last = seen.iter().map(|o| o.time.micros()).max().unwrap_or(0);
        let answered = seen.iter().filter(|o| o.outcome == Outcome::Answered).map(|o| o.time.micros()).max();
        let again = |row: &ServiceRow, state: &str| {
            let mut row = row.clone();
            row.state = state.to_owned();
            row.asked_us = last;
            row.known_us = self.known_at.micros();
            if let Some(newest) = seen.last() {
                of_survey(&mut row, newest);
            }
            if let Some(answered) = answered.filter(|_| state == ANSWERED) {
                row.seen_us = answered;
            }
            row
        };
        if spoken.is_empty() {
            let Some(answered) = answered else {
                let outcome = seen.last().map_or(Outcome::Dark, |o| o.outcome);
                return known
                    .iter()
                    .filter(|row| row.state != CHANGED)
                    .map(|row| again(row, outcome.as_str()))
                    .collect();
            };
            // It accepts connections, and what it speaks was not found out this time.
            let alive: Vec<ServiceRow> =
                known.iter().filter(|row| row.state != CHANGED).map(|row| again(row, ANSWERED)).collect();
            if !alive.is_empty() {
                return alive;
            }
            return vec![self.row(endpoint, None, answered, last, seen, &known)];
        }
        let mut changed: Vec<ServiceRow> = spoken
            .iter()
            .map(|protocol| {
                let of: Vec<&Observation> =
                    seen.iter().copied().filter(|o| o.protocol.as_deref() == Some(*protocol)).collect();
                let at = of.iter().map(|o| o.time.micros()).max().unwrap_or(last);
                self.row(endpoint, Some(protocol), at, last, &of, &known)
            })
            .collect();
        let gone = known.iter().filter(|row| !spoken.contains(row.protocol.as_deref().unwrap_or_default()));
        changed.extend(gone.map(|row| again(row, CHANGED)));
        changed
    }

    /// A service that answered.
    fn row(
        &self,
        endpoint: Endpoint,
        protocol: Option<&str>,
        seen_us: i64,
        asked_us: i64,
        seen: &[&Observation],
        known: &[&ServiceRow],
    ) -> ServiceRow {
        let (addr_hi, addr_lo) = addr_to_hi_lo(endpoint.addr);
        let before = known.iter().find(|row| row.protocol.as_deref() == protocol);
        let first = seen
            .iter()
            .filter(|o| o.outcome == Outcome::Answered || o.protocol.is_some())
            .map(|o| o.time.micros())
            .min()
            .unwrap_or(seen_us);
        let value = |claim: &Option<Claim>| claim.as_ref().map(|claim| claim.value.clone());
        let identity = self.identity;
        let mut row = ServiceRow {
            schema: SERVICE_VERSION,
            addr_hi,
            addr_lo,
            port: endpoint.port.into(),
            transport: endpoint.transport.to_string(),
            protocol: protocol.map(str::to_owned),
            state: ANSWERED.to_owned(),
            first_us: before.map_or(first, |row| row.first_us.min(first)),
            seen_us: before.map_or(seen_us, |row| row.seen_us.max(seen_us)),
            asked_us,
            known_us: self.known_at.micros(),
            vendor: value(&identity.vendor),
            product: value(&identity.product),
            version: value(&identity.version),
            device_type: value(&identity.device_type),
            cpe: value(&identity.cpe),
            software: self.software(endpoint.port),
            provider: self.provider.map(str::to_owned),
            ..ServiceRow::default()
        };
        if let Some(Tables { name, table }) = self.tables {
            row.enriched_by = Some(name.clone());
            if let Some(entry) = table.lookup(endpoint.addr) {
                row.asn = entry.asn.map(i64::from);
                row.as_name = entry.name.clone();
                row.country = entry.country.clone();
                row.region = entry.region.clone();
            }
        }
        for observation in seen {
            of_survey(&mut row, observation);
            saying::fill(&mut row, &observation.records);
            let labels = observation.labels.join(" ");
            row.labels = Some(labels).filter(|labels| !labels.is_empty()).or(row.labels);
        }
        row
    }

    /// The software that shows at a port, as JSON.
    fn software(&self, port: u16) -> Option<String> {
        let at_port = self.identity.components.iter().filter(|component| component.port == port);
        let software: Vec<Software> = at_port
            .map(|component| Software {
                vendor: component.vendor.clone(),
                product: component.product.value.clone(),
                version: component.version.clone(),
                cpe: component.cpe.clone(),
            })
            .collect();
        (!software.is_empty()).then(|| serde_json::to_string(&software).expect("plain texts serialise"))
    }
}

fn of_survey(row: &mut ServiceRow, observation: &Observation) {
    row.org_id = observation.org_id.to_string();
    row.mandate_id = observation.mandate_id.clone();
    row.survey_id = observation.survey_id.to_string();
    row.sensor_id = observation.sensor_id.to_string();
    row.tlp = observation.tlp.to_string();
}

/// What a row says, when and under which survey it was seen apart.
fn says(row: &ServiceRow) -> ServiceRow {
    ServiceRow {
        first_us: 0,
        seen_us: 0,
        asked_us: 0,
        known_us: 0,
        org_id: String::new(),
        mandate_id: String::new(),
        survey_id: String::new(),
        sensor_id: String::new(),
        tlp: String::new(),
        // Newer tables that say the same change nothing.
        enriched_by: None,
        ..row.clone()
    }
}

#[cfg(test)]
mod tests {
    use kenshin_insight::intelligence::{AddressTable, Entry};
    use kenshin_observation::protocol::{Records, Ssh, Telnet};
    use kenshin_observation::{OrgId, SensorId, SurveyId, Tlp};

    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn seen(day: i64, port: u16, outcome: Outcome, protocol: Option<&str>, text: &str) -> Observation {
        let time = TimeUs::from_micros(day * DAY);
        let mut records = Records::default();
        match protocol {
            Some("ssh") => records.ssh = Some(Box::new(Ssh { banner: text.into(), ..Ssh::default() })),
            Some("telnet") => {
                records.telnet = Some(Box::new(Telnet { text: text.into(), ..Telnet::default() }));
            }
            _ => {}
        }
        Observation {
            org_id: OrgId::new(time, 1),
            mandate_id: "m".into(),
            survey_id: SurveyId::new(time, 2),
            sensor_id: SensorId::new(time, 3),
            tlp: Tlp::Amber,
            time,
            clock_error_us: None,
            subject: Endpoint::tcp("192.0.2.1".parse().unwrap(), port),
            vantage: Endpoint::tcp("198.18.0.1".parse().unwrap(), 1),
            direction: Direction::Probed,
            check: if protocol.is_some() { Check::Handshake } else { Check::Sweep },
            method_version: 1,
            attempt: 1,
            outcome,
            reason: None,
            protocol: protocol.map(str::to_owned),
            records,
            blobs: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Rows after each day, as `port/protocol state first..seen banner`, and what went to history.
    fn after(days: &[Vec<Observation>]) -> (Vec<String>, usize) {
        let (mut rows, mut before) = (Vec::new(), Vec::new());
        let identity = Identity::default();
        for (day, observations) in days.iter().enumerate() {
            let known_at = TimeUs::from_micros(day as i64 * DAY);
            let fold = Fold { identity: &identity, provider: Some("Nishi Net"), tables: None, known_at };
            let seen: Vec<&Observation> = observations.iter().collect();
            fold.host(&mut rows, &seen, Some(&mut before));
            let once = rows.clone();
            fold.host(&mut rows, &seen, Some(&mut before));
            assert_eq!(rows, once, "folding again changes nothing");
        }
        rows.sort_by(ServiceRow::compare_keys);
        let text = |row: &ServiceRow| {
            let protocol = row.protocol.as_deref().unwrap_or("-");
            let banner = row.banner.as_deref().unwrap_or("-");
            let (first, last) = (row.first_us / DAY, row.seen_us / DAY);
            format!("{}/{protocol} {} {first}..{last} {banner}", row.port, row.state)
        };
        (rows.iter().map(text).collect(), before.len())
    }

    #[test]
    fn services_come_stay_change_and_go() {
        use Outcome::{Answered, Dark, Refused};
        let first = vec![
            seen(1, 22, Answered, None, ""),
            seen(1, 22, Answered, Some("ssh"), "SSH-2.0-a"),
            seen(1, 23, Answered, None, ""),
            seen(1, 80, Refused, None, ""),
        ];
        let (rows, _) = after(std::slice::from_ref(&first));
        assert_eq!(rows, ["22/ssh answered 1..1 SSH-2.0-a", "23/- answered 1..1 -"]);
        let second = vec![
            seen(3, 22, Answered, None, ""),
            seen(3, 22, Answered, Some("ssh"), "SSH-2.0-b"),
            seen(3, 23, Answered, Some("telnet"), "login:"),
        ];
        let (rows, before) = after(&[first.clone(), second.clone()]);
        let telnet = "23/telnet answered 3..3 login:";
        assert_eq!(rows, ["22/ssh answered 1..3 SSH-2.0-b", "23/- changed 1..1 -", telnet]);
        assert_eq!(before, 2, "the banner changed, and what port 23 is known as");
        let third = vec![seen(5, 22, Dark, None, ""), seen(5, 23, Answered, None, "")];
        let (rows, _) = after(&[first.clone(), second.clone(), third.clone()]);
        let gone = "22/ssh dark 1..3 SSH-2.0-b";
        assert_eq!(rows, [gone, "23/- changed 1..1 -", "23/telnet answered 3..5 login:"]);
        // Late news changes nothing.
        assert_eq!(after(&[first.clone(), second.clone(), third, first]).0, rows);
    }

    /// By the tables of the day; what they do not know stays empty.
    #[test]
    fn addresses_are_enriched() {
        let mut table = AddressTable::builder();
        let (country, region) = (Some("JP".into()), Some("JP-13".into()));
        let entry = Entry { asn: Some(64500), name: Some("Nishi Net".into()), country, region };
        assert!(table.add("192.0.2.0".parse().unwrap(), "192.0.2.255".parse().unwrap(), &entry));
        let tables = Tables { name: "asn@2026-11-01".into(), table: table.finish() };
        let identity = Identity::default();
        let known_at = TimeUs::from_micros(DAY);
        let fold = Fold { identity: &identity, provider: None, tables: Some(&tables), known_at };
        let inside = seen(1, 22, Outcome::Answered, Some("ssh"), "SSH-2.0-a");
        let mut outside = inside.clone();
        outside.subject = Endpoint::tcp("198.51.100.1".parse().unwrap(), 22);
        let mut rows = Vec::new();
        fold.host(&mut rows, &[&inside, &outside], None);
        let told = |row: &ServiceRow| (row.asn, row.as_name.clone(), row.country.clone(), row.region.clone());
        assert_eq!(told(&rows[0]), (Some(64500), entry.name, entry.country, entry.region));
        assert_eq!(told(&rows[1]), (None, None, None, None));
        assert!(rows.iter().all(|row| row.enriched_by.as_deref() == Some("asn@2026-11-01")));
    }
}
