//! What a probe made, so that it can be removed.

use std::sync::{Mutex, PoisonError};

use crate::{ObjectKey, Objects};

/// Noted before a request leaves that may make something.
#[derive(Debug, Default)]
pub(super) struct Traces {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    objects: Vec<ObjectKey>,
    /// Keys for which an upload is being begun: its id is not known before the answer.
    beginning: Vec<ObjectKey>,
    uploads: Vec<(ObjectKey, String)>,
}

impl Traces {
    fn note(&self, what: impl FnOnce(&mut Noted)) {
        what(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn object(&self, key: &ObjectKey) {
        self.note(|noted| noted.objects.push(key.clone()));
    }

    /// An upload is about to be begun.
    pub(super) fn beginning(&self, key: &ObjectKey) {
        self.note(|noted| noted.beginning.push(key.clone()));
    }

    /// It was begun, under this id, or refused.
    pub(super) fn begun(&self, key: &ObjectKey, upload: Option<&str>) {
        self.note(|noted| {
            noted.beginning.retain(|other| other != key);
            if let Some(upload) = upload {
                noted.uploads.push((key.clone(), upload.to_owned()));
            }
        });
    }

    /// Removes everything; what is left, named for people.
    pub(super) async fn remove(self, objects: &Objects) -> Vec<String> {
        let noted = self
            .noted
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut left = Vec::new();
        let mut uploads = noted.uploads;
        for key in noted.beginning {
            match uploads_of(objects, &key).await {
                Some(found) => uploads.extend(found.into_iter().map(|id| (key.clone(), id))),
                None => left.push(format!("perhaps an upload to {key}")),
            }
        }
        for (key, upload) in &uploads {
            if objects.abort(key, upload).await.is_err() {
                left.push(format!("the upload {upload} to {key}"));
            }
        }
        for key in &noted.objects {
            if objects.delete(key).await.is_err() {
                left.push(format!("the object {key}"));
            }
        }
        left
    }
}

/// The uploads to a key that nobody has completed; `None` when the store does not tell.
async fn uploads_of(objects: &Objects, key: &ObjectKey) -> Option<Vec<String>> {
    let page = objects
        .inner
        .client
        .list_multipart_uploads()
        .bucket(&objects.inner.bucket)
        .prefix(key.as_str())
        .send()
        .await
        .ok()?;
    let uploads = page.uploads.unwrap_or_default();
    Some(uploads.into_iter().filter_map(|u| u.upload_id).collect())
}
