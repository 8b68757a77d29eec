//! What code inside of a child cannot do, however much of the child it has taken over.
//!
//! As in `sandbox`, children are this program again. What they try stands in lists here: the task's
//! `max_pixels` tells them which one.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use safelight_imaging::Limits;
use safelight_model::codes::Code;
use safelight_model::preset::ALL;
use safelight_service::processing::sandbox::{
    Confinement, Landlock, RenderTask, Sandbox, SandboxError, SandboxSettings, Seccomp,
};
use safelight_testkit::media;
use safelight_testkit::older_kernel::{LANDLOCK, SECCOMP, run_without};

use super::attempts::{BEHIND_LANDLOCK, DEADLY, Outcome, REFUSED, abstract_name};
use super::sandbox::{bad_task, file, moody, picture, render_good, settings_of, task};

/// A task at which the child makes the attempt of this number.
fn attempt(number: usize) -> RenderTask {
    RenderTask {
        limits: Limits {
            max_pixels: number as u64,
            ..Limits::default()
        },
        ..bad_task()
    }
}

/// The number in a task's JSON.
fn number_of(task: &[u8]) -> usize {
    let task: serde_json::Value = serde_json::from_slice(task).unwrap();
    usize::try_from(task["limits"]["max_pixels"].as_u64().unwrap()).unwrap()
}

async fn make_attempt(sandbox: &Sandbox, number: usize) -> SandboxError {
    let picture = file(&picture(40, 30));
    sandbox.render(picture, attempt(number)).await.unwrap_err()
}

#[tokio::test]
async fn whatever_reaches_out_kills_the_child_and_fails_one_task() {
    let sandbox = Sandbox::start(SandboxSettings {
        // Children look at their first task only.
        tasks_per_process: 1,
        ..settings_of("confinement::child_breaks_out")
    })
    .unwrap();
    assert_eq!(
        sandbox.confinement().await.unwrap().seccomp,
        Seccomp::Filtered
    );
    for (number, (name, _)) in DEADLY.iter().enumerate() {
        let error = make_attempt(&sandbox, number).await;
        assert!(matches!(error, SandboxError::Forbidden), "{name}: {error}");
        assert_eq!(error.code(), Code::DecodeCrashed, "{name}");
        assert!(!error.retryable(), "{name}");
        render_good(&sandbox).await.unwrap();
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn what_libraries_try_is_refused_and_costs_nothing() {
    let sandbox = Sandbox::start(settings_of("confinement::child_probes")).unwrap();
    let error = make_attempt(&sandbox, 0).await;
    let said = error.to_string();
    for (name, _) in REFUSED {
        assert!(said.contains(&format!("{name}={};", libc::EPERM)), "{said}");
    }
    render_good(&sandbox).await.unwrap();
    sandbox.shutdown().await;
}

#[test]
fn without_seccomp_nothing_is_decoded_unless_told_to() {
    run_without(SECCOMP, async || {
        for may_be_open in [false, true] {
            let sandbox = Sandbox::start(SandboxSettings {
                may_be_open,
                ..settings_of("confinement::child_without_a_filter")
            })
            .unwrap();
            let confinement = sandbox.confinement().await.unwrap();
            assert!(confinement.is_open(), "{confinement}");
            assert!(confinement.to_string().contains("not filtered"));
            match render_good(&sandbox).await {
                Ok(_) => assert!(may_be_open),
                Err(error) => {
                    assert!(!may_be_open, "{error}");
                    assert!(matches!(error, SandboxError::Open(_)), "{error}");
                    assert!(error.retryable() && error.code() == Code::Internal);
                }
            }
            sandbox.shutdown().await;
        }
    })
    .unwrap();
}

#[test]
fn without_landlock_the_filter_holds_alone() {
    run_without(LANDLOCK, async || {
        let sandbox = Sandbox::start(settings_of("confinement::child_breaks_out")).unwrap();
        let confinement = sandbox.confinement().await.unwrap();
        assert!(!confinement.is_open(), "{confinement}");
        assert!(matches!(confinement.landlock, Landlock::Missing(_)));
        let error = make_attempt(&sandbox, 0).await;
        assert!(matches!(error, SandboxError::Forbidden), "{error}");
        render_good(&sandbox).await.unwrap();
        sandbox.shutdown().await;
    })
    .unwrap();
}

/// The second wall, with the first one taken away. What this kernel's landlock does not know of is
/// said to be skipped.
#[test]
fn landlock_holds_where_there_is_no_filter() {
    // What the child is not to reach.
    let name = abstract_name(std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    run_without(SECCOMP, async || {
        let sandbox = Sandbox::start(SandboxSettings {
            may_be_open: true,
            ..settings_of("confinement::child_meets_landlock")
        })
        .unwrap();
        let confinement = sandbox.confinement().await.unwrap();
        let abi = match &confinement.landlock {
            Landlock::Enforced(abi) => *abi,
            Landlock::Missing(why) => {
                println!("skipped: no landlock on this kernel: {why}");
                0
            }
        };
        let said = make_attempt(&sandbox, 0).await.to_string();
        for (name, needs_abi, expected, attempt) in BEHIND_LANDLOCK {
            if abi < *needs_abi {
                println!("skipped: {name} takes landlock {needs_abi}, this kernel has {abi}");
                continue;
            }
            assert!(said.contains(&format!("{name}={expected};")), "{said}");
            // It is landlock that refuses: out here, the same fails otherwise or not at all.
            let outside = attempt(std::process::id());
            assert_ne!(outside, Some(*expected), "{name}");
        }
        sandbox.shutdown().await;
    })
    .unwrap();
}

/// Whatever cameras write, and whatever is built to break decoders: all of it is within what the filter lets.
#[tokio::test]
async fn no_file_takes_more_than_the_filter_allows() {
    let Some(root) = media::require("") else {
        return;
    };
    let sandbox = Sandbox::start(settings_of("confinement::child_decodes")).unwrap();
    let mut decoded = 0;
    for folder in std::fs::read_dir(root).unwrap().flatten() {
        for entry in std::fs::read_dir(folder.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let bytes = std::fs::read(entry.path()).unwrap();
            match sandbox.render(file(&bytes), task(&ALL)).await {
                Ok(_) => decoded += 1,
                Err(SandboxError::Refused { .. } | SandboxError::OutOfMemory { .. }) => {}
                Err(error) => panic!("{}: {error}", entry.path().display()),
            }
        }
    }
    assert!(decoded > 0);
    println!("{decoded} files decoded");
    sandbox.shutdown().await;
}

#[test]
fn a_report_says_what_there_is() {
    let confinement = Confinement {
        seccomp: Seccomp::Filtered,
        landlock: Landlock::Enforced(6),
        memory_bytes: 1 << 30,
    };
    assert_eq!(
        confinement.to_string(),
        "system calls are filtered, landlock 6, 1024 MiB of memory"
    );
    assert!(!confinement.is_open());
}

// The children.

/// What came of attempts, for the parent to read.
fn tell(outcomes: impl Iterator<Item = (&'static str, Outcome)>) -> ! {
    let words: String = outcomes
        .map(|(name, outcome)| format!("{name}={};", outcome.unwrap_or(0)))
        .collect();
    eprintln!("{words}");
    std::process::abort();
}

/// The process that started this one.
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_breaks_out() {
    // Found out while it can be.
    let parent = parent();
    moody(|task| {
        let (name, attempt) = DEADLY[number_of(task)];
        let outcome = attempt(parent);
        eprintln!("{name} came back: {outcome:?}");
        std::process::abort();
    });
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_probes() {
    let parent = parent();
    moody(|_| {
        tell(
            REFUSED
                .iter()
                .map(|(name, attempt)| (*name, attempt(parent))),
        )
    });
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_meets_landlock() {
    let parent = parent();
    moody(|_| {
        let outcomes = BEHIND_LANDLOCK.iter();
        tell(outcomes.map(|(name, _, _, attempt)| (*name, attempt(parent))));
    });
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_decodes() {
    moody(|_| ());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_without_a_filter() {
    moody(|_| ());
}
