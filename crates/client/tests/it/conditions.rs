//! What the app knows and the client measures goes to the server, and plans follow it, also in the midst.

use std::sync::Arc;
use std::time::Duration;

use safelight_api::captures::InitiateCapture;
use safelight_client::conditions::{Conditions, NetworkKind};
use safelight_client::uploader::{FileOutcome, Settings};
use safelight_model::clock::{Clock as _, ManualClock, SystemClock};
use tokio::sync::watch;

use crate::fake_server::{Deed, World};
use crate::rig::{Rig, failures};

fn on(network: NetworkKind) -> Conditions {
    Conditions {
        network: Some(network),
        ..Conditions::default()
    }
}

fn with(conditions: watch::Receiver<Conditions>) -> Settings {
    Settings {
        conditions,
        ..Settings::default()
    }
}

/// What the initiations said, in their order.
fn initiations(world: &World) -> Vec<InitiateCapture> {
    let asked = world.log.iter().filter(|(kind, _)| kind == "initiate");
    asked
        .map(|(_, about)| serde_json::from_str(&about[about.find('{').unwrap()..]).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_app_knows_makes_the_plan() {
    let rig = Rig::start().await;
    let conditions = Conditions {
        metered: Some(true),
        round_trip_ms: Some(700),
        battery_level: Some(0.25),
        charging: Some(false),
        background: true,
        ..on(NetworkKind::Cellular2g)
    };
    let paths = [rig.file("a.jpg", 700), rig.file("b.mp4", 9_000)];
    // The first request breaks, and goes on from where it was.
    rig.server.fail("append", 0, Deed::LoseAnswer);
    let outcomes = rig.uploader(with(conditions.fixed())).upload(&paths).await;
    assert_eq!(failures(&outcomes.unwrap()), [""; 0]);
    let world = rig.server.world();
    let said = initiations(&world).remove(0);
    let network = said.network.unwrap();
    assert_eq!(network.kind.as_deref(), Some("2g"));
    assert_eq!((network.rtt_ms, network.metered), (Some(700), Some(true)));
    let battery = said.battery.unwrap();
    assert_eq!((battery.level, battery.charging), (Some(0.25), Some(false)));
    assert!(said.background);
    assert_eq!((world.count("put"), world.count("append")), (0, 2));
    assert_eq!(world.whole(), ["a.jpg", "b.mp4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_is_said_by_the_next_run() {
    let rig = Rig::start().await;
    let run = async |name: &str, network| {
        let uploader = rig.uploader(with(on(network).fixed()));
        let outcomes = uploader.upload(&[rig.file(name, 4_200)]).await.unwrap();
        assert_eq!(failures(&outcomes), [""; 0]);
    };
    run("a.mp4", NetworkKind::Wifi).await;
    run("b.mp4", NetworkKind::Wifi).await;
    run("c.mp4", NetworkKind::Cellular4g).await;
    let said: Vec<_> = initiations(&rig.server.world())
        .into_iter()
        .map(|i| i.network.unwrap().rtt_ms.is_some())
        .collect();
    assert_eq!(
        said,
        [false, true, false],
        "of another link nothing is known"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_network_in_the_midst_is_another_plan() {
    let rig = Rig::start().await;
    rig.server.world().concurrency = 6;
    let (tell, conditions) = watch::channel(on(NetworkKind::Wifi));
    // The network changes when two parts have arrived.
    let change = move |_: &mut World| {
        let cellular = Conditions {
            uplink_kbps: Some(1_000),
            ..on(NetworkKind::Cellular3g)
        };
        tell.send_replace(cellular);
    };
    rig.server.fail("put", 2, Deed::Before(Box::new(change)));
    let paths = [rig.file("b.mp4", 60_000)];
    let outcomes = rig.uploader(with(conditions)).upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(outcomes[0].sent_bytes, 60_000, "nothing goes twice");
    let world = rig.server.world();
    assert_eq!(world.replans.len(), 1, "once for one change");
    let said = world.replans[0].network.clone().unwrap();
    assert_eq!(
        (said.kind.as_deref(), said.uplink_kbps),
        (Some("3g"), Some(1_000))
    );
    assert_eq!(world.replans[0].accept_transports.len(), 3);
    let after = world
        .log
        .iter()
        .rposition(|(kind, _)| kind == "plan")
        .unwrap();
    let puts = world.log[after..]
        .iter()
        .filter(|(k, _)| k == "put")
        .count();
    assert!(puts > 30, "it was asked in the midst: {puts}");
    // After what was under way then they go one at a time.
    let late = world.at_once.iter().rev().take(20);
    assert_eq!(late.copied().max(), Some(1), "{:?}", world.at_once);
    assert!(world.at_once.iter().any(|n| *n > 1), "{:?}", world.at_once);
}

/// Sends a file; Wi-Fi is lost for 2G while it is initiated.
async fn send_over_another_network(rig: &Rig) -> Vec<FileOutcome> {
    let (tell, conditions) = watch::channel(on(NetworkKind::Wifi));
    let change = move |_: &mut World| {
        tell.send_replace(on(NetworkKind::Cellular2g));
    };
    rig.server
        .fail("initiate", 0, Deed::Before(Box::new(change)));
    let uploader = rig.uploader(with(conditions));
    let sent = uploader.upload(&[rig.file("b.mp4", 5_000)]).await;
    sent.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_begun_travels_as_the_network_of_then_wants() {
    let rig = Rig::start().await;
    let outcomes = send_over_another_network(&rig).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!((world.count("put"), world.count("append")), (0, 1));
    assert_eq!((world.replans.len(), world.whole().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_whose_answer_was_lost_is_asked_for() {
    let rig = Rig::start().await;
    rig.server.fail("plan", 0, Deed::LoseAnswer);
    let outcomes = send_over_another_network(&rig).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!((world.count("put"), world.count("append")), (0, 1));
    assert_eq!((world.replans.len(), world.count("upload")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_in_a_row_are_a_reason_to_ask_and_slow_it_down() {
    let rig = Rig::start().await;
    rig.server.world().concurrency = 4;
    for _ in 0..4 {
        rig.server
            .fail("put", 0, Deed::Refuse(503, "SlowDown", None));
    }
    let outcomes = rig
        .uploader(with(on(NetworkKind::Wifi).fixed()))
        .upload(&[rig.file("b.mp4", 30_000)])
        .await
        .unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!(world.replans.len(), 1);
    assert_eq!((world.count("put"), world.repeated_parts), (30 + 4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reason_no_plan_is_asked_for() {
    let rig = Rig::start().await;
    let settings = Settings {
        ask_again_after: Duration::ZERO,
        ..with(on(NetworkKind::Wifi).fixed())
    };
    let paths = [rig.file("b.mp4", 40_000), rig.file("c.mp4", 40_000)];
    let outcomes = rig.uploader(settings).upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(rig.server.world().replans.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_clock_is_wrong_sends_as_any_other() {
    const YEARS: Duration = Duration::from_secs(20 * 365 * 86_400);
    let now = SystemClock.now();
    // By one clock every URL has expired when it comes, and what was measured is from a time to come; by the other none ever does.
    for shown in [now.plus(YEARS), now.minus(YEARS)] {
        let rig = Rig::start().await;
        let paths = [rig.file("a.jpg", 700), rig.file("b.mp4", 4_200)];
        for (clock, sent) in [(shown, 6), (now, 0), (shown, 0)] {
            let uploader = rig.uploader(Settings {
                clock: Arc::new(ManualClock::at(clock)),
                ..Settings::default()
            });
            let before = rig.server.world().count("put");
            let outcomes = uploader.upload(&paths).await.unwrap();
            assert_eq!(failures(&outcomes), [""; 0]);
            assert_eq!(rig.server.world().count("put") - before, sent);
        }
        let world = rig.server.world();
        assert_eq!(world.whole(), ["a.jpg", "b.mp4"]);
        assert_eq!((world.assets.len(), world.repeated_parts), (2, 0));
    }
}
