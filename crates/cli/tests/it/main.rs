//! Tests of the whole: of the code's structure, and of the binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in the functions it calls"
)]

mod arrows;
mod backfill;
mod chaos;
mod cut_links;
mod damage;
mod deletion_faults;
mod deletion_kill;
mod doctor;
mod embedded_store;
mod error_pages;
mod event_stream;
mod http_albums;
mod http_at_hand;
mod http_best_frames;
mod http_classes;
mod http_cleaned;
mod http_clip_bounds;
mod http_clips;
mod http_deleted_captures;
mod http_deletion;
mod http_delivery;
mod http_duplicates;
mod http_events;
mod http_file_metadata;
mod http_formats;
mod http_hls;
mod http_idempotency;
mod http_keys;
mod http_lists;
mod http_live;
mod http_media_limits;
mod http_metadata;
mod http_motion;
mod http_near;
mod http_open_limit;
mod http_owners;
mod http_pages;
mod http_plans;
mod http_presets;
mod http_problems;
mod http_profile;
mod http_rig;
mod http_twins;
mod http_unhashed;
mod http_uploads;
mod http_waiting;
mod in_process;
mod interleavings;
mod kill;
mod media;
mod open_sandbox;
mod previews;
mod rufh;
mod serve;
mod silent_appends;
mod silent_clients;
mod stale_lists;
mod store_events;
mod stores;
mod strangers;
mod sweep;
mod sweep_clocks;
mod sweep_copies;
mod sweep_doubts;
mod sweep_faults;
mod sweep_marks;
mod tus;
mod upload;
mod webhooks;
mod wire;

#[path = "../../../client/tests/it/fake_server.rs"]
mod fake_server;

#[path = "../../../objects/tests/it/canned.rs"]
#[allow(dead_code, reason = "the other tests of it are where it is from")]
mod canned;
#[path = "../../../objects/tests/it/odd_store.rs"]
#[allow(dead_code, reason = "the other tests of it are where it is from")]
mod odd_store;
