//! Going through the store and doing what is due.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;

use s3s::{S3ErrorCode, S3Result};

use super::rule::LifecycleRule;
use crate::events::Cause;
use crate::ids::Ids;
use crate::record::ObjectRecord;
use crate::remove::remove;
use crate::sealed;
use crate::store::DiskStore;
use crate::upload::{abort, upload_record};
use crate::walk::{Resume, Walk};

/// One pass through all buckets that have rules. It goes on in steps, so that
/// whoever runs it can stop or rest between two; dropping it ends it, and the
/// next pass begins anew.
pub struct LifecyclePass {
    store: DiskStore,
    at_us: i64,
    work: Work,
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifecycleStep {
    /// Objects and uploads that were looked at.
    pub examined: usize,
    /// Objects that were removed.
    pub expired: usize,
    /// Open uploads that were aborted.
    pub aborted: usize,
    /// Objects and uploads that could not be read or removed; the log says why,
    /// and the next pass tries again.
    pub failed: usize,
    /// Whether that was all.
    pub done: bool,
}

/// What is left to do.
#[derive(Default)]
struct Work {
    ahead: VecDeque<Task>,
    /// How far the first task is, once it has begun.
    position: Option<Position>,
}

enum Task {
    /// The objects of a bucket that have a prefix.
    Objects { bucket: String, prefix: String },
    /// The uploads of a bucket in one directory.
    Uploads { bucket: String, shard: u8 },
}

enum Position {
    Objects(Walk),
    /// The ids that are left.
    Uploads(std::vec::IntoIter<String>),
}

impl DiskStore {
    /// Begins to do what the lifecycle rules of all buckets ask for. `at_us` is
    /// the time of day, in microseconds since 1970, UTC.
    pub fn lifecycle_pass(&self, at_us: i64) -> LifecyclePass {
        let mut ahead = VecDeque::new();
        for (bucket, record) in self.inner.buckets_after("") {
            let rules = record.lifecycle.as_deref().unwrap_or_default();
            let active = || rules.iter().filter(|rule| rule.enabled);
            let expiring = active().filter(|rule| rule.expiry.is_some());
            ahead.extend(
                outermost(expiring.map(|rule| rule.prefix.as_str()))
                    .into_iter()
                    .map(|prefix| Task::Objects {
                        bucket: bucket.clone(),
                        prefix,
                    }),
            );
            if active().any(|rule| rule.abort_after_days.is_some()) {
                ahead.extend((0..=u8::MAX).map(|shard| Task::Uploads {
                    bucket: bucket.clone(),
                    shard,
                }));
            }
        }
        LifecyclePass {
            store: self.clone(),
            at_us,
            work: Work {
                ahead,
                position: None,
            },
        }
    }
}

impl LifecyclePass {
    /// Looks at so many more objects and uploads at most (at least one) and
    /// removes what is due of them. What a client changes meanwhile stays.
    pub async fn step(&mut self, most: usize) -> LifecycleStep {
        let (store, at_us) = (self.store.clone(), self.at_us);
        let mut work = std::mem::take(&mut self.work);
        let task = tokio::task::spawn_blocking(move || {
            let step = work.go_on(&store, at_us, most.max(1));
            (work, step)
        });
        match task.await {
            Ok((work, step)) => {
                self.work = work;
                step
            }
            Err(error) => {
                tracing::error!(%error, "a lifecycle pass died");
                LifecycleStep {
                    failed: 1,
                    done: true,
                    ..LifecycleStep::default()
                }
            }
        }
    }
}

impl Work {
    fn go_on(&mut self, store: &DiskStore, at_us: i64, most: usize) -> LifecycleStep {
        let mut step = LifecycleStep::default();
        while step.examined < most {
            let Some(task) = self.ahead.front() else {
                step.done = true;
                break;
            };
            let next = match &mut self.position {
                Some(position) => task.next(position, store, at_us, &mut step),
                None => task.begin(store).map(|position| {
                    self.position = Some(position);
                    true
                }),
            };
            let more = next.unwrap_or_else(|error| {
                tracing::warn!(%error, "a lifecycle pass cannot list a directory");
                step.failed += 1;
                false
            });
            if !more {
                self.ahead.pop_front();
                self.position = None;
            }
        }
        step
    }
}

impl Task {
    fn begin(&self, store: &DiskStore) -> io::Result<Position> {
        match self {
            Self::Objects { bucket, prefix } => {
                let objects = store.inner.objects_dir(bucket);
                let listings = store.inner.tree.listings();
                Walk::start(listings, &objects, prefix, Resume::Start).map(Position::Objects)
            }
            Self::Uploads { bucket, shard } => {
                let dir = store.inner.uploads_dir(bucket).join(format!("{shard:02x}"));
                let mut ids = Vec::new();
                match fs::read_dir(&dir) {
                    Ok(listing) => {
                        for entry in listing {
                            let name = entry?.file_name().into_string();
                            ids.extend(name.ok().filter(|name| Ids::is_id(name)));
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                Ok(Position::Uploads(ids.into_iter()))
            }
        }
    }

    /// Looks at one more object or upload; `false` if there is none. The rules
    /// are those that the bucket has now.
    fn next(
        &self,
        position: &mut Position,
        store: &DiskStore,
        at_us: i64,
        step: &mut LifecycleStep,
    ) -> io::Result<bool> {
        let (Self::Objects { bucket, .. } | Self::Uploads { bucket, .. }) = self;
        let record = store.inner.bucket(bucket);
        let rules = record
            .as_ref()
            .and_then(|record| record.lifecycle.as_deref())
            .unwrap_or_default();
        let (count, done) = match position {
            Position::Objects(walk) => {
                let Some(found) = walk.next(store.inner.tree.listings())? else {
                    return Ok(false);
                };
                let done = expire_if_due(store, bucket, &found.path(), rules, at_us);
                (&mut step.expired, done)
            }
            Position::Uploads(ids) => {
                let Some(upload_id) = ids.next() else {
                    return Ok(false);
                };
                let done = abort_if_due(store, bucket, &upload_id, rules, at_us);
                (&mut step.aborted, done)
            }
        };
        step.examined += 1;
        match done {
            Ok(done) => *count += usize::from(done),
            // The cause is in the log.
            Err(_) => step.failed += 1,
        }
        Ok(true)
    }
}

/// Removes an object if it is due and has not been overwritten since it was
/// looked at.
fn expire_if_due(
    store: &DiskStore,
    bucket: &str,
    path: &Path,
    rules: &[LifecycleRule],
    at_us: i64,
) -> S3Result<bool> {
    let Some(seen) = sealed::open::<ObjectRecord>(path)? else {
        return Ok(false);
    };
    let seen = seen.record;
    if !rules.iter().any(|rule| rule.expires(&seen, at_us)) {
        return Ok(false);
    }
    remove_unchanged(store, bucket, &seen)
}

/// Removes an object unless another was written to its key.
fn remove_unchanged(store: &DiskStore, bucket: &str, seen: &ObjectRecord) -> S3Result<bool> {
    remove(store, bucket, &seen.key, Cause::Expire, |current| {
        // The same bytes may have been written again under the same ETag, or its tags changed.
        Ok(current == Some(seen))
    })
}

/// Aborts an upload if it is due and still open.
fn abort_if_due(
    store: &DiskStore,
    bucket: &str,
    upload_id: &str,
    rules: &[LifecycleRule],
    at_us: i64,
) -> S3Result<bool> {
    let Some(upload) = upload_record(store, bucket, upload_id)? else {
        return Ok(false);
    };
    let due = rules
        .iter()
        .any(|rule| rule.aborts(&upload.key, upload.initiated_us, at_us));
    if !due {
        return Ok(false);
    }
    match abort(store, bucket, &upload.key, upload_id) {
        Ok(()) => Ok(true),
        // It was completed or aborted, or its bucket is gone.
        Err(error)
            if matches!(
                error.code(),
                S3ErrorCode::NoSuchUpload | S3ErrorCode::NoSuchBucket
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The prefixes without those that begin with another.
fn outermost<'a>(prefixes: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut sorted: Vec<&str> = prefixes.collect();
    sorted.sort_unstable();
    let mut kept: Vec<String> = Vec::new();
    for prefix in sorted {
        if !kept.last().is_some_and(|outer| prefix.starts_with(outer)) {
            kept.push(prefix.to_owned());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Checksums, Coverage};
    use crate::conditions::WriteConditions;
    use crate::publish::publish;
    use crate::record::Attributes;
    use crate::settings::Settings;
    use crate::temp::Temp;

    fn put(store: &DiskStore, etag: &str, modified_us: i64) -> ObjectRecord {
        let record = ObjectRecord {
            key: "k".to_owned(),
            size_bytes: 0,
            etag: etag.to_owned(),
            modified_us,
            attributes: Attributes::default(),
            tags: crate::tags::Tags::default(),
            checksums: Checksums::new(),
            coverage: Coverage::FullObject,
            manifest: None,
        };
        let mut temp = Temp::create(&store.inner.disk, store.inner.tmp_path()).unwrap();
        temp.seal(&record).unwrap();
        let always = WriteConditions::default();
        publish(store, "photos", &record, temp, &always, Cause::Put).unwrap();
        record
    }

    #[test]
    fn what_was_overwritten_since_it_was_looked_at_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(Settings {
            buckets: vec!["photos".to_owned()],
            ..Settings::new(dir.path(), "key", "secret")
        })
        .unwrap();
        let seen = put(&store, "a", 1);
        for (etag, modified_us) in [("b", 1), ("a", 2)] {
            put(&store, etag, modified_us);
            assert!(!remove_unchanged(&store, "photos", &seen).unwrap());
            let stays = store.inner.object("photos", "k").unwrap().unwrap().record;
            assert_eq!(
                (stays.etag.as_str(), stays.modified_us),
                (etag, modified_us)
            );
        }
        let seen = put(&store, "c", 3);
        assert!(remove_unchanged(&store, "photos", &seen).unwrap());
        assert!(!remove_unchanged(&store, "photos", &seen).unwrap());
    }

    #[test]
    fn a_prefix_within_another_is_not_walked_twice() {
        let kept = |prefixes: &[&str]| outermost(prefixes.iter().copied());
        assert_eq!(kept(&["b/", "a", "ab", "b/c", "a"]), ["a", "b/"]);
        assert_eq!(kept(&["x", "", "y"]), [""]);
        assert!(kept(&[]).is_empty());
    }
}
