//! The decision table.

use kenshin_observation::{Automatable, Decision, Exploitation, Exposure, Impact};

/// The decision of SSVC's deployer (CERT/CC, "Deployer Patch Application Priority" 1.0.0), in CISA's
/// words: *defer* is track, *scheduled* is track closely, *out-of-cycle* is attend, *immediate* is act.
pub fn decide(
    exploitation: Exploitation,
    exposure: Exposure,
    automatable: Automatable,
    impact: Impact,
) -> Decision {
    use Decision::{Act as I, Attend as O, Track as D, TrackClosely as S};
    let row = match (exploitation, exposure, automatable) {
        // Impact:                                                    low, medium, high, very high
        (Exploitation::None, Exposure::Small, Automatable::No) => [D, D, S, S],
        (Exploitation::None, Exposure::Small, Automatable::Yes) => [D, S, S, S],
        (Exploitation::None, Exposure::Controlled, Automatable::No) => [D, S, S, S],
        (Exploitation::None, Exposure::Controlled, Automatable::Yes) => [S, S, S, S],
        (Exploitation::None, Exposure::Open, Automatable::No) => [D, S, S, S],
        (Exploitation::None, Exposure::Open, Automatable::Yes) => [S, S, S, O],
        (Exploitation::Poc, Exposure::Small, Automatable::No) => [D, S, S, S],
        (Exploitation::Poc, Exposure::Small, Automatable::Yes) => [S, S, S, S],
        (Exploitation::Poc, Exposure::Controlled, Automatable::No) => [D, S, S, S],
        (Exploitation::Poc, Exposure::Controlled, Automatable::Yes) => [S, S, S, O],
        (Exploitation::Poc, Exposure::Open, Automatable::No) => [S, S, S, O],
        (Exploitation::Poc, Exposure::Open, Automatable::Yes) => [S, S, O, O],
        (Exploitation::Active, Exposure::Small, Automatable::No) => [S, S, O, O],
        (Exploitation::Active, Exposure::Small, Automatable::Yes) => [S, O, O, O],
        (Exploitation::Active, Exposure::Controlled, Automatable::No) => [S, S, O, O],
        (Exploitation::Active, Exposure::Controlled, Automatable::Yes) => [O, O, O, O],
        (Exploitation::Active, Exposure::Open, Automatable::No) => [S, O, O, I],
        (Exploitation::Active, Exposure::Open, Automatable::Yes) => [O, O, I, I],
    };
    match impact {
        Impact::Low => row[0],
        Impact::Medium => row[1],
        Impact::High => row[2],
        Impact::VeryHigh => row[3],
    }
}
