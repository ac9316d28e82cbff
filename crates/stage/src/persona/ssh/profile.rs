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
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
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
    fn every_model_has_its_profile() {
        for model in Model::builtin().unwrap() {
            for service in &model.service {
                if let ServiceKind::Ssh { profile } = &service.kind {
                    for firmware in &model.firmware {
                        let name = profile.replace("{ssh}", firmware.ssh.as_deref().unwrap_or_default());
                        assert!(Profile::named(&name).is_some(), "{}: {name}", model.kind);
                    }
                }
            }
        }
    }
}
