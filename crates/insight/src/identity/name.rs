//! Names compared: what counts as the same maker, model and type.

use kenshin_observation::DeviceType;

/// Words that say how a company is registered or what it makes, not which one it is.
const COMPANY_WORDS: &[&str] = &[
    "inc",
    "incorporated",
    "corp",
    "corporation",
    "co",
    "ltd",
    "limited",
    "llc",
    "gmbh",
    "ag",
    "sa",
    "bv",
    "kk",
    "company",
    "group",
    "international",
    "technology",
    "technologies",
    "systems",
    "system",
    "network",
    "networks",
    "communications",
    "electronics",
    "electric",
    "computer",
    "software",
    "foundation",
    "project",
    "device",
    "ab",
    "as",
    "oy",
    "the",
];

/// One maker under several names, all in normal form.
const SAME_MAKER: &[(&str, &str)] = &[
    ("hewlettpackard", "hp"),
    ("hewlettpackardenterprise", "hpe"),
    ("asustek", "asus"),
    ("ui", "ubiquiti"),
    ("americanpowerconversion", "apc"),
    ("zyxelcommunications", "zyxel"),
    ("necplatforms", "nec"),
    ("panasonicipro", "ipro"),
    ("hangzhouhikvision", "hikvision"),
    ("hangzhouhikvisiondigital", "hikvision"),
    ("hikvisiondigital", "hikvision"),
    ("zhejiangdahua", "dahua"),
    ("hangzhouxiongmai", "xiongmai"),
    ("xm", "xiongmai"),
    ("zhejianguniview", "uniview"),
    ("hanwhatechwin", "hanwha"),
    ("hanwhavision", "hanwha"),
    ("mikrotikls", "mikrotik"),
    ("siamikrotik", "mikrotik"),
    ("kyoceramita", "kyocera"),
    ("kyoceradocumentsolutions", "kyocera"),
    ("seikoepson", "epson"),
    ("brotherindustries", "brother"),
    ("okidata", "oki"),
    ("okielectricindustry", "oki"),
    ("toshibatec", "toshiba"),
    ("ricohcompany", "ricoh"),
    ("canonusa", "canon"),
    ("alliedtelesyn", "alliedtelesis"),
    ("melco", "buffalo"),
    ("buffalotech", "buffalo"),
    ("matsushitaindustrial", "panasonic"),
    ("paloaltonetworks", "paloalto"),
    ("arubanetworks", "aruba"),
    ("junipernetworks", "juniper"),
    ("extremenetworks", "extreme"),
    ("ruckuswireless", "ruckus"),
    ("alcatellucententerprise", "alcatellucent"),
    ("buffaloinc", "buffalo"),
    ("teltonikanetworks", "teltonika"),
    // Makers of software under the names of their sites, of earlier owners and of renamed firms.
    ("caddyserver", "caddy"),
    ("mattjohnston", "dropbearssh"),
    ("dropbear", "dropbearssh"),
    ("openssh", "openbsd"),
    ("goahead", "embedthis"),
    ("goaheadsoftware", "embedthis"),
    ("acmelaboratories", "acme"),
    ("acmelabs", "acme"),
    ("mbedthis", "embedthis"),
    ("mortbay", "eclipse"),
    ("nginx", "f5"),
    ("igorsysoev", "f5"),
    ("rapidlogic", "windriver"),
    ("rubylang", "ruby"),
    ("squidcache", "squid"),
    ("tornadoweb", "tornado"),
    ("twistedmatrix", "twisted"),
    ("ubuntu", "canonical"),
    ("varnishcache", "varnish"),
    ("wowzamedia", "wowza"),
];

/// Normal form of a maker's name: letters and digits in lower case, words such as `Inc.` and
/// `Technologies` left out, well-known other names replaced.
pub fn normal_vendor(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| c.is_whitespace() || ",.()".contains(c)).collect();
    let kept = words.iter().filter(|word| !COMPANY_WORDS.contains(word));
    let mut normal: String = kept.flat_map(|word| word.chars()).filter(|c| c.is_alphanumeric()).collect();
    if normal.is_empty() {
        normal = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    }
    match SAME_MAKER.iter().find(|(other, _)| *other == normal) {
        Some((_, name)) => (*name).to_owned(),
        None => normal,
    }
}

/// Normal form of a product's name: letters, digits and `+` in lower case.
pub fn normal_product(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.chars().filter(|c| c.is_alphanumeric() || *c == '+').collect()
}

/// The closed word for a device type as fingerprints write it (`IP Camera`, `Broadband Router`),
/// or `None` when it says nothing that we tell apart.
pub fn device_type(word: &str) -> Option<DeviceType> {
    let lower = word.to_lowercase();
    if let Ok(known) = lower.replace(' ', "-").parse() {
        return Some(known);
    }
    Some(match lower.as_str() {
        "broadband router" | "adsl router" | "sd-wan appliance" => DeviceType::Router,
        "ip camera" | "web cam" | "webcam" | "video encoder" => DeviceType::Camera,
        "dvr" | "nvr" | "cloud network video recorder" => DeviceType::Recorder,
        "multifunction device" | "print server" | "copier" | "fax server" | "scanner" => DeviceType::Printer,
        "storage" | "storage appliance" => DeviceType::Nas,
        "device server" | "serial device server" | "sip gateway" | "voip gateway" | "media gateway" => {
            DeviceType::Gateway
        }
        "wap" | "wireless controller" | "wlan repeater" => DeviceType::AccessPoint,
        "dsl modem" | "adsl modem" | "cable modem" | "docsis cable modem" | "atm dsl unit" => {
            DeviceType::Modem
        }
        "voip" | "sip device" | "ip phone" => DeviceType::Phone,
        "vpn" | "security appliance" | "ips" | "ids" => DeviceType::Firewall,
        "power device" | "ups" | "pdu" | "power relay" => DeviceType::Power,
        "plc" | "industrial control" | "hmi controller" | "relay controller" => DeviceType::Controller,
        "smart tv" | "iptv" | "media player" | "media receiver" => DeviceType::Television,
        "light bulb" | "building automation" | "environment control" | "power meter" | "alarm panel" => {
            DeviceType::Thing
        }
        "hypervisor" | "lights out management" => DeviceType::Server,
        _ => return None,
    })
}

/// Operating systems that computers of every kind run: they tell the software, not the device.
pub(super) fn is_general_purpose(vendor: Option<&str>, product: Option<&str>) -> bool {
    const SYSTEMS: &[&str] = &[
        "linux",
        "debianlinux",
        "debian",
        "ubuntu",
        "canonical",
        "ubuntulinux",
        "enterpriselinux",
        "redhatlinux",
        "centos",
        "fedora",
        "fedoracorelinux",
        "suselinux",
        "opensuse",
        "gentoolinux",
        "gentoo",
        "slackware",
        "mandriva",
        "mandrake",
        "freebsd",
        "openbsd",
        "netbsd",
        "dragonflybsd",
        "solaris",
        "sunos",
        "macosx",
        "macosxserver",
        "unix",
        "aix",
        "hpux",
        "irix",
        "tru64unix",
        "alpinelinux",
        "raspbian",
        "raspberrypios",
        "amazonlinux",
        "amazonlinuxami",
        "oraclelinux",
        "rockylinux",
        "almalinux",
        "photonlinux",
        "openvms",
        "vms",
    ];
    let maker = vendor.map(normal_vendor).unwrap_or_default();
    let system = product.map(normal_product).unwrap_or_default();
    system.starts_with("windows")
        || SYSTEMS.contains(&system.as_str())
        || (system.is_empty() && SYSTEMS.contains(&maker.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_maker_under_several_names() {
        for (a, b) in [
            ("TP-LINK", "TP-Link Technologies Co., Ltd."),
            ("Hewlett-Packard Co.", "HP"),
            ("ASUSTeK Computer Inc.", "ASUS"),
            ("Ubiquiti Networks Inc.", "ubiquiti"),
            ("Axis Communications AB", "Axis Communications AB"),
            ("D-Link Systems, Inc.", "D-Link"),
            ("I-O DATA DEVICE, INC.", "I-O DATA"),
            ("Hangzhou Hikvision Digital Technology Co., Ltd.", "HIKVISION"),
            ("Zhejiang Dahua Technology Co., Ltd.", "Dahua"),
            ("SEIKO EPSON CORPORATION", "Epson"),
            ("Brother Industries, Ltd.", "brother"),
            ("PaloAltoNetworks", "Palo Alto Networks"),
            ("Dropbear SSH Project", "dropbear"),
            ("MELCO INC.", "BUFFALO INC."),
            ("NEC Platforms, Ltd.", "NEC Corporation"),
        ] {
            assert_eq!(normal_vendor(a), normal_vendor(b));
        }
        assert_eq!(normal_vendor("Software"), "software");
        assert_ne!(normal_vendor("NEC"), normal_vendor("NETGEAR"));
    }

    #[test]
    fn types_are_words_of_the_closed_list() {
        assert_eq!(device_type("access-point"), Some(DeviceType::AccessPoint));
        assert_eq!(device_type("Broadband Router"), Some(DeviceType::Router));
        assert_eq!(device_type("Television"), Some(DeviceType::Television));
        assert_eq!(device_type("Whiteboard"), None);
    }
}
