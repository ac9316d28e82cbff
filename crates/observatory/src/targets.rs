//! Lists of targets from files.

use std::collections::BTreeMap;
use std::path::Path;

use kenshin_exchange::{ReadError, TargetFormat, Targets};
use kenshin_mandate::AddressSet;
use kenshin_observation::Transport;

use crate::error::ActError;
use crate::intelligence::open;

/// Most entries of a list.
const TARGETS_MAX: usize = 10_000_000;
/// Problems of a list that are told.
const PROBLEMS_TOLD: usize = 20;

/// What a list of targets comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetList {
    /// The addresses.
    pub addresses: AddressSet,
    /// The ports, each at every address; empty when the list names none.
    pub ports: Vec<u16>,
}

impl TargetList {
    /// Reads a list of targets. A list with a mistake is not used at all: what it was meant to hold
    /// is not known. `format` is told by the file when it is not given.
    pub fn read(path: &Path, format: Option<TargetFormat>) -> Result<Self, ActError> {
        let mut from = open(path)?;
        let beginning = from.fill_buf().map_err(|source| ActError::io("read", path, source))?;
        let format = format.unwrap_or_else(|| TargetFormat::of(beginning));
        let (mut anywhere, mut by_port) = (Vec::new(), BTreeMap::<u16, Vec<AddressSet>>::new());
        let (mut problems, mut count) = (Vec::new(), 0);
        for target in Targets::new(format, &path.display().to_string(), from) {
            let target = match target {
                Ok(target) => target,
                Err(ReadError::Malformed(problem)) => {
                    problems.push(problem.to_string());
                    if problems.len() == PROBLEMS_TOLD {
                        problems.push("and perhaps more".to_owned());
                        break;
                    }
                    continue;
                }
                Err(ReadError::Io { source, .. }) => return Err(ActError::io("read", path, source)),
            };
            count += 1;
            if count > TARGETS_MAX {
                return Err(ActError::input(format!(
                    "`{}` has more than {TARGETS_MAX} targets",
                    path.display()
                ))
                .with_hint("write prefixes instead of addresses"));
            }
            let addresses = AddressSet::between(target.first, target.last)
                .expect("a target's first address is not above its last");
            match target.port {
                None => anywhere.push(addresses),
                Some((port, Transport::Tcp)) => by_port.entry(port).or_default().push(addresses),
                Some((port, transport)) => {
                    return Err(ActError::input(format!(
                        "`{}` names {}:{port}/{transport}",
                        path.display(),
                        target.first
                    ))
                    .with_hint("surveys are planned over TCP ports: take that target away"));
                }
            }
        }
        if !problems.is_empty() {
            return Err(ActError::input(problems.join("\n")));
        }
        if count == 0 {
            return Err(ActError::input(format!("`{}` names no target", path.display())));
        }
        Self::of(anywhere, by_port).map_err(|error| {
            ActError::input(format!("`{}`: {error}", path.display()))
                .with_hint("a survey asks every port at every address: make one list for each set of ports")
        })
    }

    /// A survey asks every port at every address; a list that names other pairs is refused, so that
    /// nothing is asked that it does not name.
    fn of(anywhere: Vec<AddressSet>, by_port: BTreeMap<u16, Vec<AddressSet>>) -> Result<Self, String> {
        let ports: Vec<u16> = by_port.keys().copied().collect();
        let sets: Vec<AddressSet> = by_port.values().map(|sets| sets.iter().collect()).collect();
        match (sets.first(), anywhere.is_empty()) {
            (None, _) => Ok(Self { addresses: anywhere.iter().collect(), ports }),
            (Some(_), false) => Err("some targets name a port and some do not".to_owned()),
            (Some(first), true) => match sets.iter().position(|set| set != first) {
                None => Ok(Self { addresses: first.clone(), ports }),
                Some(other) => {
                    Err(format!("port {} is named at other addresses than port {}", ports[other], ports[0]))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<TargetList, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, text).unwrap();
        TargetList::read(&path, None)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "f"))
    }

    fn set(prefixes: &[&str]) -> AddressSet {
        prefixes.iter().map(|text| text.parse::<kenshin_observation::Prefix>().unwrap()).collect()
    }

    #[test]
    fn a_list_never_asks_what_it_does_not_name() {
        let read = list("192.0.2.0/31\n2001:db8::1\n").unwrap();
        assert_eq!((read.addresses, read.ports), (set(&["192.0.2.0/31", "2001:db8::1"]), vec![]));
        let read = list("192.0.2.1:80 192.0.2.2:80\n192.0.2.1:443 192.0.2.2:443").unwrap();
        assert_eq!((read.addresses, read.ports), (set(&["192.0.2.1", "192.0.2.2"]), vec![80, 443]));
        for (text, said) in [
            ("192.0.2.1:80\n192.0.2.2:443", "`f`: port 443 is named at other addresses than port 80"),
            ("192.0.2.1:80\n192.0.2.2", "`f`: some targets name a port and some do not"),
            ("192.0.2.1:53/udp", "`f` names 192.0.2.1:53/udp"),
            ("# nobody", "`f` names no target"),
        ] {
            assert_eq!(list(text).unwrap_err(), said, "{text}");
        }
        let mistakes = list("192.0.2.1\nrouter.example\n192.0.2.0/99\n").unwrap_err();
        assert!(mistakes.contains("f:2:1: ") && mistakes.contains("f:3:11: "), "{mistakes}");
    }
}
