//! The client over a link that does what a script says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_client::conditions::{Conditions, NetworkKind};
use safelight_client::http::HttpTransport;
use safelight_client::transport::{Answer, ApiRequest, FilePut, OnSent, Transport, TransportError};
use safelight_client::uploader::Settings;
use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::fake_server::{Deed, World};
use crate::rig::{Rig, failures};

/// A link over which everything takes its time.
struct Link {
    inner: Arc<HttpTransport>,
    /// What each request to the API takes at least, and each range of a file.
    takes: (Duration, Duration),
    /// So many first completions leave together, after the last of them was asked for.
    together: Option<(Barrier, usize)>,
    completions: AtomicUsize,
}

impl Link {
    fn taking(call: u64, put: u64) -> impl FnOnce(Arc<HttpTransport>) -> Arc<dyn Transport> {
        move |inner| {
            Arc::new(Self {
                inner,
                takes: (Duration::from_millis(call), Duration::from_millis(put)),
                together: None,
                completions: AtomicUsize::new(0),
            })
        }
    }

    fn completing_together(many: usize) -> impl FnOnce(Arc<HttpTransport>) -> Arc<dyn Transport> {
        move |inner| {
            Arc::new(Self {
                inner,
                takes: (Duration::ZERO, Duration::ZERO),
                together: Some((Barrier::new(many), many)),
                completions: AtomicUsize::new(0),
            })
        }
    }
}

#[async_trait::async_trait]
impl Transport for Link {
    async fn call(&self, request: ApiRequest) -> Result<Answer, TransportError> {
        tokio::time::sleep(self.takes.0).await;
        if let Some((barrier, many)) = &self.together
            && request.path.ends_with("/complete")
            && self.completions.fetch_add(1, Ordering::SeqCst) < *many
        {
            barrier.wait().await;
        }
        self.inner.call(request).await
    }

    async fn put(&self, put: FilePut, on_sent: OnSent) -> Result<Answer, TransportError> {
        tokio::time::sleep(self.takes.1).await;
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

/// As many files as there is room for wait for their completion, and all of them have to be sent again, while the next one is
/// about to begin: it must not hold the room to send in while it waits for theirs to complete in.
#[tokio::test]
async fn who_waits_to_complete_and_who_waits_to_send_do_not_wait_for_each_other() {
    const ROOM: usize = 8;
    let rig = Rig::start().await;
    let lose = |world: &mut World| {
        for upload in world.uploads.values_mut() {
            upload.parts.clear();
        }
    };
    rig.server.fail("complete", 0, Deed::Before(Box::new(lose)));
    let paths: Vec<_> = (1..=ROOM + 3)
        .map(|i| rig.file(&format!("A_BURST{i:03}.jpg"), 600 + i))
        .collect();
    let settings = Settings {
        parallel_files: 1,
        ..Settings::default()
    };
    let uploader = rig.uploader_over(settings, Link::completing_together(ROOM));
    let ended = tokio::time::timeout(Duration::from_secs(60), uploader.upload(&paths)).await;
    let outcomes = ended.unwrap().unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!(world.whole().len(), ROOM + 3);
    assert_eq!(world.count("put"), ROOM + ROOM + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_take_long_are_alone_a_reason_for_another_plan() {
    let rig = Rig::start().await;
    let uploader = rig.uploader_over(Settings::default(), Link::taking(250, 0));
    let outcomes = uploader.upload(&[rig.file("b.mp4", 20_000)]).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    let said = world.replans[0].network.clone().unwrap();
    assert!(said.kind.is_none(), "the app said nothing");
    assert!(said.rtt_ms.unwrap() >= 250, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_carries_little_is_alone_a_reason_for_another_plan() {
    let rig = Rig::start().await;
    {
        let mut world = rig.server.world();
        (world.part_size_bytes, world.concurrency) = (300 * 1024, 1);
    }
    // 300 KiB in 600 ms at the soonest: at most 4.1 Mbit/s, where 10 were assumed.
    let uploader = rig.uploader_over(Settings::default(), Link::taking(0, 600));
    let paths = [rig.file("b.mp4", 7 * 300 * 1024)];
    let outcomes = uploader.upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    let said = world.replans[0].network.clone().unwrap();
    assert!(said.kind.is_none(), "the app said nothing");
    assert!(said.uplink_kbps.unwrap() <= 5_000, "{said:?}");
    let asked = world.log.iter().position(|(kind, _)| kind == "plan");
    let before = world.log[..asked.unwrap()].iter();
    let puts = before.filter(|(kind, _)| kind == "put").count();
    assert!((2..7).contains(&puts), "it was asked in the midst: {puts}");
    assert_eq!(world.repeated_parts, 0);
}

/// A link of which each connection gets `each` bytes a second at most, and all together `all`.
struct Paced {
    inner: Arc<HttpTransport>,
    each: f64,
    all: f64,
    under_way: AtomicUsize,
    /// Whether the key frame is, and the most that were under way then.
    key_is_under_way: AtomicBool,
    most_beside: AtomicUsize,
    /// Sizes of what began beside it.
    beside: Mutex<Vec<u64>>,
}

impl Paced {
    fn open(inner: Arc<HttpTransport>, each: f64, all: f64) -> Arc<Self> {
        Arc::new(Self {
            inner,
            each,
            all,
            under_way: AtomicUsize::new(0),
            key_is_under_way: AtomicBool::new(false),
            most_beside: AtomicUsize::new(0),
            beside: Mutex::default(),
        })
    }
}

#[async_trait::async_trait]
impl Transport for Paced {
    async fn call(&self, request: ApiRequest) -> Result<Answer, TransportError> {
        self.inner.call(request).await
    }

    async fn put(&self, put: FilePut, on_sent: OnSent) -> Result<Answer, TransportError> {
        let is_key = put.path.to_string_lossy().contains("COVER");
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        if is_key {
            self.key_is_under_way.store(true, Ordering::SeqCst);
        } else if self.key_is_under_way.load(Ordering::SeqCst) {
            self.most_beside.fetch_max(now - 1, Ordering::SeqCst);
            self.beside.lock().unwrap().push(put.size_bytes);
        }
        let (mut left, mut at) = (put.size_bytes as f64, Instant::now());
        let mut told = 0;
        while left > 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let share = self.all / self.under_way.load(Ordering::SeqCst) as f64;
            left -= at.elapsed().as_secs_f64() * self.each.min(share);
            at = Instant::now();
            let gone = (put.size_bytes as f64 - left.max(0.0)) as u64;
            on_sent(gone - told);
            told = gone;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if is_key {
            self.key_is_under_way.store(false, Ordering::SeqCst);
        }
        self.inner.put(put, Arc::new(|_| {})).await
    }

    async fn look(
        &self,
        url: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Answer, TransportError> {
        self.inner.look(url, headers).await
    }
}

/// Sends a burst over a paced link, once it is known to have arrived whole. Of its files those are appended to that have so many
/// bytes, as the key frame has.
async fn send_burst(each: f64, all: f64, least_appended_bytes: i64) -> Arc<Paced> {
    let rig = Rig::start().await;
    {
        let mut world = rig.server.world();
        (world.concurrency, world.least_appended_bytes) = (1, least_appended_bytes);
        world.single_max_bytes = 300_000;
    }
    let mut paths = vec![rig.file("A_BURST000_COVER.jpg", 1_000_000)];
    paths.extend((1..=6).map(|i| rig.file(&format!("A_BURST{i:03}.jpg"), 200_000 + i)));
    let thin = Conditions {
        network: Some(NetworkKind::Cellular2g),
        ..Conditions::default()
    };
    let settings = Settings {
        conditions: thin.fixed(),
        ..Settings::default()
    };
    let mut link = None;
    let uploader = rig.uploader_over(settings, |inner| {
        link.insert(Paced::open(inner, each, all)).clone()
    });
    let outcomes = uploader.upload(&paths).await.unwrap();
    assert_eq!(failures(&outcomes), [""; 0]);
    let world = rig.server.world();
    assert_eq!(world.whole().len(), 7);
    assert_eq!(
        outcomes.iter().map(|o| o.sent_bytes).sum::<i64>(),
        2_200_021
    );
    link.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_connection_does_not_fill_the_link_others_go_beside_the_key_frame() {
    let link = send_burst(100_000.0, 300_000.0, 0).await;
    let most = link.most_beside.load(Ordering::SeqCst);
    assert!(most >= 2, "{most} and {:?}", link.beside.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_connection_fills_the_link_the_key_frame_bears_no_more_than_a_trial() {
    let link = send_burst(100_000.0, 100_000.0, 0).await;
    assert_eq!(link.most_beside.load(Ordering::SeqCst), 1);
    let tried = link.beside.lock().unwrap();
    assert!((1..=4).contains(&tried.len()), "{tried:?}");
    assert!(tried.iter().all(|piece| *piece <= 150_000), "{tried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_go_in_pieces_is_not_tried_beside_the_key_frame() {
    let link = send_burst(100_000.0, 100_000.0, 500_000).await;
    let beside = link.beside.lock().unwrap();
    assert!(beside.is_empty(), "{beside:?}");
}
