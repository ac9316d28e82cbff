//! Components that are worth finding again: small servers and libraries that many makers build into
//! their devices. A name of the catalogue stands for every spelling of the component; software that is
//! not in it goes by its own name.

use std::collections::HashMap;
use std::sync::OnceLock;

use kenshin_observation::words;

use crate::cpe::Cpe;
use crate::intelligence::Names;

words!(
    /// What a component does inside of a device.
    Role, "component role" {
        /// Serves pages.
        WebServer = "web-server",
        /// Serves shells.
        SshServer = "ssh-server",
        /// Serves Telnet, and much else.
        Shell = "shell",
        /// Speaks SOAP, as ONVIF does.
        Soap = "soap",
        /// Speaks UPnP.
        Upnp = "upnp",
        /// Serves video.
        Media = "media",
        /// Encrypts.
        Cryptography = "cryptography",
    }
);

/// A component of the catalogue.
#[derive(Debug)]
pub struct Known {
    /// The name that stands for all spellings.
    pub name: &'static str,
    /// Who makes it, for people.
    pub maker: &'static str,
    /// What it does.
    pub role: Role,
    /// Vendor and product of its CPE names, the usual one first.
    pub cpes: &'static [(&'static str, &'static str)],
    /// How it begins where a device names it: the version follows. Public sources are those of the
    /// shipped pack, and the manuals of the makers.
    pub(super) marks: &'static [&'static str],
    /// What packages of it are called, normalised.
    aliases: &'static [&'static str],
}

/// Every component of the catalogue.
pub const CATALOGUE: &[Known] = &[
    Known {
        name: "gSOAP",
        maker: "Genivia",
        role: Role::Soap,
        cpes: &[("genivia", "gsoap")],
        marks: &["gSOAP"],
        aliases: &["gsoap2", "libgsoap"],
    },
    Known {
        name: "Boa",
        maker: "Boa",
        role: Role::WebServer,
        cpes: &[("boa", "boa"), ("boa", "boa_webserver")],
        marks: &["Boa/"],
        aliases: &["boawebserver"],
    },
    Known {
        name: "GoAhead",
        maker: "Embedthis",
        role: Role::WebServer,
        cpes: &[("embedthis", "goahead"), ("goahead", "goahead_webserver")],
        marks: &["GoAhead-Webs", "GoAhead-http", "GoAhead/"],
        aliases: &["goaheadwebserver", "goaheadwebs"],
    },
    Known {
        name: "uc-httpd",
        maker: "Xiongmai",
        role: Role::WebServer,
        cpes: &[("xiongmaitech", "uc-httpd")],
        marks: &["uc-httpd"],
        aliases: &[],
    },
    Known {
        name: "RomPager",
        maker: "Allegro Software",
        role: Role::WebServer,
        cpes: &[("allegrosoft", "rompager")],
        marks: &["RomPager"],
        aliases: &["allegrosoftwarerompager", "allegrorompager"],
    },
    Known {
        name: "mini_httpd",
        maker: "ACME",
        role: Role::WebServer,
        cpes: &[("acme", "mini-httpd"), ("acme", "mini_httpd")],
        marks: &["mini_httpd"],
        aliases: &[],
    },
    Known {
        name: "micro_httpd",
        maker: "ACME",
        role: Role::WebServer,
        cpes: &[("acme", "micro_httpd")],
        marks: &["micro_httpd"],
        aliases: &[],
    },
    Known {
        name: "thttpd",
        maker: "ACME",
        role: Role::WebServer,
        cpes: &[("acme", "thttpd")],
        marks: &["thttpd", "sthttpd"],
        aliases: &["sthttpd"],
    },
    Known {
        name: "lighttpd",
        maker: "lighttpd",
        role: Role::WebServer,
        cpes: &[("lighttpd", "lighttpd")],
        marks: &["lighttpd"],
        aliases: &[],
    },
    Known {
        name: "Dropbear",
        maker: "Dropbear SSH Project",
        role: Role::SshServer,
        cpes: &[("dropbear_ssh_project", "dropbear_ssh"), ("matt_johnston", "dropbear_ssh_server")],
        marks: &["dropbear"],
        aliases: &["dropbearssh", "dropbearsshserver", "dropbearbin"],
    },
    Known {
        name: "OpenSSL",
        maker: "OpenSSL",
        role: Role::Cryptography,
        cpes: &[("openssl", "openssl")],
        marks: &["OpenSSL"],
        aliases: &["libssl", "libcrypto", "libssl10", "libssl11", "libssl3", "libopenssl"],
    },
    Known {
        name: "MiniUPnPd",
        maker: "MiniUPnP Project",
        role: Role::Upnp,
        cpes: &[("miniupnp_project", "miniupnpd"), ("miniupnp.free", "miniupnpd")],
        marks: &["MiniUPnPd"],
        aliases: &[],
    },
    Known {
        name: "libupnp",
        maker: "Portable SDK for UPnP Project",
        role: Role::Upnp,
        cpes: &[
            ("portable_sdk_for_upnp_project", "portable_sdk_for_upnp"),
            ("libupnp_project", "libupnp"),
            ("pupnp_project", "pupnp"),
        ],
        marks: &["Portable SDK for UPnP devices", "Intel SDK for UPnP devices"],
        aliases: &["portablesdkforupnp", "portablesdkforupnpdevices", "pupnp"],
    },
    Known {
        name: "BusyBox",
        maker: "BusyBox",
        role: Role::Shell,
        cpes: &[("busybox", "busybox")],
        marks: &["BusyBox"],
        aliases: &["busyboxtelnetd"],
    },
    Known {
        name: "Dahua RTSP server",
        maker: "Dahua",
        role: Role::Media,
        cpes: &[],
        marks: &["Dahua Rtsp Server"],
        aliases: &[],
    },
    Known {
        name: "H264DVR",
        maker: "Xiongmai",
        role: Role::Media,
        cpes: &[],
        marks: &["H264DVR"],
        aliases: &[],
    },
];

/// The component of the catalogue that a name or a CPE name means.
pub fn known(name: &str, cpe: Option<&str>) -> Option<&'static Known> {
    known_as(&Names::of("", name).products, cpe)
}

fn known_as(spellings: &[String], cpe: Option<&str>) -> Option<&'static Known> {
    static BY_NAME: OnceLock<HashMap<String, &'static Known>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| {
        let spelled = |known: &'static Known| {
            let aliases = known.aliases.iter().map(|alias| (*alias).to_owned());
            Names::of("", known.name).products.into_iter().chain(aliases).map(move |name| (name, known))
        };
        CATALOGUE.iter().flat_map(spelled).collect()
    });
    let named = spellings.iter().find_map(|spelling| by_name.get(spelling).copied());
    named.or_else(|| {
        let cpe: Cpe = cpe?.parse().ok()?;
        let (vendor, product) = (cpe.vendor.text()?, cpe.product.text()?);
        CATALOGUE.iter().find(|known| known.cpes.contains(&(vendor, product)))
    })
}

/// The key under which a component is counted: equal for all spellings of one component.
pub fn key(name: &str, cpe: Option<&str>) -> String {
    let spellings = Names::of("", name).products;
    match known_as(&spellings, cpe) {
        Some(known) => Names::of("", known.name).products.swap_remove(0),
        None => spellings.into_iter().next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn spellings_of_one_component_have_one_key() {
        for (name, cpe, key_of) in [
            ("gsoap", None, "gsoap"),
            ("gSOAP 2", None, "gsoap"),
            ("Dropbear SSH", None, "dropbear"),
            ("whatever", Some("cpe:/a:dropbear_ssh_project:dropbear_ssh:2019.78"), "dropbear"),
            ("Portable SDK for UPnP", None, "libupnp"),
            ("mini-httpd", None, "minihttpd"),
            ("libssl1.1", None, "openssl"),
            ("zlib", None, "zlib"),
        ] {
            assert_eq!(key(name, cpe), key_of, "{name}");
        }
        assert_eq!(key("n/a", None), "", "no name is no key");
    }

    #[test]
    fn no_two_components_share_a_name() {
        let mut seen = BTreeSet::new();
        for one in CATALOGUE {
            assert!(seen.insert(key(one.name, None)), "{}", one.name);
            assert_eq!(known(one.name, None).map(|found| found.name), Some(one.name));
            for alias in one.aliases {
                assert_eq!(known(alias, None).map(|found| found.name), Some(one.name), "{alias}");
            }
            for (vendor, product) in one.cpes {
                let cpe = Cpe::new("a", vendor, product).to_string();
                assert_eq!(known("?", Some(&cpe)).map(|found| found.name), Some(one.name), "{cpe}");
            }
        }
    }
}
