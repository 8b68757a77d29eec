//! Defaults of sizes, counts and times, each written once.

use std::time::Duration;

/// Assets in one capture.
pub const MAX_ASSETS: usize = 100;
/// Largest body of a JSON request, in bytes.
pub const MAX_JSON_BYTES: usize = 1024 * 1024;
/// What the bodies of all JSON requests under way may hold together, in bytes. As values they take a few times
/// their length.
pub const BODIES_AT_ONCE_BYTES: usize = 32 * 1024 * 1024;
/// Longest time a request may take before it is answered with an error.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Longest that a request may be held back until something changes (`Prefer: wait`): what is left of
/// [`REQUEST_TIME`] is for the answer.
pub const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// Requests of one owner that wait for a change, and open streams of his events, at once at one server.
pub const WAITING_OF_ONE_OWNER: usize = 256;
/// How long events are kept.
pub const EVENT_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Files up to this size go by one presigned PUT.
pub const SINGLE_MAX_BYTES: i64 = 8 * 1024 * 1024;
/// Size of a part; grows only where 10,000 parts would not do.
pub const PART_BYTES: i64 = 8 * 1024 * 1024;
/// Most parts of an upload (S3's limit).
pub const MAX_PARTS: i64 = 10_000;
/// How many part URLs one request may sign.
pub const SIGN_WINDOW: usize = 16;
/// How long a presigned URL lives.
pub const PRESIGNED_URL: Duration = Duration::from_secs(15 * 60);
/// How long after a URL's end bytes may still come: a store asks whether a URL works when a request begins.
pub const LATE_BYTES: Duration = Duration::from_secs(3600);
/// How long a client is silent before the store is asked whether its bytes are there.
pub const QUIET: Duration = Duration::from_secs(60);
/// How long an object without a row is kept, from when it was first found so: longer than backups of the catalog are.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Uploads that one owner may have open at once: more than a phone takes in a long journey.
pub const OPEN_UPLOADS: i64 = 10_000;
/// What those may declare together, in bytes: more than any phone holds (2 TiB).
pub const OPEN_UPLOADS_BYTES: i64 = 2 << 40;
/// How long an upload lives, unless settings shorten it.
pub const UPLOAD: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an idempotency record lives.
pub const IDEMPOTENCY_RECORD: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest idempotency key, in characters (the draft's limit).
pub const MAX_IDEMPOTENCY_KEY: usize = 255;
/// Largest file, in bytes.
pub const MAX_FILE_BYTES: i64 = 10 * 1024 * 1024 * 1024;
/// Largest picture, in pixels: 200 megapixels, as today's largest phone sensors give.
pub const MAX_PIXELS: u64 = 200_000_000;
/// Largest picture of a clip, in pixels: what the highest levels of H.264 and HEVC but those beyond 8K have (6.2, `MaxLumaPs`). To
/// find out what is in a clip some of it has to be decoded, and so much that may take.
pub const MAX_CLIP_PIXELS: u64 = 35_651_584;
/// Most pictures of an animation: of its length in time, more than half an hour of what is passed around as such.
pub const MAX_FRAMES: u32 = 10_000;
/// Longest clip of a motion photo that is made to be played, in seconds. Cameras take up to five.
pub const MAX_MOTION_SECONDS: u64 = 30;
/// Longest clip, in seconds: four hours, more than a phone films at a stretch.
pub const MAX_CLIP_SECONDS: u64 = 4 * 3600;
/// Largest file that is read for what it tells, or cleaned, without being decoded, in bytes: it has to find room in a
/// sandbox's memory, 1 GiB by default. Clips alone are larger.
pub const MAX_READ_BYTES: i64 = 512 * 1024 * 1024;
/// Largest thumbhash preview, in bytes.
pub const MAX_THUMBHASH_BYTES: usize = 64;
/// Longest client reference, in characters.
pub const MAX_CLIENT_REF: usize = 128;
/// Longest title of an asset or album, in characters.
pub const MAX_TITLE: usize = 256;
/// Tags of one asset.
pub const MAX_TAGS: usize = 50;
/// Longest tag, in characters.
pub const MAX_TAG: usize = 64;
/// Assets in one album.
pub const MAX_ALBUM_ASSETS: i64 = 10_000;
/// Assets that one request may add to an album.
pub const MAX_ADDED_AT_ONCE: usize = 100;
/// Rows in a list page by default, and at most.
pub const PAGE: (i64, i64) = (50, 200);
/// Assets that are told to look nearly like one, by default, and at most.
pub const NEAR: (i64, i64) = (50, 100);
/// A delivery URL's expiry is rounded up to this window, so that the same picture keeps its URL.
pub const DELIVERY_WINDOW: Duration = Duration::from_secs(3600);
/// Life of a device token by default, and at most.
pub const DEVICE_TOKEN: (Duration, Duration) =
    (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
/// Webhooks of one tenant.
pub const MAX_WEBHOOKS: usize = 20;
/// Longest URL of a webhook, and longest description, in characters.
pub const MAX_WEBHOOK_TEXT: (usize, usize) = (2_048, 256);
/// Types of events that one webhook may name.
pub const MAX_WEBHOOK_EVENTS: usize = 32;
/// How long a secret of a webhook signs along after another took its place.
pub const OLD_SECRET: Duration = Duration::from_secs(24 * 3600);
/// How long it is kept what became of a delivery.
pub const DELIVERY_RECORD: Duration = Duration::from_secs(7 * 24 * 3600);
/// How much longer than others events are kept that a webhook is still to be sent.
pub const UNDELIVERED: Duration = Duration::from_secs(7 * 24 * 3600);
