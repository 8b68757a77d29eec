//! Against foreign stores: what each can do, as its probe finds it, and that it conforms so far.
//!
//! `make test-stores` builds the stores and runs these.

use safelight_objects::ChecksumAlgorithm::{self, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use safelight_objects::{
    BucketRule, Capabilities, Checksums, DuplicateComplete, Lifecycle, Objects, StoreSettings,
    Support, Treatment,
};
use safelight_testkit::stores::{BUCKET, Kind, REGION, Store};

use crate::canned::settings;
use crate::capabilities::probe;
use crate::suite::suite;

fn connection(store: &Store) -> StoreSettings {
    StoreSettings {
        region: REGION.to_owned(),
        bucket: BUCKET.to_owned(),
        access_key: store.access().key.to_owned(),
        secret_key: store.access().secret.to_owned(),
        ..settings(&store.endpoint())
    }
}

/// Probes the store, compares with what is known of it, and runs the suite by what was found.
async fn conforms(kind: Kind, expected: &Capabilities) {
    let store = Store::start(kind).await.unwrap();
    let unprobed = Objects::connect(connection(&store), Capabilities::unprobed()).unwrap();
    let probed = probe(&unprobed).await.unwrap();
    assert_eq!(probed.left_behind, Vec::<String>::new());
    assert_eq!(unprobed.list("x/", None, 10).await.unwrap().objects, []);
    assert_eq!(&probed.capabilities, expected);
    suite(&Objects::connect(connection(&store), probed.capabilities).unwrap()).await;
    // What is not known of a store is not relied on, and it works all the same.
    suite(&unprobed).await;
}

const ALL: [ChecksumAlgorithm; 5] = [Crc32, Crc32c, Crc64Nvme, Sha1, Sha256];
const COMPOSITE: [ChecksumAlgorithm; 4] = [Crc32, Crc32c, Sha1, Sha256];
const FULL_OBJECT: [ChecksumAlgorithm; 3] = [Crc32, Crc32c, Crc64Nvme];

fn every(algorithms: &[ChecksumAlgorithm], treatment: Treatment) -> Checksums {
    algorithms.iter().map(|of| (*of, treatment)).collect()
}

/// Garage 2.5.0.
fn garage() -> Capabilities {
    Capabilities {
        signed_length: Treatment::Enforced,
        put_checksums: every(&ALL, Treatment::Enforced),
        composite_checksums: every(&COMPOSITE, Treatment::Enforced),
        full_object_checksums: every(&FULL_OBJECT, Treatment::Enforced),
        listed_sha256: Support::Yes,
        repeat_keeps_etag: Support::Yes,
        put_if_none_match: Treatment::Ignored,
        put_if_match: Treatment::Ignored,
        complete_if_none_match: Treatment::Ignored,
        get_if_match: Treatment::Enforced,
        min_part_bytes: 1,
        equal_parts: false,
        duplicate_complete: DuplicateComplete::NoSuchUpload,
        copy: Support::Yes,
        tagging: Support::No,
        notifications: Support::No,
        cors: BucketRule::Unset,
        lifecycle: Lifecycle {
            abort_incomplete: BucketRule::Unset,
            ..Lifecycle::default()
        },
    }
}

/// The Versity S3 Gateway 1.8.0, over a file system.
fn versitygw() -> Capabilities {
    Capabilities {
        signed_length: Treatment::Enforced,
        put_checksums: every(&ALL, Treatment::Enforced),
        composite_checksums: every(&COMPOSITE, Treatment::Enforced),
        full_object_checksums: every(&FULL_OBJECT, Treatment::Enforced),
        listed_sha256: Support::Yes,
        repeat_keeps_etag: Support::Yes,
        put_if_none_match: Treatment::Enforced,
        put_if_match: Treatment::Enforced,
        complete_if_none_match: Treatment::Enforced,
        get_if_match: Treatment::Enforced,
        min_part_bytes: 5 << 20,
        equal_parts: false,
        duplicate_complete: DuplicateComplete::Succeeds,
        copy: Support::Yes,
        tagging: Support::Yes,
        notifications: Support::No,
        cors: BucketRule::Unset,
        lifecycle: Lifecycle {
            abort_incomplete: BucketRule::Unsupported,
            ..Lifecycle::default()
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Garage: make test-stores"]
async fn the_client_works_on_garage() {
    conforms(Kind::Garage, &garage()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Versity S3 Gateway: make test-stores"]
async fn the_client_works_on_versitygw() {
    conforms(Kind::Versitygw, &versitygw()).await;
}
