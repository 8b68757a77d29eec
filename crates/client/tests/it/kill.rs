//! A client killed (SIGKILL) at any request goes on by itself: everything arrives, nothing twice.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_client::back_off::Patience;
use safelight_client::encode::Encode;
use safelight_client::http::HttpTransport;
use safelight_client::journal::Journal;
use safelight_client::pause::TimerPause;
use safelight_client::progress::Silent;
use safelight_client::session::{Credential, Session};
use safelight_client::system_entropy::SystemEntropy;
use safelight_client::uploader::{Settings, Uploader};
use safelight_model::entropy::{SeededEntropy, bytes};

use crate::copies::{self, Thirds};
use crate::fake_server::{API_KEY, Deed, World};
use crate::rig::Rig;

const URL: &str = "SAFELIGHT_TEST_URL";
const FOLDER: &str = "SAFELIGHT_TEST_FOLDER";
/// Set where the process gives everything up while it sends.
const CANCELS: &str = "SAFELIGHT_TEST_CANCELS";
/// Set where the process sends smaller copies.
const ENCODES: &str = "SAFELIGHT_TEST_ENCODES";

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
    let encode: Option<Arc<dyn Encode>> = match std::env::var(ENCODES) {
        Ok(_) => Some(Arc::new(Thirds::default())),
        Err(_) => None,
    };
    let settings = Settings {
        encode,
        ..Settings::default()
    };
    let uploader = Uploader::open(Arc::new(session), transport, journal, patience, settings);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "jpg" || e == "mp4"))
        .collect();
    paths.sort();
    let uploader = Arc::new(uploader);
    if std::env::var(CANCELS).is_ok() {
        let sends = uploader.clone();
        let running = tokio::spawn(async move { sends.upload(&paths).await.unwrap() });
        while !running.is_finished() && uploader.captures().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        uploader.cancel_all().await.unwrap();
        running.await.unwrap();
        assert!(uploader.captures().await.unwrap().is_empty());
        return;
    }
    let outcomes = uploader.upload(&paths).await.unwrap();
    assert!(outcomes.iter().all(|o| o.failure.is_none()), "{outcomes:?}");
}

fn spawn(rig: &Rig, env: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_uploads", "--nocapture"])
        .env(URL, &rig.server.url)
        .env(FOLDER, rig.dir.path())
        .envs(env.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_killed_comes_to_an_end() {
    for seed in 0..6 {
        let rig = Rig::start().await;
        for (name, size) in [("a.mp4", 6_500), ("b.jpg", 700)] {
            rig.file(name, size);
        }
        let [after] = bytes::<1>(&SeededEntropy::new(seed));
        let child: Arc<Mutex<Option<Child>>> = Arc::default();
        let victim = child.clone();
        let kill = Box::new(move |_: &mut World| {
            let mut child = victim.lock().unwrap();
            let child = child.as_mut().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
        });
        {
            let mut running = child.lock().unwrap();
            let after = u32::from(after % 6);
            rig.server.fail("any", after, Deed::Before(kill));
            *running = Some(spawn(&rig, &[(CANCELS, "1")]));
        }
        let status = wait_for(child).await;
        let was_killed = rig.server.world().faults.is_empty();
        assert!(was_killed || status.success(), "it failed by itself");
        // Whatever was given up stays so, and sent again all of it arrives, as other captures.
        rig.server.world().faults.clear();
        let settings = Settings::default();
        let uploader = rig.uploader(settings);
        let paths = ["a.mp4", "b.jpg"].map(|name| rig.dir.path().join(name));
        for _ in 0..2 {
            uploader.upload(&paths).await.unwrap();
        }
        let last = uploader.upload(&paths).await.unwrap();
        assert!(last.iter().all(|o| o.failure.is_none()), "{last:?}");
        assert!(uploader.captures().await.unwrap().is_empty());
        assert_eq!(rig.server.world().whole(), ["a.mp4", "b.jpg"]);
    }
}

async fn wait_for(child: Arc<Mutex<Option<Child>>>) -> std::process::ExitStatus {
    let waited = tokio::task::spawn_blocking(move || {
        loop {
            if let Some(status) = child.lock().unwrap().as_mut().unwrap().try_wait().unwrap() {
                return status;
            }
            std::thread::yield_now();
        }
    });
    waited.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_goes_on() {
    goes_on(4, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_goes_on_with_smaller_copies() {
    goes_on(4, true).await;
}

async fn goes_on(seeds: u64, encodes: bool) {
    for seed in 0..seeds {
        let rig = Rig::start().await;
        rig.server.world().advises = encodes.then(copies::advice);
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
                let env = [(ENCODES, "1")];
                *running = Some(spawn(&rig, if encodes { &env } else { &[] }));
            }
            let status = wait_for(child).await;
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
        if encodes {
            // The originals that were asked for at first have ended without a byte.
            let ready = world.assets.values().filter(|a| a.state == "ready");
            let mut sizes: Vec<i64> = ready.map(|a| a.size_bytes).collect();
            sizes.sort_unstable();
            assert_eq!(sizes, [233, 300, 333, 1_833, 6_500]);
            assert_eq!(copies::left(&rig), 0);
        } else {
            assert_eq!((world.assets.len(), world.captures.len()), (5, 3));
        }
    }
}
