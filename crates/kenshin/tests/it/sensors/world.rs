//! A network of namespaces that the test makes itself: a hub, two sensors, and a /23 of addresses
//! with small services, on one bridge. Documentation and benchmark addresses only; nothing of it is
//! connected to anything else.

#![expect(clippy::disallowed_methods, reason = "namespaces and processes are made by programs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use kenshin_mandate::{
    Revocation, RevocationDraft, Revoked, SignerKey, TemplateOptions, TemplateSensor, signature, template,
};
use kenshin_observation::Check;
use kenshin_observatory::{Authority, write_whole};
use serde_json::Value;

use crate::namespace::{LIMIT, Namespace, Process, now, pause, until};
use crate::process::{expect, kenshin};

pub(crate) const MANDATE: &str = "test-net";
const AUTHORITY: &str = "authority@example.jp";
/// What is measured: 512 addresses at three ports.
pub(crate) const TARGETS: &str = "198.18.4.0/23";
pub(crate) const PORTS: [u16; 3] = [21, 22, 23];
pub(crate) const TARGETS_COUNT: usize = 512 * PORTS.len();
const HUB: &str = "198.18.0.1";
/// The whole network, and the homes of those in it.
pub(crate) struct World {
    pub(crate) hub: Namespace,
    pub(crate) sensors: [Namespace; 2],
    pub(crate) targets: Namespace,
    _bridge: Namespace,
    folder: tempfile::TempDir,
    _services: Process,
    ids: Vec<String>,
    number: u64,
    times: Times,
}

/// How quick the hub's leases are.
pub(crate) struct Times {
    /// Seconds for which a lease holds.
    pub(crate) lease_s: u32,
    /// Minutes for which a revocation list is fresh.
    pub(crate) fresh_min: u32,
}

impl World {
    /// `None`, said by name, where namespaces cannot be made.
    pub(crate) fn new(test: &str, times: Times) -> Option<Self> {
        let short: String = test.chars().take(8).collect();
        let spaces = ["br", "hub", "s1", "s2", "net"].map(|name| Namespace::new(&short, name));
        let nft = Command::new("nft").arg("--version").output().is_ok_and(|output| output.status.success());
        let [Some(bridge), Some(hub), Some(one), Some(two), Some(targets)] = spaces else {
            crate::process::skip(test, "needs root and `ip`");
            return None;
        };
        if !nft {
            crate::process::skip(test, "needs `nft`");
            return None;
        }
        bridge.run(&["ip", "link", "add", "br0", "type", "bridge"]);
        bridge.run(&["ip", "link", "set", "br0", "up"]);
        for (number, (space, host)) in
            [(&hub, HUB), (&one, "198.18.0.11"), (&two, "198.18.0.12"), (&targets, "198.18.0.100")]
                .into_iter()
                .enumerate()
        {
            let port = format!("port{number}");
            bridge.run(&[
                "ip",
                "link",
                "add",
                &port,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                space.name(),
            ]);
            bridge.run(&["ip", "link", "set", &port, "master", "br0", "up"]);
            space.run(&["ip", "link", "set", "lo", "up"]);
            space.run(&["ip", "address", "add", &format!("{host}/24"), "dev", "eth0"]);
            space.run(&["ip", "link", "set", "eth0", "up"]);
        }
        for sensor in [&one, &two] {
            sensor.run(&["ip", "route", "add", TARGETS, "via", "198.18.0.100"]);
        }
        targets.run(&["ip", "route", "add", "local", TARGETS, "dev", "lo"]);
        let services = services(&targets);
        let folder = tempfile::tempdir().unwrap();
        count(&targets, folder.path());
        let mut world = Self {
            hub,
            sensors: [one, two],
            targets,
            _bridge: bridge,
            folder,
            _services: services,
            ids: Vec::new(),
            number: 0,
            times,
        };
        world.found();
        Some(world)
    }

    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The hub's home with its trust roots; no mandate yet, because it must name the sensors.
    fn found(&mut self) {
        let home = self.home("hub");
        expect(&home, 0, &["init", "--organisation", "Example CSIRT", "--quiet"]);
        let settings = home.join("kenshin.toml");
        let text = std::fs::read_to_string(&settings).unwrap();
        let text = text.replace("lease_s = 1200", &format!("lease_s = {}\nretry_s = 0", self.times.lease_s));
        std::fs::write(&settings, text).unwrap();
        std::fs::write(home.join("mandates/allowed_signers"), roots()).unwrap();
    }

    /// Starts the hub and waits until it listens.
    pub(crate) fn start_hub(&self) -> Process {
        let home = self.home("hub");
        let child = self
            .hub
            .command(env!("CARGO_BIN_EXE_kenshin"))
            .arg("--home")
            .arg(&home)
            .args([
                "serve",
                "--no-jobs",
                "--listen",
                "198.18.0.1:8480",
                "--sensors-listen",
                "198.18.0.1:8481",
            ])
            .stdout(Stdio::null())
            .stderr(log(&self.home("hub.log")))
            .spawn()
            .unwrap();
        let mut hub = Process::of(child);
        until("the hub to listen", || {
            assert!(hub.runs(), "{}", self.log("hub"));
            let listening = self.hub.run(&["ss", "-ltn"]);
            (listening.contains(":8480") && listening.contains(":8481")).then_some(())
        });
        hub
    }

    /// Enrols both sensors with the running hub, and installs the trust roots in their homes by hand.
    pub(crate) fn enrol(&mut self) {
        for (number, sensor) in self.sensors.iter().enumerate() {
            let name = format!("s{}", number + 1);
            let token = self.hub_json(&["sensor", "token", "--name", &name]);
            let home = self.home(&name);
            let output = sensor
                .command(env!("CARGO_BIN_EXE_kenshin"))
                .arg("--home")
                .arg(&home)
                .args([
                    "--format",
                    "json",
                    "sensor",
                    "enrol",
                    "--hub",
                    "https://198.18.0.1:8481",
                    "--fingerprint",
                ])
                .arg(token["fingerprint"].as_str().unwrap())
                .env("KENSHIN_TOKEN", token["token"].as_str().unwrap())
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((&answer["organisation"], &answer["name"]), (&"Example CSIRT".into(), &name.into()));
            self.ids.push(answer["sensor_id"].as_str().unwrap().to_owned());
            let settings = home.join("kenshin.toml");
            let text = std::fs::read_to_string(&settings).unwrap();
            std::fs::write(&settings, text + "pulse_ms = 100\npause_max_s = 1\n").unwrap();
            std::fs::write(home.join("mandates/allowed_signers"), roots()).unwrap();
        }
    }

    /// Writes, signs and adds the mandate that names both sensors, each with half of `pps`.
    pub(crate) fn authorise(&mut self, pps: u32) {
        let mut options = TemplateOptions::example();
        options.id = MANDATE.to_owned();
        options.authority = AUTHORITY.to_owned();
        (options.valid_from, options.valid_until) = (now().plus_secs(-3_600), now().plus_secs(86_400));
        options.prefixes = vec![TARGETS.parse().unwrap()];
        options.special_reason = "a network that a test made".to_owned();
        options.exclusions.clear();
        options.tcp_ports = PORTS.to_vec();
        options.checks = vec![Check::Sweep, Check::Banner, Check::Handshake];
        (options.rate.whole_pps, options.rate.whole_burst) = (pps, 20);
        (options.rate.per_prefix.pps, options.rate.per_prefix.burst) = (10_000, 10_000);
        (options.rate.per_address.per_minute, options.rate.per_address.burst) = (60_000, 1_000);
        options.revocation_list = "revocations.toml".to_owned();
        options.revocation_max_age_minutes = self.times.fresh_min;
        let known = self.hub_json(&["sensor", "list"]);
        options.sensors = known
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let name = row["name"].as_str().unwrap();
                let key: [u8; 32] = unhex(row["public_key"].as_str().unwrap());
                TemplateSensor {
                    id: row["sensor_id"].as_str().unwrap().parse().unwrap(),
                    name: name.to_owned(),
                    public_key: ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap(),
                    source_addresses: vec![
                        if name == "s1" { "198.18.0.11" } else { "198.18.0.12" }.parse().unwrap(),
                    ],
                    share_percent: 50,
                }
            })
            .collect();
        assert_eq!(options.sensors.len(), 2);
        let draft = self.folder.path().join("draft.toml");
        write_whole(&draft, &template(&options)).unwrap();
        Authority::sign_mandate(&draft, &key()).unwrap();
        expect(&self.home("hub"), 0, &["mandate", "add", draft.to_str().unwrap()]);
        self.issue(0, Vec::new());
    }

    /// The authority issues its next revocation list, dated `age_s` seconds ago.
    pub(crate) fn issue(&mut self, age_s: i64, revoked: Vec<Revocation>) {
        self.number += 1;
        self.replace_list(&RevocationDraft {
            authority: AUTHORITY.to_owned(),
            number: self.number,
            issued_at: now().plus_secs(-age_s),
            revoked,
        });
    }

    /// Polls until the condition holds; fails after [`LIMIT`] with what the processes said.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut() -> Option<()>) {
        let began = Instant::now();
        let mut looks = began;
        while holds().is_none() {
            assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} for: {what}\n{}", self.logs());
            pause(looks.elapsed());
            looks = Instant::now();
        }
    }

    /// Starts a sensor, 0 or 1.
    pub(crate) fn start_sensor(&self, number: usize) -> Process {
        let name = format!("s{}", number + 1);
        let child = self.sensors[number]
            .command(env!("CARGO_BIN_EXE_kenshin"))
            .arg("--home")
            .arg(self.home(&name))
            .args(["-v", "sensor", "run", "--engine", "connect"])
            .stdout(Stdio::null())
            .stderr(log(&self.home(&format!("{name}.log"))))
            .spawn()
            .unwrap();
        Process::of(child)
    }

    /// Hands a survey over to the sensors and gives its id.
    pub(crate) fn survey(&self, shards: u32) -> String {
        let answer = self.hub_json(&[
            "survey",
            "run",
            "--mandate",
            MANDATE,
            "--near",
            "--seed",
            "7",
            "--detach",
            "--shards",
            &shards.to_string(),
        ]);
        answer["survey_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn show(&self, survey: &str) -> Value {
        self.hub_json(&["survey", "show", survey])
    }

    /// Waits until the survey is finished and assessed.
    pub(crate) fn finished(&self, survey: &str) -> Value {
        let mut shown = Value::Null;
        self.until("the survey to be finished and assessed", || {
            shown = self.show(survey);
            assert!(
                !["stopped", "failed"].contains(&shown["state"].as_str().unwrap()),
                "{shown:#}\n{}",
                self.logs()
            );
            (shown["state"] == "finished" && !shown["assessed_at"].is_null()).then_some(())
        });
        shown
    }

    pub(crate) fn stop(&self, survey: &str) {
        expect(&self.home("hub"), 0, &["survey", "stop", survey]);
    }

    /// The authority revokes the mandate.
    pub(crate) fn revoke(&mut self) {
        let what = Revoked::Mandate(MANDATE.to_owned());
        self.issue(0, vec![Revocation { what, reason: "a test".to_owned() }]);
    }

    /// The list before the newest, which the authority did sign.
    pub(crate) fn former_list(&self) -> RevocationDraft {
        RevocationDraft {
            authority: AUTHORITY.to_owned(),
            number: self.number - 1,
            issued_at: now(),
            revoked: Vec::new(),
        }
    }

    /// Puts a list into the hub's home, signed by the authority.
    pub(crate) fn replace_list(&self, draft: &RevocationDraft) {
        let text = draft.to_text();
        let signed = key().sign(&text, signature::REVOCATION_NAMESPACE).unwrap();
        let path = self.home("hub").join("mandates/revocations.toml");
        write_whole(&path.with_extension("toml.sig"), &signed).unwrap();
        write_whole(&path, &text).unwrap();
    }

    /// Has a sensor serve its courtesy page when it is started next.
    pub(crate) fn open_courtesy_page(&self, number: usize) {
        let settings = self.home(&format!("s{}", number + 1)).join("kenshin.toml");
        let text = std::fs::read_to_string(&settings).unwrap();
        let text = text.replace("# courtesy_listen = \"0.0.0.0:80\"", "courtesy_listen = \"198.18.0.11:80\"");
        std::fs::write(&settings, text).unwrap();
    }

    /// What the courtesy page of the first sensor answers to a request from one of the targets.
    pub(crate) fn visit(&self, from: &str, request: &str) -> String {
        let this = std::env::current_exe().unwrap();
        let mut answer = String::new();
        self.until("the courtesy page to answer", || {
            let output = self
                .targets
                .command(this.to_str().unwrap())
                .args(["--exact", "sensors::visitor", "--nocapture"])
                .env(VISIT, format!("{from} 198.18.0.11:80 {request}"))
                .output()
                .unwrap();
            answer = String::from_utf8_lossy(&output.stdout).into_owned();
            let begins = answer.find("HTTP/1.1")?;
            answer.drain(..begins);
            output.status.success().then_some(())
        });
        answer
    }

    /// What a survey found, without times and vantages, in order; two rows for the same question fail.
    pub(crate) fn rows(&self, survey: &str) -> Vec<String> {
        let sql = format!(
            "SELECT subject_addr, subject_port, \"check\", outcome, protocol, COUNT(*) AS n FROM observations \
             WHERE survey_id = '{survey}' GROUP BY subject_addr, subject_port, \"check\", outcome, protocol"
        );
        let rows = self.hub_json(&["sql", &sql]);
        let mut seen: Vec<String> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                assert_eq!(row["n"], 1, "two outcomes: {row}");
                ["subject_addr", "subject_port", "check", "outcome", "protocol"]
                    .map(|column| row[column].to_string())
                    .join(" ")
            })
            .collect();
        seen.sort();
        seen
    }

    /// Batches that wait in a sensor's spool.
    pub(crate) fn waiting(&self, number: usize) -> usize {
        let folder = self.home(&format!("s{}", number + 1)).join("spool/batches");
        std::fs::read_dir(folder).map_or(0, |entries| entries.count())
    }

    /// Batches of a sensor in the lake, of one survey.
    pub(crate) fn committed(&self, number: usize, survey: &str) -> usize {
        let sql = format!(
            "SELECT COUNT(*) AS n FROM batches WHERE survey_id = '{survey}' AND sensor_id = '{}'",
            self.ids[number]
        );
        usize::try_from(self.hub_json(&["sql", &sql])[0]["n"].as_u64().unwrap()).unwrap()
    }

    /// SYNs that reached the targets from a sensor.
    pub(crate) fn asked(&self, number: usize) -> u64 {
        self.counter(&format!("s{}", number + 1))
    }

    /// SYNs that no mandate allows: from elsewhere, to other addresses or other ports.
    pub(crate) fn outside(&self) -> u64 {
        self.counter("outside")
    }

    fn counter(&self, name: &str) -> u64 {
        let text = self.targets.run(&["nft", "list", "counter", "inet", "kenshin", name]);
        let after = text.split("packets ").nth(1).unwrap();
        after.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Nothing of a sensor reaches the hub any more, and nothing of the hub the sensor.
    pub(crate) fn cut_off(&self, number: usize) {
        let rules = "add table inet cut; add chain inet cut out { type filter hook output priority 0; }; \
                     add rule inet cut out ip daddr 198.18.0.1 drop; \
                     add chain inet cut in { type filter hook input priority 0; }; \
                     add rule inet cut in ip saddr 198.18.0.1 drop";
        self.sensors[number].run(&["nft", rules]);
    }

    /// The way is open again.
    pub(crate) fn let_through(&self, number: usize) {
        self.sensors[number].run(&["nft", "delete table inet cut"]);
    }

    pub(crate) fn hub_json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--format", "json", "--quiet"].iter().chain(args).copied().collect();
        let output = kenshin(&self.home("hub")).args(&args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("kenshin {args:?}: {error}: {stderr}\n{}", self.logs()))
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.home(&format!("{name}.log"))).unwrap_or_default()
    }

    pub(crate) fn logs(&self) -> String {
        ["hub", "s1", "s2"].map(|name| format!("== {name}\n{}", self.log(name))).concat()
    }
}

fn key() -> SignerKey {
    SignerKey::from_seed(&[5; 32], AUTHORITY)
}

fn roots() -> String {
    key().allowed_signers_line(AUTHORITY, &[signature::MANDATE_NAMESPACE, signature::REVOCATION_NAMESPACE])
}

fn unhex(text: &str) -> [u8; 32] {
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

fn log(path: &Path) -> Stdio {
    std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap().into()
}

/// Counts SYNs where they arrive: by sensor, and those that no mandate allows.
fn count(targets: &Namespace, folder: &Path) {
    let ports = PORTS.map(|port| port.to_string()).join(", ");
    let rules = format!(
        "table inet kenshin {{\n counter s1 {{ }}\n counter s2 {{ }}\n counter outside {{ }}\n\
         chain syn {{\n ip daddr {TARGETS} tcp dport {{ {ports} }} ip saddr 198.18.0.11 counter name s1 return\n\
         ip daddr {TARGETS} tcp dport {{ {ports} }} ip saddr 198.18.0.12 counter name s2 return\n\
         counter name outside\n}}\n\
         chain in {{\n type filter hook prerouting priority 0;\n\
         iifname eth0 tcp flags & (syn | ack | rst | fin) == syn jump syn\n\
         iifname eth0 meta l4proto udp counter name outside\n}}\n}}\n"
    );
    let path = folder.join("rules.nft");
    std::fs::write(&path, rules).unwrap();
    targets.run(&["nft", "-f", path.to_str().unwrap()]);
}

/// Small services at some of the addresses, in a process of their own.
fn services(targets: &Namespace) -> Process {
    let this = std::env::current_exe().unwrap();
    let child = targets
        .command(this.to_str().unwrap())
        .args(["--exact", "sensors::services", "--nocapture"])
        .env(SERVICES, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process::of(child);
    until("the services to listen", || {
        (targets.run(&["ss", "-ltn"]).lines().count() > services_at().count()).then_some(())
    });
    process
}

/// Says to this test binary from where it is to visit whom with which request.
pub(crate) const VISIT: &str = "KENSHIN_TEST_VISIT";

/// Says to this test binary that it is the services.
pub(crate) const SERVICES: &str = "KENSHIN_TEST_SERVICES";

/// Where something listens, and what it says before it closes.
pub(crate) fn services_at() -> impl Iterator<Item = (std::net::SocketAddr, &'static str)> {
    (0..512u32).flat_map(|host| {
        let addr = std::net::Ipv4Addr::from_bits(u32::from_be_bytes([198, 18, 4, 0]) + host);
        let ftp = (host % 4 == 0).then_some(((addr, 21).into(), "220 FTP ready\r\n"));
        let ssh = (host % 5 == 0).then_some(((addr, 22).into(), "SSH-2.0-dropbear_2019.78\r\n"));
        ftp.into_iter().chain(ssh)
    })
}
