//! What every store must do. `suite` runs all of it against a bucket that it may write to.

mod appended;
mod multipart;
mod presigned;

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use reqwest::StatusCode;
use safelight_model::clock::{Clock, Micros, SystemClock};
use safelight_model::entropy::SeededEntropy;
use safelight_model::{ids, preset};
use safelight_objects::{
    ObjectKey, Objects, PutCondition, PutOptions, StoreErrorKind, Treatment, keys, ownership,
};
use sha2::{Digest, Sha256};

use crate::phone;

const TTL: Duration = Duration::from_secs(900);

/// Runs everything.
pub async fn suite(objects: &Objects) {
    let run = Run::of(objects);
    run.bucket().await;
    run.own_objects().await;
    run.conditional_puts().await;
    run.ranges_and_conditions().await;
    run.listing().await;
    run.open_uploads().await;
    run.presigned_put().await;
    run.presigned_put_without_a_hash().await;
    run.presigned_get().await;
    if objects.capabilities().binds_part_sha256() {
        run.multipart(true).await;
    }
    run.multipart(false).await;
    run.aborted_multipart().await;
    run.appended().await;
    run.whole_files().await;
}

/// Runs what the gateway needs.
pub async fn appended(objects: &Objects) {
    Run::of(objects).appended().await;
}

struct Run<'a> {
    objects: &'a Objects,
    entropy: SeededEntropy,
    tenant: String,
    now: Micros,
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn refused(reply: &phone::Reply, what: &str) {
    assert!(
        reply.status.is_none_or(|status| status.is_client_error()),
        "{what}: {:?} {}",
        reply.status,
        String::from_utf8_lossy(&reply.body)
    );
}

fn taken(reply: &phone::Reply) -> String {
    let body = String::from_utf8_lossy(&reply.body);
    assert_eq!(reply.status, Some(StatusCode::OK), "{body}");
    reply.etag.clone().unwrap()
}

impl<'a> Run<'a> {
    fn of(objects: &'a Objects) -> Self {
        let now = SystemClock.now();
        let entropy = SeededEntropy::new(now.0.unsigned_abs());
        let tenant = ids::fresh(ids::TENANT, now, &entropy);
        Self {
            objects,
            entropy,
            tenant,
            now,
        }
    }

    fn key(&self) -> ObjectKey {
        ObjectKey::original(&self.tenant, self.now, &self.entropy).unwrap()
    }

    async fn absent(&self, key: &ObjectKey) {
        assert_eq!(self.objects.head(key).await.unwrap(), None);
        assert!(self.objects.get(key, None, None).await.unwrap().is_none());
    }

    async fn content(&self, key: &ObjectKey) -> Bytes {
        let read = self.objects.get(key, None, None).await.unwrap().unwrap();
        read.bytes().await.unwrap()
    }

    async fn bucket(&self) {
        self.objects.ensure_bucket().await.unwrap();
        self.objects.ensure_bucket().await.unwrap();
        self.objects.probe().await.unwrap();
    }

    /// What the mark rests on: nobody overwrites what he has not read, where the store sees to that.
    async fn conditional_puts(&self) {
        let (key, store) = (self.key(), self.objects.capabilities());
        let put = async |bytes: &'static str, condition| {
            let options = PutOptions {
                condition: Some(condition),
                ..PutOptions::default()
            };
            let put = self.objects.put(&key, bytes.into(), options).await;
            put.map_err(|e| e.kind().clone())
        };
        let refusal = Err(StoreErrorKind::PreconditionFailed);
        let first = put("first", PutCondition::Absent).await.unwrap();
        if store.put_if_none_match == Treatment::Enforced {
            assert_eq!(put("other", PutCondition::Absent).await, refusal);
        }
        let second = put("second", PutCondition::Is(&first)).await.unwrap();
        if store.put_if_match == Treatment::Enforced {
            assert_eq!(put("third", PutCondition::Is(&first)).await, refusal);
        }
        assert_eq!(self.content(&key).await, "second");
        put("third", PutCondition::Is(&second)).await.unwrap();
        // What time it is by the store's clock, in lists too.
        let (now, day) = (SystemClock.now(), Duration::from_secs(24 * 3600));
        let page = self.objects.list(key.as_str(), None, 1).await.unwrap();
        for told in [self.objects.time().await.unwrap(), page.answered_at] {
            let told = told.unwrap();
            assert!(told > now.minus(day) && told < now.plus(day), "{told}");
        }
    }

    async fn own_objects(&self) {
        let blob = ids::fresh(ids::BLOB, self.now, &self.entropy);
        let key = ObjectKey::rendition(&self.tenant, &blob, &preset::COVER.label()).unwrap();
        self.absent(&key).await;
        self.objects.delete(&key).await.unwrap();
        let bytes = Bytes::from_static(b"a rendition");
        let metadata = ownership("cat_1", &self.tenant, "ast_1");
        let hash = sha256_hex(&bytes);
        let options = PutOptions {
            content_type: Some("image/webp"),
            cache_control: Some("max-age=60"),
            metadata: Some(&metadata),
            sha256_hex: Some(&hash),
            condition: None,
        };
        let etag = self
            .objects
            .put(&key, bytes.clone(), options)
            .await
            .unwrap();
        let head = self.objects.head(&key).await.unwrap().unwrap();
        assert_eq!(head.size_bytes, 11);
        assert_eq!(head.etag, etag);
        assert_eq!(head.content_type.as_deref(), Some("image/webp"));
        assert_eq!(head.metadata, metadata);
        if self.objects.capabilities().binds_put_sha256() {
            assert_eq!(head.sha256_hex.as_ref(), Some(&hash));
        }
        assert_eq!(head.composite_sha256, None);
        assert_eq!(self.content(&key).await, bytes);

        let other = sha256_hex(b"something else");
        let lie = PutOptions {
            sha256_hex: Some(&other),
            ..options
        };
        if self.objects.capabilities().binds_put_sha256() {
            let error = self
                .objects
                .put(&key, Bytes::from_static(b"other bytes"), lie)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), &StoreErrorKind::DigestMismatch, "{error}");
            assert_eq!(
                self.content(&key).await,
                bytes,
                "a refused put changes nothing"
            );
        }

        let empty = Bytes::new();
        let again = PutOptions::default();
        self.objects.put(&key, empty, again).await.unwrap();
        assert_eq!(self.content(&key).await.len(), 0);
        self.objects.delete(&key).await.unwrap();
        self.absent(&key).await;
    }

    async fn ranges_and_conditions(&self) {
        let key = self.key();
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let options = PutOptions::default();
        let etag = self
            .objects
            .put(&key, Bytes::from(bytes.clone()), options)
            .await
            .unwrap();
        for (range, expected) in [
            ((0, Some(0)), 0..1),
            ((10, Some(19)), 10..20),
            ((199_990, None), 199_990..200_000),
            ((150_000, Some(1_000_000)), 150_000..200_000),
        ] {
            let read = self
                .objects
                .get(&key, Some(range), Some(&etag))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(read.size_bytes, 200_000);
            assert_eq!(read.length_bytes, i64::try_from(expected.len()).unwrap());
            assert_eq!(read.etag, etag);
            let chunks: Vec<Bytes> = read.stream.try_collect().await.unwrap();
            assert_eq!(chunks.concat(), bytes[expected]);
        }
        let beyond = self.objects.get(&key, Some((200_000, None)), None).await;
        assert_eq!(
            beyond.unwrap_err().kind(),
            &StoreErrorKind::RangeNotSatisfiable
        );
        let swapped = self.objects.get(&key, None, Some("\"another\"")).await;
        assert_eq!(
            swapped.unwrap_err().kind(),
            &StoreErrorKind::PreconditionFailed
        );
        self.objects.delete(&key).await.unwrap();
    }

    async fn open_uploads(&self) {
        let mut begun = Vec::new();
        for _ in 0..3 {
            let key = ObjectKey::temporary(&self.tenant, &self.entropy).unwrap();
            let own = ownership("cat_1", &self.tenant, "ast_1");
            let id = self.objects.create_multipart(&key, None, &own, false).await;
            begun.push((key.as_str().to_owned(), id.unwrap()));
        }
        begun.sort();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let from = after
                .as_ref()
                .map(|(key, id): &(String, String)| (key.as_str(), id.as_str()));
            let page = self.objects.list_uploads(from, 2).await.unwrap();
            seen.extend(page.uploads.into_iter().map(|u| (u.key, u.store_upload_id)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        seen.retain(|upload| begun.contains(upload));
        seen.sort();
        assert_eq!(seen, begun);
        for (key, id) in begun {
            let key = ObjectKey::parse(&key).unwrap();
            self.objects.abort(&key, &id).await.unwrap();
        }
    }

    async fn listing(&self) {
        let mut made = Vec::new();
        for n in 0..5_u8 {
            let key = ObjectKey::temporary(&self.tenant, &self.entropy).unwrap();
            let bytes = Bytes::from(vec![n; usize::from(n)]);
            let etag = self
                .objects
                .put(&key, bytes, PutOptions::default())
                .await
                .unwrap();
            made.push((key.as_str().to_owned(), i64::from(n), etag));
        }
        made.sort();
        let prefix = keys::prefix(keys::KeyKind::Temporary, &self.tenant).unwrap();
        let mut seen = Vec::new();
        let mut continuation: Option<String> = None;
        let mut pages = 0;
        loop {
            let page = self
                .objects
                .list(&prefix, continuation.as_deref(), 2)
                .await
                .unwrap();
            pages += 1;
            assert!(page.objects.len() <= 2);
            for object in page.objects {
                // Clocks may differ; a day is far more than any that signatures allow.
                let apart = (object.modified_at.0 - self.now.0).unsigned_abs();
                assert!(apart < 86_400_000_000, "{:?}", object.modified_at);
                seen.push((object.key, object.size_bytes, object.etag));
            }
            continuation = page.continuation;
            if continuation.is_none() {
                break;
            }
        }
        assert_eq!((seen, pages), (made.clone(), 3));
        // From any key on, whether or not it is there.
        let behind = |after: String| {
            let prefix = prefix.clone();
            async move { self.objects.list_after(&prefix, &after, 2).await.unwrap() }
        };
        let from = behind(made[2].0.clone()).await;
        let keys: Vec<&str> = from.objects.iter().map(|o| o.key.as_str()).collect();
        assert_eq!(keys, [made[3].0.as_str(), made[4].0.as_str()]);
        assert_eq!(from.continuation, None);
        assert_eq!(behind(format!("{prefix}~")).await.objects, []);
        assert_eq!(behind(String::new()).await.objects[0].key, made[0].0);
        let head = self
            .objects
            .head(&ObjectKey::parse(&made[0].0).unwrap())
            .await;
        let modified_at = head.unwrap().unwrap().modified_at.unwrap();
        assert!((modified_at.0 - self.now.0).unsigned_abs() < 86_400_000_000);
        for (key, ..) in made {
            let key = ObjectKey::parse(&key).unwrap();
            self.objects.delete(&key).await.unwrap();
        }
        assert!(
            self.objects
                .list(&prefix, None, 10)
                .await
                .unwrap()
                .objects
                .is_empty()
        );
    }
}
