//! What a survey enumerates.

use super::Mandate;
use crate::AddressSet;

/// IPv6 addresses that are enumerated at most: 2^24, a day at a few hundred a second.
pub const ENUMERABLE_V6_MAX: u128 = 1 << 24;

/// Addresses that cannot be gone through one by one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} holds {count} IPv6 addresses, more than the {ENUMERABLE_V6_MAX} that can be gone through one by one"
)]
pub struct NotEnumerable {
    /// What was to be enumerated.
    pub what: String,
    /// How many IPv6 addresses it has; `u128::MAX` stands for that many or more.
    pub count: u128,
}

impl NotEnumerable {
    /// The way out.
    pub fn hint(&self) -> &'static str {
        "give a list of addresses that are known to be in use: [targets] list = [\"2001:db8::1\", ...], or a list file for this plan"
    }

    /// Checks that `addresses` can be gone through.
    pub(super) fn check(what: &str, addresses: &AddressSet) -> Result<(), Self> {
        match addresses.count_v6() {
            count if count > ENUMERABLE_V6_MAX => Err(Self { what: what.to_owned(), count }),
            _ => Ok(()),
        }
    }
}

impl Mandate {
    /// The addresses that a survey under this mandate goes through: its targets, or its scope when
    /// it names no targets, without exclusions; refused when they are too many to go through.
    pub fn enumerate(&self) -> Result<AddressSet, NotEnumerable> {
        let all = self.targets.as_ref().unwrap_or(&self.scope);
        let targets = all.intersect(self.allowed());
        NotEnumerable::check("the scope", &targets)?;
        Ok(targets)
    }

    /// The part of `list` that a survey under this mandate may go through: a list can only narrow.
    pub fn enumerate_list(&self, list: &AddressSet) -> Result<AddressSet, NotEnumerable> {
        let targets = list.intersect(self.allowed());
        NotEnumerable::check("the list", &targets)?;
        Ok(targets)
    }
}
