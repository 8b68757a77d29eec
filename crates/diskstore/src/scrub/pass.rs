//! Going through the store.

use std::io;

use super::check::Check;
use super::state::{Position, ScrubState, Stage, write};
use super::{objects, uploads};
use crate::fault::Fault;
use crate::pending;
use crate::store::DiskStore;
use crate::walk::{Resume, Walk};

/// What taking up a file counts besides its bytes, so that a step with small ones ends, too.
const FILE_BYTES: u64 = 64 << 10;
/// What any other look at the disk counts.
const LOOK_BYTES: u64 = 4 << 10;
/// After so much, and when something was found, where the pass is goes to the disk.
const SAVE_BYTES: u64 = 256 << 20;

/// One pass through all that the store holds: every record and every byte is read and compared with its sums, and what
/// crashes have left behind is removed. It goes on in steps, so that whoever runs it can rest between two; where it was
/// dropped, or its process died, the next goes on.
pub struct ScrubPass {
    store: DiskStore,
    work: Work,
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubStep {
    /// Objects, and open uploads, that were looked at to their ends.
    pub examined: u64,
    /// Bytes that were read and compared.
    pub bytes: u64,
    /// Objects and open uploads that are damaged; the log names them.
    pub damaged: u64,
    /// Files that nobody needed and that were removed.
    pub leftovers: u64,
    /// What could not be looked at for lack of something else; the log says what.
    pub failed: u64,
    /// Whether that was all.
    pub done: bool,
}

impl ScrubStep {
    /// Counts what could not be read.
    fn blame(&mut self, of: &str, fault: &Fault) {
        if fault.is_damage() {
            tracing::error!(error = %fault, "{of} is damaged: restore it from a backup, or delete it");
            self.damaged += 1;
        } else {
            tracing::warn!(error = %fault, "{of} could not be read");
            self.failed += 1;
        }
    }
}

struct Work {
    state: ScrubState,
    /// Buckets that are ahead, the present one last.
    ahead: Vec<String>,
    stage: Option<Going>,
    /// What is being read, and whose it is.
    check: Option<(String, Check)>,
    /// Its key, if it is an object. Only when it was read to the end does the next process go on after it.
    key: Option<String>,
    unsaved_bytes: u64,
}

enum Going {
    Objects(Walk),
    Uploads {
        shard: u8,
        ids: std::vec::IntoIter<String>,
    },
    Pending(Walk),
}

impl DiskStore {
    /// Goes on with the pass that is under way, or begins one. `at_us` is the time of day, in microseconds since 1970,
    /// UTC.
    pub fn scrub_pass(&self, at_us: i64) -> ScrubPass {
        let state = self.last_scrub().filter(|last| !last.done);
        let state = state.unwrap_or_else(|| ScrubState {
            begun_us: at_us,
            ..ScrubState::default()
        });
        let buckets = self.inner.buckets_after("").into_iter();
        let ahead = buckets
            .map(|(name, _)| name)
            .filter(|name| *name >= state.position.bucket)
            .rev()
            .collect();
        ScrubPass {
            store: self.clone(),
            work: Work {
                state,
                ahead,
                stage: None,
                check: None,
                key: None,
                unsaved_bytes: 0,
            },
        }
    }
}

impl ScrubPass {
    /// Reads about so many bytes more.
    pub async fn step(&mut self, bytes: u64) -> ScrubStep {
        let store = self.store.clone();
        let work = std::mem::replace(&mut self.work, Work::nothing());
        let task = tokio::task::spawn_blocking(move || {
            let mut work = work;
            let step = work.go_on(&store, bytes);
            (work, step)
        });
        match task.await {
            Ok((work, step)) => {
                self.work = work;
                step
            }
            Err(error) => {
                tracing::error!(%error, "a scrub died");
                ScrubStep {
                    failed: 1,
                    done: true,
                    ..ScrubStep::default()
                }
            }
        }
    }

    /// What was found so far.
    pub fn state(&self) -> &ScrubState {
        &self.work.state
    }
}

impl Work {
    fn nothing() -> Self {
        Self {
            state: ScrubState::default(),
            ahead: Vec::new(),
            stage: None,
            check: None,
            key: None,
            unsaved_bytes: 0,
        }
    }

    fn go_on(&mut self, store: &DiskStore, most: u64) -> ScrubStep {
        let mut step = ScrubStep::default();
        let mut spent = 0;
        while spent < most {
            if let Some((of, check)) = &mut self.check {
                if check.is_in_the_way() {
                    self.check = None;
                    self.leave_key();
                    continue;
                }
                match check.go_on() {
                    Ok(Some(bytes)) => {
                        step.bytes += bytes;
                        spent += bytes;
                        continue;
                    }
                    Ok(None) => {}
                    Err(fault) => step.blame(of, &fault),
                }
                step.examined += 1;
                self.check = None;
                self.leave_key();
                continue;
            }
            match self.next(store, &mut step) {
                Ok(true) => {
                    spent += if self.check.is_some() {
                        FILE_BYTES
                    } else {
                        LOOK_BYTES
                    };
                }
                Ok(false) => {
                    step.done = true;
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "a scrub cannot list a directory");
                    spent += LOOK_BYTES;
                    step.failed += 1;
                    if self.stage.is_none() {
                        self.leave_stage();
                    }
                }
            }
        }
        self.take(store, &step, spent);
        step
    }

    /// Adds up, and writes where the pass is if that is due.
    fn take(&mut self, store: &DiskStore, step: &ScrubStep, spent: u64) {
        self.state.examined += step.examined;
        self.state.bytes += step.bytes;
        self.state.damaged += step.damaged;
        self.state.failed += step.failed;
        self.state.done = step.done;
        self.unsaved_bytes += spent;
        if self.unsaved_bytes >= SAVE_BYTES || step.damaged > 0 || step.done {
            self.unsaved_bytes = 0;
            if let Err(error) = write(store, &self.state) {
                tracing::warn!(%error, "where the scrub is cannot be written");
            }
        }
    }

    /// Takes up the next object or upload; `false` if there is none.
    fn next(&mut self, store: &DiskStore, step: &mut ScrubStep) -> io::Result<bool> {
        let Some(bucket) = self.ahead.last().cloned() else {
            return Ok(false);
        };
        if store.inner.bucket(&bucket).is_none() {
            self.ahead.pop();
            self.stage = None;
            return Ok(true);
        }
        if self.state.position.bucket != bucket {
            self.state.position = Position {
                bucket: bucket.clone(),
                ..Position::default()
            };
        }
        let mut going = match self.stage.take() {
            Some(going) => going,
            None => begin(store, &self.state.position)?,
        };
        match self.advance(store, &bucket, &mut going, step) {
            Ok(false) => self.leave_stage(),
            Ok(true) => self.stage = Some(going),
            // What comes after can be read all the same.
            Err(error) => {
                self.stage = Some(going);
                return Err(error);
            }
        }
        Ok(true)
    }

    fn leave_key(&mut self) {
        if let Some(key) = self.key.take() {
            self.state.position.after = key;
        }
    }

    fn leave_stage(&mut self) {
        self.stage = None;
        let position = &mut self.state.position;
        position.after.clear();
        match position.stage {
            Stage::Objects => position.stage = Stage::Uploads,
            Stage::Uploads => position.stage = Stage::Pending,
            Stage::Pending => {
                position.stage = Stage::Objects;
                // After this bucket and before all that come after it.
                position.bucket.push('\0');
                self.ahead.pop();
            }
        }
    }

    fn advance(
        &mut self,
        store: &DiskStore,
        bucket: &str,
        going: &mut Going,
        step: &mut ScrubStep,
    ) -> io::Result<bool> {
        match going {
            Going::Objects(walk) => {
                let Some(found) = walk.next(store.inner.tree.listings())? else {
                    return Ok(false);
                };
                let path = found.path();
                let Ok(key) = String::from_utf8(found.key) else {
                    return Ok(true);
                };
                let of = format!("the object {key:?} of bucket {bucket}");
                let found = objects::of_key(store, bucket, &key, &path);
                self.key = Some(key);
                self.examine(of, found, step);
            }
            Going::Uploads { shard, ids } => {
                let Some(upload_id) = ids.next() else {
                    let Some(next) = shard.checked_add(1) else {
                        return Ok(false);
                    };
                    *shard = next;
                    *ids = uploads::ids(store, bucket, next)?.into_iter();
                    return Ok(true);
                };
                let of = format!("the upload {upload_id} in bucket {bucket}");
                match uploads::of_id(store, bucket, &upload_id) {
                    Ok(uploads::Found::Open(key, check)) => {
                        self.examine(format!("{of} of {key:?}"), Ok(Some(*check)), step);
                    }
                    Ok(uploads::Found::Completed(removed)) => step.leftovers += removed,
                    Ok(uploads::Found::Nothing) => {}
                    Ok(uploads::Found::Stray) => {
                        tracing::warn!("{of} is neither open nor an object's; it is left alone");
                    }
                    Err(fault) => self.examine(of, Err(fault), step),
                }
            }
            Going::Pending(walk) => {
                let Some(found) = walk.next(store.inner.tree.listings())? else {
                    return Ok(false);
                };
                let path = found.path();
                let (Ok(key), Some(upload_id)) =
                    (String::from_utf8(found.key), pending::upload_id(&path))
                else {
                    return Ok(true);
                };
                match pending::resolve(store, bucket, &key, upload_id) {
                    Ok(Some(_)) => {}
                    Ok(None) => step.leftovers += 1,
                    // Its upload was counted.
                    Err(error) => tracing::debug!(%error, "an open upload cannot be read"),
                }
            }
        }
        Ok(true)
    }

    fn examine(&mut self, of: String, found: Result<Option<Check>, Fault>, step: &mut ScrubStep) {
        match found {
            Ok(None) => self.leave_key(),
            Ok(Some(check)) => self.check = Some((of, check)),
            Err(fault) => {
                step.examined += 1;
                step.blame(&of, &fault);
                self.leave_key();
            }
        }
    }
}

fn begin(store: &DiskStore, position: &Position) -> io::Result<Going> {
    let bucket = &position.bucket;
    let listings = store.inner.tree.listings();
    Ok(match position.stage {
        Stage::Objects => {
            let resume = match position.after.as_str() {
                "" => Resume::Start,
                after => Resume::After(after.as_bytes().to_vec()),
            };
            Going::Objects(Walk::start(
                listings,
                &store.inner.objects_dir(bucket),
                "",
                resume,
            )?)
        }
        Stage::Uploads => Going::Uploads {
            shard: 0,
            ids: uploads::ids(store, bucket, 0)?.into_iter(),
        },
        Stage::Pending => Going::Pending(Walk::start(
            listings,
            &store.inner.pending_dir(bucket),
            "",
            Resume::Start,
        )?),
    })
}
