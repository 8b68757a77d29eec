//! Reads an original once, from the store into a file without a name, counting its hash.

use std::os::fd::OwnedFd;

use futures::StreamExt as _;
use safelight_catalog::blobs::Blob;
use safelight_model::codes::Code;
use safelight_objects::{ObjectKey, StoreError, StoreErrorKind};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use crate::context::Context;
use crate::work::JobError;

/// An original at hand.
pub(super) struct Fetched {
    /// The file, at its beginning. It goes with its last descriptor.
    pub(super) file: OwnedFd,
    /// How many bytes came.
    pub(super) size_bytes: i64,
    /// Their hash, lower-case hexadecimal.
    pub(super) sha256: String,
}

/// How a store's failure stands in a job.
pub(super) fn store_failed(error: &StoreError) -> JobError {
    tracing::warn!(%error, "a job could not use the store");
    JobError::Retry {
        after: error.retry(),
        code: error.code(),
        detail: error.code().title().to_owned(),
    }
}

fn disk_failed(error: &std::io::Error) -> JobError {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::Internal,
    };
    tracing::warn!(%error, "the scratch directory cannot be written");
    JobError::Retry {
        after: None,
        code,
        detail: "the scratch directory cannot be written".to_owned(),
    }
}

/// Fetches the bytes that were pinned at completion, and no others.
pub(super) async fn fetch_original(context: &Context, blob: &Blob) -> Result<Fetched, JobError> {
    let key = ObjectKey::parse(&blob.object_key).map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    let read = match context.objects.get(&key, None, Some(&blob.etag)).await {
        Ok(Some(read)) => read,
        Ok(None) => {
            let detail = "the object store has lost the original".to_owned();
            return Err(JobError::Retry {
                after: None,
                code: Code::Internal,
                detail,
            });
        }
        Err(error) if *error.kind() == StoreErrorKind::PreconditionFailed => {
            let detail = "the original was overwritten after its upload was completed".to_owned();
            return Err(JobError::Cancel {
                code: Code::ChecksumMismatch,
                detail,
            });
        }
        Err(error) => return Err(store_failed(&error)),
    };
    let scratch = context.settings.scratch_dir.clone();
    let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(scratch))
        .await
        .map_err(|e| disk_failed(&std::io::Error::other(e)))?
        .map_err(|e| disk_failed(&e))?;
    let mut file = tokio::fs::File::from_std(file);
    let mut hash = Sha256::new();
    let mut size_bytes = 0_i64;
    let mut stream = read.stream;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| store_failed(&e))?;
        hash.update(&chunk);
        size_bytes = size_bytes.saturating_add(i64::try_from(chunk.len()).unwrap_or(i64::MAX));
        file.write_all(&chunk).await.map_err(|e| disk_failed(&e))?;
    }
    file.flush().await.map_err(|e| disk_failed(&e))?;
    file.rewind().await.map_err(|e| disk_failed(&e))?;
    Ok(Fetched {
        file: file.into_std().await.into(),
        size_bytes,
        sha256: hex::encode(hash.finalize()),
    })
}
