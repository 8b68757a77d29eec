//! Asks the store which parts of an upload have arrived: the truth about a transfer.

use crate::{ObjectKey, Objects, StoreError, StoreErrorKind, sha256};

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: i64,
    /// Its length.
    pub size_bytes: i64,
    /// Its ETag, verbatim.
    pub etag: String,
    /// Its SHA-256, where the upload was created with checksums.
    pub sha256_hex: Option<String>,
}

impl Objects {
    /// All parts that have arrived, by number. `None` when the store knows no such upload: it was
    /// completed, aborted, or never was.
    ///
    /// # Errors
    /// [`StoreError`], also when the bucket is missing.
    pub async fn list_parts(
        &self,
        key: &ObjectKey,
        store_upload_id: &str,
    ) -> Result<Option<Vec<Part>>, StoreError> {
        const OPERATION: &str = "list parts";
        let mut parts: Vec<Part> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let asked = self
                .inner
                .client
                .list_parts()
                .bucket(&self.inner.bucket)
                .key(key.as_str())
                .upload_id(store_upload_id)
                .set_part_number_marker(marker)
                .send()
                .await;
            let page = match asked.map_err(|e| StoreError::of(OPERATION, e)) {
                Ok(page) => page,
                Err(e) if *e.kind() == StoreErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            };
            let before = parts.len();
            for part in page.parts.unwrap_or_default() {
                let (Some(number), Some(size_bytes), Some(etag)) =
                    (part.part_number, part.size, part.e_tag)
                else {
                    return Err(StoreError::nonsense(OPERATION, "a part lacks a field"));
                };
                let number = i64::from(number);
                if parts.last().is_some_and(|last| last.number >= number) {
                    return Err(StoreError::nonsense(OPERATION, "parts are out of order"));
                }
                parts.push(Part {
                    number,
                    size_bytes,
                    etag,
                    sha256_hex: part
                        .checksum_sha256
                        .as_deref()
                        .and_then(sha256::hex_of_base64),
                });
            }
            if page.is_truncated != Some(true) {
                return Ok(Some(parts));
            }
            if parts.len() == before {
                return Err(StoreError::nonsense(
                    OPERATION,
                    "an empty page is not the last",
                ));
            }
            marker = parts.last().map(|last| last.number.to_string());
        }
    }
}
