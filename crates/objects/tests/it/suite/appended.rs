//! Parts as the gateway stores them: from files, with gaps between their numbers, and some that nobody names.

use std::io::Write as _;
use std::sync::Arc;

use safelight_objects::{FileSlice, Part, Served, ownership};

use super::Run;

/// The least size of a part but the last that every store takes.
const PART_BYTES: usize = 5 << 20;

/// A file without a name that holds these bytes, as a range behind other ones.
fn slice(bytes: &[u8]) -> FileSlice {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"before").unwrap();
    file.write_all(bytes).unwrap();
    file.write_all(b"behind").unwrap();
    FileSlice::of(Arc::new(file), 6, bytes.len() as u64)
}

impl Run<'_> {
    pub(super) async fn appended(&self) {
        let (key, metadata) = (self.key(), ownership("cat_1", &self.tenant, "ast_4"));
        let upload = self
            .objects
            .create_multipart(&key, None, &metadata, false)
            .await
            .unwrap();
        let mut parts = Vec::new();
        let bodies = [
            vec![1_u8; PART_BYTES],
            vec![2; PART_BYTES],
            b"rest".to_vec(),
        ];
        for (number, body) in [2, 5, 9].into_iter().zip(&bodies) {
            // One of an earlier attempt, whose number nobody uses again.
            let stray = slice(&body[1..]);
            self.objects
                .upload_part(&key, &upload, number - 1, &stray)
                .await
                .unwrap();
            let bytes = slice(body);
            let etag = self
                .objects
                .upload_part(&key, &upload, number, &bytes)
                .await
                .unwrap();
            parts.push(Part {
                number,
                size_bytes: bytes.size_bytes(),
                etag,
                sha256_hex: None,
            });
        }
        self.objects.complete(&key, &upload, &parts).await.unwrap();
        let head = self.objects.head(&key).await.unwrap().unwrap();
        assert!(head.holds(&parts));
        assert!(self.content(&key).await == bodies.concat());
        self.objects.delete(&key).await.unwrap();
    }

    /// A file that is stored in one piece, with what it is to be served as.
    pub(super) async fn whole_files(&self) {
        let (key, metadata) = (self.key(), ownership("cat_1", &self.tenant, "ast_4"));
        let body = vec![1_u8; PART_BYTES];
        let bytes = slice(&body);
        let served = Served {
            content_type: Some("video/mp4"),
            cache_control: Some("public, max-age=60"),
        };
        let put = self.objects.put_slice(&key, &bytes, &metadata, served);
        let etag = put.await.unwrap();
        let head = self.objects.head(&key).await.unwrap().unwrap();
        assert_eq!(head.etag, etag);
        assert_eq!(head.content_type.as_deref(), Some("video/mp4"));
        assert!(self.content(&key).await == body);
        self.objects.delete(&key).await.unwrap();
    }
}
