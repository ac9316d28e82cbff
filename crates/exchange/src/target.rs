//! A target as people and tools write it.

use std::net::{IpAddr, Ipv4Addr};

use kenshin_observation::{Prefix, Transport};

use crate::problem::quoted;

/// Addresses from `first` to `last`, both included and of one family, with a port where one was
/// stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Lowest address.
    pub first: IpAddr,
    /// Highest address.
    pub last: IpAddr,
    /// Port and its transport; `None` for the address as such.
    pub port: Option<(u16, Transport)>,
}

/// What a prefix with host bits set, such as `192.0.2.7/24`, is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostBits {
    /// A slip of the pen.
    Refused,
    /// The whole prefix, as ZMap and masscan take it.
    Ignored,
}

/// Why a text is no target: the offset of what is wrong, what is wrong, and the way out.
pub(crate) type Mistake = (usize, String, String);

const FORMS: &str = "write an address, a prefix (192.0.2.0/24), a range (192.0.2.1-192.0.2.9), or an address with a port (192.0.2.1:80, [2001:db8::1]:80)";

impl Target {
    /// One address.
    pub fn address(addr: IpAddr, port: Option<(u16, Transport)>) -> Self {
        Self { first: addr.to_canonical(), last: addr.to_canonical(), port }
    }

    /// Reads `address`, `address/length`, `first-last`, `192.0.2.1-9`, `address:port`,
    /// `[address]:port`, the last two also with `/tcp` or `/udp`.
    pub(crate) fn parse(text: &str, host_bits: HostBits) -> Result<Self, Mistake> {
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(Self::address(addr, None));
        }
        if let Some((first, last)) = text.split_once('-') {
            return range(first, last);
        }
        if let Some((host, port)) = endpoint(text) {
            let addr = host.parse::<IpAddr>().map_err(|_| no_address(host))?;
            let port = port_of(port).map_err(|(message, hint)| (text.len() - port.len(), message, hint))?;
            return Ok(Self::address(addr, Some(port)));
        }
        match text.split_once('/') {
            Some((base, length)) => prefix(base, length, host_bits),
            None => Err(no_address(text)),
        }
    }
}

/// Host and port of `host:port` or `[host]:port`; `None` when it is not written like that.
fn endpoint(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        // More than one colon is an IPv6 address.
        None => text.split_once(':').filter(|(_, port)| !port.contains(':')),
    }
}

fn port_of(text: &str) -> Result<(u16, Transport), (String, String)> {
    let (number, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    let transport = match transport {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        other => {
            return Err((
                format!("{} is not a transport", quoted(other)),
                "write `/tcp` or `/udp`, or nothing".to_owned(),
            ));
        }
    };
    match number.parse::<u16>() {
        Ok(port @ 1..) => Ok((port, transport)),
        _ => Err((
            format!("{} is not a port", quoted(number)),
            "a port is a number from 1 to 65535".to_owned(),
        )),
    }
}

fn range(first: &str, last: &str) -> Result<Target, Mistake> {
    let from = first.parse::<IpAddr>().map_err(|_| no_address(first))?;
    let to = match (from, last.parse::<u8>()) {
        // 192.0.2.1-9
        (IpAddr::V4(v4), Ok(octet)) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, octet).into()
        }
        _ => last.parse::<IpAddr>().map_err(|_| {
            let (_, message, hint) = no_address(last);
            (first.len() + 1, message, hint)
        })?,
    };
    if from.is_ipv4() != to.is_ipv4() {
        let hint = "write a range of IPv4 or of IPv6 addresses".to_owned();
        return Err((0, format!("{from} and {to} are of two families"), hint));
    }
    if from > to {
        return Err((
            0,
            format!("the range ends before it begins: {from} is above {to}"),
            format!("write {to}-{from}"),
        ));
    }
    Ok(Target { first: from, last: to, port: None })
}

fn prefix(base: &str, length: &str, host_bits: HostBits) -> Result<Target, Mistake> {
    let addr = base.parse::<IpAddr>().map_err(|_| no_address(base))?;
    let width = if addr.is_ipv4() { 32 } else { 128 };
    let length = match length.parse::<u8>() {
        Ok(length) if length <= width => length,
        _ => {
            let hint = format!("the length of this prefix is a number from 0 to {width}");
            return Err((base.len() + 1, format!("{} is not a prefix length", quoted(length)), hint));
        }
    };
    let prefix = Prefix::containing(addr, length);
    if host_bits == HostBits::Refused && prefix.base() != addr {
        return Err((
            0,
            format!("`{addr}/{length}` has host bits set"),
            format!("write {prefix}, or {addr} alone"),
        ));
    }
    Ok(Target { first: prefix.base(), last: prefix.last(), port: None })
}

fn no_address(text: &str) -> Mistake {
    let message = format!("{} is not an address", quoted(text));
    let hint = match text {
        _ if text.contains('%') => "leave the zone away: an address of one link cannot be a target",
        _ if text.contains('*') => "write a prefix or a range instead of `*`",
        _ if text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.contains(':') => {
            "names are not resolved, because what they mean changes: write addresses"
        }
        _ => FORMS,
    };
    (0, message, hint.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        match Target::parse(text, HostBits::Refused) {
            Ok(Target { first, last, port: None }) if first == last => first.to_string(),
            Ok(Target { first, last, port: None }) => format!("{first}..{last}"),
            Ok(Target { first, port: Some((port, transport)), .. }) => format!("{first} {port}/{transport}"),
            Err((at, message, hint)) => format!("{at} {message}; {hint}"),
        }
    }

    #[test]
    fn forms_of_a_target() {
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.0/30", "192.0.2.0..192.0.2.3"),
            ("0.0.0.0/0", "0.0.0.0..255.255.255.255"),
            ("2001:db8::/127", "2001:db8::..2001:db8::1"),
            ("192.0.2.1-192.0.2.9", "192.0.2.1..192.0.2.9"),
            ("192.0.2.1-9", "192.0.2.1..192.0.2.9"),
            ("2001:db8::1-2001:db8::f", "2001:db8::1..2001:db8::f"),
            ("192.0.2.7:80", "192.0.2.7 80/tcp"),
            ("192.0.2.7:53/udp", "192.0.2.7 53/udp"),
            ("[2001:db8::7]:443", "2001:db8::7 443/tcp"),
            ("[2001:db8::7]:161/udp", "2001:db8::7 161/udp"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_say_where_and_the_way_out() {
        for (text, expected) in [
            ("192.0.2.7/24", "0 `192.0.2.7/24` has host bits set; write 192.0.2.0/24, or 192.0.2.7 alone"),
            (
                "192.0.2.0/33",
                "10 `33` is not a prefix length; the length of this prefix is a number from 0 to 32",
            ),
            (
                "192.0.2.9-1",
                "0 the range ends before it begins: 192.0.2.9 is above 192.0.2.1; write 192.0.2.1-192.0.2.9",
            ),
            (
                "192.0.2.1-2001:db8::1",
                "0 192.0.2.1 and 2001:db8::1 are of two families; write a range of IPv4 or of IPv6 addresses",
            ),
            (
                "192.0.2.1-x",
                "10 `x` is not an address; names are not resolved, because what they mean changes: write addresses",
            ),
            ("192.0.2.1:0", "10 `0` is not a port; a port is a number from 1 to 65535"),
            ("192.0.2.1:80/sctp", "10 `sctp` is not a transport; write `/tcp` or `/udp`, or nothing"),
            (
                "router.example",
                "0 `router.example` is not an address; names are not resolved, because what they mean changes: write addresses",
            ),
            ("192.0.2.*", "0 `192.0.2.*` is not an address; write a prefix or a range instead of `*`"),
            (
                "fe80::1%eth0",
                "0 `fe80::1%eth0` is not an address; leave the zone away: an address of one link cannot be a target",
            ),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(read("192.0.2").ends_with(FORMS));
        assert!(!read("\x1b[2J\u{202e}").contains('\x1b'), "what is quoted is visible");
    }

    #[test]
    fn other_tools_ignore_host_bits() {
        let target = Target::parse("192.0.2.7/24", HostBits::Ignored).unwrap();
        assert_eq!(target.first.to_string(), "192.0.2.0");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[0-9a-f:./\\[\\]%*x-]{0,30}|.{0,10}") {
            if let Ok(target) = Target::parse(&text, HostBits::Ignored) {
                prop_assert!(target.first <= target.last);
                prop_assert_eq!(target.first.is_ipv4(), target.last.is_ipv4());
            }
        }
    }
}
