//! Against the embedded store, directly and through a network that fails.

use std::net::SocketAddr;

use bytes::Bytes;
use safelight_diskstore::{DiskStore, Settings, serve};
use safelight_model::codes::Code;
use safelight_objects::{
    Capabilities, CompleteError, ObjectKey, Objects, Part, PutOptions, StoreErrorKind,
    StoreSettings, ownership,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::canned::settings;
use crate::phone;
use crate::proxy::Proxy;
use crate::suite::suite;

/// A running store in a directory of its own.
pub struct Embedded {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
    _root: TempDir,
}

impl Embedded {
    /// A store that wants parts as large as Amazon S3 does.
    pub async fn start() -> Self {
        Self::with(|own| own.min_part_bytes = 5 << 20).await
    }

    pub async fn start_with_defaults() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut own = Settings::new(root.path().join("store"), "test-key", "test-secret");
        own.buckets = vec!["safelight".to_owned()];
        change(&mut own);
        let store = DiskStore::open(own).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            serve(store, listener, async {
                stopped.await.ok();
            })
            .await
            .unwrap();
        });
        Self {
            address,
            stop,
            task,
            _root: root,
        }
    }

    fn settings(&self) -> StoreSettings {
        settings(&format!("http://{}", self.address))
    }

    pub fn objects(&self) -> Objects {
        Objects::connect(self.settings(), Capabilities::embedded()).unwrap()
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn key() -> ObjectKey {
    ObjectKey::parse("x/ten_1/abc").unwrap()
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let store = Embedded::start().await;
    suite(&store.objects()).await;
    store.stop().await;
}

#[tokio::test]
async fn credentials_and_buckets_are_told_apart() {
    let store = Embedded::start().await;
    for change in [
        |s: &mut StoreSettings| s.access_key = "nobody".to_owned(),
        |s: &mut StoreSettings| s.secret_key = "guess".to_owned(),
    ] {
        let mut wrong = store.settings();
        change(&mut wrong);
        let objects = Objects::connect(wrong, Capabilities::embedded()).unwrap();
        let error = objects.probe().await.unwrap_err();
        assert_eq!(error.kind(), &StoreErrorKind::Denied, "{error}");
        let error = objects.head(&key()).await.unwrap_err();
        assert_eq!(error.kind(), &StoreErrorKind::Denied, "{error}");
    }
    let mut other = store.settings();
    other.bucket = "another".to_owned();
    let objects = Objects::connect(other, Capabilities::embedded()).unwrap();
    let lost = objects.probe().await.unwrap_err();
    assert_eq!(lost.kind(), &StoreErrorKind::NoBucket);
    assert_eq!(lost.code(), Code::StoreUnavailable);
    let lost = objects.head(&key()).await.unwrap_err();
    assert_eq!(lost.kind(), &StoreErrorKind::NoBucket);
    objects.ensure_bucket().await.unwrap();
    assert_eq!(objects.head(&key()).await.unwrap(), None);
    store.stop().await;
}

#[tokio::test]
async fn connections_are_used_again() {
    let store = Embedded::start().await;
    let proxy = Proxy::start(store.address).await;
    let objects = Objects::connect(settings(&proxy.endpoint), Capabilities::embedded()).unwrap();
    let bytes = Bytes::from_static(b"hello");
    for _ in 0..10 {
        let options = PutOptions::default();
        objects.put(&key(), bytes.clone(), options).await.unwrap();
        objects.head(&key()).await.unwrap().unwrap();
        let read = objects.get(&key(), None, None).await.unwrap().unwrap();
        assert_eq!(read.bytes().await.unwrap(), bytes);
    }
    assert_eq!(proxy.connections(), 1);
}

/// An upload with one part in the store.
async fn uploaded(objects: &Objects, key: &ObjectKey) -> (String, Vec<Part>) {
    use safelight_model::clock::{Clock, SystemClock};
    let metadata = ownership("cat_1", "ten_1", "ast_1");
    let upload = objects
        .create_multipart(key, None, &metadata, false)
        .await
        .unwrap();
    let ttl = std::time::Duration::from_secs(60);
    let now = SystemClock.now();
    let to = objects
        .presign_part(key, &upload, 1, 5, None, now, ttl)
        .unwrap();
    let sent = phone::put(&to, b"hello".to_vec()).await;
    assert_eq!(sent.status, Some(reqwest::StatusCode::OK));
    let parts = objects.list_parts(key, &upload).await.unwrap().unwrap();
    (upload, parts)
}

#[tokio::test]
async fn an_uncertain_complete_is_settled_by_looking() {
    let store = Embedded::start().await;
    let proxy = Proxy::start(store.address).await;
    let objects = Objects::connect(settings(&proxy.endpoint), Capabilities::embedded()).unwrap();
    let (upload, parts) = uploaded(&objects, &key()).await;
    assert_eq!(objects.head(&key()).await.unwrap(), None);

    // Every attempt reaches the store, and no answer comes back.
    proxy.swallow_answers(100);
    match objects.complete(&key(), &upload, &parts).await {
        Err(CompleteError::Store(error)) => {
            assert_eq!(error.kind(), &StoreErrorKind::Unavailable);
            assert!(error.retry().is_some());
        }
        other => panic!("{other:?}"),
    }
    assert!(proxy.swallowed() > 0);
    proxy.swallow_answers(0);
    let head = objects.head(&key()).await.unwrap().unwrap();
    assert!(head.holds(&parts));

    // One lost answer is mended by the client's own retry, as far as the store allows.
    let other = ObjectKey::parse("x/ten_1/def").unwrap();
    let (upload, parts) = uploaded(&objects, &other).await;
    proxy.swallow_answers(1);
    match objects.complete(&other, &upload, &parts).await {
        Ok(_) | Err(CompleteError::Gone) => {}
        Err(error) => panic!("{error}"),
    }
    assert!(objects.head(&other).await.unwrap().unwrap().holds(&parts));
    store.stop().await;
}

#[tokio::test]
async fn a_store_that_stops_is_unavailable() {
    let store = Embedded::start().await;
    let objects = store.objects();
    let options = PutOptions::default();
    let bytes = Bytes::from_static(b"hello");
    objects.put(&key(), bytes.clone(), options).await.unwrap();
    store.stop().await;
    let error = objects.put(&key(), bytes, options).await.unwrap_err();
    assert_eq!(error.kind(), &StoreErrorKind::Unavailable, "{error}");
    assert!(error.retry().is_some());
}
