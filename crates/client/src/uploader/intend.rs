//! Puts a capture into the journal, before any network is touched for it; and makes it anew when
//! the server has given the first one up.

use safelight_api::captures::{InitiateAsset, InitiateCapture, InitiateResource};
use safelight_model::duplicates::Duplicates;
use safelight_model::ids;
use safelight_model::plan::Transport;

use super::{FileOutcome, Known, Uploader, WorkFile};
use crate::grouping::{Draft, media_type};
use crate::journal::{CaptureIntent, CaptureRow, FileIntent, JournalError};

impl Uploader {
    /// Examines the draft's files, and puts them into the journal as one capture. What cannot be
    /// read is left out and reported. With `lost`, files of which the server has unfinished uploads become captures of
    /// their own, which go on where those are. None when nothing is left.
    pub(super) async fn intend(
        &self,
        draft: Draft,
        lost: bool,
    ) -> Result<(Vec<Known>, Vec<FileOutcome>), JournalError> {
        let (mut files, failed) = self.examine(draft.files).await;
        let mut known = Vec::new();
        // The server is not asked while nothing may be sent.
        if lost && self.gate.hold_of_all().is_none() {
            for found in self.recover(&mut files).await {
                let reference = found.capture_ref.clone();
                // Begun by this run, with another file of the same bytes.
                if self.journal(move |j| j.has_capture(&reference)).await? {
                    files.extend(found.files);
                    continue;
                }
                let one = self
                    .note(
                        found.capture_ref,
                        draft.mode,
                        draft.captured_at.clone(),
                        found.files,
                    )
                    .await?;
                let (seq, capture_id) = (one.seq, found.capture_id);
                // With its id noted, what has arrived is asked for before anything is sent.
                self.journal(move |journal| journal.initiated(seq, &capture_id, &[]))
                    .await?;
                known.push(one);
            }
        }
        if files.is_empty() {
            return Ok((known, failed));
        }
        for (i, file) in files.iter_mut().enumerate() {
            file.client_ref = (i + 1).to_string();
        }
        if draft.mode == "burst"
            && !files.iter().any(|f| f.role == "key")
            && let Some(first) = files.first_mut()
        {
            first.role = "key".to_owned();
        }
        let client_ref = ids::public_id(&*self.patience.entropy);
        known.push(
            self.note(client_ref, draft.mode, draft.captured_at, files)
                .await?,
        );
        Ok((known, failed))
    }

    /// Puts one capture into the journal.
    async fn note(
        &self,
        client_ref: String,
        mode: &str,
        captured_at: Option<String>,
        files: Vec<FileIntent>,
    ) -> Result<Known, JournalError> {
        self.look_at_link().await?;
        let request = self.request(&client_ref, mode, captured_at, &files);
        let intent = CaptureIntent {
            client_ref,
            idempotency_key: ids::public_id(&*self.patience.entropy),
            request,
            files,
        };
        self.journal(move |journal| {
            let seq = journal.intend(&intent)?;
            let rows = journal.files_of(seq)?;
            let paths = intent.files.into_iter().map(|f| f.path);
            let files = paths.zip(rows).map(|(path, row)| WorkFile { path, row });
            Ok(Known {
                seq,
                files: files.collect(),
            })
        })
        .await
    }

    /// Gives the capture another reference and key, so that it can be initiated again. `false` if the user gave it up.
    pub(super) async fn renew(&self, seq: i64) -> Result<bool, JournalError> {
        let key = ids::public_id(&*self.patience.entropy);
        self.look_at_link().await?;
        let network = self.network();
        let conditions = self.settings.conditions.borrow().clone();
        self.journal(move |journal| {
            let capture = journal.capture(seq)?;
            let kept: Vec<String> = journal
                .files_of(seq)?
                .into_iter()
                .filter(|f| !f.is_deleted)
                .map(|f| f.client_ref)
                .collect();
            let client_ref = next_reference(&capture);
            // A request of this journal always reads back; one that does not is sent as it is,
            // and the server says what is wrong with it.
            let request = match serde_json::from_str::<InitiateCapture>(&capture.request) {
                Ok(mut request) => {
                    request.client_ref.clone_from(&client_ref);
                    request.network = network;
                    request.battery = conditions.battery();
                    request.background = conditions.background;
                    request.assets.retain(|a| kept.contains(&a.client_ref));
                    text(&request)
                }
                Err(_) => capture.request,
            };
            journal.renew(seq, &client_ref, &key, &request)
        })
        .await
    }

    fn request(
        &self,
        client_ref: &str,
        mode: &str,
        captured_at: Option<String>,
        files: &[FileIntent],
    ) -> String {
        let asset = |file: &FileIntent| InitiateAsset {
            client_ref: file.client_ref.clone(),
            role: file.role.clone(),
            resources: vec![InitiateResource {
                kind: "primary".to_owned(),
                filename: file.path.file_name().map(|n| shown(&n.to_string_lossy())),
                mime: media_type(&file.path).map(str::to_owned),
                size_bytes: file.fingerprint.stamp.size_bytes,
                sha256: Some(file.fingerprint.sha256.clone()),
                preview: file.preview.clone(),
                ..InitiateResource::default()
            }],
        };
        let conditions = self.settings.conditions.borrow().clone();
        text(&InitiateCapture {
            client_ref: client_ref.to_owned(),
            mode: mode.to_owned(),
            purpose: self.settings.purpose.clone(),
            // As it was before there was a choice: what is the default need not be said.
            duplicates: (self.settings.duplicates != Duplicates::default())
                .then(|| self.settings.duplicates.as_str().to_owned()),
            captured_at,
            device: self.settings.device.clone(),
            background: conditions.background,
            network: self.network(),
            battery: conditions.battery(),
            accept_transports: spoken(),
            assets: files.iter().map(asset).collect(),
        })
    }
}

/// The transports that this version speaks.
pub(super) fn spoken() -> Vec<String> {
    [Transport::Single, Transport::Multipart, Transport::Append]
        .map(|t| t.as_str().to_owned())
        .to_vec()
}

/// `reference`, `reference.1`, `reference.2`, …
pub(super) fn next_reference(capture: &CaptureRow) -> String {
    match capture.client_ref.rsplit_once('.') {
        Some((base, n)) => match n.parse::<u64>() {
            Ok(n) => format!("{base}.{}", n.saturating_add(1)),
            Err(_) => format!("{}.1", capture.client_ref),
        },
        None => format!("{}.1", capture.client_ref),
    }
}

/// JSON of a request: plain fields, which always serialize.
pub(super) fn text(request: &InitiateCapture) -> String {
    serde_json::to_string(request).unwrap_or_default()
}

/// A file's name as the server takes it: it may be any bytes on a disk, and longer.
pub(super) fn shown(name: &str) -> String {
    let visible = |c: char| if c.is_control() { '_' } else { c };
    name.chars().map(visible).take(255).collect()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn names_become_such_as_the_server_takes() {
        assert_eq!(shown("a\nb\u{7f}é.jpg"), "a_b_é.jpg");
        assert_eq!(shown(&"x".repeat(300)).len(), 255);
    }
}
