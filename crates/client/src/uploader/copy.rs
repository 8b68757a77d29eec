//! Makes smaller copies of pictures where the server advises so and the app can.
//!
//! The capture is initiated with the originals first: what the server has is not encoded for nothing, and its answer carries the
//! advice. If anything is encoded, the capture is made anew with the copies' sizes and hashes, and the first uploads, of
//! which nothing was sent, are given up ([`super::supersede`]): the assets of the copies stand for theirs.
//!
//! | killed | the next run |
//! |---|---|
//! | while it is encoded | removes what was written, and encodes again |
//! | after the copy stands in the journal | initiates with the copies, and then gives up the first uploads, which stand there too |
//! | in the midst of the upload | goes on with the copy; if that is gone, the file is sent as another capture |
//! | after all of its capture has arrived | removes the copy |
//! | after the user gave its capture up | removes the copy, which is tried at once |

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use safelight_api::captures::{Compress, InitiateCapture};
use safelight_model::duplicates::Duplicates;
use safelight_model::ids;

use super::ask_ahead::Errand;
use super::initiate::{InitiateError, Initiated};
use super::intend::{next_reference, text};
use super::{FileJob, Known, Uploader, WorkFile, blocking};
use crate::encode::Encode;
use crate::fingerprint::{Fingerprint, Stamp};
use crate::grouping::media_type;
use crate::journal::{Copied, JournalError, Renewal};
use crate::progress::Event;

/// The copies that are being made, and do not stand in the journal yet.
#[derive(Clone, Debug, Default)]
pub(super) struct InMaking(Arc<Mutex<HashSet<PathBuf>>>);

impl InMaking {
    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, path: PathBuf) -> Place {
        self.lock().insert(path.clone());
        Place {
            path,
            of: self.clone(),
            is_noted: false,
        }
    }
}

/// Where a copy is being made. Once dropped it is the journal's, or is removed: perhaps no other run comes.
struct Place {
    path: PathBuf,
    of: InMaking,
    /// Whether it stands in the journal.
    is_noted: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_noted {
            // Mostly it is not there.
            let _ = std::fs::remove_file(&self.path);
        }
        self.of.lock().remove(&self.path);
    }
}

/// A copy that was made, with its media type.
struct Made {
    file_seq: i64,
    copy: Copied,
    mime: String,
    place: Place,
}

impl Uploader {
    /// Initiates; again, with smaller copies, if the server advises so and they could be made.
    pub(super) async fn initiate_as_advised(
        &self,
        known: &mut Known,
        errand: &Errand,
    ) -> Result<Initiated, InitiateError> {
        self.reload(known).await?;
        let initiated = self.initiate_ending(known, errand).await?;
        if !self.may_be_renewed(known, &initiated).await?
            || !self
                .copy(known.seq, errand.place(), &initiated.jobs)
                .await?
        {
            return Ok(initiated);
        }
        self.reload(known).await?;
        self.initiate_ending(known, errand).await
    }

    /// Initiates; then ends the uploads of originals that the answer stands for, those of a run that was killed too.
    async fn initiate_ending(
        &self,
        known: &Known,
        errand: &Errand,
    ) -> Result<Initiated, InitiateError> {
        let initiated = self.initiate(known, errand).await;
        // They may be what takes the room.
        let is_answered = initiated
            .as_ref()
            .map_or_else(InitiateError::is_full, |_| true);
        if is_answered {
            self.end_superseded_of(known.seq).await?;
        }
        initiated
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

    /// Whether a capture may be made anew: not if it would keep once more what it keeps already, by what was asked for when it was
    /// first made, and not if it has files that are not in this run, of which what an earlier one has sent would be lost unseen.
    async fn may_be_renewed(
        &self,
        known: &Known,
        initiated: &Initiated,
    ) -> Result<bool, InitiateError> {
        if self.settings.encode.is_none() {
            return Ok(false);
        }
        let seq = known.seq;
        let (capture, rows) = self
            .journal(move |journal| Ok((journal.capture(seq)?, journal.files_of(seq)?)))
            .await?;
        let request = serde_json::from_str::<InitiateCapture>(&capture.request).ok();
        let keeps =
            request.is_some_and(|r| r.duplicates.as_deref() == Some(Duplicates::Keep.as_str()));
        let keeps = keeps && initiated.outcomes.iter().any(|o| o.already_there);
        let is_whole = rows
            .iter()
            .all(|row| row.is_deleted || known.files.iter().any(|f| f.row.seq == row.seq));
        Ok(!keeps && is_whole)
    }

    /// Whether these are still to come: neither deleted meanwhile, nor there by another way.
    async fn are_awaited(&self, seq: i64, jobs: &[FileJob]) -> Result<bool, InitiateError> {
        let capture = self.journal(move |journal| journal.capture(seq)).await?;
        let Some(capture_id) = capture.capture_id else {
            return Ok(false);
        };
        match self.session.capture(&capture_id).await {
            Ok(capture) => {
                let open: Vec<String> =
                    capture.assets.into_iter().flat_map(|a| a.uploads).collect();
                Ok(jobs.iter().all(|job| open.contains(&job.upload.upload_id)))
            }
            Err(error) if error.is_passing() => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    /// Makes copies of those of a capture's files for which there is advice, in its turn by its `place` in the queue. Whether there
    /// is any.
    async fn copy(&self, seq: i64, place: u64, jobs: &[FileJob]) -> Result<bool, InitiateError> {
        let Some(encode) = &self.settings.encode else {
            return Ok(false);
        };
        let folder = self
            .journal(|journal| Ok(journal.copies().to_owned()))
            .await?;
        let advised: Vec<(&FileJob, Compress)> = jobs
            .iter()
            .filter(|job| {
                let row = &job.file.row;
                let is_clip = media_type(&job.file.path).is_some_and(|t| t.starts_with("video/"));
                row.copy.is_none() && !row.is_considered && row.role != "clip" && !is_clip
            })
            .filter_map(|job| Some((job, job.upload.plan.compress.clone()?)))
            .collect();
        if advised.is_empty() {
            return Ok(false);
        }
        // Made anew, a capture loses what an earlier run has sent of it, of files for which nothing is advised too.
        for job in jobs.iter().filter(|job| job.resumed) {
            let upload = self.session.upload(&job.upload.upload_id).await?;
            if upload.received_bytes > 0 {
                return Ok(false);
            }
        }
        let (mut considered, mut made) = (Vec::new(), Vec::new());
        let mut turn = self.encoding.enter(place).await;
        for (job, advice) in advised {
            turn = turn.give_way().await;
            considered.push(job.file.row.seq);
            let name = ids::public_id(&*self.patience.entropy);
            let (file, encode) = (job.file.clone(), encode.clone());
            let place = self.making.begin(folder.join(name));
            // One picture in memory at a time: the turn ends with the encoder, also where nobody waits for that any more.
            let (again, one) = blocking(move || {
                let made = make(&file, place, &encode, &advice);
                (turn, made)
            })
            .await;
            turn = again;
            match one {
                Ok(one) => made.extend(one),
                Err(error) => self.patience.progress.event(&Event::NoCopy {
                    file: &job.file.path,
                    why: &error.to_string(),
                }),
            }
        }
        drop(turn);
        // Encoding takes long. What was deleted meanwhile must not come back as a copy: sending the first ones shows what became of them.
        if !made.is_empty() && !self.are_awaited(seq, jobs).await? {
            return Ok(false);
        }
        let key = ids::public_id(&*self.patience.entropy);
        let is_copied = self
            .journal(move |journal| {
                let capture = journal.capture(seq)?;
                let mut rows = journal.files_of(seq)?;
                rows.retain(|row| !row.is_deleted);
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
                let made = made.into_iter().map(|m| ((m.file_seq, m.copy), m.place));
                let (copies, mut places): (Vec<_>, Vec<Place>) = made.unzip();
                let is_noted = journal.copied(seq, &considered, &copies, renewal.as_ref())?;
                for place in &mut places {
                    place.is_noted = is_noted;
                }
                Ok(is_noted && renewal.is_some())
            })
            .await?;
        Ok(is_copied)
    }

    /// Removes copies that nobody is going to send.
    pub(super) async fn sweep_copies(&self) -> Result<(), JournalError> {
        let making = self.making.clone();
        self.journal(move |journal| {
            // A folder that somebody else put there is not ours to clear.
            let is_folder = std::fs::symlink_metadata(journal.copies()).is_ok_and(|m| m.is_dir());
            if !is_folder {
                return Ok(());
            }
            let Ok(there) = std::fs::read_dir(journal.copies()) else {
                return Ok(());
            };
            let in_use = journal.copies_in_use()?;
            let making = making.lock();
            let paths = there.filter_map(|entry| Some(entry.ok()?.path()));
            let ours =
                paths.filter(|p| p.file_name().is_some_and(|n| is_name(&n.to_string_lossy())));
            for path in ours.filter(|p| !in_use.contains(p) && !making.contains(p)) {
                // Perhaps the next run can.
                let _ = std::fs::remove_file(path);
            }
            Ok(())
        })
        .await
    }
}

/// Whether a file has a name that copies are given.
fn is_name(name: &str) -> bool {
    ids::is("copy", &format!("copy_{name}"))
}

/// Makes a copy, if the encoder does not decline and it is smaller.
fn make(
    file: &WorkFile,
    place: Place,
    encode: &Arc<dyn Encode>,
    advice: &Compress,
) -> std::io::Result<Option<Made>> {
    let before = &file.row.fingerprint.stamp;
    let to = place.path.clone();
    if let Some(folder) = to.parent() {
        open_folder(folder)?;
    }
    let Some(mime) = encode.encode(&file.path, &to, advice)? else {
        return Ok(None);
    };
    let fingerprint = persisted(&to)?;
    let size_bytes = fingerprint.stamp.size_bytes;
    let is_smaller = (1..before.size_bytes).contains(&size_bytes);
    // It may be a copy of something else.
    let is_same = Stamp::of(&file.path).ok().as_ref() == Some(before);
    Ok((is_smaller && is_same).then_some(Made {
        file_seq: file.row.seq,
        copy: Copied {
            path: to,
            fingerprint,
        },
        mime,
        place,
    }))
}

/// Nobody else looks into it: the originals may be for their owner alone.
fn open_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
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
    use safelight_model::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn only_what_has_a_copys_name_is_swept() {
        assert!(is_name(&ids::public_id(&SeededEntropy::new(7))));
        for other in ["", "IMG_1.jpg", "01234567890123456789012345.jpg", "../x"] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn names_follow_what_they_hold() {
        assert_eq!(renamed("IMG_1.HEIC", "image/jpeg"), "IMG_1.jpg");
        assert_eq!(renamed("IMG_1.JPEG", "image/jpeg"), "IMG_1.JPEG");
        assert_eq!(renamed("shot.png", "image/webp"), "shot.webp");
        assert_eq!(renamed("shot", "image/webp"), "shot.webp");
    }
}
