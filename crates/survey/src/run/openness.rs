//! Addresses that accept connections everywhere: a middlebox answers for whoever is asked, and a decoy
//! or a proxy may open every port. Their rows are labelled, so that nobody counts them as devices.

use std::collections::HashMap;
use std::net::IpAddr;

use kenshin_observation::{Check, Observation, Outcome, Transport};

/// Label of an address at which every TCP port of the survey is open.
const EVERY_PORT_OPEN: &str = "every-port-open";

/// Label of an address that accepts and says nothing.
const MIDDLEBOX: &str = "middlebox";

/// Fewest ports of a survey of which all must be open.
const EVERY_PORT_MIN: usize = 16;

/// Fewest open ports of an address that is taken for a middlebox.
const MIDDLEBOX_OPEN_MIN: usize = 10;

/// Share of them that say nothing, in percent.
const MIDDLEBOX_QUIET_PERCENT: usize = 90;

/// How one address behaved.
#[derive(Debug, Clone, Copy, Default)]
struct Openness {
    /// Ports that accepted a connection.
    open: usize,
    /// Of these, ports that said nothing in a conversation.
    quiet: usize,
}

impl Openness {
    /// Its labels, when the survey asks at so many TCP ports.
    fn labels(self, ports: usize) -> impl Iterator<Item = &'static str> {
        let every = ports >= EVERY_PORT_MIN && self.open == ports;
        let quiet = self.quiet * 100 >= self.open * MIDDLEBOX_QUIET_PERCENT;
        let middlebox = self.open >= MIDDLEBOX_OPEN_MIN && quiet;
        [(every, EVERY_PORT_OPEN), (middlebox, MIDDLEBOX)]
            .into_iter()
            .filter_map(|(applies, label)| applies.then_some(label))
    }
}

/// Labels those of `rows`, all of one slice and so all of each address, that are about an open TCP port
/// of such an address. `ports` is how many TCP ports the survey asks at.
pub(super) fn label(rows: &mut [Observation], ports: usize) {
    let open = |row: &Observation| {
        row.subject.transport == Transport::Tcp
            && (row.check != Check::Sweep || row.outcome == Outcome::Answered)
    };
    let mut addresses: HashMap<IpAddr, Openness> = HashMap::new();
    for row in rows.iter().filter(|row| open(row)) {
        let address = addresses.entry(row.subject.addr).or_default();
        match row.check {
            Check::Sweep => address.open += 1,
            Check::Banner | Check::Handshake => {
                let nothing = row.protocol.is_none() && row.outcome == Outcome::Limited;
                address.quiet += usize::from(nothing);
            }
            _ => {}
        }
    }
    for row in rows.iter_mut().filter(|row| open(row)) {
        if let Some(address) = addresses.get(&row.subject.addr) {
            row.labels.extend(address.labels(ports).map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_opens_everything_is_no_device() {
        let check = |ports, open, quiet, expected: &[&str]| {
            let labels: Vec<&str> = Openness { open, quiet }.labels(ports).collect();
            assert_eq!(labels, expected, "{open} of {ports} open, {quiet} quiet");
        };
        check(3, 3, 3, &[]);
        check(16, 16, 0, &[EVERY_PORT_OPEN]);
        check(16, 15, 0, &[]);
        check(1000, 9, 9, &[]);
        check(1000, 10, 8, &[]);
        check(1000, 10, 9, &[MIDDLEBOX]);
        check(20, 20, 20, &[EVERY_PORT_OPEN, MIDDLEBOX]);
    }
}
