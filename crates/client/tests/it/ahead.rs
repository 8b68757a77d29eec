//! Captures are asked for ahead of what is being sent, several at once, and sent in the order of the queue.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_client::conditions::{Conditions, NetworkKind};
use safelight_client::http::HttpTransport;
use safelight_client::transport::{Answer, ApiRequest, FilePut, OnSent, Transport, TransportError};
use safelight_client::uploader::{FileOutcome, Settings, Uploader};
use tokio::sync::watch;

use crate::fake_server::Deed;
use crate::rig::{Rig, failures};

/// What happens to the initiations of one file.
#[derive(Clone)]
enum Fate {
    /// They leave as they come.
    Leave,
    /// Each leaves once so many were asked for, itself among them.
    With(usize),
    /// Each leaves once so many files were sent.
    AfterPuts(usize),
    /// Each leaves once so many others were answered.
    AfterAnswers(usize),
    /// The first is refused, the next leaves once so many files were sent.
    RefusedThenAfterPuts(usize),
    /// All are refused, once so many others were answered.
    Refused(usize),
}

/// A link that decides when the initiation of each file leaves.
struct Link {
    inner: Arc<HttpTransport>,
    fate: fn(&str) -> Fate,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
    answered: watch::Sender<usize>,
    arrived: watch::Sender<usize>,
    puts: watch::Sender<usize>,
    refused: AtomicUsize,
    /// Where bytes were sent to, in the order in which that began.
    urls: Mutex<Vec<String>>,
}

impl Link {
    fn over(inner: Arc<HttpTransport>, fate: fn(&str) -> Fate) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fate,
            waiting: AtomicUsize::new(0),
            most_waiting: AtomicUsize::new(0),
            answered: watch::channel(0).0,
            arrived: watch::channel(0).0,
            puts: watch::channel(0).0,
            refused: AtomicUsize::new(0),
            urls: Mutex::default(),
        })
    }

    async fn at_least(&self, counter: &watch::Sender<usize>, many: usize) {
        let mut seen = counter.subscribe();
        let _ = seen.wait_for(|n| *n >= many).await;
    }

    /// Whether it may leave.
    async fn leave(&self, body: &str) -> bool {
        match (self.fate)(body) {
            Fate::Leave => true,
            Fate::With(many) => {
                self.at_least(&self.arrived, many).await;
                true
            }
            Fate::AfterPuts(many) => {
                self.at_least(&self.puts, many).await;
                true
            }
            Fate::AfterAnswers(many) => {
                self.at_least(&self.answered, many).await;
                true
            }
            Fate::RefusedThenAfterPuts(many) => {
                if self.refused.fetch_add(1, Ordering::SeqCst) == 0 {
                    return false;
                }
                self.at_least(&self.puts, many).await;
                true
            }
            Fate::Refused(many) => {
                self.at_least(&self.answered, many).await;
                false
            }
        }
    }
}

#[async_trait::async_trait]
impl Transport for Link {
    async fn call(&self, request: ApiRequest) -> Result<Answer, TransportError> {
        if request.path != "/v1/captures" {
            return self.inner.call(request).await;
        }
        let now = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_waiting.fetch_max(now, Ordering::SeqCst);
        self.arrived.send_modify(|n| *n += 1);
        let leaves = self.leave(request.body.as_deref().unwrap_or("")).await;
        let answer = if leaves {
            let answer = self.inner.call(request).await;
            self.answered.send_modify(|n| *n += 1);
            answer
        } else {
            Ok(Answer {
                status: 503,
                retry_after: None,
                upload_offset: None,
                body: br#"{"type":"/docs/errors/overloaded","title":"overloaded","status":503,
                    "detail":"try later","code":"overloaded","request_id":"req_1"}"#
                    .to_vec(),
            })
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    async fn put(&self, put: FilePut, on_sent: OnSent) -> Result<Answer, TransportError> {
        self.urls.lock().unwrap().push(put.url.clone());
        let answer = self.inner.put(put, on_sent).await;
        self.puts.send_modify(|n| *n += 1);
        answer
    }

    async fn look(
        &self,
        url: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Answer, TransportError> {
        self.inner.look(url, headers).await
    }
}

/// One file after another, over a link that the app knows.
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

fn files(rig: &Rig, names: &[&str]) -> Vec<PathBuf> {
    let sized = names.iter().enumerate();
    sized.map(|(i, name)| rig.file(name, 500 + i)).collect()
}

async fn end(uploader: &Arc<Uploader>, paths: &[PathBuf]) -> Vec<FileOutcome> {
    let ended = tokio::time::timeout(Duration::from_secs(60), uploader.upload(paths)).await;
    ended.unwrap().unwrap()
}

/// A process that is about to upload over such a link.
fn over(rig: &Rig, fate: fn(&str) -> Fate) -> (Arc<Uploader>, Arc<Link>) {
    let mut kept = None;
    let uploader = rig.uploader_over(settings(), |inner| {
        let link = Link::over(inner, fate);
        kept = Some(link.clone());
        link
    });
    (uploader, kept.unwrap())
}

/// The names of the files whose bytes were sent, in the order in which that began.
fn sent(rig: &Rig, link: &Link) -> Vec<String> {
    let world = rig.server.world();
    let urls = link.urls.lock().unwrap();
    let names = urls.iter().map(|url| {
        let upload = world.uploads.iter().find(|(id, _)| url.contains(*id));
        let asset = &world.assets[&upload.unwrap().1.asset_id];
        asset.filename.clone().unwrap()
    });
    names.collect()
}

const EIGHT: [&str; 8] = [
    "a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg", "h.jpg",
];

#[tokio::test(flavor = "multi_thread")]
async fn four_are_asked_for_at_once_and_no_more() {
    let rig = Rig::start().await;
    let paths = files(&rig, &EIGHT);
    // The first four leave together, the other four too.
    let (uploader, link) = over(&rig, |body| {
        let is_early = EIGHT[..4].iter().any(|name| body.contains(name));
        Fate::With(if is_early { 4 } else { 8 })
    });
    assert_eq!(failures(&end(&uploader, &paths).await), [""; 0]);
    assert_eq!(link.most_waiting.load(Ordering::SeqCst), 4);
    assert_eq!(rig.server.world().whole(), EIGHT);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_early_waits_for_those_before_it() {
    let rig = Rig::start().await;
    let paths = files(&rig, &["a.jpg", "b.jpg", "c.jpg"]);
    let (uploader, link) = over(&rig, |body| match body.contains("a.jpg") {
        true => Fate::AfterAnswers(2),
        false => Fate::Leave,
    });
    assert_eq!(failures(&end(&uploader, &paths).await), [""; 0]);
    assert_eq!(sent(&rig, &link), ["a.jpg", "b.jpg", "c.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_tried_again_holds_up_no_other() {
    let rig = Rig::start().await;
    let paths = files(&rig, &["a.jpg", "b.jpg", "c.jpg"]);
    let (uploader, link) = over(&rig, |body| match body.contains("a.jpg") {
        true => Fate::RefusedThenAfterPuts(2),
        false => Fate::Leave,
    });
    assert_eq!(failures(&end(&uploader, &paths).await), [""; 0]);
    assert_eq!(sent(&rig, &link), ["b.jpg", "c.jpg", "a.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_answer_is_lost_holds_up_no_other() {
    let rig = Rig::start().await;
    let paths = files(&rig, &["a.jpg", "b.jpg", "c.jpg", "d.jpg"]);
    let (uploader, link) = over(&rig, |body| match body.contains("a.jpg") {
        true => Fate::AfterPuts(3),
        false => Fate::Leave,
    });
    assert_eq!(failures(&end(&uploader, &paths).await), [""; 0]);
    assert_eq!(sent(&rig, &link), ["b.jpg", "c.jpg", "d.jpg", "a.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_for_good_stops_no_other() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let paths = files(&rig, &EIGHT);
    let (uploader, _) = over(&rig, |body| match body.contains("a.jpg") {
        true => Fate::Refused(2),
        false => Fate::Leave,
    });
    let outcomes = end(&uploader, &paths).await;
    let codes: Vec<Option<&str>> = outcomes
        .iter()
        .map(|o| o.failure.as_ref().map(|f| f.code.as_str()))
        .collect();
    assert_eq!(codes[0], Some("overloaded"));
    assert!(codes[1..].iter().all(Option::is_none), "{codes:?}");
    // It stands in the journal: the next run sends it.
    drop(uploader);
    let again = rig.upload(&paths[..1]).await;
    assert_eq!(failures(&again), [""; 0]);
    assert_eq!(rig.server.world().whole(), EIGHT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_all_is_not_asked_for_each() {
    let mut rig = Rig::start().await;
    rig.give_up_after = Duration::ZERO;
    let names: Vec<String> = (0..40).map(|i| format!("p{i:02}.jpg")).collect();
    let paths = files(&rig, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..40 {
        rig.server
            .fail("initiate", 0, Deed::Refuse(503, "overloaded", None));
    }
    let outcomes = end(&rig.uploader(settings()), &paths).await;
    let failed = outcomes.iter().filter_map(|o| o.failure.as_ref());
    assert_eq!(failed.filter(|f| f.code == "overloaded").count(), 40);
    assert!(rig.server.world().count("initiate") <= 4);
}

/// Two files of the same bytes: the first has arrived when the second one's turn comes, although that was asked for before.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_before_its_twin_arrived_is_asked_for_again() {
    let rig = Rig::start().await;
    let first = rig.file("a.jpg", 900);
    let twin = rig.dir.path().join("b.jpg");
    std::fs::copy(&first, &twin).unwrap();
    let (uploader, _) = over(&rig, |_| Fate::With(2));
    let outcomes = end(&uploader, &[first, twin]).await;
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!(world.count("initiate"), 2);
    assert_eq!(world.count("upload"), 1, "{:?}", world.log);
}
