//! Smaller copies in place of originals: what is sent, what stays, and what may be deleted.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_client::encode::{Compress, Encode};
use safelight_client::settle::{Held, held};
use safelight_client::uploader::{FileOutcome, Settings, Uploader};

use crate::fake_server::{Deed, World};
use crate::rig::{Rig, failures, wait};

/// Writes the first third of a file; of one whose name says so as much as there is, or nothing, or fails.
#[derive(Default)]
pub struct Thirds(pub AtomicUsize);

impl Encode for Thirds {
    fn encode(
        &self,
        original: &Path,
        copy: &Path,
        advice: &Compress,
    ) -> std::io::Result<Option<String>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert_eq!((advice.quality, advice.max_edge_px), (80, Some(2_048)));
        let name = original.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(original)?;
        if name.starts_with("declined") {
            return Ok(None);
        }
        if name.starts_with("broken") {
            std::fs::write(copy, &bytes[..10])?;
            return Err(std::io::Error::other("it cannot"));
        }
        let length = if name.starts_with("incompressible") {
            bytes.len()
        } else {
            bytes.len() / 3
        };
        std::fs::write(copy, &bytes[..length])?;
        Ok(Some("image/jpeg".to_owned()))
    }
}

pub fn advice() -> Compress {
    Compress {
        format: "image/jpeg".to_owned(),
        quality: 80,
        max_edge_px: Some(2_048),
    }
}

fn rig_that_advises(rig: &Rig) -> (Arc<Thirds>, Arc<Uploader>) {
    rig.server.world().advises = Some(advice());
    let encoder = Arc::new(Thirds::default());
    let uploader = uploader(rig, &encoder);
    (encoder, uploader)
}

fn uploader(rig: &Rig, encoder: &Arc<Thirds>) -> Arc<Uploader> {
    rig.uploader(Settings {
        encode: Some(encoder.clone()),
        ..Settings::default()
    })
}

/// The copies that stand beside the journal.
pub fn left(rig: &Rig) -> usize {
    std::fs::read_dir(rig.dir.path().join("journal.db.copies")).map_or(0, Iterator::count)
}

async fn held_of(rig: &Rig, outcome: &FileOutcome) -> Held {
    let (session, _) = rig.session();
    let asset_id = outcome.asset_id.as_deref().unwrap();
    // It says `processing` the first time.
    let asset = session.asset(asset_id, "original").await.unwrap();
    assert_eq!(held(outcome, &asset), Held::Nothing, "{asset:?}");
    held(outcome, &session.asset(asset_id, "original").await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_sent_where_they_are_smaller_and_originals_stay() {
    let rig = Rig::start().await;
    let (encoder, uploader) = rig_that_advises(&rig);
    let names = [
        "A_BURST001.jpg",
        "A_BURST002.HEIC",
        "broken.jpg",
        "c.mp4",
        "declined.jpg",
        "incompressible.jpg",
    ];
    let paths = names.map(|name| rig.file(name, 6_000));
    let outcomes = uploader.upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(encoder.0.load(Ordering::SeqCst), 5, "all but the clip");
    // What could not be done is told; what was declined is not.
    let told = std::mem::take(&mut *rig.heard.1.lock().unwrap());
    assert_eq!(told, [(paths[2].clone(), "it cannot".to_owned())]);
    for (i, outcome) in outcomes.iter().enumerate() {
        let (sent, expected) = match i {
            0 | 1 => (2_000, Held::Copy),
            _ => (6_000, Held::Original),
        };
        assert_eq!(outcome.sent_bytes, sent, "{outcome:?}");
        let found = held_of(&rig, outcome).await;
        assert_eq!(found, expected, "{outcome:?}");
        assert_eq!(found.is_safe_to_delete(), i > 1);
        assert_eq!(std::fs::metadata(&paths[i]).unwrap().len(), 6_000);
    }
    assert_eq!(left(&rig), 0);
    {
        let world = rig.server.world();
        let whole = ["A_BURST001.jpg", "A_BURST002.jpg", "broken.jpg", "c.mp4"];
        assert_eq!(world.whole()[..4], whole);
        let open = world.uploads.values().filter(|u| u.state == "open");
        assert_eq!(open.count(), 0, "the first ones are aborted");
        // Of a capture that was made anew each says which asset it is that is sent in its place.
        for (i, outcome) in outcomes.iter().enumerate() {
            let query = format!("superseded_by={}", outcome.asset_id.as_ref().unwrap());
            let aborts = world.log.iter().filter(|(kind, _)| kind == "abort");
            let named = aborts.filter(|(_, about)| about.contains(&query)).count();
            assert_eq!(named, usize::from(i < 2), "{outcome:?}");
        }
    }
    // Neither the same nor another journal sends or keeps anything again.
    drop(uploader);
    let puts = rig.server.world().count("put");
    for lost in [false, true] {
        if lost {
            std::fs::remove_file(rig.journal()).unwrap();
        }
        let again = self::uploader(&rig, &encoder).upload(&paths).await.unwrap();
        assert_eq!(failures(&again), [""; 0]);
        assert!(again.iter().all(|o| o.already_there), "{lost}: {again:?}");
        assert_eq!(rig.server.world().count("put"), puts, "{lost}");
        assert_eq!(left(&rig), 0);
    }
}

/// Makes thirds, and notes of what, once two captures were asked for.
struct Noting {
    thirds: Thirds,
    order: Mutex<Vec<String>>,
    asked: AtomicBool,
}

impl Encode for Noting {
    fn encode(
        &self,
        original: &Path,
        copy: &Path,
        advice: &Compress,
    ) -> std::io::Result<Option<String>> {
        while !self.asked.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let name = original.file_name().unwrap().to_string_lossy().into_owned();
        self.order.lock().unwrap().push(name);
        self.thirds.encode(original, copy, advice)
    }
}

/// Whose turn to be sent comes first has all its copies first.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_made_in_the_order_in_which_they_are_needed() {
    let rig = Rig::start().await;
    rig.server.world().advises = Some(advice());
    let encoder = Arc::new(Noting {
        thirds: Thirds::default(),
        order: Mutex::default(),
        asked: AtomicBool::new(false),
    });
    let settings = Settings {
        encode: Some(encoder.clone()),
        ..Settings::default()
    };
    let uploader = rig.uploader(settings);
    let mut paths = Vec::new();
    for (burst, frames) in [("A", 16), ("B", 3)] {
        for i in 1..=frames {
            paths.push(rig.file(&format!("{burst}_BURST{i:03}.jpg"), 600 + paths.len()));
        }
    }
    let running = tokio::spawn({
        let (uploader, paths) = (uploader.clone(), paths.clone());
        async move { uploader.upload(&paths).await.unwrap() }
    });
    rig.asked("initiate", 2).await;
    encoder.asked.store(true, Ordering::SeqCst);
    assert_eq!(failures(&running.await.unwrap()), [""; 0]);
    let order = encoder.order.lock().unwrap().clone();
    let is_first = |name: &&String| name.starts_with("A_");
    // The second may have begun before the first one's answer was noted; from then on the first has every turn.
    let begun = order.iter().position(|name| is_first(&name)).unwrap();
    assert!(
        order[begun..begun + 16].iter().all(|name| is_first(&name)),
        "{order:?}"
    );
    assert_eq!(order.len(), 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_has_is_not_encoded_nor_is_anything_without_advice_or_encoder() {
    let rig = Rig::start().await;
    let paths = [rig.file("a.jpg", 900)];
    let first = rig.upload(&paths).await;
    rig.server.world().advises = Some(advice());
    let more = [rig.file("b.jpg", 900)];
    let second = rig.upload(&more).await;
    std::fs::remove_file(rig.journal()).unwrap();
    let encoder = Arc::new(Thirds::default());
    let both = [&paths[..], &more[..]].concat();
    let again = uploader(&rig, &encoder).upload(&both).await.unwrap();
    assert!(again.iter().all(|o| o.already_there), "{again:?}");
    assert_eq!(again[0].asset_id, first[0].asset_id);
    assert_eq!(again[1].asset_id, second[0].asset_id);
    rig.server.world().advises = None;
    let last = uploader(&rig, &encoder)
        .upload(&[rig.file("c.jpg", 900)])
        .await;
    assert_eq!(last.unwrap()[0].sent_bytes, 900);
    assert_eq!(encoder.0.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_on_the_device_is_not_safe_to_delete() {
    let rig = Rig::start().await;
    let outcomes = rig.upload(&[rig.file("a.jpg", 900)]).await;
    assert_eq!(held_of(&rig, &outcomes[0]).await, Held::Original);
    rig.file("a.jpg", 901);
    let (session, _) = rig.session();
    let asset_id = outcomes[0].asset_id.as_deref().unwrap();
    let asset = session.asset(asset_id, "original").await.unwrap();
    assert_eq!(held(&outcomes[0], &asset), Held::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_copy_goes_on_and_without_it_begins_anew() {
    for is_lost in [false, true] {
        let mut rig = Rig::start().await;
        rig.give_up_after = Duration::ZERO;
        let (encoder, uploader) = rig_that_advises(&rig);
        let paths = [rig.file("a.jpg", 12_000)];
        let broken = Deed::Refuse(500, "internal", None);
        rig.server.fail("put", 2, broken);
        assert_ne!(failures(&uploader.upload(&paths).await.unwrap()), [""; 0]);
        assert_eq!(left(&rig), 1, "it is kept to go on with");
        drop(uploader);
        if is_lost {
            std::fs::remove_dir_all(rig.dir.path().join("journal.db.copies")).unwrap();
        }
        let uploader = self::uploader(&rig, &encoder);
        let outcomes = uploader.upload(&paths).await.unwrap();
        assert_eq!(failures(&outcomes), [""; 0]);
        assert!(is_lost || outcomes[0].sent_bytes < 4_000, "{outcomes:?}");
        let times = if is_lost { 2 } else { 1 };
        assert_eq!(encoder.0.load(Ordering::SeqCst), times);
        assert_eq!(held_of(&rig, &outcomes[0]).await, Held::Copy);
        assert_eq!((left(&rig), rig.server.world().whole().len()), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_of_copies_is_cancelled_by_its_first_name_and_leaves_nothing() {
    let rig = Rig::start().await;
    let (_, uploader) = rig_that_advises(&rig);
    rig.server.fail("put", 1, Deed::Hang);
    let paths: Vec<PathBuf> = vec![rig.file("a.jpg", 12_000)];
    let running = tokio::spawn({
        let (uploader, paths) = (uploader.clone(), paths.clone());
        async move { uploader.upload(&paths).await.unwrap() }
    });
    rig.asked("hang", 1).await;
    let name = uploader.captures().await.unwrap().remove(0).client_ref;
    assert!(!name.contains('.'), "{name}");
    assert!(uploader.cancel(&name).await.unwrap());
    let outcomes = running.await.unwrap();
    assert_eq!(outcomes[0].failure.as_ref().unwrap().code, "cancelled");
    assert_eq!(left(&rig), 0);
    let all = |world: &World| world.uploads.values().all(|u| u.state == "aborted");
    assert!(all(&rig.server.world()));
}

/// A run that is killed when it has begun to send a copy; and the capture's name.
async fn killed_while_sending(rig: &Rig, paths: &[PathBuf]) -> (Arc<Uploader>, String) {
    let (encoder, uploader) = rig_that_advises(rig);
    rig.server.fail("put", 1, Deed::Hang);
    let running = tokio::spawn({
        let (uploader, paths) = (uploader.clone(), paths.to_vec());
        async move { uploader.upload(&paths).await.unwrap() }
    });
    rig.asked("hang", 1).await;
    running.abort();
    let _ = running.await;
    wait(|| Arc::strong_count(&uploader) == 1).await;
    drop(uploader);
    assert_eq!(left(rig), 1, "it is kept to go on with");
    let uploader = self::uploader(rig, &encoder);
    let name = uploader.captures().await.unwrap().remove(0).client_ref;
    (uploader, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_without_another_run_leaves_no_copy() {
    for all in [false, true] {
        let rig = Rig::start().await;
        let paths = [rig.file("a.jpg", 12_000)];
        let (uploader, name) = killed_while_sending(&rig, &paths).await;
        // What was being written when the process was killed stands in no journal.
        let folder = rig.dir.path().join("journal.db.copies");
        std::fs::write(folder.join("00000000000000000000000001"), b"half").unwrap();
        if all {
            assert_eq!(uploader.cancel_all().await.unwrap(), 1);
        } else {
            assert!(uploader.cancel(&name).await.unwrap());
        }
        assert_eq!(left(&rig), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_told_keeps_no_copy_here() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = [rig.file("a.jpg", 12_000)];
    let (uploader, name) = killed_while_sending(&rig, &paths).await;
    rig.server
        .fail("abort", 0, Deed::Refuse(503, "overloaded", None));
    uploader.cancel(&name).await.unwrap_err();
    assert_eq!(left(&rig), 0);
    // It stays given up, and the next run tells the server.
    let puts = rig.server.world().count("put");
    let outcomes = uploader.upload(&paths).await.unwrap();
    assert_eq!(outcomes[0].failure.as_ref().unwrap().code, "cancelled");
    let world = rig.server.world();
    assert!(world.uploads.values().all(|u| u.state == "aborted"));
    assert_eq!(world.count("put"), puts, "nothing is sent");
}
