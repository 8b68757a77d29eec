//! A client killed (SIGKILL) at any request goes on by itself: everything arrives, nothing twice.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_client::back_off::Patience;
use safelight_client::encode::{Compress, Encode};
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
use crate::rig::{Rig, failures};

const URL: &str = "SAFELIGHT_TEST_URL";
const FOLDER: &str = "SAFELIGHT_TEST_FOLDER";
/// Set where the process gives everything up while it sends.
const CANCELS: &str = "SAFELIGHT_TEST_CANCELS";
/// Set where the process sends smaller copies.
const ENCODES: &str = "SAFELIGHT_TEST_ENCODES";
/// Set where it ends in the midst of making the second of them.
const DIES: &str = "SAFELIGHT_TEST_DIES";

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
    let has = |name| std::env::var(name).is_ok();
    let encode: Option<Arc<dyn Encode>> = match (has(ENCODES), has(DIES)) {
        (_, true) => Some(Arc::new(Dies(Thirds::default()))),
        (true, false) => Some(Arc::new(Thirds::default())),
        (false, false) => None,
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

/// Leaves the second copy half written.
struct Dies(Thirds);

impl Encode for Dies {
    fn encode(
        &self,
        original: &Path,
        copy: &Path,
        advice: &Compress,
    ) -> std::io::Result<Option<String>> {
        if self.0.0.load(Ordering::SeqCst) == 1 {
            std::fs::write(copy, b"half")?;
            std::process::abort();
        }
        self.0.encode(original, copy, advice)
    }
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

/// Runs a process that sends smaller copies, and is killed at a request of this kind, after so many of them: before the server
/// has seen it, or after that, before it has the answer.
async fn killed_at(rig: &Rig, at: &'static str, after: u32, is_seen: bool) {
    let child: Arc<Mutex<Option<Child>>> = Arc::default();
    let victim = child.clone();
    let kill = Box::new(move |_: &mut World| {
        let mut child = victim.lock().unwrap();
        let child = child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let deed = if is_seen {
        Deed::After(kill)
    } else {
        Deed::Instead(kill)
    };
    {
        let mut running = child.lock().unwrap();
        rig.server.fail(at, after, deed);
        *running = Some(spawn(rig, &[(ENCODES, "1")]));
    }
    assert!(!wait_for(child).await.success());
    assert!(rig.server.world().faults.is_empty(), "it failed by itself");
}

/// The uploads of originals in whose place copies are sent, wherever the process was killed that was to end them.
#[tokio::test(flavor = "multi_thread")]
async fn what_copies_replace_is_ended_by_the_next_run() {
    for (at, after, is_seen) in [
        ("initiate", 1, false),
        ("initiate", 1, true),
        ("abort", 0, false),
        ("abort", 1, true),
    ] {
        for is_cancelled in [false, true] {
            let rig = Rig::start().await;
            rig.server.world().advises = Some(copies::advice());
            let named = [("A_BURST001.jpg", 900), ("A_BURST002.jpg", 1_500)];
            let paths = named.map(|(name, size)| rig.file(name, size));
            killed_at(&rig, at, after, is_seen).await;
            let case = format!("{at} {after} {is_seen}, cancelled: {is_cancelled}");
            let open = |world: &World| world.uploads.values().filter(|u| u.state == "open").count();
            assert!(open(&rig.server.world()) >= 1, "{case}");
            // This one has no encoder: copies that were made are sent all the same.
            let uploader = rig.uploader(Settings::default());
            if is_cancelled {
                assert_eq!(uploader.cancel_all().await.unwrap(), 1, "{case}");
            } else {
                let outcomes = uploader.upload(&paths).await.unwrap();
                assert_eq!(failures(&outcomes), [""; 0], "{case}");
                let sent: i64 = outcomes.iter().map(|o| o.sent_bytes).sum();
                assert_eq!(sent, 300 + 500, "{case}");
            }
            assert_eq!(copies::left(&rig), 0, "{case}");
            let world = rig.server.world();
            assert_eq!(open(&world), 0, "{case}");
            let aborts = world.log.iter().filter(|(kind, _)| kind == "abort");
            // Each of the first two, for the asset that has its place.
            let named = aborts.filter(|(_, about)| about.contains("superseded_by="));
            let named = named.count();
            assert!(is_cancelled || named >= 2, "{case}: {named}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_while_it_makes_a_copy_makes_it_again() {
    let rig = Rig::start().await;
    rig.server.world().advises = Some(copies::advice());
    let named = [("A_BURST001.jpg", 900), ("A_BURST002.jpg", 1_500)];
    let paths = named.map(|(name, size)| rig.file(name, size));
    let child = spawn(&rig, &[(DIES, "1")]);
    let status = wait_for(Arc::new(Mutex::new(Some(child)))).await;
    assert!(!status.success());
    assert_eq!(copies::left(&rig), 2, "one whole, one half");
    let uploader = rig.uploader(Settings {
        encode: Some(Arc::new(Thirds::default())),
        ..Settings::default()
    });
    let outcomes = uploader.upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(outcomes.iter().map(|o| o.sent_bytes).sum::<i64>(), 800);
    assert_eq!(copies::left(&rig), 0);
    let world = rig.server.world();
    assert!(world.uploads.values().all(|u| u.state != "open"));
    assert_eq!(world.captures.len(), 2);
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
            let deed = match side % 3 {
                0 => Deed::Instead(kill),
                1 => Deed::Before(kill),
                _ => Deed::After(kill),
            };
            // The child waits for this lock at its first request, until it can be killed.
            {
                let mut running = child.lock().unwrap();
                rig.server.fail("any", u32::from(after % 12), deed);
                let env = [(ENCODES, "1")];
                *running = Some(spawn(&rig, if encodes { &env } else { &[] }));
            }
            let status = wait_for(child).await;
            if status.success() {
                break;
            }
            kills += 1;
            assert!(kills < 200, "it never comes to an end");
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
        let open = world.uploads.values().filter(|u| u.state == "open");
        assert_eq!(open.count(), 0, "nothing is left to expire");
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
