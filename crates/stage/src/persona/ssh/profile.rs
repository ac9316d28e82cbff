//! What SSH servers of known products and versions show before any key is agreed.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// Banner and name lists of one server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) banner: String,
    pub(crate) kex: String,
    pub(crate) host_keys: String,
    pub(crate) ciphers: String,
    pub(crate) macs: String,
    pub(crate) compression: String,
    /// Size of the RSA host key, where it has one.
    #[serde(default = "rsa_bits")]
    pub(crate) rsa_bits: i32,
}

const fn rsa_bits() -> i32 {
    1024
}

impl Profile {
    /// The profile that a service names, where `{ssh}` stands for the firmware's own.
    pub(crate) fn of(service: &str, firmware: Option<&str>) -> Option<&'static Self> {
        Self::named(&service.replace("{ssh}", firmware.unwrap_or_default()))
    }

    fn named(name: &str) -> Option<&'static Self> {
        static PROFILES: OnceLock<BTreeMap<String, Profile>> = OnceLock::new();
        PROFILES
            .get_or_init(|| {
                toml::from_str(include_str!("../../../devices/ssh/profiles.toml"))
                    .expect("the shipped profiles read: a test does so")
            })
            .get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Model, ServiceKind};

    #[test]
    fn a_new_firmware_keeps_the_host_key() {
        for model in Model::builtin().unwrap() {
            for service in &model.service {
                if let ServiceKind::Ssh { profile } = &service.kind {
                    let keys: std::collections::BTreeSet<&str> = model
                        .firmware
                        .iter()
                        .map(|f| Profile::of(profile, f.ssh.as_deref()).unwrap().host_keys.as_str())
                        .collect();
                    assert_eq!(keys.len(), 1, "{}", model.kind);
                }
            }
        }
    }

    #[test]
    fn every_model_has_its_profile() {
        for model in Model::builtin().unwrap() {
            for service in &model.service {
                if let ServiceKind::Ssh { profile } = &service.kind {
                    for firmware in &model.firmware {
                        assert!(Profile::of(profile, firmware.ssh.as_deref()).is_some(), "{}", model.kind);
                    }
                }
            }
        }
    }
}
