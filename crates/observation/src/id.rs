//! Newtypes over ULIDs, so that one id is never passed where another is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::TimeUs;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// Builds an id from the instant it is made at and 80 random bits (the upper 48 of
            /// `random` are ignored).
            pub fn new(now: TimeUs, random: u128) -> Self {
                Self(Ulid::from_parts(now.millis().max(0).unsigned_abs(), random))
            }

            /// The 128 bits of the ULID.
            pub fn bits(self) -> u128 {
                self.0.0
            }

            /// The id with exactly these 128 bits.
            pub fn from_bits(bits: u128) -> Self {
                Self(Ulid(bits))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ulid::DecodeError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ulid::from_string(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One authorised run.
    SurveyId
);
id!(
    /// A process that observes, with its own key.
    SensorId
);
id!(
    /// A signed group of observations.
    BatchId
);
id!(
    /// One device through time.
    AssetId
);
id!(
    /// One remedy needed on one asset.
    CaseId
);
id!(
    /// One message to a provider or owner.
    NoticeId
);
id!(
    /// A question about services that somebody saved, to be told when its answer changes.
    SearchId
);
id!(
    /// What was told of one change of the answer to a saved search.
    AlertId
);
id!(
    /// The organisation that owns a row: everything in casework carries one.
    OrgId
);
id!(
    /// Who can reach the owner of an asset.
    ProviderId
);
id!(
    /// A person who signs in.
    UserId
);
id!(
    /// A durable, leased piece of work for a sensor.
    JobId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let id = CaseId::new(TimeUs::from_micros(1_700_000_000_000_000), 42);
        assert_eq!(id.to_string().parse::<CaseId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<CaseId>(&json).unwrap(), id);
        assert!("not-a-ulid".parse::<CaseId>().is_err());
    }
}
