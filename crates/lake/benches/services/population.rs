//! A made-up country: the same devices in every run, as uneven as real ones.
//!
//! Kinds of device, their versions and the networks they are in are drawn by Zipf's law; each kind says
//! what its templates say, with its version in it; keys and certificates are mostly of one device
//! alone, and sometimes of a whole kind, as those of careless makers are. A device comes at some
//! time of the year, and some are gone before its end.

use std::net::{IpAddr, Ipv4Addr};

use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow, Software};
use kenshin_observation::{Endpoint, OrgId, SensorId, SurveyId, TimeUs, Transport, addr_to_hi_lo};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Now.
pub(crate) const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);
/// µs of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;
/// Days of a round, in which every device is asked once.
pub(crate) const ROUND_DAYS: i64 = 30;
/// Rounds told of.
pub(crate) const ROUNDS: i64 = 12;

const KINDS: usize = 800;
const SYSTEMS: usize = 400;
/// Neighbours that one autonomous system announces together.
const BLOCK: u64 = 2_048;
/// Addresses are of 10.0.0.0/8: nothing is sent anywhere.
const ADDRESSES: u64 = 1 << 24;

/// Makers of devices, the most common first; the rest have made-up names.
const VENDORS: [&str; 12] = [
    "buffalo",
    "nec",
    "yamaha",
    "tp-link",
    "hikvision",
    "asus",
    "elecom",
    "zyxel",
    "dahua",
    "qnap",
    "synology",
    "mikrotik",
];
const TYPES: [&str; 8] =
    ["router", "camera", "nas", "recorder", "printer", "access-point", "phone", "gateway"];
const SOFTWARE: [&str; 16] = [
    "nginx",
    "dropbear",
    "openssh",
    "lighttpd",
    "apache",
    "goahead",
    "boa",
    "mini_httpd",
    "busybox",
    "vsftpd",
    "proftpd",
    "thttpd",
    "micro_httpd",
    "jetty",
    "uhttpd",
    "gsoap",
];
/// What is offered where, the most common first.
const PORTS: [(u16, &str); 16] = [
    (80, "http"),
    (443, "https"),
    (22, "ssh"),
    (23, "telnet"),
    (8080, "http"),
    (21, "ftp"),
    (554, "rtsp"),
    (8443, "https"),
    (161, "snmp"),
    (2323, "telnet"),
    (8000, "http"),
    (7547, "http"),
    (5000, "https"),
    (2222, "ssh"),
    (8554, "rtsp"),
    (10_000, "https"),
];
const COUNTRIES: [&str; 12] = ["JP", "US", "CN", "KR", "TW", "VN", "DE", "BR", "IN", "TH", "ID", "GB"];
const TLS: [&str; 4] = ["TLSv1.2", "TLSv1.3", "TLSv1", "TLSv1.1"];

/// Draws places by Zipf's law: the n-th comes as 1/n.
pub(crate) struct Skew(Vec<f64>);

impl Skew {
    /// Of so many places.
    pub(crate) fn new(places: usize) -> Self {
        let sums = (1..=places).scan(0.0, |sum, n| {
            *sum += 1.0 / n as f64;
            Some(*sum)
        });
        Self(sums.collect())
    }

    /// One of them.
    pub(crate) fn draw(&self, random: &mut impl Rng) -> usize {
        let place = random.random::<f64>() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum < place).min(self.0.len() - 1)
    }
}

/// A kind of device.
struct Kind {
    vendor: String,
    product: String,
    device_type: &'static str,
    versions: Vec<String>,
    services: Vec<Template>,
}

/// What a kind of device offers at a port.
struct Template {
    port: u16,
    protocol: &'static str,
    tls: bool,
    software: &'static str,
    software_versions: Vec<String>,
    greeting: String,
    /// Fingerprints and keys that all of its kind share.
    marks: [String; 4],
    favicon: i32,
}

/// An autonomous system.
struct System {
    number: i64,
    name: String,
    country: &'static str,
    provider: Option<String>,
}

/// Devices by number.
pub(crate) struct Population {
    seed: u64,
    kinds: Vec<Kind>,
    systems: Vec<System>,
    by_kind: Skew,
    by_system: Skew,
    by_version: Skew,
    step: u64,
}

/// A device.
pub(crate) struct Device<'a> {
    /// Its address.
    pub(crate) addr: IpAddr,
    /// When it came and when it was last there, µs.
    pub(crate) there: (i64, i64),
    kind: &'a Kind,
    version: &'a str,
    system: &'a System,
    /// Digits that no other has.
    unique: u64,
    random: ChaCha8Rng,
}

/// What a device offers, as it shows.
pub(crate) struct Service<'a> {
    template: &'a Template,
    /// As a row of the current view.
    pub(crate) row: ServiceRow,
}

impl Population {
    /// The devices of `seed` that offer about so many services.
    pub(crate) fn new(seed: u64, services: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let by_port = Skew::new(PORTS.len());
        let kinds: Vec<Kind> = (0..KINDS).map(|number| kind(number, &by_port, &mut random)).collect();
        let by_country = Skew::new(COUNTRIES.len());
        let systems = (0..SYSTEMS).map(|number| System {
            number: 2_500 + 7 * number as i64,
            name: format!("{}-NET-{number}", ["EXAMPLE", "SAMPLE", "REGIONAL"][number % 3]),
            country: COUNTRIES[by_country.draw(&mut random)],
            provider: (number % 4 != 0).then(|| format!("Provider {number}")),
        });
        let systems = systems.collect();
        let by_kind = Skew::new(KINDS);
        let offered: f64 = kinds.iter().zip(1..).map(|(kind, n)| kind.services.len() as f64 / n as f64).sum();
        let each = offered / by_kind.0[KINDS - 1];
        let step = (ADDRESSES as f64 * each / services as f64) as u64;
        assert!(step > 0, "10.0.0.0/8 has no room for {services} services");
        Self { seed, kinds, systems, by_kind, by_system: Skew::new(SYSTEMS), by_version: Skew::new(8), step }
    }

    /// How many devices there may be.
    pub(crate) fn devices(&self) -> u64 {
        ADDRESSES / self.step
    }

    /// The name of a kind of device, the most common first.
    pub(crate) fn product(&self, kind: usize) -> &str {
        &self.kinds[kind].product
    }

    /// A device by number; greater numbers have greater addresses.
    pub(crate) fn device(&self, number: u64) -> Device<'_> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ 0x9e37_79b9_7f4a_7c15 ^ (number << 20));
        let place = number * self.step + random.random_range(0..self.step);
        let addr = IpAddr::from(Ipv4Addr::from(0x0a00_0000 | u32::try_from(place).unwrap_or(0) & 0xff_ffff));
        let kind = &self.kinds[self.by_kind.draw(&mut random)];
        let version = &kind.versions[self.by_version.draw(&mut random)];
        let mut of_block = ChaCha8Rng::seed_from_u64(self.seed ^ (number / BLOCK) ^ (1 << 63));
        let system = &self.systems[self.by_system.draw(&mut of_block)];
        // Half of them are there from the beginning; one in six is gone before the end.
        let begins = NOW.micros() - ROUNDS * ROUND_DAYS * DAY_US;
        let length = NOW.micros() - begins;
        let came = if random.random_bool(0.5) { begins } else { begins + random.random_range(0..length) };
        let came = came + random.random_range(0..ROUND_DAYS * DAY_US / 2);
        let came = came.min(NOW.micros() - DAY_US);
        let last_round = NOW.micros() - random.random_range(0..ROUND_DAYS * DAY_US);
        let left =
            if random.random_bool(1.0 / 6.0) { random.random_range(came..=NOW.micros()) } else { last_round };
        let there = (came, left.max(came));
        Device { addr, there, kind, version, system, unique: random.random(), random }
    }
}

impl<'a> Device<'a> {
    /// What it offers.
    pub(crate) fn services(&mut self) -> Vec<Service<'a>> {
        let kind = self.kind;
        kind.services.iter().map(|template| self.service(template)).collect()
    }

    fn service(&mut self, template: &'a Template) -> Service<'a> {
        let Kind { vendor, product, device_type, .. } = self.kind;
        let random = &mut self.random;
        let version = template.software_versions.choose(random).map_or("", String::as_str);
        let unique = self.unique;
        let own = |random: &mut ChaCha8Rng, shared: &String| {
            if random.random_bool(0.75) { digits(random, 64) } else { shared.clone() }
        };
        let software = Software {
            vendor: None,
            product: template.software.to_owned(),
            version: Some(version.to_owned()),
            cpe: None,
        };
        let is = |protocol: &str| template.protocol == protocol;
        let web = is("http");
        let title = match unique % 10 {
            0 => format!("{product} ({unique:012x})"),
            _ => format!("{product} setup"),
        };
        let (first_us, seen_us) = self.there;
        let gone = seen_us < NOW.micros() - ROUND_DAYS * DAY_US;
        let asked_us =
            if gone { NOW.micros() - random.random_range(0..ROUND_DAYS * DAY_US) } else { seen_us };
        let (addr_hi, addr_lo) = addr_to_hi_lo(self.addr);
        let encrypted = |value: String| template.tls.then_some(value);
        let row = ServiceRow {
            schema: SERVICE_VERSION,
            addr_hi,
            addr_lo,
            port: template.port.into(),
            transport: if is("snmp") { "udp" } else { "tcp" }.to_owned(),
            protocol: Some(template.protocol.to_owned()),
            state: if !gone {
                "answered"
            } else if unique.is_multiple_of(3) {
                "refused"
            } else {
                "dark"
            }
            .to_owned(),
            first_us,
            seen_us,
            asked_us,
            known_us: asked_us + 60_000_000,
            org_id: OrgId::from_bits(1).to_string(),
            mandate_id: "bench".to_owned(),
            survey_id: SurveyId::from_bits(((asked_us / DAY_US) as u128) << 80).to_string(),
            sensor_id: SensorId::from_bits(1).to_string(),
            tlp: "amber".to_owned(),
            vendor: Some(vendor.clone()),
            product: Some(product.clone()),
            version: (unique.is_multiple_of(3)).then(|| self.version.to_owned()),
            device_type: Some((*device_type).to_owned()),
            cpe: Some(format!("cpe:2.3:h:{vendor}:{product}:-:*:*:*:*:*:*:*")),
            software: Some(serde_json::to_string(&[software]).expect("software is JSON")),
            banner: (!web).then(|| template.greeting.replace("{}", version)),
            title: web.then_some(title),
            server: web.then(|| format!("{}/{version}", template.software)),
            status: web.then_some(if unique.is_multiple_of(4) { 401 } else { 200 }),
            tls: encrypted(
                TLS[self.kind.versions.len() % 2 + 2 * usize::from(unique.is_multiple_of(8))].to_owned(),
            ),
            cert_sha256: encrypted(own(random, &template.marks[0])),
            cert_subject: encrypted(match unique % 2 {
                0 => format!("CN={product}-{unique:012x},O={vendor}"),
                _ => format!("CN={product},O={vendor}"),
            }),
            cert_names: encrypted(format!("{product}.local")),
            cert_issuer: encrypted(format!("CN={vendor} device CA")),
            cert_expires_us: template
                .tls
                .then(|| NOW.micros() + random.random_range(-400 * DAY_US..3_000 * DAY_US)),
            key_sha256: (template.tls || is("ssh")).then(|| own(random, &template.marks[1])),
            hassh: is("ssh").then(|| template.marks[2][..32].to_owned()),
            ja3s: encrypted(template.marks[3][..32].to_owned()),
            favicon: web.then_some(template.favicon),
            labels: (unique.is_multiple_of(200)).then(|| "middlebox".to_owned()),
            enriched_by: Some("bench".to_owned()),
            asn: Some(self.system.number),
            as_name: Some(self.system.name.clone()),
            country: Some(self.system.country.to_owned()),
            region: None,
            provider: self.system.provider.clone(),
        };
        Service { template, row }
    }
}

impl Service<'_> {
    /// Where it is.
    pub(crate) fn endpoint(&self, addr: IpAddr) -> Endpoint {
        let transport = if self.template.protocol == "snmp" { Transport::Udp } else { Transport::Tcp };
        Endpoint::new(addr, self.template.port, transport)
    }
}

fn kind(number: usize, by_port: &Skew, random: &mut ChaCha8Rng) -> Kind {
    // Makers are uneven too: the n-th kind is of one of the first makers more often.
    let maker = (random.random::<f64>().powi(3) * 60.0) as usize;
    let vendor = VENDORS.get(maker).map_or_else(|| format!("maker{maker}"), |name| (*name).to_owned());
    let stem = &vendor[..vendor.len().min(3)];
    let product = format!("{stem}-{}{}", ["wr", "hp", "ds", "ip"][number % 4], 100 + 7 * number);
    let versions = (0..8).map(|n| format!("{}.{:02}", 1 + n / 4, random.random_range(0..99))).collect();
    let mut ports: Vec<usize> = (0..random.random_range(1..=4)).map(|_| by_port.draw(random)).collect();
    ports.sort_unstable();
    ports.dedup();
    let services = ports.into_iter().map(|port| template(PORTS[port], &product, &vendor, random)).collect();
    Kind { vendor, product, device_type: TYPES[number % TYPES.len()], versions, services }
}

fn template(
    (port, name): (u16, &'static str),
    product: &str,
    vendor: &str,
    random: &mut ChaCha8Rng,
) -> Template {
    let software = SOFTWARE[Skew::new(SOFTWARE.len()).draw(random)];
    let year = random.random_range(2008..2024);
    let software_versions =
        (0..6).map(|n| format!("{}.{}", year + n / 2, random.random_range(0..90))).collect();
    let protocol = if name == "https" { "http" } else { name };
    let greeting = match protocol {
        "ssh" => format!("SSH-2.0-{software}_{{}}"),
        "telnet" => format!("\r\n{vendor} {product} firmware {{}}\r\n\r\n{product} login: "),
        "ftp" => format!("220 {product} FTP server ({software} {{}}) ready."),
        "rtsp" => format!("{vendor} rtsp server {{}}"),
        _ => format!("{vendor} {product}, software {{}}, built by {}", digits(random, 8)),
    };
    Template {
        port,
        protocol,
        tls: name == "https",
        software,
        software_versions,
        greeting,
        marks: std::array::from_fn(|_| digits(random, 64)),
        favicon: random.random(),
    }
}

/// Random hexadecimal digits.
fn digits(random: &mut impl Rng, count: usize) -> String {
    (0..count).map(|_| char::from(b"0123456789abcdef"[random.random_range(0..16)])).collect()
}
