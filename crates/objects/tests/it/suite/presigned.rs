//! Presigned URLs bring exactly what they are bound to.

use bytes::Bytes;
use reqwest::StatusCode;
use safelight_model::clock::Micros;
use safelight_objects::{GetOptions, Presigned, PutBinding, PutOptions, ownership};

use super::{Run, TTL, refused, sha256_hex, taken};
use crate::phone;

impl Run<'_> {
    pub(super) async fn presigned_put(&self) {
        let key = self.key();
        let bytes = b"twelve bytes".to_vec();
        let hash = sha256_hex(&bytes);
        let metadata = ownership("cat_1", &self.tenant, "ast_1");
        let binding = PutBinding {
            size_bytes: 12,
            sha256_hex: Some(&hash),
            content_type: Some("image/jpeg"),
            metadata: Some(&metadata),
        };
        let sign = |at: Micros| self.objects.presign_put(&key, binding, at, TTL).unwrap();
        let good = sign(self.now);
        let store = self.objects.capabilities();
        let is_bound = store.binds_put_sha256();
        let expected = 4 + usize::from(is_bound) + usize::from(store.writes_once(is_bound));
        assert_eq!(good.headers.len(), expected, "{:?}", good.headers);

        refused(&phone::put(&good, b"eleven byte".to_vec()).await, "shorter");
        refused(
            &phone::put(&good, b"thirteen byte".to_vec()).await,
            "longer",
        );
        if is_bound {
            refused(
                &phone::put(&good, b"other bytes!".to_vec()).await,
                "other bytes",
            );
        }
        refused(&phone::put(&good, Vec::new()).await, "empty");
        for name in good.headers.keys() {
            let mut without = good.clone();
            without.headers.remove(name);
            refused(&phone::put(&without, bytes.clone()).await, name);
            let mut changed = good.clone();
            let other = sha256_hex(b"x");
            changed.headers.insert(name.clone(), other);
            refused(&phone::put(&changed, bytes.clone()).await, name);
        }
        let expired = sign(self.now.minus(TTL * 2));
        refused(&phone::put(&expired, bytes.clone()).await, "expired");
        let elsewhere = Presigned {
            url: good.url.replacen("/o/", "/p/", 1),
            ..good.clone()
        };
        refused(&phone::put(&elsewhere, bytes.clone()).await, "other key");
        let mut extra = good.clone();
        extra
            .headers
            .insert("x-amz-meta-safelight-more".to_owned(), "1".to_owned());
        refused(&phone::put(&extra, bytes.clone()).await, "unsigned header");
        refused(&phone::get(&good).await, "other method");
        self.absent(&key).await;

        let etag = taken(&phone::put(&good, bytes.clone()).await);
        // A URL may be used again until it expires. Being bound to the hash it can only bring the
        // same bytes, and does so without changing anything; else it brings none.
        let again = phone::put(&good, bytes.clone()).await;
        if store.writes_once(is_bound) {
            assert_eq!(again.status, Some(StatusCode::PRECONDITION_FAILED));
        } else if is_bound {
            assert_eq!(taken(&again), etag);
        }
        if is_bound || store.writes_once(is_bound) {
            refused(
                &phone::put(&good, b"other bytes!".to_vec()).await,
                "swapped",
            );
        }
        let head = self.objects.head(&key).await.unwrap().unwrap();
        assert_eq!((head.size_bytes, &head.etag), (12, &etag));
        assert_eq!(head.content_type.as_deref(), Some("image/jpeg"));
        assert_eq!(head.metadata, metadata);
        if is_bound {
            assert_eq!(head.sha256_hex.as_ref(), Some(&hash));
        }
        assert_eq!(self.content(&key).await, bytes);
        self.objects.delete(&key).await.unwrap();
    }

    pub(super) async fn presigned_put_without_a_hash(&self) {
        let key = self.key();
        let binding = PutBinding {
            size_bytes: 5,
            ..PutBinding::default()
        };
        let to = self
            .objects
            .presign_put(&key, binding, self.now, TTL)
            .unwrap();
        let once = self.objects.capabilities().writes_once(false);
        assert_eq!(to.headers.contains_key("if-none-match"), once);
        assert_eq!(to.headers.len(), usize::from(once));
        refused(&phone::put(&to, b"sixsix".to_vec()).await, "longer");
        let etag = taken(&phone::put(&to, b"hello".to_vec()).await);
        let head = self.objects.head(&key).await.unwrap().unwrap();
        assert_eq!((head.size_bytes, head.etag), (5, etag));
        let swap = phone::put(&to, b"other".to_vec()).await;
        if once {
            assert_eq!(swap.status, Some(StatusCode::PRECONDITION_FAILED));
            assert_eq!(self.content(&key).await, b"hello".as_slice());
        } else {
            taken(&swap);
        }
        self.objects.delete(&key).await.unwrap();
    }

    pub(super) async fn presigned_get(&self) {
        let key = self.key();
        let bytes = Bytes::from_static(b"an original");
        let options = PutOptions {
            content_type: Some("image/jpeg"),
            ..PutOptions::default()
        };
        let etag = self
            .objects
            .put(&key, bytes.clone(), options)
            .await
            .unwrap();
        let sign = |at, options| self.objects.presign_get(&key, at, TTL, options).unwrap();
        let plain = phone::get(&sign(self.now, GetOptions::default())).await;
        assert_eq!(taken(&plain), etag);
        assert_eq!(plain.body, bytes);
        assert_eq!(plain.content_type.as_deref(), Some("image/jpeg"));
        let named = GetOptions {
            content_type: Some("application/octet-stream"),
            content_disposition: Some("attachment; filename=\"a b+c.jpg\""),
        };
        let renamed = phone::get(&sign(self.now, named)).await;
        assert_eq!(taken(&renamed), etag);
        assert_eq!(
            renamed.content_type.as_deref(),
            Some("application/octet-stream")
        );
        let expired = sign(self.now.minus(TTL * 2), GetOptions::default());
        refused(&phone::get(&expired).await, "expired");
        self.objects.delete(&key).await.unwrap();
        let gone = phone::get(&sign(self.now, GetOptions::default())).await;
        assert_eq!(gone.status, Some(StatusCode::NOT_FOUND));
    }
}
