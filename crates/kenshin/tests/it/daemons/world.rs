//! A sensor in a network namespace, the house of daemons in another, and a cable between them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde_json::Value;

use super::ByAddr;
use super::house::{Daemons, House, PORT};
use crate::namespace::Namespace;
use crate::office;
use crate::process::skip;

const TARGETS: &str = "198.18.1.0/28";
const SENSOR: &str = "198.18.0.1";
const MANDATE: &str = "house";

pub(crate) struct World {
    pub(crate) house: House,
    sensor: Namespace,
    town: Namespace,
    home: PathBuf,
    _folder: tempfile::TempDir,
}

/// Who lives in a house, and with what its operator looks.
pub(crate) struct Household {
    /// For the names of namespaces.
    pub(crate) name: &'static str,
    pub(crate) daemons: Daemons,
    /// Programs without which the test is skipped by name.
    pub(crate) programs: &'static [&'static str],
    pub(crate) dictionary: String,
    pub(crate) recipes: &'static str,
    /// Ports that the mandate names, besides those of every house.
    pub(crate) tcp_ports: &'static [u16],
    pub(crate) udp_ports: &'static [u16],
}

impl Household {
    fn tcp_ports(&self) -> impl Iterator<Item = u16> {
        [PORT, PORT + 1].into_iter().chain(self.tcp_ports.iter().copied())
    }
}

impl World {
    /// `None`, said by name, where it cannot be made.
    pub(crate) fn new(test: &str, household: &Household) -> Option<Self> {
        let name = household.name;
        let (Some(sensor), Some(town)) = (Namespace::new(name, "sensor"), Namespace::new(name, "town"))
        else {
            skip(test, "needs root and `ip`");
            return None;
        };
        let there = |program: &&str| {
            ["/usr/sbin", "/usr/bin", "/bin", "/sbin"]
                .iter()
                .any(|dir| PathBuf::from(dir).join(program).exists())
        };
        if let Some(missing) = household.programs.iter().chain(&["nft"]).find(|program| !there(program)) {
            skip(test, &format!("`{missing}` is not installed"));
            return None;
        }
        sensor.run(&[
            "ip",
            "link",
            "add",
            "eth0",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            town.name(),
        ]);
        for (space, addr) in [(&sensor, SENSOR), (&town, "198.18.0.2")] {
            space.run(&["ip", "link", "set", "lo", "up"]);
            space.run(&["ip", "address", "add", &format!("{addr}/24"), "dev", "eth0"]);
            space.run(&["ip", "link", "set", "eth0", "up"]);
        }
        sensor.run(&["ip", "route", "add", TARGETS, "via", "198.18.0.2"]);
        town.run(&["ip", "route", "add", "local", TARGETS, "dev", "lo"]);
        let folder = tempfile::tempdir().unwrap();
        count(&town, household);
        let house = House::open(&town, folder.path(), household.daemons);
        let home = folder.path().join("home");
        let world = Self { house, sensor, town, home, _folder: folder };
        world.found(household);
        Some(world)
    }

    /// The home of the sensor, with the operator's dictionary and recipes.
    fn found(&self, household: &Household) {
        office::found(&self.home, &household.dictionary, |options| {
            options.id = MANDATE.to_owned();
            options.prefixes = vec![TARGETS.parse().unwrap()];
            options.tcp_ports = household.tcp_ports().collect();
            options.udp_ports = household.udp_ports.to_vec();
            options.sensors[0].source_addresses = vec![SENSOR.parse().unwrap()];
        });
        if !household.recipes.is_empty() {
            let settings = self.home.join("kenshin.toml");
            let text = std::fs::read_to_string(&settings).unwrap();
            std::fs::write(&settings, text.replace("# recipes = ", "recipes = ")).unwrap();
            std::fs::write(self.home.join("recipes.toml"), household.recipes).unwrap();
        }
    }

    /// `kenshin` in the sensor's namespace.
    fn json(&self, args: &[&str]) -> Value {
        let output = self
            .sensor
            .command(env!("CARGO_BIN_EXE_kenshin"))
            .arg("--home")
            .arg(&self.home)
            .args(["--format", "json"])
            .args(args)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("kenshin {args:?}: {error}: {stderr}"))
    }

    /// Runs a survey to its end and gives its id.
    pub(crate) fn survey(&self, more: &[&str]) -> String {
        let args = ["survey", "run", "--mandate", MANDATE, "--near", "--seed", "7"];
        let answer = self.json(&[&args[..], more].concat());
        assert_eq!(answer["run"]["ending"]["how"], "finished", "{answer:#}");
        answer["survey_id"].as_str().unwrap().to_owned()
    }

    fn sql(&self, query: &str) -> Vec<Value> {
        self.json(&["sql", query]).as_array().unwrap().clone()
    }

    /// What the service at each address speaks.
    pub(crate) fn protocols(&self, survey: &str) -> ByAddr<String> {
        let rows = self.sql(&format!(
            "SELECT subject_addr AS addr, protocol, MAX(CASE WHEN tls IS NULL THEN '' ELSE ' in TLS' END) AS inside \
             FROM observations WHERE survey_id = '{survey}' AND outcome = 'answered' AND protocol IS NOT NULL AND \"check\" <> 'sweep' GROUP BY subject_addr, protocol"
        ));
        let spoken =
            |row: &Value| ["protocol", "inside"].map(|column| row[column].as_str().unwrap()).concat();
        let mut protocols = BTreeMap::new();
        for row in rows {
            let before = protocols.insert(addr(&row["addr"]), spoken(&row));
            assert_eq!(before, None, "two protocols: {row}");
        }
        protocols
    }

    /// The final outcome of each target's sweep.
    pub(crate) fn outcomes(&self, survey: &str) -> Vec<Value> {
        self.sql(&format!(
            "SELECT subject_addr AS addr, subject_port, outcome FROM observations \
             WHERE survey_id = '{survey}' AND \"check\" = 'sweep' ORDER BY subject_addr, subject_port"
        ))
    }

    /// What credential checks came to.
    pub(crate) fn credentials(&self, survey: &str) -> ByAddr<String> {
        let results = self.tried(survey).into_iter();
        results.map(|(addr, row)| (addr, row["credential"]["result"].as_str().unwrap().to_owned())).collect()
    }

    /// The rows of credential checks: their record and the reason.
    pub(crate) fn tried(&self, survey: &str) -> ByAddr<Value> {
        let rows = self.sql(&format!(
            "SELECT subject_addr AS addr, credential, reason FROM observations \
             WHERE survey_id = '{survey}' AND \"check\" = 'credential-check'"
        ));
        rows.into_iter().map(|row| (addr(&row["addr"]), row)).collect()
    }

    /// Every asset by its address.
    pub(crate) fn assets(&self) -> ByAddr<Value> {
        let assets = self.json(&["asset", "list"]);
        assets.as_array().unwrap().iter().map(|asset| (addr(&asset["addr"]), asset.clone())).collect()
    }

    /// Kinds of findings by address, in order.
    pub(crate) fn findings(&self) -> ByAddr<Vec<String>> {
        let mut findings: ByAddr<Vec<String>> = BTreeMap::new();
        for record in self.json(&["finding", "list"]).as_array().unwrap() {
            let kind = record["finding"]["kind"].as_str().unwrap().to_owned();
            findings.entry(addr(&record["finding"]["endpoint"]["addr"])).or_default().push(kind);
        }
        findings.values_mut().for_each(|kinds| kinds.sort());
        findings
    }

    /// SYNs, datagrams and echo requests that arrived and that no mandate allows.
    pub(crate) fn outside(&self) -> u64 {
        let text = self.town.run(&["nft", "list", "counter", "inet", "kenshin", "outside"]);
        let after = text.split("packets ").nth(1).unwrap();
        after.split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn addr(value: &Value) -> Ipv4Addr {
    value.as_str().unwrap().parse().unwrap()
}

/// Counts what arrives from the sensor and lies outside of the mandate.
fn count(town: &Namespace, household: &Household) {
    let tcp: Vec<String> = household.tcp_ports().map(|port| port.to_string()).collect();
    let tcp = tcp.join(", ");
    let udp: String = household
        .udp_ports
        .iter()
        .map(|port| {
            format!("add rule inet kenshin in iifname eth0 ip daddr {TARGETS} udp dport {port} accept; ")
        })
        .collect();
    let rules = format!(
        "add table inet kenshin; add counter inet kenshin outside; \
         add chain inet kenshin in {{ type filter hook prerouting priority 0; }}; \
         add rule inet kenshin in iifname eth0 tcp flags & (syn | ack) == syn \
         ip daddr {TARGETS} tcp dport {{ {tcp} }} accept; \
         add rule inet kenshin in iifname eth0 tcp flags & (syn | ack) == syn counter name outside; \
         {udp}add rule inet kenshin in iifname eth0 meta l4proto {{ udp, icmp }} counter name outside"
    );
    town.run(&["nft", &rules]);
}
