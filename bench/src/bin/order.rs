//! How fast the order of a survey is computed: targets a second of one core, against the 20 million
//! that the fastest link would take.

#![expect(clippy::print_stdout, reason = "the figures are the data of this program")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Instant;

use kenshin_bench::median;
use kenshin_mandate::AddressSet;
use kenshin_observation::Prefix;
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::space::{Port, Space};

const WANTED: f64 = 20e6;
const TARGETS: u64 = 20_000_000;

fn main() -> ExitCode {
    let one: AddressSet = [Prefix::containing(IpAddr::V4(Ipv4Addr::new(16, 0, 0, 0)), 5)].into_iter().collect();
    // A hundred thousand ranges that never touch, as an exclusion list leaves them.
    let many: AddressSet = (0..100_000u32)
        .map(|n| Prefix::containing(IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000 + n * 32_768)), 18))
        .collect();
    let mut met = true;
    for (name, addresses) in [("1 range", one), ("100,000 ranges", many)] {
        for ports in [1u16, 10, 1000] {
            let all = (1..=ports).map(Port::tcp).collect();
            let space = Space::new(addresses.clone(), all, 4096, PermutationKey([5; 16])).expect("a space");
            let rounds: Vec<f64> = (0..5).map(|round| targets_a_second(&space, round)).collect();
            let rate = median(&rounds);
            met &= rate >= WANTED;
            println!("{name} × {ports} ports: {:.1} million targets a second", rate / 1e6);
        }
    }
    if met { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn targets_a_second(space: &Space, round: u64) -> f64 {
    let began = Instant::now();
    let (mut done, mut slice) = (0, round * 1_000 % space.slices());
    while done < TARGETS {
        let slice_now = space.slice(slice % space.slices());
        for number in 0..slice_now.targets() {
            black_box(slice_now.target_at(number));
        }
        done += slice_now.targets();
        slice += 1;
    }
    done as f64 / began.elapsed().as_secs_f64()
}
