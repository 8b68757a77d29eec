//! What a file may be at most: pixels, pictures, bytes and length in time, by tenant; and what it took to decode it.

use safelight_testkit::camera;

use crate::http_rig::{Database, Rig, capture, number, on_both_databases, photo};

on_both_databases!(
    a_tenant_may_have_limits_of_its_own,
    what_a_limit_refused_is_looked_at_anew_when_it_is_sent_again,
    a_tenants_files_have_its_size,
    what_decoding_took_is_kept_with_the_blob,
    a_tenant_that_there_is_none_of_is_named,
);

/// The tenant of every rig.
const TENANT: &str = "ten_00000000000000000000000000";

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [kind, &length.to_le_bytes()[..], content].concat()
}

/// An animation of so many pictures of nothing.
fn animation(frames: usize) -> Vec<u8> {
    let canvas = [2, 0, 0, 0, 7, 0, 0, 7, 0, 0];
    let mut chunks = [chunk(b"VP8X", &canvas), chunk(b"ANIM", &[0; 6])].concat();
    for _ in 0..frames {
        chunks.extend(chunk(b"ANMF", &[0; 16]));
    }
    chunk(b"RIFF", &[b"WEBP", &chunks[..]].concat())
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes()[..], kind, content].concat()
}

/// A clip that says that it runs for so long.
fn clip(seconds: u32) -> Vec<u8> {
    let header = [0, 0, 0, 1, seconds].map(u32::to_be_bytes).concat();
    let header = boxed(b"mvhd", &[&header[..], &[0; 80]].concat());
    let kind = boxed(b"ftyp", b"isom\0\0\0\0mp41");
    [kind, boxed(b"moov", &header)].concat()
}

async fn a_tenant_may_have_limits_of_its_own(database: Database) {
    let picture = camera::flat(1200, 1000, [90, 20, 20]);
    for (setting, less, enough, file, code) in [
        (
            "--max-pixels",
            1_000_000,
            2_000_000,
            &picture,
            "pixel_limit_exceeded",
        ),
        ("--max-frames", 2, 3, &animation(3), "frame_limit_exceeded"),
        (
            "--max-clip-seconds",
            60,
            61,
            &clip(61),
            "duration_limit_exceeded",
        ),
    ] {
        for (own, others) in [(less, enough), (enough, less)] {
            let limits = format!("{others},{TENANT}={own}");
            let rig = Rig::start(database, &[setting, &limits]).await;
            let ann = rig.owner("ann");
            let asset_id = ann.upload(file).await;
            let settled = ann.settled(&asset_id).await;
            let is_refused = settled["reason"]["code"] == code;
            assert_eq!(is_refused, own == less, "{limits}: {settled}");
            assert_eq!(ann.original(&asset_id).await, *file, "it is kept");
        }
    }
}

async fn what_a_limit_refused_is_looked_at_anew_when_it_is_sent_again(database: Database) {
    let picture = camera::flat(1200, 1000, [90, 20, 20]);
    let mut rig = Rig::start(database, &[]).await;
    crate::http_presets::restart_with(&mut rig, "max_pixels = 1000000\n").await;
    let ann = rig.owner("ann");
    let first = ann.upload(&picture).await;
    let settled = ann.settled(&first).await;
    assert_eq!(settled["reason"]["code"], "pixel_limit_exceeded");
    crate::http_presets::restart_with(&mut rig, "max_pixels = 2000000\n").await;
    // It is asked for again, whatever the client says that it is.
    let second = rig.owner("ann").upload(&picture).await;
    assert_eq!(rig.owner("ann").ready(&second).await["state"], "ready");
}

async fn a_tenants_files_have_its_size(database: Database) {
    let file = photo(1);
    for (own, others, is_taken) in [
        (file.len() - 1, file.len(), false),
        (file.len(), file.len() - 1, true),
    ] {
        let limits = format!("{others},{TENANT}={own}");
        let rig = Rig::start(database, &["--max-file-bytes", &limits]).await;
        let answer = rig
            .owner("ann")
            .post("/v1/captures", &capture(&[&file]))
            .await;
        if is_taken {
            answer.expect(201);
        } else {
            answer.problem(413, "byte_limit_exceeded");
        }
    }
}

async fn what_decoding_took_is_kept_with_the_blob(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    ann.ready(&ann.upload(&photo(1)).await).await;
    let took = number(&rig.catalog().await, "SELECT MIN(cpu_us) FROM blobs").await;
    // A photo takes some milliseconds, and never a minute.
    assert!((1000..60_000_000).contains(&took), "{took}");
}

async fn a_tenant_that_there_is_none_of_is_named(database: Database) {
    let limits = format!("200000000,ten_typo=5,{TENANT}=300000000");
    let rig = Rig::start(database, &["--max-pixels", &limits]).await;
    let log = rig.server.log();
    let told: Vec<&str> = log
        .lines()
        .filter(|l| l.contains("WARN") && l.contains("max_pixels"))
        .collect();
    assert!(told.len() == 1 && told[0].contains("ten_typo"), "{log}");
}
