//! Makes smaller copies of pictures where the server advises so and the app can.
//!
//! The capture is initiated with the originals first: what the server has is not encoded for nothing, and its answer carries the
//! advice. If anything is encoded, the capture is made anew with the copies' sizes and hashes, and the first uploads, of
//! which nothing was sent, are aborted.
//!
//! | killed | the next run |
//! |---|---|
//! | while it is encoded | removes what was written, and encodes again |
//! | after the copy stands in the journal | initiates with the copies; the first uploads expire if nobody aborted them |
//! | in the midst of the upload | goes on with the copy; if that is gone, the file is sent as another capture |
//! | after it has arrived | removes the copy |

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use safelight_api::captures::{Compress, InitiateCapture};
use safelight_model::duplicates::Duplicates;
use safelight_model::ids;

use super::initiate::{InitiateError, Initiated};
use super::intend::{next_reference, text};
use super::{FileJob, Known, Uploader, WorkFile, blocking};
use crate::encode::Encode;
use crate::fingerprint::{Fingerprint, Stamp};
use crate::grouping::media_type;
use crate::journal::{Copied, JournalError, Renewal};

/// A copy that was made, with its media type.
struct Made {
    file_seq: i64,
    copy: Copied,
    mime: String,
}

impl Uploader {
    /// Initiates; again, with smaller copies, if the server advises so and they could be made.
    pub(super) async fn initiate_as_advised(
        &self,
        known: &mut Known,
    ) -> Result<Initiated, InitiateError> {
        self.reload(known).await?;
        let initiated = self.initiate(known).await?;
        // Made anew, a capture would keep once more what it keeps already.
        let keeps = self.settings.duplicates == Duplicates::Keep
            && initiated.outcomes.iter().any(|o| o.already_there);
        if keeps || !self.copy(known.seq, &initiated.jobs).await? {
            return Ok(initiated);
        }
        for job in &initiated.jobs {
            // Whoever is not told lets it expire: nothing was sent of it.
            let _ = self.session.abort(&job.upload.upload_id).await;
        }
        self.reload(known).await?;
        self.initiate(known).await
    }

    /// What stands in the journal of these files now: copies may have been made since they were looked up.
    async fn reload(&self, known: &mut Known) -> Result<(), JournalError> {
        let seq = known.seq;
        for row in self.journal(move |journal| journal.files_of(seq)).await? {
            if let Some(file) = known.files.iter_mut().find(|f| f.row.seq == row.seq) {
                file.row = row;
            }
        }
        Ok(())
    }

    /// Makes copies of those of a capture's files for which there is advice. Whether there is any.
    async fn copy(&self, seq: i64, jobs: &[FileJob]) -> Result<bool, InitiateError> {
        let Some(encode) = &self.settings.encode else {
            return Ok(false);
        };
        let folder = self
            .journal(|journal| Ok(journal.copies().to_owned()))
            .await?;
        let (mut considered, mut made, mut making) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs {
            let Some(advice) = job.upload.plan.compress.clone() else {
                continue;
            };
            let row = &job.file.row;
            let is_clip = media_type(&job.file.path).is_some_and(|t| t.starts_with("video/"));
            if row.copy.is_some() || row.is_considered || row.role == "clip" || is_clip {
                continue;
            }
            // What an earlier run has sent of the original counts.
            if job.resumed
                && self
                    .session
                    .upload(&job.upload.upload_id)
                    .await?
                    .received_bytes
                    > 0
            {
                continue;
            }
            considered.push(row.seq);
            let name = ids::public_id(&*self.patience.entropy);
            let (file, to, encode) = (job.file.clone(), folder.join(name), encode.clone());
            making.push(to.clone());
            self.making().insert(to.clone());
            made.extend(blocking(move || make(&file, to, &encode, &advice)).await);
        }
        if considered.is_empty() {
            return Ok(false);
        }
        let key = ids::public_id(&*self.patience.entropy);
        let is_copied = self
            .journal(move |journal| {
                let capture = journal.capture(seq)?;
                let rows = journal.files_of(seq)?;
                // A request of this journal always reads back.
                let request = serde_json::from_str::<InitiateCapture>(&capture.request).ok();
                let renewal = request.filter(|_| !made.is_empty()).map(|mut request| {
                    let client_ref = next_reference(&capture);
                    request.client_ref.clone_from(&client_ref);
                    request
                        .assets
                        .retain(|a| rows.iter().any(|r| r.client_ref == a.client_ref));
                    for one in &made {
                        let row = rows.iter().find(|r| r.seq == one.file_seq);
                        let reference = row.map(|r| r.client_ref.as_str());
                        let mut assets = request.assets.iter_mut();
                        let asset = assets.find(|a| Some(a.client_ref.as_str()) == reference);
                        if let Some(resource) = asset.and_then(|a| a.resources.first_mut()) {
                            resource.size_bytes = one.copy.fingerprint.stamp.size_bytes;
                            resource.sha256 = Some(one.copy.fingerprint.sha256.clone());
                            resource.mime = Some(one.mime.clone());
                            resource.filename = resource
                                .filename
                                .take()
                                .map(|name| renamed(&name, &one.mime));
                        }
                    }
                    Renewal {
                        client_ref,
                        idempotency_key: key,
                        request: text(&request),
                    }
                });
                let mut copies = Vec::new();
                if renewal.is_some() {
                    copies.extend(made.into_iter().map(|m| (m.file_seq, m.copy)));
                }
                let noted = journal.copied(seq, &considered, &copies, renewal.as_ref())?;
                Ok(noted && renewal.is_some())
            })
            .await?;
        for path in making {
            self.making().remove(&path);
        }
        Ok(is_copied)
    }

    /// Removes copies that nobody is going to send.
    pub(super) async fn sweep_copies(&self) -> Result<(), JournalError> {
        let making = self.making().clone();
        self.journal(move |journal| {
            let Ok(there) = std::fs::read_dir(journal.copies()) else {
                return Ok(());
            };
            let in_use = journal.copies_in_use()?;
            let paths = there.filter_map(|entry| Some(entry.ok()?.path()));
            for path in paths.filter(|p| !in_use.contains(p) && !making.contains(p)) {
                // Perhaps the next run can.
                let _ = std::fs::remove_file(path);
            }
            Ok(())
        })
        .await
    }

    fn making(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<PathBuf>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a copy, if the encoder can and it is smaller. What it wrote of another one is left to be swept.
fn make(file: &WorkFile, to: PathBuf, encode: &Arc<dyn Encode>, advice: &Compress) -> Option<Made> {
    let before = &file.row.fingerprint.stamp;
    std::fs::create_dir_all(to.parent()?).ok()?;
    let mime = encode.encode(&file.path, &to, advice).ok()??;
    let fingerprint = persisted(&to).ok()?;
    let size_bytes = fingerprint.stamp.size_bytes;
    let is_smaller = (1..before.size_bytes).contains(&size_bytes);
    // It may be a copy of something else.
    let is_same = Stamp::of(&file.path).ok().as_ref() == Some(before);
    (is_smaller && is_same).then_some(Made {
        file_seq: file.row.seq,
        copy: Copied {
            path: to,
            fingerprint,
        },
        mime,
    })
}

/// On the disk before the journal says so.
fn persisted(path: &Path) -> std::io::Result<Fingerprint> {
    std::fs::File::open(path)?.sync_all()?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Fingerprint::of(path)
}

/// `name` with the extension of what it holds now.
fn renamed(name: &str, mime: &str) -> String {
    let extension = match mime {
        "image/jpeg" => "jpg",
        other => other.rsplit('/').next().unwrap_or(other),
    };
    let is_so_already = media_type(Path::new(name)) == Some(mime);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if is_so_already {
        name.to_owned()
    } else {
        format!("{stem}.{extension}")
    }
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn names_follow_what_they_hold() {
        assert_eq!(renamed("IMG_1.HEIC", "image/jpeg"), "IMG_1.jpg");
        assert_eq!(renamed("IMG_1.JPEG", "image/jpeg"), "IMG_1.JPEG");
        assert_eq!(renamed("shot.png", "image/webp"), "shot.webp");
        assert_eq!(renamed("shot", "image/webp"), "shot.webp");
    }
}
