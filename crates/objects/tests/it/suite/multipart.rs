//! Multipart uploads, with and without checksums.

use safelight_objects::{CompleteError, Part, ownership};

use super::{Run, TTL, refused, sha256_hex, taken};
use crate::phone;

/// The least size of a part but the last that every store takes.
const PART_BYTES: usize = 5 << 20;

impl Run<'_> {
    pub(super) async fn multipart(&self, checksums: bool) {
        let key = self.key();
        let metadata = ownership("cat_1", &self.tenant, "ast_2");
        let upload = self
            .objects
            .create_multipart(&key, Some("video/mp4"), &metadata, checksums)
            .await
            .unwrap();
        let listed = async || self.objects.list_parts(&key, &upload).await.unwrap();
        assert_eq!(listed().await, Some(Vec::new()));
        let bodies = [vec![1_u8; PART_BYTES], b"the rest".to_vec()];
        let mut parts = Vec::new();
        for (number, body) in (1..).zip(&bodies) {
            let size_bytes = i64::try_from(body.len()).unwrap();
            let hash = checksums.then(|| sha256_hex(body));
            let sign = |at| {
                let hash = hash.as_deref();
                self.objects
                    .presign_part(&key, &upload, number, size_bytes, hash, at, TTL)
                    .unwrap()
            };
            let to = sign(self.now);
            assert_eq!(to.headers.len(), usize::from(checksums));
            refused(&phone::put(&to, body[1..].to_vec()).await, "short part");
            if checksums {
                let wrong = vec![9_u8; body.len()];
                refused(&phone::put(&to, wrong).await, "wrong part");
            }
            let expired = sign(self.now.minus(TTL * 2));
            refused(&phone::put(&expired, body.clone()).await, "expired part");
            taken(&phone::put(&to, body.clone()).await);
            let etag = taken(&phone::put(&to, body.clone()).await);
            parts.push(Part {
                number,
                size_bytes,
                etag,
                sha256_hex: hash,
            });
        }
        let stored = listed().await.unwrap();
        if checksums {
            assert_eq!(stored, parts);
        } else {
            let plain = |all: &[Part]| -> Vec<(i64, i64, String)> {
                all.iter()
                    .map(|p| (p.number, p.size_bytes, p.etag.clone()))
                    .collect()
            };
            assert_eq!(plain(&stored), plain(&parts));
        }
        self.absent(&key).await;

        let mut wrong = stored.clone();
        wrong[1].etag = wrong[0].etag.clone();
        let refusal = self.objects.complete(&key, &upload, &wrong).await;
        assert!(
            matches!(refusal, Err(CompleteError::Refused { .. })),
            "{refusal:?}"
        );
        self.absent(&key).await;

        let done = self.objects.complete(&key, &upload, &stored).await.unwrap();
        let head = self.objects.head(&key).await.unwrap().unwrap();
        assert_eq!(head.etag, done.etag);
        assert_eq!(head.content_type.as_deref(), Some("video/mp4"));
        assert_eq!(head.metadata, metadata);
        assert_eq!(head.sha256_hex, None);
        assert_eq!(head.composite_sha256.is_some(), checksums);
        assert!(head.holds(&stored));
        assert!(!head.holds(&stored[..1]));
        if checksums {
            let mut others = stored.clone();
            others[0].sha256_hex = Some(sha256_hex(b"other"));
            assert!(!head.holds(&others));
        }
        // Stores differ in what a second Complete answers; either way the object stands.
        match self.objects.complete(&key, &upload, &stored).await {
            Ok(again) => assert_eq!(again.etag, done.etag),
            Err(CompleteError::Gone) => {}
            Err(other) => panic!("{other}"),
        }
        assert_eq!(listed().await, None);
        self.objects.abort(&key, &upload).await.unwrap();
        assert_eq!(self.content(&key).await, bodies.concat());
        let border = u64::try_from(PART_BYTES).unwrap() - 1;
        let across = self
            .objects
            .get(&key, Some((border, Some(border + 3))), Some(&done.etag))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(across.bytes().await.unwrap(), b"\x01the".as_slice());
        self.objects.delete(&key).await.unwrap();
        self.absent(&key).await;
    }

    pub(super) async fn aborted_multipart(&self) {
        let key = self.key();
        let metadata = ownership("cat_1", &self.tenant, "ast_3");
        let upload = self
            .objects
            .create_multipart(&key, None, &metadata, false)
            .await
            .unwrap();
        let to = self
            .objects
            .presign_part(&key, &upload, 1, 5, None, self.now, TTL)
            .unwrap();
        taken(&phone::put(&to, b"hello".to_vec()).await);
        let parts = self.objects.list_parts(&key, &upload).await.unwrap();
        self.objects.abort(&key, &upload).await.unwrap();
        self.objects.abort(&key, &upload).await.unwrap();
        assert_eq!(self.objects.list_parts(&key, &upload).await.unwrap(), None);
        let late = self.objects.complete(&key, &upload, &parts.unwrap()).await;
        assert!(matches!(late, Err(CompleteError::Gone)), "{late:?}");
        refused(&phone::put(&to, b"hello".to_vec()).await, "part of nothing");
        self.absent(&key).await;
    }
}
