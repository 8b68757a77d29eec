//! Pause, resume, cancel, and what must hold for bytes to be sent.

use std::sync::Arc;
use std::time::Duration;

use safelight_client::conditions::{Conditions, Needs, NetworkKind};
use safelight_client::gate::Hold;
use safelight_client::uploader::{CancelError, FileOutcome, Settings, Uploader};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fake_server::Deed;
use crate::rig::{Rig, failures, wait};

type Running = JoinHandle<Vec<FileOutcome>>;

fn run(uploader: &Arc<Uploader>, paths: &[std::path::PathBuf]) -> Running {
    let (uploader, paths) = (uploader.clone(), paths.to_vec());
    tokio::spawn(async move { uploader.upload(&paths).await.unwrap() })
}

async fn end(running: Running) -> Vec<FileOutcome> {
    let ended = tokio::time::timeout(Duration::from_secs(60), running).await;
    ended.unwrap().unwrap()
}

async fn only(uploader: &Uploader) -> safelight_client::uploader::CaptureStatus {
    let mut captures = uploader.captures().await.unwrap();
    assert_eq!(captures.len(), 1, "{captures:?}");
    captures.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_stops_at_once_and_goes_on_where_it_was() {
    let rig = Rig::start().await;
    for _ in 0..3 {
        rig.server.fail("put", 4, Deed::Hang);
    }
    let paths = [rig.file("b.mp4", 20_000)];
    let uploader = rig.uploader(Settings::default());
    let running = run(&uploader, &paths);
    rig.asked("hang", 3).await;
    uploader.pause_all().await.unwrap();
    wait(|| rig.heard.0.lock().unwrap().contains(&Hold::Paused)).await;
    assert!(!running.is_finished());
    assert_eq!(only(&uploader).await.hold, Some(Hold::Paused));
    let held = rig
        .server
        .world()
        .uploads
        .values()
        .next()
        .unwrap()
        .parts
        .len();
    assert!(held >= 4, "{held}");
    uploader.resume_all().await.unwrap();
    let outcomes = end(running).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    {
        let world = rig.server.world();
        assert_eq!((world.repeated_parts, world.captures.len()), (0, 1));
        assert_eq!(world.whole(), ["b.mp4"]);
    }
    assert!(uploader.captures().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_restart() {
    let rig = Rig::start().await;
    let paths = [rig.file("a.jpg", 700), rig.file("b.mp4", 4_200)];
    for is_first in [true, false] {
        let uploader = rig.uploader(Settings::default());
        if is_first {
            uploader.pause_all().await.unwrap();
        }
        let running = run(&uploader, &paths);
        wait(|| rig.heard.0.lock().unwrap().len() >= 2).await;
        let captures = uploader.captures().await.unwrap();
        assert_eq!(captures.len(), 2, "both stand in the journal");
        assert!(captures.iter().all(|c| c.hold == Some(Hold::Paused)));
        assert_eq!(rig.server.world().log.len(), 0, "nothing was asked");
        rig.heard.0.lock().unwrap().clear();
        if !is_first {
            uploader.resume_all().await.unwrap();
            assert_eq!(failures(&end(running).await), [""; 0]);
            break;
        }
        // As if the process were killed.
        running.abort();
        let _ = running.await;
        wait(|| Arc::strong_count(&uploader) == 1).await;
    }
    assert_eq!(rig.server.world().whole(), ["a.jpg", "b.mp4"]);
}

/// Two captures of which the first hangs after so many parts, and its reference.
async fn hanging(rig: &Rig, after: u32) -> (Arc<Uploader>, Running, String) {
    let paths = [rig.file("a.mp4", 4_200), rig.file("b.jpg", 900)];
    rig.server.fail("put", after, Deed::Hang);
    let uploader = rig.uploader(Settings {
        parallel_files: 1,
        ..Settings::default()
    });
    let running = run(&uploader, &paths);
    rig.asked("hang", 1).await;
    let first = uploader.captures().await.unwrap().remove(0).client_ref;
    (uploader, running, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_capture_is_paused_and_the_others_go_on() {
    let rig = Rig::start().await;
    let (uploader, running, first) = hanging(&rig, 0).await;
    assert!(!uploader.pause("another").await.unwrap());
    assert!(uploader.pause(&first).await.unwrap());
    wait(|| rig.server.world().whole() == ["b.jpg"]).await;
    assert!(!running.is_finished());
    assert!(uploader.resume(&first).await.unwrap());
    assert_eq!(failures(&end(running).await), [""; 0]);
    assert_eq!(rig.server.world().whole(), ["a.mp4", "b.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_aborted_and_the_rest_arrives() {
    let rig = Rig::start().await;
    let (uploader, running, first) = hanging(&rig, 2).await;
    assert!(uploader.cancel(&first).await.unwrap());
    let outcomes = end(running).await;
    assert_eq!(outcomes[0].failure.as_ref().unwrap().code, "cancelled");
    assert!(outcomes[1].failure.is_none());
    assert!(!uploader.cancel(&first).await.unwrap(), "it has ended");
    {
        let world = rig.server.world();
        assert_eq!(world.captures.len(), 2, "it is not made anew");
        let states: Vec<_> = world.uploads.values().map(|u| u.state).collect();
        assert_eq!(states, ["aborted", "completed"]);
    }
    assert!(uploader.captures().await.unwrap().is_empty());
    // Sent again, it is another capture.
    let paths = [rig.file("a.mp4", 4_200), rig.file("b.jpg", 900)];
    assert_eq!(failures(&end(run(&uploader, &paths)).await), [""; 0]);
    assert_eq!(rig.server.world().whole(), ["a.mp4", "b.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_server_did_not_hear_of_is_told_by_the_next_run() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [rig.file("a.mp4", 4_200)];
    for after_initiation in [true, false] {
        if after_initiation {
            let broken = Deed::Refuse(500, "internal", None);
            rig.server.fail("put", 0, broken);
        } else {
            rig.server.fail("initiate", 0, Deed::LoseAnswer);
        }
        let uploader = rig.uploader(Settings::default());
        let outcomes = uploader.upload(&paths).await.unwrap();
        assert_ne!(failures(&outcomes), [""; 0]);
        let capture = only(&uploader).await.client_ref;
        for at in ["abort", "find"] {
            rig.server
                .fail(at, 0, Deed::Refuse(503, "overloaded", None));
        }
        let told = uploader.cancel(&capture).await;
        assert!(matches!(told, Err(CancelError::Call(_))), "{told:?}");
        assert_eq!(only(&uploader).await.hold, Some(Hold::Cancelled));
        drop(uploader);
        rig.server.world().faults.clear();

        let uploader = rig.uploader(Settings::default());
        uploader.upload(&[]).await.unwrap();
        assert!(uploader.captures().await.unwrap().is_empty());
        let world = rig.server.world();
        assert!(world.uploads.values().all(|u| u.state == "aborted"));
    }
    assert_eq!(rig.server.world().uploads.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_whole_stays_when_it_is_cancelled() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [rig.file("a.jpg", 900)];
    rig.server.fail("complete", 0, Deed::LoseAnswer);
    let uploader = rig.uploader(Settings::default());
    assert_ne!(failures(&uploader.upload(&paths).await.unwrap()), [""; 0]);
    assert_eq!(uploader.cancel_all().await.unwrap(), 1);
    let again = uploader.upload(&paths).await.unwrap();
    assert_eq!(failures(&again), [""; 0]);
    assert!(again[0].already_there);
    assert_eq!(rig.server.world().assets.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_what_it_needs_and_says_for_what() {
    let rig = Rig::start().await;
    let needs = Needs {
        wifi: true,
        charging: false,
    };
    let (tell, conditions) = watch::channel(Conditions {
        network: Some(NetworkKind::Cellular4g),
        ..Conditions::default()
    });
    let settings = Settings {
        conditions,
        needs,
        ..Settings::default()
    };
    let paths = [rig.file("a.mp4", 9_000)];
    let uploader = rig.uploader(settings);
    let running = run(&uploader, &paths);
    let said = rig.heard.clone();
    let heard = |hold| {
        let said = said.clone();
        wait(move || said.0.lock().unwrap().last() == Some(&hold))
    };
    heard(Hold::Wifi).await;
    assert_eq!(rig.server.world().log.len(), 0);
    let capture = only(&uploader).await.client_ref;
    let charging = Needs {
        wifi: false,
        charging: true,
    };
    assert!(uploader.need(&capture, charging).await.unwrap());
    // On Wi-Fi now, but the capture wants to be charged as well.
    tell.send_modify(|c| c.network = Some(NetworkKind::Wifi));
    heard(Hold::Charging).await;
    rig.server.fail("put", 3, Deed::Hang);
    tell.send_modify(|c| c.charging = Some(true));
    rig.asked("hang", 1).await;
    // In the midst of it the network is lost.
    tell.send_modify(|c| c.network = Some(NetworkKind::Offline));
    heard(Hold::Offline).await;
    tell.send_modify(|c| c.network = Some(NetworkKind::Ethernet));
    assert_eq!(failures(&end(running).await), [""; 0]);
    let world = rig.server.world();
    assert_eq!((world.repeated_parts, world.captures.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_told_how_transfers_went() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let wifi = Conditions {
        network: Some(NetworkKind::Wifi),
        ..Conditions::default()
    };
    let settings = Settings {
        conditions: wifi.fixed(),
        ..Settings::default()
    };
    rig.server
        .fail("put", 0, Deed::Refuse(500, "internal", None));
    let paths = [rig.file("a.jpg", 900)];
    let failed = rig.uploader(settings.clone()).upload(&paths).await;
    assert_ne!(failures(&failed.unwrap()), [""; 0]);
    rig.give_up_after = Duration::from_secs(60);
    rig.server
        .fail("put", 1, Deed::Refuse(500, "internal", None));
    let paths = [rig.file("b.mp4", 4_200)];
    let sent = rig.uploader(settings).upload(&paths).await.unwrap();
    assert_eq!(failures(&sent), [""; 0]);
    let world = rig.server.world();
    let told: Vec<_> = world
        .transfers
        .iter()
        .map(|t| {
            let network = t.network.as_deref().unwrap_or_default();
            let counts = (t.attempts, t.retries, t.failed_parts);
            (network, t.outcome.as_str(), counts)
        })
        .collect();
    let expected = [
        ("wifi", "failed", (1, 0, 1)),
        ("wifi", "completed", (6, 1, 1)),
    ];
    assert_eq!(told, expected);
}

/// Two captures: of the first one file has arrived and the other has not, and the server has given both up. Its reference.
async fn half_given_up(
    rig: &Rig,
    uploader: &Arc<Uploader>,
    paths: &[std::path::PathBuf],
) -> String {
    rig.server
        .fail("put", 1, Deed::Refuse(500, "internal", None));
    let first = uploader.upload(&paths[..2]).await.unwrap();
    assert_eq!(failures(&first).len(), 1, "{first:?}");
    let mut world = rig.server.world();
    for upload in world.uploads.values_mut() {
        upload.state = "expired";
    }
    for asset in world.assets.values_mut() {
        asset.state = "expired";
    }
    world.captures.keys().next().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_stays_so_when_its_capture_is_made_anew() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [
        rig.file("A_BURST001.jpg", 700),
        rig.file("A_BURST002.jpg", 900),
    ];
    let uploader = rig.uploader(Settings {
        parallel_files: 1,
        ..Settings::default()
    });
    rig.server
        .fail("put", 1, Deed::Refuse(500, "internal", None));
    let first = uploader.upload(&paths).await.unwrap();
    assert_eq!(failures(&first).len(), 1, "{first:?}");
    {
        // The owner deletes what has arrived; what has not expires.
        let mut world = rig.server.world();
        let whole: Vec<String> = world.whole();
        assert_eq!(whole.len(), 1);
        let mut deleted = Vec::new();
        for (id, asset) in &mut world.assets {
            let is_whole = asset.filename.as_deref() == Some(whole[0].as_str());
            asset.state = if is_whole { "deleted" } else { "expired" };
            if is_whole {
                deleted.push(id.clone());
            }
        }
        for upload in world.uploads.values_mut() {
            let is_deleted = deleted.contains(&upload.asset_id);
            upload.state = if is_deleted { "deleted" } else { "expired" };
        }
    }
    for run in 0..3 {
        let outcomes = uploader.upload(&paths).await.unwrap();
        let failed = outcomes.iter().filter_map(|o| o.failure.as_ref());
        let codes: Vec<&str> = failed.map(|f| f.code.as_str()).collect();
        assert_eq!(codes, ["asset_deleted"], "run {run}");
        let world = rig.server.world();
        assert_eq!(
            (world.captures.len(), world.assets.len()),
            (2, 3),
            "run {run}"
        );
        assert_eq!(world.whole().len(), 1, "run {run}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_while_the_server_gives_it_up_ends_and_may_be_sent_again() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [
        rig.file("A_BURST001.jpg", 700),
        rig.file("A_BURST002.jpg", 900),
        rig.file("c.mp4", 4_200),
    ];
    let uploader = rig.uploader(Settings {
        parallel_files: 1,
        ..Settings::default()
    });
    let reference = half_given_up(&rig, &uploader, &paths).await;
    rig.server.fail("put", 0, Deed::Hang);
    let running = run(&uploader, &paths);
    // The burst was asked for and is to be made anew; meanwhile the clip is sent.
    rig.asked("hang", 1).await;
    assert!(uploader.cancel(&reference).await.unwrap());
    uploader.pause_all().await.unwrap();
    uploader.resume_all().await.unwrap();
    let outcomes = end(running).await;
    let codes: Vec<_> = outcomes
        .iter()
        .map(|o| o.failure.as_ref().map(|f| f.code.as_str()))
        .collect();
    assert_eq!(codes, [Some("cancelled"), Some("cancelled"), None]);
    assert_eq!(rig.server.world().captures.len(), 2, "it is not made anew");
    assert!(uploader.captures().await.unwrap().is_empty());
    assert_eq!(failures(&end(run(&uploader, &paths)).await), [""; 0]);
    assert_eq!(rig.server.world().whole().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_of_a_cancelled_capture_is_sent_again_once_the_server_has_lost_it() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [
        rig.file("A_BURST001.jpg", 700),
        rig.file("A_BURST002.jpg", 900),
    ];
    let uploader = rig.uploader(Settings::default());
    let reference = half_given_up(&rig, &uploader, &paths).await;
    assert!(uploader.cancel(&reference).await.unwrap());
    assert_eq!(failures(&end(run(&uploader, &paths)).await), [""; 0]);
    assert_eq!(rig.server.world().whole().len(), 2);
    assert!(uploader.captures().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_capture_answers_to_its_first_name() {
    let rig = Rig::start().await;
    let expire = |world: &mut crate::fake_server::World| {
        for upload in world.uploads.values_mut() {
            upload.state = "expired";
        }
    };
    rig.server
        .fail("complete", 0, Deed::Before(Box::new(expire)));
    // The five parts arrive, and those of the renewed one do not all.
    rig.server.fail("put", 7, Deed::Hang);
    let paths = [rig.file("a.mp4", 4_200)];
    let uploader = rig.uploader(Settings::default());
    let running = run(&uploader, &paths);
    rig.asked("initiate", 1).await;
    let first = only(&uploader).await.client_ref;
    rig.asked("hang", 1).await;
    let named: Vec<String> = rig.server.world().captures.keys().cloned().collect();
    assert!(named.contains(&format!("{first}.1")), "{named:?}");
    assert_eq!(only(&uploader).await.client_ref, first);
    assert!(uploader.pause(&first).await.unwrap());
    assert!(uploader.cancel(&first).await.unwrap());
    let outcomes = end(running).await;
    assert_eq!(outcomes[0].failure.as_ref().unwrap().code, "cancelled");
    let world = rig.server.world();
    let states: Vec<_> = world.uploads.values().map(|u| u.state).collect();
    assert_eq!(states, ["expired", "aborted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_pause_the_key_frame_still_goes_alone_and_first() {
    let rig = Rig::start().await;
    for _ in 0..3 {
        rig.server.fail("put", 2, Deed::Hang);
    }
    let paths = [
        rig.file("A_BURST001.jpg", 5_000),
        rig.file("A_BURST002.jpg", 5_000),
        rig.file("A_BURST003_COVER.jpg", 9_000),
    ];
    let uploader = rig.uploader(Settings::default());
    let running = run(&uploader, &paths);
    rig.asked("hang", 3).await;
    uploader.pause_all().await.unwrap();
    wait(|| rig.heard.0.lock().unwrap().len() >= 3).await;
    uploader.resume_all().await.unwrap();
    let outcomes = end(running).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    let key = outcomes[2].asset_id.clone().unwrap();
    let key = world.uploads.iter().find(|(_, u)| u.asset_id == key);
    let key = key.unwrap().0;
    let puts = world.log.iter().filter(|(kind, _)| kind == "put");
    let of_key: Vec<bool> = puts.map(|(_, about)| about.contains(key)).collect();
    assert_eq!(of_key.len(), 9 + 5 + 5);
    assert!(of_key[..9].iter().all(|is_key| *is_key), "{of_key:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_or_was_deleted_is_sent_once_more_if_that_is_asked_for() {
    let rig = Rig::start().await;
    let paths = [
        rig.file("a.jpg", 700),
        rig.file("b.jpg", 900),
        rig.file("c.jpg", 1_100),
    ];
    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let ids: Vec<String> = outcomes.iter().filter_map(|o| o.asset_id.clone()).collect();
    {
        let mut world = rig.server.world();
        world.assets.get_mut(&ids[0]).unwrap().state = "failed";
        world.assets.get_mut(&ids[1]).unwrap().state = "deleted";
    }
    let sent = |outcomes: &[FileOutcome]| -> Vec<bool> {
        let mut named = outcomes.iter().zip(&ids);
        let is_new = |(o, id): (&FileOutcome, &String)| o.asset_id.as_ref() != Some(id);
        named.by_ref().map(is_new).collect()
    };
    let plain = rig.uploader(Settings::default());
    let outcomes = plain.upload(&paths).await.unwrap();
    assert_eq!(sent(&outcomes), [false, false, false]);
    drop(plain);
    let again = rig.uploader(Settings {
        again: true,
        ..Settings::default()
    });
    for _ in 0..2 {
        let outcomes = again.upload(&paths).await.unwrap();
        assert_eq!(failures(&outcomes), [""; 0]);
        assert_eq!(sent(&outcomes), [true, true, false]);
    }
    let world = rig.server.world();
    assert_eq!(world.assets.len(), 5, "once more, and not each time");
}
