//! How the rows of a host's services are after a survey looked at it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow, Software};
use kenshin_observation::{
    Check, Claim, Direction, Endpoint, Identity, Observation, Outcome, TimeUs, Tlp, Transport, addr_to_hi_lo,
};

use super::saying;
use crate::intelligence::Tables;

/// What is known of a host beside what was seen.
pub(super) struct Fold<'a> {
    /// What the survey took it for.
    identity: &'a Identity,
    /// The software that shows at its ports, as JSON.
    software: HashMap<u16, String>,
    /// Who answers for it.
    provider: Option<&'a str>,
    /// Autonomous systems and countries of addresses.
    tables: Option<&'a Tables>,
    /// When the lake took the observations.
    known_at: TimeUs,
}

/// Where services are: address, port, transport.
type Place = (i64, i64, i32, String);

/// The services of a host, by where they are.
#[derive(Default)]
pub(super) struct Services(BTreeMap<Place, Vec<ServiceRow>>);

impl Services {
    /// Those that rows tell of.
    pub(super) fn of(rows: Vec<ServiceRow>) -> Self {
        let mut services = Self::default();
        for row in rows {
            let place = (row.addr_hi, row.addr_lo, row.port, row.transport.clone());
            services.0.entry(place).or_default().push(row);
        }
        services
    }

    /// Their rows, in the order of the view.
    pub(super) fn into_rows(self) -> Vec<ServiceRow> {
        let mut rows: Vec<ServiceRow> = self.0.into_values().flatten().collect();
        rows.sort_by(ServiceRow::compare_keys);
        rows
    }

    fn at(&mut self, endpoint: Endpoint) -> &mut Vec<ServiceRow> {
        let (addr_hi, addr_lo) = addr_to_hi_lo(endpoint.addr);
        let place = (addr_hi, addr_lo, endpoint.port.into(), endpoint.transport.to_string());
        self.0.entry(place).or_default()
    }
}

const ANSWERED: &str = "answered";
/// The port speaks another protocol now.
const CHANGED: &str = "changed";

impl<'a> Fold<'a> {
    pub(super) fn new(
        identity: &'a Identity,
        provider: Option<&'a str>,
        tables: Option<&'a Tables>,
        known_at: TimeUs,
    ) -> Self {
        let mut at_ports: HashMap<u16, Vec<Software>> = HashMap::new();
        for component in &identity.components {
            at_ports.entry(component.port).or_default().push(Software {
                vendor: component.vendor.clone(),
                product: component.product.value.clone(),
                version: component.version.clone(),
                cpe: component.cpe.clone(),
            });
        }
        let json = |software| serde_json::to_string(&software).expect("plain texts serialise");
        let software = at_ports.into_iter().map(|(port, software)| (port, json(software))).collect();
        Self { identity, software, provider, tables, known_at }
    }

    /// Brings the services of one host up to what one survey saw; rows that say something else than
    /// they did go to `before` as they were.
    pub(super) fn host(
        &self,
        services: &mut Services,
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
            let known = services.at(endpoint);
            if known.iter().any(|row| row.asked_us > asked_us(&seen)) {
                self.late(known, endpoint, &seen);
                continue;
            }
            for row in self.endpoint(known, endpoint, &seen) {
                match known.iter_mut().find(|held| held.compare_keys(&row).is_eq()) {
                    Some(held) => {
                        if let Some(before) = before.as_deref_mut().filter(|_| says(held) != says(&row)) {
                            before.push(held.clone());
                        }
                        *held = row;
                    }
                    None => known.push(row),
                }
            }
        }
    }

    /// Adds to the rows of one endpoint what was seen before it was last asked. How it is now stays,
    /// as do the newer words of a service: what is late tells when services were first and last
    /// seen, and that there were others. Only when nothing was seen since, the service that is told
    /// late is the one that is there, or was when it last answered.
    fn late(&self, known: &mut Vec<ServiceRow>, endpoint: Endpoint, seen: &[&Observation]) {
        let told = self.told_late(known, endpoint, seen);
        let Some(newest) = known.iter().max_by_key(|row| row.asked_us).cloned() else { return };
        let present = known.iter().filter(|row| row.state != CHANGED).max_by_key(|row| row.seen_us);
        let seen_since = present.is_some_and(|row| row.seen_us >= asked_us(seen));
        let state = if seen_since || told.is_empty() { None } else { present.map(|row| row.state.clone()) };
        for held in known.iter_mut() {
            let late = told.iter().find(|row| row.compare_keys(held).is_eq());
            let mut row = late.map_or_else(|| held.clone(), |late| with_late(held, late));
            row.state = match (&state, late) {
                (Some(_), None) => CHANGED.to_owned(),
                (Some(state), Some(_)) if held.state == CHANGED => state.clone(),
                _ => row.state,
            };
            if row != *held {
                // Of two rows that were asked at once that which was known last holds.
                row.known_us = self.known_at.micros().max(held.known_us.saturating_add(1));
                *held = row;
            }
        }
        for late in told {
            if !known.iter().any(|held| held.compare_keys(&late).is_eq()) {
                let state = state.clone().unwrap_or_else(|| CHANGED.to_owned());
                known.push(asked_as(&newest, ServiceRow { state, asked_us: newest.asked_us, ..late }));
            }
        }
    }

    /// The services that late news tells of.
    fn told_late(&self, known: &[ServiceRow], endpoint: Endpoint, seen: &[&Observation]) -> Vec<ServiceRow> {
        let answered = seen.iter().filter(|o| o.outcome == Outcome::Answered).map(|o| o.time.micros()).max();
        let Some(answered) = answered.filter(|_| seen.iter().all(|o| o.protocol.is_none())) else {
            return self.endpoint(&[], endpoint, seen);
        };
        // It accepted connections: as what had been there, if that is known.
        let had_been = || known.iter().filter(|row| row.first_us <= answered);
        let Some(last) = had_been().max_by_key(|row| row.seen_us) else {
            return vec![self.row(endpoint, None, answered, asked_us(seen), seen, &[])];
        };
        let with_it = |row: &&ServiceRow| {
            row.compare_keys(last).is_eq() || row.state != CHANGED && last.state != CHANGED
        };
        let still = |row: &ServiceRow| ServiceRow { seen_us: row.seen_us.max(answered), ..row.clone() };
        had_been().filter(with_it).map(still).collect()
    }

    /// The rows of one endpoint, of which `known` are known, that are other than they were.
    fn endpoint(&self, known: &[ServiceRow], endpoint: Endpoint, seen: &[&Observation]) -> Vec<ServiceRow> {
        let mut spoken: BTreeSet<&str> = seen.iter().filter_map(|o| o.protocol.as_deref()).collect();
        if spoken.len() > 1 {
            spoken.remove("unknown");
        }
        let last = asked_us(seen);
        let answered = seen.iter().filter(|o| o.outcome == Outcome::Answered).map(|o| o.time.micros()).max();
        let again = |row: &ServiceRow, state: &str| {
            let mut row = row.clone();
            row.state = state.to_owned();
            row.asked_us = last;
            row.known_us = self.known_at.micros();
            if let Some(newest) = seen.last() {
                // It still says what an earlier survey found.
                let earlier = std::mem::take(&mut row.tlp);
                of_survey(&mut row, newest);
                row.tlp = stricter(&earlier, &row.tlp);
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
            return vec![self.row(endpoint, None, answered, last, seen, known)];
        }
        let mut changed: Vec<ServiceRow> = spoken
            .iter()
            .map(|protocol| {
                let of: Vec<&Observation> =
                    seen.iter().copied().filter(|o| o.protocol.as_deref() == Some(*protocol)).collect();
                let at = of.iter().map(|o| o.time.micros()).max().unwrap_or(last);
                self.row(endpoint, Some(protocol), at, last, &of, known)
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
        known: &[ServiceRow],
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
            software: self.software.get(&endpoint.port).cloned(),
            provider: self.provider.map(str::to_owned),
            ..ServiceRow::default()
        };
        if let Some(Tables { name, table, .. }) = self.tables {
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
}

/// When an endpoint was last asked.
fn asked_us(seen: &[&Observation]) -> i64 {
    seen.iter().map(|o| o.time.micros()).max().unwrap_or(0)
}

/// A row with what is told late of its service: its words are the later ones.
fn with_late(held: &ServiceRow, late: &ServiceRow) -> ServiceRow {
    let words = if late.seen_us > held.seen_us { late } else { held };
    let row = ServiceRow {
        state: held.state.clone(),
        first_us: held.first_us.min(late.first_us),
        seen_us: held.seen_us.max(late.seen_us),
        asked_us: held.asked_us.max(late.asked_us),
        known_us: held.known_us,
        tlp: stricter(&held.tlp, &late.tlp),
        ..words.clone()
    };
    asked_as(held, row)
}

/// A row of an endpoint that was last asked as that of `newest` was.
fn asked_as(newest: &ServiceRow, row: ServiceRow) -> ServiceRow {
    ServiceRow {
        org_id: newest.org_id.clone(),
        mandate_id: newest.mandate_id.clone(),
        survey_id: newest.survey_id.clone(),
        sensor_id: newest.sensor_id.clone(),
        tlp: stricter(&newest.tlp, &row.tlp),
        ..row
    }
}

/// The label of a row that is made of two: that which shows it to fewer.
fn stricter(one: &str, other: &str) -> String {
    // From everybody to named recipients; what is no label is shown to nobody.
    let place = |label: &str| Tlp::ALL.iter().position(|tlp| tlp.as_str() == label).unwrap_or(Tlp::ALL.len());
    if place(one) > place(other) { one.to_owned() } else { other.to_owned() }
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
            let fold = Fold::new(&identity, Some("Nishi Net"), None, known_at);
            let seen: Vec<&Observation> = observations.iter().collect();
            let mut again = |rows| {
                let mut services = Services::of(rows);
                fold.host(&mut services, &seen, Some(&mut before));
                services.into_rows()
            };
            rows = again(rows);
            assert_eq!(again(rows.clone()), rows, "folding again changes nothing");
        }
        let text = |row: &ServiceRow| {
            let protocol = row.protocol.as_deref().unwrap_or("-");
            let banner = row.banner.as_deref().unwrap_or("-");
            let (first, last) = (row.first_us / DAY, row.seen_us / DAY);
            format!("{}/{protocol} {} {first}..{last} {banner}", row.port, row.state)
        };
        (rows.iter().map(text).collect(), before.len())
    }

    #[test]
    fn a_row_has_the_strictest_label_of_what_it_says() {
        let fold = |days: &[(Tlp, Vec<Observation>)]| -> Vec<String> {
            let (mut services, identity) = (Services::of(Vec::new()), Identity::default());
            for (day, (tlp, observations)) in days.iter().enumerate() {
                let of_it: Vec<Observation> =
                    observations.iter().map(|seen| Observation { tlp: *tlp, ..seen.clone() }).collect();
                let seen: Vec<&Observation> = of_it.iter().collect();
                Fold::new(&identity, None, None, TimeUs::from_micros(day as i64 * DAY)).host(
                    &mut services,
                    &seen,
                    None,
                );
            }
            services.into_rows().into_iter().map(|row| row.tlp).collect()
        };
        let spoken = vec![seen(1, 22, Outcome::Answered, Some("ssh"), "SSH-2.0-a")];
        let again = vec![seen(3, 22, Outcome::Answered, None, "")];
        let anew = vec![seen(5, 22, Outcome::Answered, Some("ssh"), "SSH-2.0-b")];
        // It still says what the first told, and then what the last did.
        assert_eq!(fold(&[(Tlp::Red, spoken.clone()), (Tlp::Amber, again.clone())]), ["TLP:RED"]);
        assert_eq!(fold(&[(Tlp::Amber, spoken.clone()), (Tlp::Red, again.clone())]), ["TLP:RED"]);
        assert_eq!(fold(&[(Tlp::Red, spoken), (Tlp::Amber, again), (Tlp::Amber, anew)]), ["TLP:AMBER"]);
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

    /// Whatever comes late: the rows are as if all of it had come in its order.
    #[test]
    fn late_news_makes_no_second_service() {
        use Outcome::{Answered, Dark};
        let open = |day, port| seen(day, port, Answered, None, "");
        let spoke = |day, port, protocol: &str| seen(day, port, Answered, Some(protocol), "SSH-2.0-a");
        let days = [
            vec![open(1, 22), spoke(1, 22, "ssh"), open(1, 23), open(1, 24), spoke(1, 24, "ssh")],
            vec![spoke(2, 22, "ssh"), seen(2, 23, Dark, None, ""), spoke(2, 24, "ssh")],
            vec![open(3, 22), spoke(3, 22, "telnet"), spoke(3, 23, "telnet"), spoke(3, 24, "ssh")],
        ];
        let rows = after(&days).0;
        let mut expected = vec!["22/ssh changed 1..2 SSH-2.0-a", "22/telnet answered 3..3 SSH-2.0-a"];
        expected.extend(["23/- changed 1..1 -", "23/telnet answered 3..3 SSH-2.0-a"]);
        expected.extend(["24/ssh answered 1..3 SSH-2.0-a"]);
        assert_eq!(rows, expected);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(after(&order.map(|day: usize| days[day].clone())).0, rows, "{order:?}");
        }
        // Of two rows that were asked at once the one with the late news is known later.
        let identity = Identity::default();
        let fold = Fold::new(&identity, None, None, TimeUs::from_micros(0));
        let with = |rows, seen: Observation| {
            let mut services = Services::of(rows);
            fold.host(&mut services, &[&seen], None);
            services.into_rows()
        };
        let before = with(Vec::new(), spoke(3, 22, "ssh"));
        let rows = with(before.clone(), spoke(1, 22, "ssh"));
        assert_eq!((rows[0].first_us, rows[0].asked_us), (DAY, 3 * DAY));
        assert!(rows[0].known_us > before[0].known_us);
    }

    /// The last that was seen at a port is what went dark, though it is told late; and a port that
    /// was open was so as what it spoke before.
    #[test]
    fn late_news_of_what_went_dark() {
        use Outcome::{Answered, Dark};
        let spoke = |day, port, protocol: &str| seen(day, port, Answered, Some(protocol), "SSH-2.0-a");
        let days = [
            vec![spoke(1, 25, "telnet"), spoke(1, 26, "telnet"), spoke(1, 27, "telnet")],
            vec![spoke(2, 25, "ssh"), seen(2, 26, Answered, None, ""), seen(2, 27, Answered, None, "")],
            vec![seen(3, 25, Dark, None, ""), spoke(3, 26, "ssh"), seen(3, 27, Dark, None, "")],
        ];
        let mut expected = vec!["25/ssh dark 2..2 SSH-2.0-a", "25/telnet changed 1..1 SSH-2.0-a"];
        expected.extend(["26/ssh answered 3..3 SSH-2.0-a", "26/telnet changed 1..2 SSH-2.0-a"]);
        expected.push("27/telnet dark 1..2 SSH-2.0-a");
        assert_eq!(after(&days).0, expected);
        assert_eq!(after(&[0, 2, 1].map(|day: usize| days[day].clone())).0, expected);
    }

    /// By the tables of the day; what they do not know stays empty.
    #[test]
    fn addresses_are_enriched() {
        let mut table = AddressTable::builder();
        let (country, region) = (Some("JP".into()), Some("JP-13".into()));
        let entry = Entry { asn: Some(64500), name: Some("Nishi Net".into()), country, region };
        assert!(table.add("192.0.2.0".parse().unwrap(), "192.0.2.255".parse().unwrap(), &entry));
        let tables = Tables { name: "asn@2026-11-01".into(), files: "asn-1".into(), table: table.finish() };
        let identity = Identity::default();
        let known_at = TimeUs::from_micros(DAY);
        let fold = Fold::new(&identity, None, Some(&tables), known_at);
        let inside = seen(1, 22, Outcome::Answered, Some("ssh"), "SSH-2.0-a");
        let mut outside = inside.clone();
        outside.subject = Endpoint::tcp("198.51.100.1".parse().unwrap(), 22);
        let mut services = Services::default();
        fold.host(&mut services, &[&inside, &outside], None);
        let rows = services.into_rows();
        let told = |row: &ServiceRow| (row.asn, row.as_name.clone(), row.country.clone(), row.region.clone());
        assert_eq!(told(&rows[0]), (Some(64500), entry.name, entry.country, entry.region));
        assert_eq!(told(&rows[1]), (None, None, None, None));
        assert!(rows.iter().all(|row| row.enriched_by.as_deref() == Some("asn@2026-11-01")));
    }
}
