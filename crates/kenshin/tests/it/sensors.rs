//! A hub and two sensors as processes, each in a network namespace of its own: killed, cut off, and
//! the hub restarted in the middle. What comes out is what one whole run finds, once each.

use std::io::Write;

use world::{SERVICES, TARGETS_COUNT, Times, World, services_at};

mod world;

/// The other side of the tests: run again by them in a namespace, says a few words at each address.
#[test]
fn services() {
    if std::env::var_os(SERVICES).is_none() {
        return;
    }
    let threads: Vec<_> = services_at()
        .map(|(addr, words)| {
            let listener = std::net::TcpListener::bind(addr).unwrap();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let mut stream = stream;
                    let _ = stream.write_all(words.as_bytes());
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

/// What a whole run finds, by one sensor alone.
fn whole_run(world: &World) -> Vec<String> {
    let survey = world.survey(1);
    let sensor = world.start_sensor(0);
    world.finished(&survey);
    sensor.kill();
    let rows = world.rows(&survey);
    assert_eq!(rows.iter().filter(|row| row.contains("\"sweep\"")).count(), TARGETS_COUNT);
    rows
}

#[test]
fn killed_and_the_hub_restarted_the_union_is_one_whole_run() {
    let test = "killed_and_the_hub_restarted_the_union_is_one_whole_run";
    let Some(mut world) = World::new(test, Times { lease_s: 3, fresh_min: 15 }) else { return };
    let hub = world.start_hub();
    world.enrol();
    world.authorise(600);
    let expected = whole_run(&world);

    let survey = world.survey(8);
    let first = world.start_sensor(0);
    let mut second = world.start_sensor(1);
    world.until("both to have had batches taken", || {
        (0..2).all(|number| world.committed(number, &survey) > 0).then_some(())
    });
    first.kill();
    hub.kill();
    let _hub = world.start_hub();
    let shown = world.finished(&survey);
    assert!(second.runs());
    assert_eq!(world.rows(&survey), expected, "{}", world.logs());
    assert_eq!(shown["totals"]["targets_covered"], TARGETS_COUNT, "{shown:#}");
    // The one that was killed comes back: what it had sealed is taken, and counts where it came first.
    let _first = world.start_sensor(0);
    world.until("the spool of the first to be empty", || (world.waiting(0) == 0).then_some(()));
    assert_eq!(world.rows(&survey), expected);
    assert_eq!(world.outside(), 0);
}
