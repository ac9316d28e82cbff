//! A year of rounds, taken by the lake batch by batch; then one host's year.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use kenshin_lake::{Batch, Lake, LakeError, Thoroughness, Told};
use kenshin_observation::batch::{GENESIS, Seal};
use kenshin_observation::protocol::{Ftp, Http, Records, Rtsp, Snmp, Ssh, Telnet, Tls};
use kenshin_observation::schema::{BlobRow, ObservationRow, SaltRow, ServiceRow, Table};
use kenshin_observation::{
    BatchId, Blob, BlobClass, Check, Coverage, Direction, Endpoint, Observation, OrgId, Outcome, SensorId,
    SurveyId, TimeUs, Tlp,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::current::files;
use super::population::{DAY_US, Device, NOW, Population, ROUND_DAYS, ROUNDS};
use super::report::{Limit, Report, forget_peak_memory, peak_memory};

/// Observations of a batch, and batches of a commit.
const BATCH_ROWS: usize = 16_384;
const COMMIT_BATCHES: usize = 8;
/// Batches after which memory should grow no more.
const SETTLED_BATCHES: i64 = 4 * COMMIT_BATCHES as i64;
/// What a device is observed in a year, on average: sweeps and handshakes of its services.
const OBSERVATIONS_OF_DEVICE: u64 = 34;
/// A prime above every number of devices: steps of it come to each device once.
const STRIDE: u64 = 2_654_435_761;
const HOSTS: usize = 20;

/// Takes about so many observations, and asks for the years of some hosts.
pub(crate) async fn measure(
    report: &mut Report,
    lake: &Lake,
    population: &Population,
    observations: u64,
) -> Result<(), LakeError> {
    report.part(&format!("{observations} observations of {ROUNDS} rounds"));
    let observed = Observed::new(population, observations);
    forget_peak_memory();
    let mut taking = Taking::new(lake);
    let mut third = None;
    for round in 0..ROUNDS {
        for place in 0..observed.devices {
            observed.look(round, place, &mut taking);
            if taking.is_full() {
                taking.commit().await?;
            }
        }
        // Before some commits memory is not yet what it will be.
        if round + 1 == ROUNDS / 3 && taking.sequence >= SETTLED_BATCHES {
            third = Some((taking.rows, taking.spent, peak_memory()));
        }
    }
    taking.commit().await?;
    let (rows, spent) = (taking.rows as f64, taking.spent);
    report.figure(
        "observations committed a second",
        rows / spent.as_secs_f64(),
        "/s",
        Limit::Least(300_000.0),
    );
    if let Some((before, until, memory)) = third {
        let late = (rows - before as f64) / (spent - until).as_secs_f64();
        report.figure("the same in the last two thirds", late, "/s", Limit::None);
        let growth = peak_memory() / memory;
        report.figure("peak memory ÷ peak in the first third", growth, "", Limit::Most(1.1));
    } else {
        report.skipped("growth of memory", "too few observations; 2,000,000 are enough");
    }
    report.figure("peak memory", peak_memory(), "MiB", Limit::None);
    let mut bytes = Vec::new();
    for name in [ObservationRow::NAME, SaltRow::NAME, BlobRow::NAME] {
        bytes.push(files(lake, name).await?.iter().map(|file| file.1).sum::<u64>() as f64);
    }
    report.figure("bytes of an observation", bytes[0] / rows, "B", Limit::None);
    report.figure("bytes of its salt", bytes[1] / rows, "B", Limit::None);
    report.figure("bytes of a blob", bytes[2] / taking.blobs as f64, "B", Limit::None);

    let all = observed.devices;
    years(report, lake, &observed, (1, all), "one host's year, as it was committed", Limit::None).await?;
    forget_peak_memory();
    let begun = Instant::now();
    let merged = lake.compact(NOW, Thoroughness::Due, |_, _, _| {}).await?;
    let spent = begun.elapsed().as_secs_f64();
    report.figure("rows merged a second, of all tables", merged.rows as f64 / spent, "/s", Limit::None);
    report.figure("files before ÷ after", merged.files as f64 / merged.into as f64, "", Limit::None);
    let after = files(lake, ObservationRow::NAME).await?.iter().map(|file| file.1).sum::<u64>() as f64;
    report.figure("bytes of an observation, merged", after / rows, "B", Limit::None);
    report.figure("peak memory of merging", peak_memory(), "MiB", Limit::None);
    years(report, lake, &observed, (1, all), "one host's year", Limit::Most(30.0)).await?;
    Ok(())
}

/// Asks a lake that was filled before.
pub(crate) async fn again(
    report: &mut Report,
    lake: &Lake,
    population: &Population,
    observations: u64,
) -> Result<(), LakeError> {
    report.part("years of hosts");
    let observed = Observed::new(population, observations);
    years(report, lake, &observed, (1, observed.devices), "one host's year", Limit::Most(30.0)).await?;
    Ok(())
}

/// Asks for the years of some of the first devices, of those that a round saw; gives the median, in seconds.
pub(crate) async fn years(
    report: &mut Report,
    lake: &Lake,
    observed: &Observed<'_>,
    (round, devices): (i64, u64),
    what: &str,
    limit: Limit,
) -> Result<f64, LakeError> {
    let mut asked = Vec::new();
    for nth in 0..HOSTS {
        let addr = observed.addr(round, nth as u64 * devices / HOSTS as u64);
        let begun = Instant::now();
        let mut hosts = lake.hosts(&Told { addr: Some(addr), ..Told::default() }).await?;
        let host = hosts.next().await?;
        // The first is not yet what follows: it reads what files say of themselves.
        if nth > 0 {
            asked.push(begun.elapsed());
        }
        assert!(
            host.is_some_and(|seen| seen.iter().all(|one| one.observation.subject.addr == addr)),
            "{addr}"
        );
    }
    asked.sort_unstable();
    let median = asked[asked.len() / 2].as_secs_f64();
    report.times(what, asked, [limit, Limit::None]);
    Ok(median)
}

/// The devices that are looked at, in the order of a sweep.
pub(crate) struct Observed<'a> {
    population: &'a Population,
    pub(crate) devices: u64,
    each: u64,
}

impl<'a> Observed<'a> {
    /// As many devices as about so many observations a year are of.
    pub(crate) fn new(population: &'a Population, observations: u64) -> Self {
        let devices = (observations / OBSERVATIONS_OF_DEVICE).clamp(1, population.devices());
        Self { population, devices, each: population.devices() / devices }
    }

    fn number(&self, place: u64) -> u64 {
        place * STRIDE % self.devices * self.each
    }

    /// An address that was seen in a round; the next device's when this one was not there.
    pub(crate) fn addr(&self, round: i64, place: u64) -> IpAddr {
        let seen = (place..place + self.devices).find_map(|place| self.seen(round, place % self.devices));
        seen.map_or(IpAddr::from([0; 4]), |(device, _)| device.addr)
    }

    /// The device at a place of the order and when a round looks, if it is there.
    fn seen(&self, round: i64, place: u64) -> Option<(Device<'a>, i64)> {
        let device = self.population.device(self.number(place));
        let begins = NOW.micros() - (ROUNDS - round) * ROUND_DAYS * DAY_US;
        let through = place as f64 / self.devices as f64;
        let time = begins + (through * (ROUND_DAYS * DAY_US) as f64) as i64;
        (device.there.0 <= time && time <= device.there.1).then_some((device, time))
    }

    /// What a round sees of the device at a place of its order.
    pub(crate) fn look(&self, round: i64, place: u64, taking: &mut Taking<'_>) {
        let Some((mut device, time)) = self.seen(round, place) else { return };
        let addr = device.addr;
        for service in device.services() {
            let endpoint = service.endpoint(addr);
            let at = |offset: i64| TimeUs::from_micros(time + offset);
            taking.take(observation(round, endpoint, at(0), None), None);
            let said = service.row.title.as_deref().or(service.row.banner.as_deref()).unwrap_or_default();
            let body =
                format!("<html><head><title>{said}</title></head><body>{}</body></html>", said.repeat(4));
            let blob = service.row.status.map(|_| Blob { class: BlobClass::Page, bytes: body.into_bytes() });
            taking.take(observation(round, endpoint, at(1_500_000), Some(&service.row)), blob);
        }
    }
}

/// Batches on their way into the lake.
pub(crate) struct Taking<'a> {
    pub(crate) lake: &'a Lake,
    key: SigningKey,
    salts: ChaCha8Rng,
    pub(crate) rows: u64,
    pub(crate) blobs: u64,
    sequence: i64,
    open: (Vec<Observation>, Vec<Blob>),
    sealed: Vec<Batch>,
    /// For how long it was committed.
    pub(crate) spent: Duration,
}

impl<'a> Taking<'a> {
    pub(crate) fn new(lake: &'a Lake) -> Self {
        Self {
            lake,
            key: SigningKey::from_bytes(&[1; 32]),
            salts: ChaCha8Rng::seed_from_u64(1),
            rows: 0,
            blobs: 0,
            sequence: 0,
            open: Default::default(),
            sealed: Vec::new(),
            spent: Duration::ZERO,
        }
    }

    fn take(&mut self, mut observation: Observation, blob: Option<Blob>) {
        observation.blobs.extend(blob.as_ref().map(Blob::sha256));
        self.open.0.push(observation);
        self.open.1.extend(blob);
        if self.open.0.len() >= BATCH_ROWS {
            self.seal();
        }
    }

    fn seal(&mut self) {
        let (observations, blobs) = std::mem::take(&mut self.open);
        let Some(last) = observations.last() else { return };
        self.sequence += 1;
        let (sensor_id, survey_id, now) = (SensorId::from_bits(1), last.survey_id, last.time);
        let slice = self.sequence;
        let rows = observations.len() as i64;
        self.rows += observations.len() as u64;
        self.blobs += blobs.len() as u64;
        let coverage = Coverage {
            survey_id,
            sensor_id,
            mandate_digest: GENESIS.to_owned(),
            target_digest: GENESIS.to_owned(),
            permutation_key: GENESIS.to_owned(),
            index_from: slice * rows,
            index_to: slice * rows + rows,
            time_from: now,
            time_to: now,
            sent: rows,
            dropped: 0,
        };
        let seal = Seal {
            batch_id: BatchId::new(now, slice.unsigned_abs().into()),
            sensor_id,
            survey_id,
            slice,
            sequence: slice,
            previous: GENESIS.to_owned(),
            mandate_digest: GENESIS.to_owned(),
            build: "bench".to_owned(),
            now,
            key: &self.key,
        };
        let salts = &mut self.salts;
        self.sealed.push(Batch::seal(seal, observations, vec![coverage], blobs, || salts.random()));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.sealed.len() >= COMMIT_BATCHES
    }

    /// Commits what there is; only this is measured.
    pub(crate) async fn commit(&mut self) -> Result<(), LakeError> {
        if !self.is_full() {
            self.seal();
        }
        let batches = std::mem::take(&mut self.sealed);
        let Some(last) = batches.last() else { return Ok(()) };
        let now = last.header.sealed_at.plus_secs(60);
        let begun = Instant::now();
        let committed = self.lake.commit(&batches, now).await?;
        self.spent += begun.elapsed();
        assert_eq!(committed.new, batches.len(), "every batch is new");
        Ok(())
    }
}

/// A row of the sweep, or of the handshake with what was said.
fn observation(round: i64, subject: Endpoint, time: TimeUs, said: Option<&ServiceRow>) -> Observation {
    Observation {
        org_id: OrgId::from_bits(1),
        mandate_id: "bench".to_owned(),
        survey_id: SurveyId::from_bits(round.unsigned_abs().into()),
        sensor_id: SensorId::from_bits(1),
        tlp: Tlp::Amber,
        time,
        clock_error_us: Some(120),
        subject,
        vantage: Endpoint::new(IpAddr::from([192, 0, 2, 1]), 40_000, subject.transport),
        direction: Direction::Probed,
        check: if said.is_some() { Check::Handshake } else { Check::Sweep },
        method_version: 1,
        attempt: 1,
        outcome: Outcome::Answered,
        reason: None,
        protocol: said.and_then(|row| row.protocol.clone()),
        records: said.map(records).unwrap_or_default(),
        blobs: Vec::new(),
        labels: Vec::new(),
    }
}

/// What a service said, as its protocol's record.
fn records(row: &ServiceRow) -> Records {
    let mut records = Records::default();
    let banner = row.banner.clone().unwrap_or_default();
    match row.protocol.as_deref() {
        Some("ssh") => {
            let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let ciphers = names("chacha20-poly1305@openssh.com aes128-ctr aes256-ctr");
            let macs = names("hmac-sha2-256 hmac-sha1");
            records.ssh = Some(Box::new(Ssh {
                banner,
                kex: names("curve25519-sha256 diffie-hellman-group14-sha256 kexguess2@matt.ucc.asn.au"),
                host_key_algorithms: names("ssh-ed25519 rsa-sha2-256 ssh-rsa"),
                ciphers_client_to_server: ciphers.clone(),
                ciphers_server_to_client: ciphers,
                macs_client_to_server: macs.clone(),
                macs_server_to_client: macs,
                compression_client_to_server: names("none"),
                compression_server_to_client: names("none"),
                host_key_algorithm: Some("ssh-ed25519".to_owned()),
                host_key_sha256: row.key_sha256.clone(),
                host_key_bits: Some(256),
                hassh_server: row.hassh.clone(),
            }));
        }
        Some("telnet") => {
            records.telnet = Some(Box::new(Telnet { text: banner, login_prompt: true, ..Telnet::default() }));
        }
        Some("ftp") => records.ftp = Some(Box::new(Ftp { banner, ..Ftp::default() })),
        Some("rtsp") => {
            let methods = vec!["OPTIONS".to_owned(), "DESCRIBE".to_owned(), "SETUP".to_owned()];
            records.rtsp =
                Some(Box::new(Rtsp { status: 200, server: Some(banner), methods, ..Rtsp::default() }));
        }
        Some("snmp") => {
            records.snmp = Some(Box::new(Snmp { sys_descr: Some(banner), ..Snmp::default() }));
        }
        _ => {
            records.http = Some(Box::new(Http {
                status: row.status.unwrap_or(200),
                server: row.server.clone(),
                title: row.title.clone(),
                content_type: Some("text/html".to_owned()),
                body_bytes: 2_048,
                favicon_mmh3: row.favicon,
                ..Http::default()
            }));
        }
    }
    if let Some(version) = &row.tls {
        records.tls = Some(Box::new(Tls {
            version: version.clone(),
            cipher: "ECDHE-RSA-AES256-GCM-SHA384".to_owned(),
            certificate_sha256: row.cert_sha256.clone(),
            public_key_sha256: row.key_sha256.clone(),
            subject: row.cert_subject.clone(),
            issuer: row.cert_issuer.clone(),
            alternative_names: row.cert_names.iter().cloned().collect(),
            not_after_us: row.cert_expires_us,
            key_algorithm: Some("rsa".to_owned()),
            key_bits: Some(2_048),
            server_fingerprint: row.ja3s.clone(),
            ..Tls::default()
        }));
    }
    records
}
