//! Reads an original once, from the store into a file without a name, counting its hash.

use std::os::fd::OwnedFd;

use bytes::BytesMut;
use futures::StreamExt as _;
use safelight_catalog::blobs::Blob;
use safelight_imaging::{MediaType, SNIFF_BYTES, sniff};
use safelight_model::codes::Code;
use safelight_objects::{ObjectKey, ObjectStream, StoreError, StoreErrorKind};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use crate::context::Context;
use crate::work::JobError;

/// How often a body that breaks off is asked for again without a byte more of it coming.
const FRUITLESS: u32 = 3;
/// How long a job waits at least for a store that is away.
const STORE_AWAY: std::time::Duration = std::time::Duration::from_secs(3);

/// An original at hand.
pub(super) struct Fetched {
    /// What it is by its first bytes.
    pub(super) media: Option<MediaType>,
    /// The file, at its beginning; it goes with its last descriptor. `None` for kinds that were not asked for:
    /// those are only counted.
    pub(super) file: Option<OwnedFd>,
    /// How many bytes came.
    pub(super) size_bytes: i64,
    /// Their hash, lower-case hexadecimal.
    pub(super) sha256: String,
}

impl Fetched {
    /// The same once more, if the system gives another descriptor for the file.
    pub(super) fn again(&self) -> Option<Self> {
        let file = match &self.file {
            Some(file) => Some(file.try_clone().ok()?),
            None => None,
        };
        Some(Self {
            media: self.media,
            file,
            size_bytes: self.size_bytes,
            sha256: self.sha256.clone(),
        })
    }
}

/// A failure of the store, where somebody waits for the picture.
pub(super) fn store_failed(error: &StoreError) -> JobError {
    JobError::of_store(error, STORE_AWAY)
}

/// A failure of the scratch directory.
pub(super) fn disk_failed(error: &std::io::Error) -> JobError {
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

/// Fetches the bytes that were pinned at completion, and no others; kinds that can be decoded are put into a file.
pub(super) async fn fetch_original(context: &Context, blob: &Blob) -> Result<Fetched, JobError> {
    fetch_kinds(context, blob, MediaType::is_decodable).await
}

/// As [`fetch_original`], with the kinds that `wanted` names.
pub(super) async fn fetch_kinds(
    context: &Context,
    blob: &Blob,
    wanted: impl Fn(MediaType) -> bool,
) -> Result<Fetched, JobError> {
    let key = ObjectKey::parse(&blob.object_key).map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    let mut stream = open(context, &key, blob, 0).await?;
    let mut hash = Sha256::new();
    let mut size_bytes = 0_i64;
    let mut fruitless = 0;
    let mut head = BytesMut::new();
    let mut kind = None;
    let mut file = None;
    loop {
        let chunk = match stream.next().await.transpose() {
            Ok(chunk) => chunk,
            // Another request for the rest tells a connection that broke from bytes that cannot be had.
            Err(_) if fruitless < FRUITLESS => {
                fruitless += 1;
                stream = open(context, &key, blob, size_bytes).await?;
                continue;
            }
            Err(error) => return Err(store_failed(&error)),
        };
        if let Some(chunk) = &chunk {
            fruitless = 0;
            hash.update(chunk);
            size_bytes = size_bytes.saturating_add(i64::try_from(chunk.len()).unwrap_or(i64::MAX));
        }
        if kind.is_none() {
            head.extend_from_slice(chunk.as_deref().unwrap_or_default());
            if chunk.is_some() && head.len() < SNIFF_BYTES {
                continue;
            }
            let media = sniff(&head);
            kind = Some(media);
            if media.is_some_and(&wanted) {
                let mut scratch = scratch_file(context).await?;
                scratch
                    .write_all(&head)
                    .await
                    .map_err(|e| disk_failed(&e))?;
                file = Some(scratch);
            }
        } else if let (Some(file), Some(chunk)) = (&mut file, &chunk) {
            file.write_all(chunk).await.map_err(|e| disk_failed(&e))?;
        }
        if chunk.is_none() {
            break;
        }
    }
    let file = match file {
        Some(mut file) => {
            file.flush().await.map_err(|e| disk_failed(&e))?;
            file.rewind().await.map_err(|e| disk_failed(&e))?;
            Some(file.into_std().await.into())
        }
        None => None,
    };
    Ok(Fetched {
        media: kind.flatten(),
        file,
        size_bytes,
        sha256: hex::encode(hash.finalize()),
    })
}

/// Fetches a rendition of these bytes into a file, which is at its beginning. `None` if the store has it no longer.
pub(super) async fn fetch_rendition(
    context: &Context,
    object_key: &str,
    etag: &str,
) -> Result<Option<std::fs::File>, JobError> {
    let key = ObjectKey::parse(object_key).map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    let read = context.objects.get(&key, None, Some(etag)).await;
    let Some(mut read) = read.map_err(|e| store_failed(&e))? else {
        return Ok(None);
    };
    let mut file = scratch_file(context).await?;
    while let Some(chunk) = read
        .stream
        .next()
        .await
        .transpose()
        .map_err(|e| store_failed(&e))?
    {
        file.write_all(&chunk).await.map_err(|e| disk_failed(&e))?;
    }
    file.flush().await.map_err(|e| disk_failed(&e))?;
    file.rewind().await.map_err(|e| disk_failed(&e))?;
    Ok(Some(file.into_std().await))
}

/// Opens the original from a byte on.
async fn open(
    context: &Context,
    key: &ObjectKey,
    blob: &Blob,
    from: i64,
) -> Result<ObjectStream, JobError> {
    let range = u64::try_from(from).ok().filter(|from| *from > 0);
    let range = range.map(|from| (from, None));
    match context.objects.get(key, range, Some(&blob.etag)).await {
        Ok(Some(read)) => Ok(read.stream),
        Ok(None) => Err(JobError::Retry {
            after: None,
            code: Code::Internal,
            detail: "the object store has lost the original".to_owned(),
        }),
        Err(error) => Err(match error.kind() {
            StoreErrorKind::PreconditionFailed => JobError::Cancel {
                code: Code::ChecksumMismatch,
                detail: "the original was overwritten after its upload was completed".to_owned(),
            },
            StoreErrorKind::Damaged => JobError::Cancel {
                code: Code::Internal,
                detail: "the original is damaged in the object store".to_owned(),
            },
            _ => store_failed(&error),
        }),
    }
}

async fn scratch_file(context: &Context) -> Result<tokio::fs::File, JobError> {
    let scratch = context.settings.scratch_dir.clone();
    let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(scratch))
        .await
        .map_err(|e| disk_failed(&std::io::Error::other(e)))?
        .map_err(|e| disk_failed(&e))?;
    Ok(tokio::fs::File::from_std(file))
}
