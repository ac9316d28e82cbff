//! What a plan comes to.

use kenshin_mandate::{AddressSet, Mandate, Narrowing};
use serde::{Deserialize, Serialize};

use super::SurveyPlan;

/// What a plan comes to, before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Addresses that will be asked.
    pub addresses: u64,
    /// Ports at each of them.
    pub ports: u64,
    /// Exchanges of the sweep when every target answers the first time: one for each address and
    /// port.
    pub exchanges: u64,
    /// Exchanges of the sweep when every target is silent and asked as often as the plan says.
    pub exchanges_max: u64,
    /// Seconds for `exchanges` at the mandate's rates and this sensor's share, windows included.
    /// Conversations with those who answer come on top.
    pub duration_s: u64,
    /// The limit that decides the duration: `whole`, `per-prefix`, `per-provider` or `per-address`.
    pub bound_by: String,
    /// Slices.
    pub slices: u64,
    /// Addresses left out, and why.
    pub excluded: Vec<ExcludedCount>,
    /// What cannot be seen without privilege, as message codes (`survey.lost.…`).
    pub lost: Vec<String>,
}

/// Addresses left out for one reason. An address excluded for several counts under each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedCount {
    /// Why.
    pub reason: String,
    /// How many.
    pub addresses: u128,
}

/// Addresses asked for that are left out, for each reason given.
pub(super) fn excluded(asked: &AddressSet, mandate: &Mandate, narrowing: &Narrowing) -> Vec<ExcludedCount> {
    let mut counts = Vec::new();
    let exclusions = mandate.exclusions.iter().chain(narrowing.exclusions());
    for exclusion in exclusions {
        let addresses = asked.intersect(&exclusion.addresses).count();
        if addresses > 0 {
            counts.push(ExcludedCount { reason: exclusion.reason.clone(), addresses });
        }
    }
    let outside = asked.minus(&mandate.scope).count();
    if outside > 0 {
        counts.push(ExcludedCount { reason: "outside the scope".to_owned(), addresses: outside });
    }
    counts
}

/// What remains when the lists that narrow have taken their part.
pub(super) fn narrowed(targets: &AddressSet, _mandate: &Mandate, narrowing: &Narrowing) -> AddressSet {
    narrowing.exclusions().iter().fold(targets.clone(), |set, exclusion| set.minus(&exclusion.addresses))
}

pub(super) fn summarise(
    plan: &SurveyPlan,
    targets: &AddressSet,
    mandate: &Mandate,
    narrowing: &Narrowing,
    share_percent: u8,
    excluded: Vec<ExcludedCount>,
) -> PlanSummary {
    let addresses = u64::try_from(targets.count()).unwrap_or(u64::MAX);
    let ports = plan.all_ports().len() as u64;
    let exchanges = addresses.saturating_mul(ports);
    let rate = &mandate.rate;
    // A share of zero percent would send nothing; the mandate refuses it.
    let scaled = |exchanges: u64, per_second: f64| {
        exchanges as f64 * 100.0 / (per_second * f64::from(share_percent.max(1)))
    };
    let prefix = largest_prefix(targets, rate.per_prefix.v4_len, rate.per_prefix.v6_len);
    let providers = narrowing.providers().iter().map(|provider| {
        let addresses = u64::try_from(targets.intersect(&provider.addresses).count()).unwrap_or(u64::MAX);
        (scaled(addresses.saturating_mul(ports), provider.pps.into()), "per-provider")
    });
    let (seconds, bound_by) = [
        (scaled(exchanges, rate.whole_pps.into()), "whole"),
        (scaled(prefix.saturating_mul(ports), rate.per_prefix.pps.into()), "per-prefix"),
        (scaled(ports, f64::from(rate.per_address.per_minute) / 60.0), "per-address"),
    ]
    .into_iter()
    .chain(providers)
    .max_by(|a, b| a.0.total_cmp(&b.0))
    .expect("three limits at least");
    let open = mandate.windows.seconds_per_week().max(1) as f64 / 604_800.0;
    PlanSummary {
        addresses,
        ports,
        exchanges,
        exchanges_max: exchanges.saturating_mul(plan.manner.retry.asks_max.into()),
        duration_s: (seconds / open).ceil() as u64,
        bound_by: bound_by.to_owned(),
        slices: addresses.div_ceil(plan.manner.slice_addresses.max(1).into()),
        excluded,
        lost: crate::sweep::LOST.iter().map(|code| (*code).to_owned()).collect(),
    }
}

/// Most targets' addresses inside one prefix of the stated lengths.
fn largest_prefix(targets: &AddressSet, v4_len: u8, v6_len: u8) -> u64 {
    let mut largest = 0u64;
    let mut open: Option<(kenshin_observation::Prefix, u64)> = None;
    for prefix in targets.prefixes() {
        let len = if prefix.base().is_ipv4() { v4_len } else { v6_len };
        let width = if prefix.base().is_ipv4() { 32 } else { 128 };
        let size = |len: u8| 1u64.checked_shl(u32::from(width - len)).unwrap_or(u64::MAX);
        let part = size(prefix.len().max(len));
        let group = kenshin_observation::Prefix::containing(prefix.base(), len.min(width));
        let sum = match open {
            Some((same, sum)) if same == group => sum.saturating_add(part),
            _ => part,
        };
        open = Some((group, sum));
        largest = largest.max(sum);
    }
    largest
}
