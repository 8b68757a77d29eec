//! What is sent, in which order, and what is not sent again.

use safelight_client::uploader::Settings;
use safelight_model::duplicates::Duplicates;

use crate::fake_server::Deed;
use crate::rig::{Rig, failures, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_a_photo_and_a_clip_arrive_whole_the_key_frame_first() {
    let rig = Rig::start().await;
    let paths = [
        rig.file("A_BURST001.jpg", 900),
        rig.file("A_BURST002.jpg", 7_500),
        rig.file("A_BURST003_COVER.jpg", 1_500),
        rig.file("b.jpg", 2_000),
        rig.file("c.mp4", 20_001),
    ];
    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let order: Vec<_> = outcomes.iter().map(|o| o.path.clone()).collect();
    assert_eq!(order, paths);
    let roles: Vec<_> = outcomes.iter().filter_map(|o| o.role.as_deref()).collect();
    assert_eq!(roles, ["frame", "frame", "key", "still", "clip"]);
    let sent: i64 = outcomes.iter().map(|o| o.sent_bytes).sum();
    assert_eq!(sent, 900 + 7_500 + 1_500 + 2_000 + 20_001);

    let world = rig.server.world();
    assert_eq!(world.whole().len(), 5);
    assert_eq!((world.captures.len(), world.count("initiate")), (3, 3));
    assert_eq!((world.count("complete"), world.count("token")), (5, 1));
    assert_eq!(world.count("put"), 1 + 8 + 1 + 1 + 21);
    assert_eq!(
        world.count("upload"),
        0,
        "a first run need not ask what arrived"
    );
    // 8 parts and 21 parts in windows of twice the concurrency of 3.
    assert_eq!(world.count("sign"), 2 + 4);
    let first_put = world.log.iter().find(|(kind, _)| kind == "put").unwrap();
    let cover = outcomes[2].asset_id.as_deref();
    let upload = world
        .uploads
        .iter()
        .find(|(_, u)| Some(u.asset_id.as_str()) == cover);
    assert!(first_put.1.contains(upload.unwrap().0), "{}", first_put.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_again_sends_nothing_with_or_without_the_journal() {
    let rig = Rig::start().await;
    let paths = [rig.file("a.jpg", 900), rig.file("b.jpg", 9_000)];
    let first = rig.upload(&paths).await;
    let puts = rig.server.world().count("put");
    for lost in [false, true] {
        if lost {
            std::fs::remove_file(rig.journal()).unwrap();
        }
        let again = rig.upload(&paths).await;
        assert_eq!(failures(&again), [""; 0]);
        assert!(again.iter().all(|o| o.already_there && o.sent_bytes == 0));
        let ids = |o: &[_]| -> Vec<_> {
            let outcomes = o
                .iter()
                .map(|o: &safelight_client::uploader::FileOutcome| o.asset_id.clone());
            outcomes.collect()
        };
        assert_eq!(ids(&again), ids(&first), "journal lost: {lost}");
    }
    let world = rig.server.world();
    assert_eq!((world.count("put"), world.assets.len()), (puts, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_becomes_an_asset_of_its_own_where_that_is_wanted_and_once() {
    let rig = Rig::start().await;
    let (a, b) = (rig.file("a.jpg", 900), rig.dir.path().join("b.jpg"));
    std::fs::copy(&a, &b).unwrap();
    let b = std::fs::canonicalize(b).unwrap();
    let first = rig.upload(&[a]).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let settings = Settings {
            duplicates: Duplicates::Keep,
            ..Settings::default()
        };
        let outcomes = rig
            .uploader(settings)
            .upload(std::slice::from_ref(&b))
            .await;
        let outcomes = outcomes.unwrap();
        assert_eq!(failures(&outcomes), [""; 0]);
        assert!(outcomes[0].already_there && outcomes[0].sent_bytes == 0);
        kept.push(outcomes[0].asset_id.clone());
    }
    assert_eq!(kept[0], kept[1], "the journal knows it");
    assert_ne!(kept[0], first[0].asset_id);
    let world = rig.server.world();
    assert_eq!((world.assets.len(), world.count("put")), (2, 1));
    let said = |place: usize| {
        let mut asked = world.log.iter().filter(|(kind, _)| kind == "initiate");
        asked
            .nth(place)
            .unwrap()
            .1
            .contains("\"duplicates\":\"keep\"")
    };
    assert!(!said(0) && said(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_sends_only_what_is_missing() {
    let mut rig = Rig::start().await;
    let paths = [rig.file("clip.mp4", 10_000)];
    rig.give_up_after = std::time::Duration::ZERO;
    rig.server
        .fail("put", 4, Deed::Refuse(500, "internal", None));
    let outcomes = rig.upload(&paths).await;
    assert_eq!(
        outcomes[0].failure.as_ref().unwrap().code,
        "store_unavailable"
    );
    let held: usize = rig
        .server
        .world()
        .uploads
        .values()
        .map(|u| u.parts.len())
        .sum();
    assert!((4..10).contains(&held), "{held}");

    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(outcomes[0].sent_bytes, (10 - held as i64) * 1_000);
    let world = rig.server.world();
    assert_eq!(
        (
            world.repeated_parts,
            world.captures.len(),
            world.whole().len()
        ),
        (0, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_is_not_sent_silently() {
    let mut rig = Rig::start().await;
    rig.give_up_after = std::time::Duration::ZERO;
    let paths = [rig.file("a.jpg", 1_000), rig.file("b.jpg", 1_000)];
    rig.server
        .fail("put", 0, Deed::Refuse(500, "internal", None));
    rig.server
        .fail("put", 0, Deed::Refuse(500, "internal", None));
    rig.upload(&paths).await;
    assert_eq!(rig.server.world().whole().len(), 0);

    write(&paths[0], "other", 1_001);
    let outcomes = rig.upload(&paths).await;
    assert_eq!(outcomes[0].failure.as_ref().unwrap().code, "file_changed");
    assert!(outcomes[1].failure.is_none());
    assert_eq!(rig.server.world().whole(), ["b.jpg"]);

    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(rig.server.world().whole(), ["a.jpg", "b.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_on_the_way_is_not_completed() {
    let rig = Rig::start().await;
    let path = rig.file("clip.mp4", 5_000);
    let there = path.clone();
    let change = move |_: &mut _| write(&there, "other", 5_000 + 1);
    rig.server.fail("put", 2, Deed::Before(Box::new(change)));
    let outcomes = rig.upload(&[path]).await;
    assert_eq!(outcomes[0].failure.as_ref().unwrap().code, "file_changed");
    let world = rig.server.world();
    assert_eq!((world.count("complete"), world.whole().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_does_not_hold_up_the_rest() {
    let rig = Rig::start().await;
    let paths = [
        rig.dir.path().join("absent.jpg"),
        rig.file("empty.jpg", 0),
        rig.file("good.jpg", 10),
        rig.dir.path().to_owned(),
    ];
    let outcomes = rig.upload(&paths).await;
    let codes: Vec<_> = outcomes
        .iter()
        .map(|o| o.failure.as_ref().map_or("", |f| f.code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            "file_unreadable",
            "validation_failed",
            "",
            "file_unreadable"
        ]
    );
    assert_eq!(rig.server.world().whole(), ["good.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_lost_in_the_midst_costs_no_byte_and_no_second_asset() {
    let mut rig = Rig::start().await;
    let paths = [
        rig.file("A_BURST001.jpg", 4_000),
        rig.file("A_BURST002.jpg", 6_000),
        rig.file("clip.mp4", 10_000),
    ];
    rig.give_up_after = std::time::Duration::ZERO;
    for _ in 0..3 {
        let broken = Deed::Refuse(500, "internal", None);
        rig.server.fail("put", 3, broken);
    }
    rig.upload(&paths).await;
    let (held, open) = {
        let world = rig.server.world();
        let held: usize = world.uploads.values().map(|u| u.parts.len()).sum();
        let open = world.uploads.values().filter(|u| u.state == "open").count();
        (held, open)
    };
    assert!(held > 0 && open > 0, "{held} {open}");
    let before = rig.server.world().assets.len();
    std::fs::remove_file(rig.journal()).unwrap();
    let outcomes = rig.upload(&paths).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!(world.repeated_parts, 0);
    assert_eq!((world.assets.len(), before), (3, 3));
    assert_eq!(world.whole().len(), 3);
}
