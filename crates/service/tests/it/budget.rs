//! The memory that decoders may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use safelight_imaging::{Limits, header};
use safelight_model::codes::Code;
use safelight_model::per_tenant::PerTenant;
use safelight_model::preset::{ALL, LARGE};
use safelight_service::processing::sandbox::{
    KEPT_BYTES, Pace, Sandbox, SandboxSettings, expected_of,
};

use crate::sandbox::{
    bad_task, be_busy, children, file, is_busy, moody, picture, render_good, settings_of, task,
    wait_until,
};

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
    let processes = 2;
    let sandbox = Sandbox::start(SandboxSettings {
        processes,
        budget_bytes: KEPT_BYTES * processes as u64 + 200 * MIB,
        wall_clock: Duration::from_secs(120),
        ..settings_of("budget::child_holds_on")
    })
    .unwrap();
    // One has its share for as long as its child is at it.
    let held = {
        let (sandbox, original) = (sandbox.clone(), file(&large));
        tokio::spawn(async move { sandbox.render(original, bad_task()).await.err() })
    };
    wait_until(|| children("budget::child_holds_on").into_iter().any(is_busy)).await;
    // There is a child for the second, but no memory. If it were given it, the small ones would have none.
    let mut second = Box::pin(sandbox.render(file(&large), task(&ALL)));
    let small = async {
        for _ in 0..20 {
            render_good(&sandbox).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = &mut second => panic!("it did not wait"),
        () = small => {}
    }
    held.abort();
    assert_eq!(second.await.unwrap().width, 9000);
    sandbox.shutdown().await;
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_holds_on() {
    moody(|_| be_busy());
}

#[tokio::test]
async fn a_tenants_children_have_its_memory() {
    let small = 40 * MIB;
    let sandbox = Sandbox::start(SandboxSettings {
        processes: 2,
        spares: 1,
        memory_of_tenants: PerTenant {
            of_tenants: [("ten_small".to_owned(), small)].into(),
            ..PerTenant::all(u64::MAX)
        },
        ..settings_of("sandbox::child_serves_all")
    })
    .unwrap();
    let bytes = picture(7000, 7000);
    for (tenant, fits) in [("ten_1", true), ("ten_small", false), ("ten_1", true)] {
        let own = sandbox.serving(tenant, Pace::Brisk, Arc::default());
        match own.render(file(&bytes), task(&[LARGE])).await {
            Ok(reply) => assert!(fits, "{reply:?}"),
            Err(error) => {
                assert!(!fits, "{error}");
                assert_eq!(error.code(), Code::DecodeMemory, "{error}");
            }
        }
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
    let metered = sandbox.serving("ten_1", Pace::Brisk, cpu_us.clone());
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
