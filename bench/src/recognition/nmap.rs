//! What nmap says.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use kenshin_bench::Side;

use super::{PORTS, Said, Sayings, World, address, number, port};

/// Its sayings of the first `sample` addresses, addresses a second, and the command.
pub(crate) fn measure(world: &World, sample: u32) -> Result<(Sayings, f64, String)> {
    let ports: Vec<String> = PORTS.iter().map(u16::to_string).collect();
    // Names are not looked up, hosts are taken for up, and as many services as it likes are asked at
    // a time.
    let command =
        format!("nmap -n -Pn -T4 --min-hostgroup 1024 -sV --version-all -p {} -oG - -iL", ports.join(","));
    let list = tempfile::NamedTempFile::new()?;
    let targets: Vec<String> = (0..sample).map(|number| address(number).to_string()).collect();
    std::fs::write(list.path(), targets.join("\n"))?;
    let words: Vec<&str> = command.split(' ').collect();
    let began = Instant::now();
    let mut nmap = world.cable.command(Side::Near, words[0]);
    let output = nmap.args(&words[1..]).arg(list.path()).stdout(std::process::Stdio::piped()).output()?;
    if !output.status.success() {
        bail!("nmap failed");
    }
    let per_second = f64::from(sample) / began.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout);
    let sayings = text.lines().filter_map(saying).collect();
    Ok((sayings, per_second, format!("{command} FILE")))
}

/// `Host: ADDR ()  Ports: PORT/STATE/tcp//SERVICE//VERSION/, …`, in which TLS shows as `ssl|`.
fn saying(line: &str) -> Option<(u32, Said)> {
    let (host, rest) = line.strip_prefix("Host: ")?.split_once(' ')?;
    let number = number(host.parse().ok()?)?;
    let wanted = port(number).to_string();
    let ports = rest.split_once("Ports: ")?.1.split(", ");
    let fields = ports.map(|port| port.split('/').collect::<Vec<_>>()).find(|fields| fields[0] == wanted)?;
    let service = *fields.get(4).context("a service").ok()?;
    let protocol = service.rsplit('|').next().unwrap_or_default().trim_end_matches('?').to_owned();
    let product = format!("{protocol} {}", fields.get(6).unwrap_or(&"")).to_lowercase();
    Some((number, Said { protocol, product }))
}
