//! A client killed (SIGKILL) at any request goes on by itself: everything arrives, nothing twice.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_client::back_off::Patience;
use safelight_client::http::HttpTransport;
use safelight_client::journal::Journal;
use safelight_client::pause::TimerPause;
use safelight_client::progress::Silent;
use safelight_client::session::{Credential, Session};
use safelight_client::system_entropy::SystemEntropy;
use safelight_client::uploader::{Settings, Uploader};
use safelight_model::entropy::{SeededEntropy, bytes};

use crate::fake_server::{API_KEY, Deed, World};
use crate::rig::Rig;

const URL: &str = "SAFELIGHT_TEST_URL";
const FOLDER: &str = "SAFELIGHT_TEST_FOLDER";

/// Not a test by itself: the process that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_uploads() {
    let (Ok(url), Ok(folder)) = (std::env::var(URL), std::env::var(FOLDER)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let transport = Arc::new(HttpTransport::to(&url).unwrap());
    let credential = Credential::ApiKey {
        key: API_KEY.to_owned(),
        owner: "ann".to_owned(),
    };
    let patience = Patience {
        pause: Arc::new(TimerPause),
        entropy: Arc::new(SystemEntropy),
        progress: Arc::new(Silent),
        give_up_after: Duration::from_secs(20),
    };
    let session = Session::open(
        transport.clone(),
        credential,
        "phone".to_owned(),
        patience.clone(),
    );
    let journal = Journal::open(&folder.join("journal.db")).unwrap();
    let uploader = Uploader::open(
        Arc::new(session),
        transport,
        journal,
        patience,
        Settings::default(),
    );
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "jpg" || e == "mp4"))
        .collect();
    paths.sort();
    let outcomes = Arc::new(uploader).upload(&paths).await.unwrap();
    assert!(outcomes.iter().all(|o| o.failure.is_none()), "{outcomes:?}");
}

fn spawn_child(rig: &Rig) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_uploads", "--nocapture"])
        .env(URL, &rig.server.url)
        .env(FOLDER, rig.dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_goes_on() {
    for seed in 0..4 {
        let rig = Rig::start().await;
        for (name, size) in [
            ("A_BURST001.jpg", 900),
            ("A_BURST002_COVER.jpg", 5_500),
            ("A_BURST003.jpg", 1_000),
            ("b.jpg", 700),
            ("c.mp4", 6_500),
        ] {
            rig.file(name, size);
        }
        let dice = SeededEntropy::new(seed);
        let mut kills = 0;
        loop {
            let [after, side] = bytes::<2>(&dice);
            let child: Arc<Mutex<Option<Child>>> = Arc::default();
            let victim = child.clone();
            let kill = Box::new(move |_: &mut World| {
                let mut child = victim.lock().unwrap();
                let child = child.as_mut().unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
            });
            let deed = if side % 2 == 0 {
                Deed::Before(kill)
            } else {
                Deed::After(kill)
            };
            // The child waits for this lock at its first request, until it can be killed.
            {
                let mut running = child.lock().unwrap();
                rig.server.fail("any", u32::from(after % 9), deed);
                *running = Some(spawn_child(&rig));
            }
            let status = tokio::task::spawn_blocking(move || {
                loop {
                    if let Some(status) =
                        child.lock().unwrap().as_mut().unwrap().try_wait().unwrap()
                    {
                        return status;
                    }
                    std::thread::yield_now();
                }
            })
            .await
            .unwrap();
            if status.success() {
                break;
            }
            kills += 1;
            assert!(kills < 60, "it never comes to an end");
            let mut world = rig.server.world();
            assert!(
                world.faults.is_empty(),
                "it failed by itself: {status}, {:?}",
                world.log.last()
            );
            world.faults.clear();
        }
        let world = rig.server.world();
        eprintln!("seed {seed}: killed {kills} times");
        assert!(kills > 0);
        assert_eq!(world.whole().len(), 5);
        assert_eq!((world.assets.len(), world.captures.len()), (5, 3));
    }
}
