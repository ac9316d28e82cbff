use std::net::Ipv4Addr;

use kenshin_wire::packet::{Checksums, buffer, see};
use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000;

fn at(micros: i64) -> TimeUs {
    TimeUs::from_secs(1_800_000_000).plus_micros(micros)
}

fn addr(n: u8) -> IpAddr {
    Ipv4Addr::new(198, 18, 0, n).into()
}

fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

fn small() -> Neighbours<u32> {
    Neighbours::new(Limits { entries_max: 4, asking_max: 2, waiting_max: 2 })
}

#[test]
fn asked_once_answered_and_known() {
    let mut table = small();
    assert_eq!(table.find(addr(1), 10, at(0)), Found::Later);
    assert_eq!(table.find(addr(1), 11, at(1)), Found::Later);
    assert_eq!(table.find(addr(1), 12, at(2)), Found::Full(12));
    assert!(table.due_at().unwrap() <= at(2));
    assert_eq!(table.due(at(2)), Some(Due::Ask(addr(1))));
    assert_eq!(table.due(at(3)), None);
    assert_eq!(table.due_at(), Some(at(2 + SECOND)));
    assert_eq!(table.heard(addr(1), mac(7), at(4)), [10, 11]);
    assert_eq!(table.find(addr(1), 13, at(5)), Found::At(mac(7), 13));
    assert_eq!(table.due(at(5 * SECOND)), None);
    assert_eq!(table.counts(), Counts { asked: 1, answered: 1, unasked: 0, dead: 0 });
}

#[test]
fn three_questions_a_second_apart_then_dead_for_half_a_minute() {
    let mut table = small();
    assert_eq!(table.find(addr(1), 10, at(0)), Found::Later);
    let mut asked = Vec::new();
    let mut dead = None;
    for tenth in 0..50 {
        let now = at(tenth * SECOND / 10);
        while let Some(due) = table.due(now) {
            match due {
                Due::Ask(_) => asked.push(tenth),
                Due::Dead(who, items) => dead = Some((tenth, who, items)),
            }
        }
    }
    assert_eq!(asked, [0, 10, 20]);
    assert_eq!(dead, Some((30, addr(1), vec![10])));
    assert_eq!(table.find(addr(1), 11, at(5 * SECOND)), Found::Dead(11));
    // A late answer is not believed: nobody waits for it.
    assert!(table.heard(addr(1), mac(7), at(6 * SECOND)).is_empty());
    assert_eq!(table.find(addr(1), 12, at(32 * SECOND)), Found::Dead(12));
    assert_eq!(table.find(addr(1), 13, at(33 * SECOND)), Found::Later);
    assert_eq!(table.counts(), Counts { asked: 3, answered: 0, unasked: 1, dead: 1 });
}

#[test]
fn what_was_not_asked_for_is_not_believed() {
    let mut table = small();
    assert!(table.heard(addr(1), mac(9), at(0)).is_empty());
    assert_eq!(table.find(addr(1), 1, at(1)), Found::Later);
    // No answer can come from a group.
    assert!(table.heard(addr(1), Mac::BROADCAST, at(2)).is_empty());
    assert_eq!(table.heard(addr(1), mac(1), at(3)), [1]);
    assert!(table.heard(addr(1), mac(9), at(4)).is_empty());
    assert_eq!(table.find(addr(1), 2, at(5)), Found::At(mac(1), 2));
    assert_eq!(table.counts().unasked, 3);
}

#[test]
fn a_hop_in_use_is_asked_again_and_used_meanwhile() {
    let mut table = small();
    assert_eq!(table.find(addr(1), 1, at(0)), Found::Later);
    assert_eq!(table.due(at(0)), Some(Due::Ask(addr(1))));
    table.heard(addr(1), mac(1), at(0));
    assert_eq!(table.find(addr(1), 2, at(30 * SECOND - 1)), Found::At(mac(1), 2));
    assert_eq!(table.due(at(30 * SECOND - 1)), None);
    assert_eq!(table.find(addr(1), 3, at(30 * SECOND)), Found::At(mac(1), 3));
    assert_eq!(table.due(at(30 * SECOND)), Some(Due::Ask(addr(1))));
    assert_eq!(table.find(addr(1), 4, at(30 * SECOND + 1)), Found::At(mac(1), 4));
    // It has moved to another station.
    table.heard(addr(1), mac(2), at(31 * SECOND - 1));
    assert_eq!(table.find(addr(1), 5, at(31 * SECOND)), Found::At(mac(2), 5));
    // And then it is gone.
    assert_eq!(table.find(addr(1), 6, at(62 * SECOND)), Found::At(mac(2), 6));
    for second in 62..65 {
        assert_eq!(table.due(at(second * SECOND)), Some(Due::Ask(addr(1))));
        assert_eq!(table.due(at(second * SECOND)), None);
    }
    assert_eq!(table.due(at(65 * SECOND)), Some(Due::Dead(addr(1), vec![])));
    assert_eq!(table.find(addr(1), 7, at(65 * SECOND)), Found::Dead(7));
}

#[test]
fn a_full_table_forgets_what_is_idle_and_nothing_else() {
    let mut table = small();
    for n in 1..=4 {
        assert_eq!(table.find(addr(n), 0, at(0)), Found::Later);
        table.heard(addr(n), mac(n), at(0));
    }
    assert_eq!(table.find(addr(5), 5, at(1)), Found::Full(5));
    assert_eq!(table.find(addr(1), 6, at(59 * SECOND)), Found::At(mac(1), 6));
    assert_eq!(table.find(addr(5), 5, at(60 * SECOND)), Found::Later);
    assert_eq!(table.find(addr(6), 6, at(60 * SECOND)), Found::Full(6), "asking for one and five");
    table.heard(addr(5), mac(5), at(60 * SECOND));
    assert_eq!(table.find(addr(1), 7, at(60 * SECOND)), Found::At(mac(1), 7));
    assert_eq!(table.find(addr(6), 6, at(60 * SECOND)), Found::Later);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut table = small();
    assert_eq!(table.find(addr(1), 1, at(0)), Found::Later);
    assert_eq!(table.due(at(0)), Some(Due::Ask(addr(1))));
    let earlier = |second: i64| at((second - 3600) * SECOND);
    assert_eq!(table.due(earlier(0)), Some(Due::Ask(addr(1))));
    assert_eq!(table.due(earlier(1)), Some(Due::Ask(addr(1))));
    assert_eq!(table.due(earlier(2)), Some(Due::Dead(addr(1), vec![1])));
}

#[test]
fn questions_for_both_families() {
    let sources: [IpAddr; 2] = ["198.18.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let mut out = buffer();
    let len = question(mac(1), &sources, addr(2), &mut out).unwrap();
    let Ok(Seen::ArpRequest(arp)) = see(&out[..len], Checksums::Verify) else { panic!() };
    assert_eq!((IpAddr::from(arp.target), arp.sender_mac), (addr(2), mac(1)));
    let len = question(mac(1), &sources, "2001:db8::9".parse().unwrap(), &mut out).unwrap();
    let Ok(Seen::Solicitation(asked)) = see(&out[..len], Checksums::Verify) else { panic!() };
    assert_eq!((IpAddr::from(asked.from), asked.mac), (sources[1], Some(mac(1))));
    assert_eq!(question(mac(1), &sources[1..], addr(2), &mut out), None);
    assert_eq!(told(&Seen::ArpReply(arp)), Some((sources[0], mac(1))));
    assert_eq!(told(&Seen::ArpRequest(arp)), None);
}

/// One thing that happens to a table.
#[derive(Debug, Clone)]
enum Event {
    Find(u8),
    Heard(u8),
    Due,
    Pass(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0u8..12).prop_map(Event::Find),
        2 => (0u8..12).prop_map(Event::Heard),
        3 => Just(Event::Due),
        2 => (0i64..3 * SECOND).prop_map(Event::Pass),
        1 => (0i64..100 * SECOND).prop_map(Event::Pass),
    ];
    proptest::collection::vec(event, 0..300)
}

proptest! {
    /// Whatever happens: what waits comes back exactly once, limits hold, and an address is asked
    /// for no more than three times in any two seconds.
    #[test]
    fn nothing_is_lost_and_nobody_is_pressed(events in events()) {
        let limits = Limits { entries_max: 6, asking_max: 3, waiting_max: 2 };
        let mut table = Neighbours::new(limits);
        let (mut now, mut next_item) = (0, 0u32);
        let mut waiting = std::collections::BTreeSet::new();
        let mut asked: Vec<(i64, IpAddr)> = Vec::new();
        for event in events {
            match event {
                Event::Find(n) => {
                    next_item += 1;
                    match table.find(addr(n), next_item, at(now)) {
                        Found::At(_, item) | Found::Dead(item) | Found::Full(item) => prop_assert_eq!(item, next_item),
                        Found::Later => prop_assert!(waiting.insert(next_item)),
                    }
                }
                Event::Heard(n) => {
                    for item in table.heard(addr(n), mac(n), at(now)) {
                        prop_assert!(waiting.remove(&item));
                    }
                }
                Event::Due => match table.due(at(now)) {
                    Some(Due::Ask(who)) => {
                        let lately = asked.iter().filter(|(when, whom)| *whom == who && now - when < 2 * SECOND);
                        prop_assert!(lately.count() < 3, "{who} is pressed");
                        asked.push((now, who));
                    }
                    Some(Due::Dead(_, items)) => {
                        for item in items {
                            prop_assert!(waiting.remove(&item));
                        }
                    }
                    None => {}
                },
                Event::Pass(micros) => now += micros,
            }
            let asking = table.table.values().filter(|entry| entry.state.is_asking()).count();
            prop_assert_eq!(table.asking, asking);
            prop_assert!(asking <= limits.asking_max);
            prop_assert!(table.table.len() <= limits.entries_max);
            prop_assert!(table.table.values().all(|entry| entry.waiting.len() <= limits.waiting_max));
        }
        for item in table.abort() {
            prop_assert!(waiting.remove(&item));
        }
        prop_assert!(waiting.is_empty());
    }
}
