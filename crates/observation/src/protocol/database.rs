//! Stores of data. Only what they say about themselves is kept, nothing that they hold.

use serde::{Deserialize, Serialize};

/// Redis (RESP2: PING, INFO server).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redis {
    /// `redis_version`.
    pub version: Option<String>,
    /// `redis_mode`: `standalone`, `sentinel`, `cluster`.
    pub mode: Option<String>,
    /// It asks for a password; null when it could not be told.
    pub authentication_required: Option<bool>,
}

/// memcached (`version` of its text protocol).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memcached {
    /// Version.
    pub version: Option<String>,
}

/// MongoDB (OP_MSG: hello, buildInfo).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mongodb {
    /// Version.
    pub version: Option<String>,
    /// `maxWireVersion`.
    pub wire_version: Option<i32>,
    /// It asks for a login; null when it could not be told.
    pub authentication_required: Option<bool>,
}

/// Elasticsearch and its kin (`GET /` over HTTP).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elasticsearch {
    /// `version.number`.
    pub version: Option<String>,
    /// `cluster_name`.
    pub cluster_name: Option<String>,
    /// `version.distribution`, e.g. `opensearch`.
    pub distribution: Option<String>,
    /// It asks for a login; null when it could not be told.
    pub authentication_required: Option<bool>,
}
