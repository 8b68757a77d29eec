//! Faults of the network, the server and the store: everything arrives, nothing twice.

use std::time::Duration;

use safelight_client::conditions::{Conditions, NetworkKind};
use safelight_client::settle;
use safelight_client::uploader::Settings;

use crate::fake_server::Deed;
use crate::rig::{NotedPause, Rig, failures};

#[tokio::test(flavor = "multi_thread")]
async fn lost_requests_and_answers_make_nothing_twice() {
    for at in ["token", "initiate", "sign", "put", "complete"] {
        for deed in [Deed::LoseRequest, Deed::LoseAnswer] {
            let rig = Rig::start().await;
            let paths = [rig.file("a.jpg", 700), rig.file("b.mp4", 4_200)];
            rig.server.fail(at, 0, deed);
            let outcomes = rig.upload(&paths).await;
            assert_eq!(failures(&outcomes), [""; 0], "{at}");
            let world = rig.server.world();
            assert!(world.faults.is_empty(), "{at}: nothing was lost");
            assert_eq!(world.whole(), ["a.jpg", "b.mp4"], "{at}");
            assert_eq!((world.assets.len(), world.captures.len()), (2, 2), "{at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_initiation_is_retried_byte_for_byte() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [rig.file("a.jpg", 700)];
    rig.server.fail("initiate", 0, Deed::LoseAnswer);
    assert_eq!(
        rig.upload(&paths).await[0].failure.as_ref().unwrap().code,
        "connection_broken"
    );
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
    let world = rig.server.world();
    let bodies: Vec<_> = world
        .log
        .iter()
        .filter(|(k, _)| k == "initiate")
        .map(|(_, b)| b)
        .collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(world.assets.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_urls_are_signed_again() {
    let rig = Rig::start().await;
    let paths = [rig.file("a.jpg", 700), rig.file("b.mp4", 9_000)];
    for after in [0, 3] {
        let expire = |world: &mut crate::fake_server::World| world.url_generation += 1;
        rig.server
            .fail("put", after, Deed::Before(Box::new(expire)));
    }
    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!((world.url_generation, world.repeated_parts), (2, 0));
    assert!(
        rig.pause.0.lock().unwrap().is_empty(),
        "a fresh URL needs no waiting"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_time_to_wait_is_kept() {
    for (at, status) in [
        ("initiate", 503),
        ("put", 503),
        ("complete", 429),
        ("sign", 503),
    ] {
        let rig = Rig::start().await;
        rig.server
            .fail(at, 0, Deed::Refuse(status, "overloaded", Some(7)));
        let outcomes = rig.upload(&[rig.file("b.mp4", 4_200)]).await;
        assert_eq!(failures(&outcomes), [""; 0], "{at}");
        let waits = rig.pause.0.lock().unwrap();
        assert_eq!(waits.len(), 1, "{at}: {waits:?}");
        assert!(
            (7.0..=8.0).contains(&waits[0].as_secs_f64()),
            "{at}: {waits:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_failing_is_tried_for_as_long_as_it_may_be() {
    // Also where several parts of the file wait for their URLs.
    for at in ["initiate", "sign", "complete"] {
        let mut rig = Rig::start().await;
        rig.give_up_after = Duration::from_secs(90);
        for _ in 0..500 {
            rig.server
                .fail(at, 0, Deed::Refuse(503, "overloaded", None));
        }
        let paths = [rig.file("b.mp4", 900), rig.file("c.mp4", 4_200)];
        let outcomes = rig.upload(&paths[1..]).await;
        assert!(outcomes[0].failure.is_some(), "{at}");
        let waited: Duration = rig.pause.0.lock().unwrap().drain(..).sum();
        assert!(waited <= rig.give_up_after, "{at}: {waited:?}");
        // The largest wait is 20 s: less than that is left.
        let least = rig.give_up_after - Duration::from_secs(20);
        assert!(waited >= least, "{at}: {waited:?}");
        // The next run is not held by it.
        rig.server.world().faults.clear();
        assert_eq!(failures(&rig.upload(&paths).await), [""; 0], "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_costs_no_byte() {
    let rig = Rig::start().await;
    for after in [0, 1, 2] {
        rig.server.fail("put", after, Deed::LoseAnswer);
    }
    let files = [rig.file("a.jpg", 700), rig.file("b.mp4", 4_200)];
    let outcomes = rig.upload(&files).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert!(world.faults.is_empty());
    // One for the photo, five for the clip's parts.
    assert_eq!(world.count("put"), 1 + 5);
    assert_eq!(world.whole(), ["a.jpg", "b.mp4"]);
    let sent: i64 = outcomes.iter().map(|o| o.sent_bytes).sum();
    assert_eq!(sent, 700 + 4_200);
}

/// Patience with cuts: one that comes before anything was sent counts for nothing, and how many do is a matter of chance.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(2 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_again_and_again_is_appended() {
    // A photo by one request, a clip by parts, and one of whose parts the first arrived.
    for (name, size_bytes, arrives) in [("a.jpg", 700, 0), ("b.mp4", 4_200, 0), ("b.mp4", 4_200, 1)]
    {
        let mut rig = Rig::start().await;
        rig.give_up_after = AS_LONG_AS_IT_TAKES;
        rig.server.world().concurrency = 1;
        for _ in 0..200 {
            rig.server.fail("put", arrives, Deed::LoseRequest);
        }
        let outcomes = rig.upload(&[rig.file(name, size_bytes)]).await;
        assert_eq!(failures(&outcomes), [""; 0], "{name}");
        let world = rig.server.world();
        assert_eq!(world.whole(), [name]);
        // Three cuts, and what had arrived is worth no more than one part of them. One that comes before anything was sent counts for
        // nothing, and how many do is a matter of chance.
        assert!((1..=200 - 3).contains(&world.faults.len()), "{name}");
        assert_eq!(world.count("put") as u32, arrives, "{name}");
        assert_eq!(world.count("append"), 1);
        assert_eq!(world.replans.iter().filter(|r| r.restart).count(), 1);
        assert_eq!(world.assets.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_count_in_a_row_also_where_other_things_fail_between_them() {
    let mut rig = Rig::start().await;
    rig.give_up_after = AS_LONG_AS_IT_TAKES;
    for _ in 0..100 {
        rig.server.fail("put", 0, Deed::LoseRequest);
        rig.server
            .fail("put", 0, Deed::Refuse(503, "SlowDown", None));
    }
    assert_eq!(
        failures(&rig.upload(&[rig.file("a.jpg", 700)]).await),
        [""; 0]
    );
    let world = rig.server.world();
    // If what fails between them ended the row, it would never be appended, and everything would fail once.
    assert_eq!(world.count("append"), 1);
    assert!((1..=200 - 5).contains(&world.faults.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_what_is_to_become_of_it_ends_the_patience() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::from_secs(60);
    for _ in 0..500 {
        rig.server.fail("put", 0, Deed::LoseRequest);
        rig.server
            .fail("plan", 0, Deed::Refuse(500, "internal", None));
    }
    let paths = [rig.file("a.jpg", 700)];
    assert!(rig.upload(&paths).await[0].failure.is_some());
    rig.server.world().faults.clear();
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_appended_it_is_asked_for_once() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::from_secs(60);
    rig.server.world().has_no_gateway = true;
    for _ in 0..40 {
        rig.server.fail("put", 0, Deed::LoseRequest);
    }
    let paths = [rig.file("a.jpg", 700)];
    let outcomes = rig.upload(&paths).await;
    assert!(failures(&outcomes)[0].starts_with("store_unavailable"));
    {
        let mut world = rig.server.world();
        assert_eq!(world.replans.iter().filter(|r| r.restart).count(), 1);
        assert!(world.faults.len() < 40 - 3);
        world.faults.clear();
    }
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_store_takes_once_are_not_sent_for_ever() {
    let rig = Rig::start().await;
    // The URL stores once, and has done so, or not: the server knows.
    rig.server
        .fail("put", 0, Deed::Refuse(412, "PreconditionFailed", None));
    let outcomes = rig.upload(&[rig.file("a.jpg", 700)]).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert!(world.faults.is_empty());
    assert_eq!(world.whole(), ["a.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_hangs_is_overtaken_with_another_key() {
    let rig = Rig::start().await;
    let busy = Deed::Refuse(409, "idempotency_key_in_flight", Some(1));
    rig.server.fail("complete", 0, busy);
    assert_eq!(
        failures(&rig.upload(&[rig.file("a.jpg", 7)]).await),
        [""; 0]
    );
    let world = rig.server.world();
    assert_eq!(world.count("put"), 1);
    let asked = world.log.iter().filter(|(kind, _)| kind == "complete");
    let keys: Vec<&str> = asked
        .filter_map(|(_, about)| about.split("key ").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_server_gave_up_is_made_anew() {
    let rig = Rig::start().await;
    let expire = |world: &mut crate::fake_server::World| {
        for upload in world.uploads.values_mut() {
            upload.state = "expired";
        }
        for asset in world.assets.values_mut() {
            asset.state = "expired";
        }
    };
    rig.server
        .fail("complete", 0, Deed::Before(Box::new(expire)));
    let paths = [
        rig.file("A_BURST001.jpg", 700),
        rig.file("A_BURST002.jpg", 4_200),
    ];
    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    let mut references: Vec<_> = world.captures.keys().cloned().collect();
    references.sort();
    assert_eq!(references.len(), 2);
    assert_eq!(references[1], format!("{}.1", references[0]));
    assert_eq!(world.whole(), ["A_BURST001.jpg", "A_BURST002.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_in_the_midst_ends_there_and_is_not_sent_again() {
    // Wherever it is when the server first says so.
    for at in ["initiate", "sign", "put", "complete", "append"] {
        let rig = Rig::start().await;
        let network = match at {
            "append" => NetworkKind::Cellular2g,
            _ => NetworkKind::Wifi,
        };
        let conditions = Conditions {
            network: Some(network),
            ..Conditions::default()
        };
        let delete = |world: &mut crate::fake_server::World| world.delete_all();
        let deed = match at {
            // Its answer is lost, and the next one tells.
            "initiate" => Deed::After(Box::new(delete)),
            _ => Deed::Before(Box::new(delete)),
        };
        rig.server.fail(at, 0, deed);
        let path = rig.file("b.mp4", 4_200);
        for run in 0..3 {
            let settings = Settings {
                conditions: conditions.clone().fixed(),
                ..Settings::default()
            };
            let outcomes = rig
                .uploader(settings)
                .upload(std::slice::from_ref(&path))
                .await;
            let outcomes = outcomes.unwrap();
            let failed = outcomes[0].failure.as_ref().map(|f| f.code.as_str());
            assert_eq!(failed, Some("asset_deleted"), "{at}, run {run}");
            assert_eq!(outcomes[0].state.as_deref(), Some("deleted"));
            assert!(!outcomes[0].already_there);
        }
        let world = rig.server.world();
        assert_eq!(world.captures.len(), 1, "{at}");
        assert_eq!(world.whole(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_capture_ends_and_is_not_sent_again() {
    // The answer to the initiation is lost, and the next one tells; or it is deleted while it is sent, or once it is there.
    for at in ["initiate", "put", "complete", ""] {
        let mut rig = Rig::start().await;
        rig.give_up_after = Duration::ZERO;
        let delete = |world: &mut crate::fake_server::World| world.delete_captures();
        let paths = [
            rig.file("A_BURST001.jpg", 700),
            rig.file("A_BURST002.jpg", 900),
        ];
        match at {
            "" => assert_eq!(failures(&rig.upload(&paths).await), [""; 0]),
            "initiate" => rig.server.fail(at, 0, Deed::After(Box::new(delete))),
            _ => rig.server.fail(at, 0, Deed::Before(Box::new(delete))),
        }
        if at.is_empty() {
            rig.server.world().delete_captures();
        } else {
            // Whoever is cut off has no patience for another try in this run.
            rig.upload(&paths).await;
        }
        for run in 0..3 {
            for outcome in rig.upload(&paths).await {
                let failed = outcome.failure.as_ref().map(|f| f.code.as_str());
                assert_eq!(failed, Some("asset_deleted"), "{at}, run {run}");
                assert_eq!(outcome.state.as_deref(), Some("deleted"));
                assert!(!outcome.already_there);
            }
        }
        let world = rig.server.world();
        assert_eq!(world.captures.len(), 1, "{at}");
        let asked = world.log.iter().filter(|(kind, _)| kind == "put").count();
        assert!(asked <= 2, "{at}: {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_the_store_lost_are_sent_again() {
    let rig = Rig::start().await;
    let forget = |world: &mut crate::fake_server::World| {
        for upload in world.uploads.values_mut() {
            upload.parts.remove(&2);
        }
    };
    rig.server
        .fail("complete", 0, Deed::Before(Box::new(forget)));
    let outcomes = rig.upload(&[rig.file("b.mp4", 4_200)]).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(outcomes[0].sent_bytes, 5_200);
    let world = rig.server.world();
    assert_eq!((world.count("complete"), world.repeated_parts), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_renewed() {
    let rig = Rig::start().await;
    let expire = |world: &mut crate::fake_server::World| world.token_generation += 1;
    rig.server
        .fail("complete", 0, Deed::Before(Box::new(expire)));
    let paths = [rig.file("a.jpg", 700), rig.file("b.jpg", 700)];
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
    assert_eq!(rig.server.world().count("token"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_mint_acts_itself() {
    let rig = Rig::start().await;
    rig.server
        .fail("token", 0, Deed::Refuse(403, "forbidden", None));
    assert_eq!(
        failures(&rig.upload(&[rig.file("a.jpg", 700)]).await),
        [""; 0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_reported_and_the_next_run_begins_anew() {
    let rig = Rig::start().await;
    let paths = [rig.file("a.jpg", 700)];
    rig.server
        .fail("initiate", 0, Deed::Refuse(422, "validation_failed", None));
    assert_eq!(
        rig.upload(&paths).await[0].failure.as_ref().unwrap().code,
        "validation_failed"
    );
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_it_is_waited_for() {
    let rig = Rig::start().await;
    let paths = [
        rig.file("a.jpg", 700),
        rig.file("b.jpg", 800),
        rig.file("c.jpg", 900),
    ];
    // Others have the room at first, then what is under way here.
    for after in [0, 0, 1] {
        rig.server
            .fail("initiate", after, Deed::Refuse(403, "quota_exceeded", None));
    }
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
    let world = rig.server.world();
    assert!(world.faults.is_empty());
    assert_eq!(world.whole(), ["a.jpg", "b.jpg", "c.jpg"]);
    assert_eq!((world.assets.len(), world.captures.len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_had_room_is_kept_for_the_next_run() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [rig.file("a.jpg", 700), rig.file("b.jpg", 800)];
    for _ in 0..2 {
        rig.server
            .fail("initiate", 0, Deed::Refuse(403, "quota_exceeded", None));
    }
    let outcomes = rig.upload(&paths).await;
    let codes: Vec<_> = outcomes.iter().filter_map(|o| o.failure.as_ref()).collect();
    assert!(codes.len() == 2 && codes.iter().all(|f| f.code == "quota_exceeded"));
    // The second is not even asked for, if the first was answered by then.
    let before = rig.server.world().count("initiate");
    assert!((1..=2).contains(&before), "{before}");
    rig.server.world().faults.clear();
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
    let world = rig.server.world();
    let asked = world.log.iter().filter(|(k, _)| k == "initiate");
    let asked: Vec<&str> = asked.map(|(_, about)| about.as_str()).collect();
    // What was refused goes on under the same key.
    let key = asked[0].strip_prefix("refused 403, ").unwrap();
    assert!(asked[before..].iter().any(|a| a.contains(key)), "{asked:?}");
    assert_eq!((asked.len(), world.captures.len()), (before + 2, 2));
    assert_eq!(world.whole(), ["a.jpg", "b.jpg"]);
}

/// Of the frames of a burst twelve are asked after at once. When these have waited for as long as they may, the others do not.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_say_what_is_unfinished_is_not_waited_for_with_each_frame() {
    let rig = Rig::start().await;
    let frames = (1..=24).map(|i| rig.file(&format!("A_BURST{i:03}.jpg"), 600 + i));
    let paths: Vec<_> = frames.collect();
    for _ in 0..2_000 {
        rig.server
            .fail("find", 0, Deed::Refuse(503, "overloaded", None));
    }
    // There is nothing in its journal.
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
    let waited: Duration = rig.pause.0.lock().unwrap().iter().sum();
    assert!(waited <= rig.give_up_after * 12, "{waited:?}");
    assert!(rig.server.world().count("find") > 24);
}

/// Others have so much open that no burst has room, whereas single pictures have.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_the_room_keeps_no_other_out() {
    let rig = Rig::start().await;
    {
        let mut world = rig.server.world();
        (world.room, world.others_open) = (5, 3);
    }
    let mut paths = Vec::new();
    // As many as are asked for at once.
    for burst in ["A", "B", "C", "D"] {
        for i in 1..=3 {
            paths.push(rig.file(&format!("{burst}_BURST{i:03}.jpg"), 700 + i));
        }
    }
    let bursts = paths.len();
    let singles = ["w.jpg", "x.jpg", "y.jpg", "z.jpg"];
    paths.extend(singles.map(|name| rig.file(name, 800)));
    let outcomes = rig.upload(&paths).await;
    for (place, outcome) in outcomes.iter().enumerate() {
        let code = outcome.failure.as_ref().map(|f| f.code.as_str());
        let expected = (place < bursts).then_some("quota_exceeded");
        assert_eq!(code, expected, "{outcome:?}");
    }
    assert_eq!(rig.server.world().whole(), singles);
    // Once there is room they arrive too.
    rig.server.world().others_open = 0;
    assert_eq!(failures(&rig.upload(&paths).await), [""; 0]);
    let world = rig.server.world();
    assert_eq!((world.whole().len(), world.captures.len()), (16, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_all_is_settled_or_time_is_up() {
    let rig = Rig::start().await;
    let outcomes = rig
        .upload(&[rig.file("a.jpg", 700), rig.file("b.jpg", 800)])
        .await;
    let ids: Vec<String> = outcomes.iter().filter_map(|o| o.asset_id.clone()).collect();
    let (session, _) = rig.session();
    let pause = NotedPause::default();
    let none = Some(Duration::ZERO);
    let waited = settle::wait(&session, &pause, &ids, none, |_| ())
        .await
        .unwrap();
    assert_eq!(waited.unsettled.len(), 2);
    let mut seen = 0;
    let waited = settle::wait(&session, &pause, &ids, None, |_| seen += 1)
        .await
        .unwrap();
    assert_eq!(
        (seen, waited.unsettled.len(), waited.assets.len()),
        (2, 0, 2)
    );
    assert!(
        waited
            .assets
            .values()
            .all(|a| a.state == "ready" && a.cover_url.is_some())
    );
}

/// Another device of the owner's sends the same file, and its bytes are there first.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_device_was_quicker_with_is_not_sent_on() {
    // Told by a refusal to sign; by the store, which has forgotten the upload; by what completing answers.
    // What is on its way at the same moment may or may not be stored.
    for (at, after, sent) in [("sign", 1, 0..9), ("put", 2, 0..9), ("complete", 0, 9..10)] {
        let rig = Rig::start().await;
        let paths = [rig.file("b.mp4", 9_000)];
        let merge = |world: &mut crate::fake_server::World| world.merge_open("ast_theirs");
        rig.server.fail(at, after, Deed::Before(Box::new(merge)));
        let outcomes = rig.upload(&paths).await;
        assert_eq!(failures(&outcomes), [""; 0], "{at}");
        let outcome = &outcomes[0];
        assert_eq!(outcome.asset_id.as_deref(), Some("ast_theirs"), "{at}");
        assert!(outcome.already_there, "{at}");
        let stored: usize = {
            let world = rig.server.world();
            assert!(world.faults.is_empty(), "{at}: it was not merged");
            assert_eq!(world.captures.len(), 1, "{at}");
            world.uploads.values().map(|u| u.parts.len()).sum()
        };
        assert!(sent.contains(&stored), "{at}: {stored} parts");
        // Neither now nor by a later run.
        let puts = rig.server.world().count("put");
        let again = rig.upload(&paths).await;
        assert_eq!(failures(&again), [""; 0], "{at}");
        assert!(again[0].already_there, "{at}");
        assert_eq!(rig.server.world().count("put"), puts, "{at}");
    }
}
