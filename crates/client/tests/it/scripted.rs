//! The client over a link that does what a script says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use safelight_client::http::HttpTransport;
use safelight_client::transport::{Answer, ApiRequest, FilePut, OnSent, Transport, TransportError};
use safelight_client::uploader::Settings;
use tokio::sync::Barrier;

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
