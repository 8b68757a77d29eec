//! Probes: what they find out about stores that differ, and that they leave nothing.

use safelight_model::clock::SystemClock;
use safelight_model::entropy::{Entropy, SeededEntropy};
use safelight_objects::{
    BucketRule, Capabilities, ChecksumAlgorithm, DuplicateComplete, Objects, ProbeError, Probed,
    StoreErrorKind, Support, Treatment, Verdict,
};

use crate::canned::{Canned, answer, error_body};
use crate::embedded::Embedded;
use crate::odd_store::{OddStore, Oddities};

/// A probe with random keys.
pub async fn probe(objects: &Objects) -> Result<Probed, ProbeError> {
    objects
        .probe_capabilities(&SystemClock, &chance(), &|| false)
        .await
}

fn chance() -> impl Entropy {
    use safelight_model::clock::Clock;
    SeededEntropy::new(SystemClock.now().0.unsigned_abs())
}

async fn found(store: &OddStore) -> Capabilities {
    let probed = probe(&store.objects(Capabilities::unprobed())).await;
    let probed = probed.unwrap();
    assert_eq!(probed.left_behind, Vec::<String>::new());
    assert_eq!(store.holds(), (0, 0), "the probe leaves nothing");
    probed.capabilities
}

fn wrong(store: &Capabilities) -> Vec<&'static str> {
    let all = store.assess().into_iter();
    all.filter(|a| a.verdict == Verdict::Wrong)
        .map(|a| a.capability)
        .collect()
}

#[tokio::test]
async fn the_embedded_store_can_do_what_is_said_of_it() {
    let store = Embedded::start_with_defaults().await;
    let objects = store.objects();
    let probed = probe(&objects).await.unwrap();
    assert_eq!(probed.capabilities, Capabilities::embedded());
    assert_eq!(probed.left_behind, Vec::<String>::new());
    let left = objects.list("x/", None, 10).await.unwrap();
    assert_eq!(left.objects, []);
    store.stop().await;
}

#[tokio::test]
async fn a_least_part_size_is_found() {
    let store = Embedded::start().await;
    let probed = probe(&store.objects()).await.unwrap();
    assert_eq!(probed.capabilities.min_part_bytes, 5 << 20);
    assert!(!probed.capabilities.equal_parts);
    store.stop().await;
}

#[tokio::test]
async fn a_store_that_believes_everything_is_seen_through() {
    let store = OddStore::start(Oddities::default()).await;
    let found = found(&store).await;
    assert_eq!(found.signed_length, Treatment::Ignored);
    assert_eq!(found.put_if_none_match, Treatment::Ignored);
    assert_eq!(found.put_if_match, Treatment::Ignored);
    assert_eq!(found.complete_if_none_match, Treatment::Ignored);
    assert_eq!(found.get_if_match, Treatment::Ignored);
    for sums in [
        &found.put_checksums,
        &found.composite_checksums,
        &found.full_object_checksums,
    ] {
        assert!(sums.values().all(|of| *of == Treatment::Ignored));
    }
    assert_eq!(found.put_checksums.len(), 5);
    assert_eq!(found.listed_sha256, Support::No);
    assert_eq!((found.min_part_bytes, found.equal_parts), (1, false));
    assert_eq!(found.duplicate_complete, DuplicateComplete::NoSuchUpload);
    assert_eq!(found.repeat_keeps_etag, Support::Yes);
    assert_eq!(
        (found.copy, found.tagging, found.notifications),
        (Support::No, Support::No, Support::No)
    );
    assert_eq!(found.cors, BucketRule::Unsupported);
    assert_eq!(wrong(&found), ["signed length"]);
    // Nothing is asked of it that it would only pretend to do.
    assert!(!found.binds_put_sha256() && !found.binds_part_sha256());
    assert!(!found.writes_once(false) && found.own_put_checksum().is_none());
}

#[tokio::test]
async fn a_store_that_wants_equal_parts_is_found_out() {
    let store = OddStore::start(Oddities {
        min_part_bytes: 5 << 20,
        equal_parts: true,
        duplicate_succeeds: true,
        ..Oddities::default()
    })
    .await;
    let found = found(&store).await;
    assert_eq!((found.min_part_bytes, found.equal_parts), (5 << 20, true));
    assert_eq!(found.duplicate_complete, DuplicateComplete::Succeeds);
}

#[tokio::test]
async fn a_larger_least_part_is_found() {
    let store = OddStore::start(Oddities {
        min_part_bytes: 12 << 20,
        ..Oddities::default()
    })
    .await;
    assert_eq!(found(&store).await.min_part_bytes, 16 << 20);
}

#[tokio::test]
async fn a_store_that_refuses_checksums_gets_none() {
    let store = OddStore::start(Oddities {
        refuses_checksums: true,
        etags_are_fresh: true,
        hides_rules: true,
        ..Oddities::default()
    })
    .await;
    let found = found(&store).await;
    let sha256 = found.put_checksums[&ChecksumAlgorithm::Sha256];
    assert_eq!(sha256, Treatment::Refused);
    assert!(!found.binds_put_sha256() && !found.binds_part_sha256());
    // Without the checksum the ETag of a repetition is not known; it is not relied on.
    assert_eq!(found.repeat_keeps_etag, Support::Unknown);
    assert_eq!(found.cors, BucketRule::Unknown);
    assert_eq!(found.lifecycle.abort_incomplete, BucketRule::Unknown);
    assert_eq!(found.notifications, Support::Unknown);
}

#[tokio::test]
async fn a_store_that_a_repetition_damages_is_wrong() {
    let store = OddStore::start(Oddities {
        duplicate_damages: true,
        etags_are_fresh: true,
        ..Oddities::default()
    })
    .await;
    let found = found(&store).await;
    assert_eq!(found.duplicate_complete, DuplicateComplete::Damages);
    assert_eq!(found.repeat_keeps_etag, Support::No);
    assert_eq!(wrong(&found), ["signed length", "duplicate Complete"]);
}

#[tokio::test]
async fn a_probe_that_breaks_off_leaves_nothing() {
    let whole = OddStore::start(Oddities::default()).await;
    found(&whole).await;
    // At every so many requests, one failure that outlasts the retries of one operation.
    for fails_after in (1..whole.requests()).step_by(7) {
        let store = OddStore::start(Oddities {
            fails_after,
            recovers_after: 3,
            ..Oddities::default()
        })
        .await;
        match probe(&store.objects(Capabilities::unprobed())).await {
            // It failed while it cleaned up: what is still there is named.
            Ok(probed) => {
                let (objects, uploads) = store.holds();
                assert!(objects + uploads <= probed.left_behind.len());
                assert_eq!(probed.left_behind.len(), 1, "after {fails_after}");
            }
            Err(error) => {
                assert_eq!(error.left_behind, Vec::<String>::new(), "{error}");
                assert_eq!(store.holds(), (0, 0), "after {fails_after}");
            }
        }
    }
}

#[tokio::test]
async fn an_interrupted_probe_leaves_nothing() {
    let store = OddStore::start(Oddities::default()).await;
    let objects = store.objects(Capabilities::unprobed());
    for requests in [0, 1, 10, 40, 60] {
        let enough = store.requests() + requests;
        let error = objects
            .probe_capabilities(&SystemClock, &chance(), &|| store.requests() >= enough)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("interrupted"), "{error}");
        assert_eq!(error.left_behind, Vec::<String>::new());
        assert_eq!(store.holds(), (0, 0));
    }
}

#[tokio::test]
async fn what_nothing_works_without_ends_a_probe() {
    let refusing = Canned::start(vec![
        answer("200 OK", "", ""),
        answer("403 Forbidden", "", &error_body("AccessDenied")),
    ])
    .await;
    let error = probe(&refusing.objects()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a presigned PUT: 403 AccessDenied"),
        "{error}"
    );
    // It cannot even remove what it may have stored, and says so.
    assert_eq!(error.left_behind.len(), 1);
    assert!(error.left_behind[0].contains("x/probe/"));

    let lost = Canned::start(vec![answer("404 Not Found", "", "")]).await;
    let error = probe(&lost.objects()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let source = source.to_string();
    assert!(
        source.contains(&format!("{:?}", StoreErrorKind::NoBucket)),
        "{source}"
    );
    assert_eq!(error.left_behind, Vec::<String>::new());
}
