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

#[test]
fn cut_off_it_keeps_what_it_has_and_ships_later() {
    let test = "cut_off_it_keeps_what_it_has_and_ships_later";
    let Some(mut world) = World::new(test, Times { lease_s: 300, fresh_min: 15 }) else { return };
    let _hub = world.start_hub();
    world.enrol();
    world.authorise(400);
    let expected = whole_run(&world);

    let before = world.asked(1);
    let survey = world.survey(2);
    let _first = world.start_sensor(0);
    let _second = world.start_sensor(1);
    world.until("the second to send", || (world.asked(1) > before).then_some(()));
    world.cut_off(1);
    // It measures to the end of its part, and keeps what it has sealed.
    let slices = 4;
    world.until("the second to have sealed its part", || (world.waiting(1) == slices).then_some(()));
    world.until("the first to have shipped its part", || {
        (world.committed(0, &survey) == slices).then_some(())
    });
    assert_eq!((world.committed(1, &survey), world.show(&survey)["state"].as_str()), (0, Some("running")));
    world.let_through(1);
    world.finished(&survey);
    assert_eq!((world.committed(1, &survey), world.waiting(1)), (slices, 0));
    assert_eq!(world.rows(&survey), expected);
    assert_eq!(world.outside(), 0);
}

#[test]
fn with_a_stale_list_it_stops_sending_and_goes_on_with_a_fresh_one() {
    let test = "with_a_stale_list_it_stops_sending_and_goes_on_with_a_fresh_one";
    let Some(mut world) = World::new(test, Times { lease_s: 300, fresh_min: 1 }) else { return };
    let _hub = world.start_hub();
    world.enrol();
    world.authorise(40);
    let survey = world.survey(2);
    // Fresh for twenty seconds more.
    world.issue(40, Vec::new());
    let _first = world.start_sensor(0);
    let _second = world.start_sensor(1);
    world.until("the second to send", || (world.asked(1) > 20).then_some(()));
    world.cut_off(1);
    // The authority goes on; only the second does not hear of it.
    world.issue(0, Vec::new());
    world.until("the second to stop sending", || {
        let said = world.log("s2").contains("the mandate lets nothing be sent");
        let asked = world.asked(1);
        std::thread::sleep(std::time::Duration::from_secs(1));
        (said && world.asked(1) == asked).then_some(())
    });
    let silent = world.asked(1);
    assert!(silent < 512 / 2 * 3, "it was not at its end: {silent}");
    let other = world.asked(0);
    world.until("the first to go on", || (world.asked(0) > other).then_some(()));
    assert_eq!(world.asked(1), silent);
    world.let_through(1);
    world.until("the second to send again", || (world.asked(1) > silent).then_some(()));
    // Stopped by hand, both stop.
    world.stop(&survey);
    world.until("both to be silent", || {
        let asked = (world.asked(0), world.asked(1));
        std::thread::sleep(std::time::Duration::from_secs(1));
        ((world.asked(0), world.asked(1)) == asked).then_some(())
    });
    assert_eq!(world.show(&survey)["state"], "stopped");
    assert_eq!(world.outside(), 0);
}

#[test]
fn a_captured_hub_makes_no_sensor_send() {
    let test = "a_captured_hub_makes_no_sensor_send";
    let Some(mut world) = World::new(test, Times { lease_s: 300, fresh_min: 15 }) else { return };
    let _hub = world.start_hub();
    world.enrol();
    world.authorise(400);
    world.survey(1);
    let mandates = world.home("hub").join("mandates");
    let (mandate, list) = (mandates.join("test-net.toml"), mandates.join("revocations.toml"));
    let honest = std::fs::read_to_string(&mandate).unwrap();
    // A scope that nobody signed.
    std::fs::write(&mandate, honest.replace(world::TARGETS, "198.18.0.0/15")).unwrap();
    let _sensor = world.start_sensor(0);
    world.until("the forged mandate to be refused", || world.log("s1").contains("signature").then_some(()));
    assert!(!world.home("s1").join("mandates/test-net.toml").exists());
    std::fs::write(&mandate, honest).unwrap();
    world.revoke();
    world.until("the revocation to arrive", || {
        let held = std::fs::read_to_string(world.home("s1").join("mandates/revocations.toml"));
        held.is_ok_and(|text| text.contains("[[revoked]]")).then_some(())
    });
    // The hub takes it back: by a list without a signature, then by the one before, which has one.
    let revoked = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, revoked.split("[[revoked]]").next().unwrap()).unwrap();
    let (before, log) = (world.former_list(), world.log("s1").len());
    world.until("the list without a signature to be refused", || {
        world.log("s1")[log..].contains("revocations.toml").then_some(())
    });
    world.replace_list(&before);
    world.until("the older list to be refused", || world.log("s1").contains("older than").then_some(()));
    assert_eq!((world.asked(0), world.outside()), (0, 0), "{}", world.logs());
}

/// A visitor of a courtesy page, run again in a namespace: prints the answer.
#[test]
fn visitor() {
    let Ok(visit) = std::env::var(world::VISIT) else { return };
    let (from, rest) = visit.split_once(' ').unwrap();
    let (to, request) = rest.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(to.parse().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        // The one who started this reads it.
        std::io::Write::write_all(&mut std::io::stdout(), answer.as_bytes()).unwrap();
    });
}

#[test]
fn who_asks_at_a_courtesy_page_is_left_alone_by_every_sensor() {
    let test = "who_asks_at_a_courtesy_page_is_left_alone_by_every_sensor";
    let Some(mut world) = World::new(test, Times { lease_s: 300, fresh_min: 15 }) else { return };
    let hub = world.start_hub();
    world.enrol();
    world.authorise(800);
    let expected = whole_run(&world);
    let visitor = "198.18.4.20";
    let asked_for = format!("\"{visitor}\"");
    assert!(expected.iter().any(|row| row.contains(&asked_for) && row.contains("ftp")), "{expected:?}");

    world.open_courtesy_page(0);
    // The hub is away when the visitor asks.
    hub.kill();
    let _first = world.start_sensor(0);
    let page = world.visit(visitor, "GET / HTTP/1.1\r\nHost: 198.18.0.11\r\nConnection: close\r\n\r\n");
    for part in [
        "200 OK",
        visitor,
        "Example CSIRT",
        world::MANDATE,
        "kenshin@example.jp",
        "調査から外す",
        "default-src 'none'",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.to_lowercase().contains("set-cookie"), "{page}");
    let post = |more: &str| {
        format!(
            "POST /opt-out HTTP/1.1\r\nHost: 198.18.0.11\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n"
        )
    };
    let other_site = world.visit(visitor, &post("Origin: http://elsewhere.example\r\n"));
    assert!(other_site.starts_with("HTTP/1.1 403"), "{other_site}");
    let done = world.visit(visitor, &post("Origin: http://198.18.0.11\r\n"));
    assert!(done.contains("200 OK") && done.contains("is left alone from now on"), "{done}");
    let held = std::fs::read_to_string(world.home("s1").join("mandates/narrowing.toml")).unwrap();
    assert!(held.contains(visitor), "{held}");

    let _hub = world.start_hub();
    world.until("the hub to hear of it", || {
        let held = std::fs::read_to_string(world.home("hub").join("mandates/narrowing.toml"));
        held.is_ok_and(|text| text.contains(visitor)).then_some(())
    });
    let _second = world.start_sensor(1);
    let survey = world.survey(8);
    world.finished(&survey);
    let rows = world.rows(&survey);
    let left: Vec<&String> = expected.iter().filter(|row| !row.starts_with(&asked_for)).collect();
    assert_eq!(rows.iter().collect::<Vec<_>>(), left);
    world.until("the second sensor to know", || {
        let held = std::fs::read_to_string(world.home("s2").join("mandates/narrowing-hub.toml"));
        held.is_ok_and(|text| text.contains(visitor)).then_some(())
    });
}
