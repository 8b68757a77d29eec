//! Pause and cancel of captures that were asked for ahead, and whose turn to be sent has not come.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use safelight_client::conditions::{Conditions, NetworkKind};
use safelight_client::encode::{Compress, Encode};
use safelight_client::gate::Hold;
use safelight_client::http::HttpTransport;
use safelight_client::transport::{Answer, ApiRequest, FilePut, OnSent, Transport, TransportError};
use safelight_client::uploader::{CaptureStatus, FileOutcome, Settings, Uploader};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::copies;
use crate::rig::{Rig, failures, wait};

/// Where the initiations of one file stop, until the way is free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stops {
    /// They do not leave.
    Request,
    /// They do what they ask for, and the answer does not come.
    Answer,
    /// Nowhere.
    No,
}

/// A link that takes not a byte of a file before the way is free.
struct Link {
    inner: Arc<HttpTransport>,
    stops: fn(&str) -> Stops,
    is_free: watch::Sender<bool>,
    /// Initiations that stand still; files that do.
    stopped: AtomicUsize,
    puts: AtomicUsize,
    /// Initiations that were answered.
    answered: AtomicUsize,
}

impl Link {
    async fn way(&self) {
        let mut is_free = self.is_free.subscribe();
        let _ = is_free.wait_for(|is_free| *is_free).await;
    }
}

#[async_trait::async_trait]
impl Transport for Link {
    async fn call(&self, request: ApiRequest) -> Result<Answer, TransportError> {
        if request.path != "/v1/captures" {
            return self.inner.call(request).await;
        }
        let stops = (self.stops)(request.body.as_deref().unwrap_or(""));
        let answer = match stops {
            Stops::Request => None,
            _ => Some(self.inner.call(request.clone()).await),
        };
        if stops != Stops::No {
            self.stopped.fetch_add(1, Ordering::SeqCst);
            self.way().await;
        }
        let answer = match answer {
            Some(answer) => answer,
            None => self.inner.call(request).await,
        };
        self.answered.fetch_add(1, Ordering::SeqCst);
        answer
    }

    async fn put(&self, put: FilePut, on_sent: OnSent) -> Result<Answer, TransportError> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        self.way().await;
        self.inner.put(put, on_sent).await
    }

    async fn look(
        &self,
        url: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Answer, TransportError> {
        self.inner.look(url, headers).await
    }
}

fn settings() -> Settings {
    let conditions = Conditions {
        network: Some(NetworkKind::Wifi),
        ..Conditions::default()
    };
    Settings {
        parallel_files: 1,
        conditions: conditions.fixed(),
        ..Settings::default()
    }
}

struct Run {
    uploader: Arc<Uploader>,
    link: Arc<Link>,
    paths: Vec<PathBuf>,
    running: JoinHandle<Vec<FileOutcome>>,
}

impl Run {
    /// Begins to upload a.jpg, a burst B of three, and c.jpg, none of which gets anywhere.
    fn begin(rig: &Rig, settings: Settings, stops: fn(&str) -> Stops) -> Self {
        let names = [
            "a.jpg",
            "B_BURST001.jpg",
            "B_BURST002_COVER.jpg",
            "B_BURST003.jpg",
            "c.jpg",
        ];
        let sized = names.iter().enumerate();
        let paths: Vec<PathBuf> = sized.map(|(i, name)| rig.file(name, 900 + i)).collect();
        let mut kept = None;
        let uploader = rig.uploader_over(settings, |inner| {
            kept.insert(Arc::new(Link {
                inner,
                stops,
                is_free: watch::channel(false).0,
                stopped: AtomicUsize::new(0),
                puts: AtomicUsize::new(0),
                answered: AtomicUsize::new(0),
            }))
            .clone()
        });
        let running = tokio::spawn({
            let (uploader, paths) = (uploader.clone(), paths.clone());
            async move { uploader.upload(&paths).await.unwrap() }
        });
        Self {
            uploader,
            link: kept.unwrap(),
            paths,
            running,
        }
    }

    /// The reference of the capture that has this file.
    async fn of(&self, name: &str) -> String {
        let captures = self.uploader.captures().await.unwrap();
        let has = |(path, _): &(PathBuf, bool)| path.ends_with(name);
        let capture = captures.into_iter().find(|c| c.files.iter().any(has));
        capture.unwrap().client_ref
    }

    /// a.jpg stands still in the midst of being sent, and the other two captures were answered.
    async fn waits_in_line(&self) {
        let link = &self.link;
        wait(|| link.puts.load(Ordering::SeqCst) == 1).await;
        wait(|| link.answered.load(Ordering::SeqCst) == 3).await;
    }

    /// What is open once so many captures are: the server knows of an end before the client has noted it.
    async fn open_once(&self, captures: usize) -> Vec<CaptureStatus> {
        let open = async {
            loop {
                let open = self.uploader.captures().await.unwrap();
                if open.len() == captures {
                    return open;
                }
                tokio::task::yield_now().await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(60), open).await;
        came.unwrap()
    }

    fn free(&self) {
        self.link.is_free.send_replace(true);
    }

    async fn end(self) -> (Arc<Uploader>, Vec<FileOutcome>) {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.running).await;
        (self.uploader, ended.unwrap().unwrap())
    }
}

const ALL: [&str; 5] = [
    "B_BURST001.jpg",
    "B_BURST002_COVER.jpg",
    "B_BURST003.jpg",
    "a.jpg",
    "c.jpg",
];

/// Which of the five files are cancelled; nothing else went wrong.
fn cancelled(outcomes: &[FileOutcome]) -> Vec<bool> {
    let code = |o: &FileOutcome| o.failure.as_ref().map(|f| f.code.clone());
    let codes: Vec<Option<String>> = outcomes.iter().map(code).collect();
    assert!(
        codes.iter().flatten().all(|code| code == "cancelled"),
        "{outcomes:?}"
    );
    codes.iter().map(Option::is_some).collect()
}

fn burst_is_not_asked_for(body: &str) -> Stops {
    match body.contains("B_BURST") {
        true => Stops::Request,
        false => Stops::No,
    }
}

fn burst_is_not_answered(body: &str) -> Stops {
    match body.contains("B_BURST") {
        true => Stops::Answer,
        false => Stops::No,
    }
}

const BURST: [bool; 5] = [false, true, true, true, false];

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_line_is_cancelled_and_nothing_of_it_is_sent() {
    let rig = Rig::start().await;
    let run = Run::begin(&rig, settings(), |_| Stops::No);
    run.waits_in_line().await;
    let burst = run.of("B_BURST001.jpg").await;
    assert!(run.uploader.cancel(&burst).await.unwrap());
    // The server knows at once, whatever stands before it in line.
    let states = || {
        let world = rig.server.world();
        let states: Vec<_> = world.uploads.values().map(|u| u.state).collect();
        states
    };
    let aborted = states().iter().filter(|s| **s == "aborted").count();
    assert_eq!(aborted, 3, "{:?}", states());
    let paths = run.paths.clone();
    run.free();
    let (uploader, outcomes) = run.end().await;
    assert_eq!(cancelled(&outcomes), BURST);
    assert_eq!(rig.server.world().count("put"), 2);
    assert_eq!(rig.server.world().whole(), ["a.jpg", "c.jpg"]);
    assert!(uploader.captures().await.unwrap().is_empty());
    // Sent again, it is another capture.
    assert_eq!(failures(&uploader.upload(&paths).await.unwrap()), [""; 0]);
    assert_eq!(rig.server.world().whole(), ALL);
    assert_eq!(rig.server.world().captures.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_line_is_paused_while_others_go_and_goes_on_as_it_was_asked_for() {
    let rig = Rig::start().await;
    let run = Run::begin(&rig, settings(), |_| Stops::No);
    run.waits_in_line().await;
    let burst = run.of("B_BURST001.jpg").await;
    assert!(run.uploader.pause(&burst).await.unwrap());
    run.free();
    wait(|| rig.server.world().whole() == ["a.jpg", "c.jpg"]).await;
    assert!(!run.running.is_finished());
    wait(|| rig.heard.0.lock().unwrap().contains(&Hold::Paused)).await;
    let open = run.open_once(1).await;
    assert_eq!(open[0].hold, Some(Hold::Paused));
    assert!(run.uploader.resume(&burst).await.unwrap());
    let (_, outcomes) = run.end().await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!(world.whole(), ALL);
    assert_eq!((world.captures.len(), world.repeated_parts), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_everything_holds_what_waits_in_line_too() {
    let rig = Rig::start().await;
    let run = Run::begin(&rig, settings(), |_| Stops::No);
    run.waits_in_line().await;
    run.uploader.pause_all().await.unwrap();
    run.free();
    // All that was asked for stands still, and says why.
    wait(|| rig.heard.0.lock().unwrap().len() >= 5).await;
    assert_eq!(rig.server.world().count("put"), 0);
    let burst = run.of("B_BURST001.jpg").await;
    assert!(run.uploader.cancel(&burst).await.unwrap());
    run.uploader.resume_all().await.unwrap();
    let (uploader, outcomes) = run.end().await;
    assert_eq!(cancelled(&outcomes), BURST);
    assert!(uploader.captures().await.unwrap().is_empty());
    let world = rig.server.world();
    assert_eq!(world.whole(), ["a.jpg", "c.jpg"]);
    assert_eq!((world.captures.len(), world.count("put")), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_while_it_is_asked_for_leaves_nothing_open() {
    let ways = [
        (burst_is_not_asked_for as fn(&str) -> Stops, 0),
        (burst_is_not_answered, 3),
    ];
    for (stops, known) in ways {
        let rig = Rig::start().await;
        let run = Run::begin(&rig, settings(), stops);
        wait(|| run.link.stopped.load(Ordering::SeqCst) == 1).await;
        wait(|| run.link.answered.load(Ordering::SeqCst) == 2).await;
        let burst = run.of("B_BURST001.jpg").await;
        assert!(run.uploader.cancel(&burst).await.unwrap());
        run.free();
        let (uploader, outcomes) = run.end().await;
        assert_eq!(cancelled(&outcomes), BURST);
        assert!(uploader.captures().await.unwrap().is_empty());
        let world = rig.server.world();
        assert_eq!(world.whole(), ["a.jpg", "c.jpg"]);
        let aborted = world.uploads.values().filter(|u| u.state == "aborted");
        assert_eq!(aborted.count(), known);
        assert_eq!(world.uploads.len(), 2 + known, "it is not asked for again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_while_it_is_asked_for_is_asked_for_again_as_the_same() {
    let rig = Rig::start().await;
    let run = Run::begin(&rig, settings(), burst_is_not_answered);
    wait(|| run.link.stopped.load(Ordering::SeqCst) == 1).await;
    let burst = run.of("B_BURST001.jpg").await;
    assert!(run.uploader.pause(&burst).await.unwrap());
    wait(|| rig.heard.0.lock().unwrap().len() >= 3).await;
    run.free();
    wait(|| rig.server.world().whole() == ["a.jpg", "c.jpg"]).await;
    assert!(run.uploader.resume(&burst).await.unwrap());
    let (_, outcomes) = run.end().await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!(world.whole(), ALL);
    assert_eq!((world.captures.len(), world.uploads.len()), (3, 5));
}

/// Writes as much as a copy would have, and takes its time.
#[derive(Default)]
struct Slow {
    began: AtomicUsize,
    may_end: Mutex<bool>,
    moved: Condvar,
    inner: copies::Thirds,
}

impl Slow {
    fn let_end(&self) {
        *self.may_end.lock().unwrap() = true;
        self.moved.notify_all();
    }
}

impl Encode for Slow {
    fn encode(
        &self,
        original: &Path,
        copy: &Path,
        advice: &Compress,
    ) -> std::io::Result<Option<String>> {
        let made = self.inner.encode(original, copy, advice);
        self.began.fetch_add(1, Ordering::SeqCst);
        let waited = self
            .moved
            .wait_while(self.may_end.lock().unwrap(), |may| !*may);
        drop(waited.unwrap());
        made
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_while_its_copy_is_made_leaves_no_copy() {
    let rig = Rig::start().await;
    rig.server.world().advises = Some(copies::advice());
    let slow = Arc::new(Slow::default());
    let settings = Settings {
        encode: Some(slow.clone()),
        ..settings()
    };
    let run = Run::begin(&rig, settings, |_| Stops::No);
    wait(|| slow.began.load(Ordering::SeqCst) == 1).await;
    wait(|| run.link.answered.load(Ordering::SeqCst) == 3).await;
    assert_eq!(run.uploader.cancel_all().await.unwrap(), 3);
    run.free();
    let (uploader, outcomes) = run.end().await;
    assert_eq!(cancelled(&outcomes), [true; 5]);
    assert_eq!(copies::left(&rig), 1, "the encoder is still at it");
    slow.let_end();
    // Nobody calls the uploader any more.
    wait(|| copies::left(&rig) == 0).await;
    assert_eq!(slow.began.load(Ordering::SeqCst), 1);
    assert!(uploader.captures().await.unwrap().is_empty());
    let world = rig.server.world();
    assert!(world.uploads.values().all(|u| u.state == "aborted"));
}
