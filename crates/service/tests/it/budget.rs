//! The memory that decoders may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use safelight_imaging::{Limits, header};
use safelight_model::preset::ALL;
use safelight_service::processing::sandbox::{KEPT_BYTES, Sandbox, SandboxSettings, expected_of};

use crate::sandbox::{file, picture, render_good, settings_of, task};

const MIB: u64 = 1024 * 1024;

fn pool(processes: usize, budget_bytes: u64) -> Sandbox {
    Sandbox::start(SandboxSettings {
        processes,
        budget_bytes,
        wall_clock: Duration::from_secs(120),
        ..settings_of("sandbox::child_serves_all")
    })
    .unwrap()
}

#[tokio::test]
async fn no_more_is_taken_than_was_expected() {
    // A child of its own for each, since the most it ever held is told.
    for bytes in [
        picture(4000, 3000),
        picture(9000, 7000),
        include_bytes!("grid_48mp.heic").to_vec(),
    ] {
        let found = header(&bytes, &Limits::default()).unwrap();
        let expected = expected_of(&found, bytes.len() as u64);
        let sandbox = pool(1, u64::MAX);
        let reply = sandbox.render(file(&bytes), task(&ALL)).await.unwrap();
        sandbox.shutdown().await;
        let taken = reply.max_rss_bytes;
        println!(
            "{:?} {}x{}: {} MiB of {} MiB",
            found.media,
            found.width,
            found.height,
            taken / MIB,
            expected / MIB
        );
        assert!(taken <= expected, "{taken} of {expected}");
    }
}

#[tokio::test]
async fn large_pictures_wait_for_memory_and_others_do_not() {
    let large = picture(9000, 7000);
    // Room for one that is large: 63 megapixels take more than a child may keep.
    let processes = 3;
    let sandbox = pool(processes, KEPT_BYTES * processes as u64 + 200 * MIB);
    let mut renders = Vec::new();
    for _ in 0..2 {
        let (sandbox, original) = (sandbox.clone(), file(&large));
        renders.push(tokio::spawn(async move {
            sandbox.render(original, task(&ALL)).await.unwrap()
        }));
    }
    render_good(&sandbox).await.unwrap();
    for render in renders {
        assert_eq!(render.await.unwrap().width, 9000);
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn one_larger_than_the_budget_is_decoded_all_the_same() {
    let sandbox = pool(1, KEPT_BYTES);
    let reply = sandbox.render(file(&picture(9000, 7000)), task(&ALL)).await;
    assert_eq!(reply.unwrap().width, 9000);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn processor_time_is_added_up_whatever_comes_of_it() {
    let sandbox = pool(1, u64::MAX);
    let cpu_us = Arc::new(AtomicU64::new(0));
    let metered = sandbox.serving("ten_1", cpu_us.clone());
    let reply = render_good(&metered).await.unwrap();
    assert!(reply.cpu_us > 0);
    assert_eq!(cpu_us.load(Ordering::SeqCst), reply.cpu_us);
    // What the pool itself was asked for is not this one's.
    render_good(&sandbox).await.unwrap();
    assert_eq!(cpu_us.load(Ordering::SeqCst), reply.cpu_us);
    let mut cut_off = picture(4000, 3000);
    cut_off.truncate(cut_off.len() / 2);
    metered
        .render(file(&cut_off), task(&ALL))
        .await
        .unwrap_err();
    assert!(cpu_us.load(Ordering::SeqCst) > reply.cpu_us);
    sandbox.shutdown().await;
}
