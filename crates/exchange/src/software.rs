//! The program that a service says it is, as nmap divides it.

use kenshin_observation::Observation;

/// Name, version and the rest, as the service states them itself; nothing is concluded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Software {
    pub(crate) product: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) extra: Option<String>,
}

impl Software {
    pub(crate) fn of(row: &Observation) -> Self {
        let records = &row.records;
        let server = (records.http.as_ref().and_then(|http| http.server.as_ref()))
            .or(records.rtsp.as_ref().and_then(|rtsp| rtsp.server.as_ref()))
            .or(records.sip.as_ref().and_then(|sip| sip.server.as_ref().or(sip.user_agent.as_ref())));
        match (server, &records.ssh) {
            (Some(server), _) => Self::of_server(server),
            (None, Some(ssh)) => Self::of_ssh(&ssh.banner),
            (None, None) => Self::of_store(row).unwrap_or_default(),
        }
    }

    /// A store of data, which states its version by itself.
    fn of_store(row: &Observation) -> Option<Self> {
        let records = &row.records;
        let version = (records.redis.as_ref().map(|redis| &redis.version))
            .or(records.memcached.as_ref().map(|memcached| &memcached.version))
            .or(records.mongodb.as_ref().map(|mongodb| &mongodb.version))
            .or(records.elasticsearch.as_ref().map(|elasticsearch| &elasticsearch.version))?;
        let distribution =
            records.elasticsearch.as_ref().and_then(|elasticsearch| elasticsearch.distribution.clone());
        Some(Self { product: distribution.or(row.protocol.clone()), version: version.clone(), extra: None })
    }

    /// `name/version comment` (RFC 9110 §10.2.4).
    fn of_server(server: &str) -> Self {
        let (first, rest) = server.split_once(' ').unwrap_or((server, ""));
        let (name, version) = first.split_once('/').unwrap_or((first, ""));
        Self { product: stated(name), version: stated(version), extra: stated(rest) }
    }

    /// `SSH-2.0-name_version comment` (RFC 4253 §4.2).
    fn of_ssh(banner: &str) -> Self {
        let mut parts = banner.splitn(3, '-').skip(1);
        let (Some(protocol), Some(software)) = (parts.next(), parts.next()) else { return Self::default() };
        let (name, version) = software.split_once('_').unwrap_or((software, ""));
        Self {
            product: stated(name),
            version: stated(version),
            extra: stated(&format!("protocol {protocol}")),
        }
    }
}

fn stated(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_as_stated() {
        let show = |software: Software| {
            [software.product, software.version, software.extra].map(Option::unwrap_or_default).join("|")
        };
        assert_eq!(show(Software::of_server("nginx/1.22.1 (Debian)")), "nginx|1.22.1|(Debian)");
        assert_eq!(show(Software::of_server("GoAhead-Webs")), "GoAhead-Webs||");
        assert_eq!(
            show(Software::of_ssh("SSH-2.0-OpenSSH_9.2p1 Debian-2")),
            "OpenSSH|9.2p1 Debian-2|protocol 2.0"
        );
        assert_eq!(show(Software::of_ssh("SSH-2.0-ROSSSH")), "ROSSSH||protocol 2.0");
        assert_eq!(show(Software::of_ssh("rubbish")), "||");
    }
}
