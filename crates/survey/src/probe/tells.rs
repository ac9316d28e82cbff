//! What gives away that an endpoint is no device: decoys that publications name, and tarpits.

use super::ProbeResult;

/// Label of a service that shows a mark of a known decoy.
pub(super) const HONEYPOT: &str = "honeypot-tell";

/// Label of a service that goes on talking slowly, and never says what it is.
pub(super) const TARPIT: &str = "tarpit";

/// Algorithms that OpenSSH never had. Kippo and Cowrie claim to be OpenSSH and list those of the
/// library they are made with, one of them misspelt; see Vetterl and Clayton, "Bitter Harvest",
/// WOOT 2018.
const NEVER_OPENSSH: [&str; 5] = ["hmac-sha2-384", "hmac-sha2-56", "cast128-ctr", "blowfish-ctr", "3des-ctr"];

/// Names that the decoy Conpot has by default; see Morishita et al., "Detect Me If You... Oh Wait",
/// IFIP/IEEE IM 2019.
const CONPOT: [&str; 3] = ["Technodrome", "Mouser Factory", "88111222"];

/// True when `result` shows such a mark. Nothing is asked to find one.
pub(super) fn honeypot(result: &ProbeResult) -> bool {
    let records = &result.records;
    let ssh = records.ssh.as_ref().is_some_and(|ssh| {
        let mut listed = ssh.ciphers_server_to_client.iter().chain(&ssh.macs_server_to_client);
        ssh.banner.contains("OpenSSH") && listed.any(|name| NEVER_OPENSSH.contains(&name.as_str()))
    });
    let s7 = records.s7.as_ref().is_some_and(|s7| {
        let mut names = [&s7.system_name, &s7.plant, &s7.serial_number].into_iter().flatten();
        names.any(|name| CONPOT.contains(&name.as_str()))
    });
    let modbus = records.modbus.as_ref().is_some_and(|modbus| {
        // A controller of that family has no Modbus server with such an identity.
        modbus.vendor.as_deref() == Some("Siemens")
            && modbus.product_code.as_deref() == Some("SIMATIC")
            && modbus.revision.as_deref() == Some("S7-200")
    });
    // Dionaea.
    let ftp = records.ftp.as_ref().is_some_and(|ftp| ftp.banner == "220 Welcome to the ftp service");
    ssh || s7 || modbus || ftp
}
