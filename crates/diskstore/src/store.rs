//! The open store: where things are.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::at_hand::{How, opens_quickly};
use crate::buckets::Buckets;
use crate::disk::Disk;
use crate::events::{Events, InvalidTarget};
use crate::fault::Fault;
use crate::hosts::Hosts;
use crate::ids::Ids;
use crate::keypath;
use crate::keys::{InvalidKey, Keyring};
use crate::leases::Leases;
use crate::listings::Bounds;
use crate::locks::KeyLocks;
use crate::pace::Pace;
use crate::record::ObjectRecord;
use crate::region::is_region;
use crate::sealed::{self, Sealed, Wanted};
use crate::settings::Settings;
use crate::sweep::sweep;
use crate::tree::Tree;
use crate::upgrade::upgrade;

/// So many listings are read at once. They may wait for a large directory to be put in order, each on a thread.
const MOST_LISTINGS: usize = 64;
const FORMAT: &str = "safelight-diskstore 3\n";
/// Without sums of bodies; what it holds is left as it is.
const SECOND_FORMAT: &str = "safelight-diskstore 2\n";
/// That of the first versions, which is brought up to date.
const FIRST_FORMAT: &str = "safelight-diskstore 1\n";
/// The file of the format until it is whole.
const FORMAT_PART: &str = "format.part";
/// Paths hold at most 4096 bytes; a key of 1024 may need 3200 of them.
const LONGEST_ROOT_BYTES: usize = 800;

/// A store over a directory. Clones are handles on the same store.
#[derive(Clone)]
pub struct DiskStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub settings: Settings,
    root: PathBuf,
    pub disk: Disk,
    pub hosts: Hosts,
    pub keys: Arc<Keyring>,
    pub events: Events,
    pub buckets: Buckets,
    pub tree: Tree,
    pub locks: KeyLocks,
    pub leases: Arc<Leases>,
    pub ids: Ids,
    pub pace: Arc<Pace>,
    /// Held for as long as the store is open.
    _lock: File,
    /// Whether files may be opened on threads that must not wait.
    opens_quickly: bool,
    /// Listings wait for one another here, and not on threads that others need.
    pub listing_room: Arc<Semaphore>,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory holds something that is not a store.
    #[error("{0} is neither empty nor a store")]
    NotAStore(PathBuf),
    /// A later version of this store wrote the directory, or it is damaged.
    #[error("{0} has a format that this version does not know")]
    UnknownFormat(PathBuf),
    /// Another process has it open.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// An access key cannot be used.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    /// Nobody can be told of events in this way.
    #[error(transparent)]
    InvalidTarget(#[from] InvalidTarget),
    /// An origin with more than one `*`.
    #[error("{0:?} is not an origin; it may have one * at most")]
    InvalidOrigin(String),
    /// A region cannot have this name.
    #[error("{0:?} is not a region's name: small letters, digits and -")]
    InvalidRegion(String),
    /// A host cannot have this name.
    #[error("{0:?} is not the name of a host (without a port)")]
    InvalidHost(String),
    /// The path is longer than 800 bytes, which leaves too little for keys.
    #[error("{0} is too long a path for a store")]
    PathTooLong(PathBuf),
    /// A bucket cannot have this name.
    #[error("{0:?} is not a bucket name")]
    InvalidBucketName(String),
    /// A key or secret is empty.
    #[error("the access key and its secret must not be empty")]
    EmptyCredentials,
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Entropy(getrandom::Error),
}

impl DiskStore {
    /// Opens the store in a directory, which is made if there is none, removes
    /// what a crash left unfinished and makes the buckets that are missing.
    ///
    /// # Errors
    /// If the directory is another's, in use or cannot be written, or the
    /// settings are nonsense.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        Self::open_on(Disk::default(), settings, Bounds::default())
    }

    /// The same on a disk that a test may have its hands on, with other bounds for what is kept of listings.
    pub(crate) fn open_on(disk: Disk, settings: Settings, kept: Bounds) -> Result<Self, OpenError> {
        if settings.access_key.is_empty() || settings.secret_key.is_empty() {
            return Err(OpenError::EmptyCredentials);
        }
        for bucket in &settings.buckets {
            if !s3s::path::check_bucket_name(bucket) {
                return Err(OpenError::InvalidBucketName(bucket.clone()));
            }
        }
        for origin in &settings.cors_origins {
            if origin.is_empty() || origin.matches('*').count() > 1 {
                return Err(OpenError::InvalidOrigin(origin.clone()));
            }
        }
        if !is_region(&settings.region) {
            return Err(OpenError::InvalidRegion(settings.region));
        }
        let keys = Arc::new(Keyring::of(&settings)?);
        let events = Events::to(&settings.event_targets)?;
        let hosts = Hosts::of(&settings.hosts).map_err(OpenError::InvalidHost)?;
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        let tree = Tree::below(&disk, &settings.root, kept).map_err(at(&settings.root))?;
        let root = tree.root().to_owned();
        if root.as_os_str().len() > LONGEST_ROOT_BYTES {
            return Err(OpenError::PathTooLong(root));
        }
        let (lock, found) = claim(&disk, &root)?;
        let store = Self {
            inner: Arc::new(Inner {
                root: root.clone(),
                disk,
                hosts,
                keys,
                events,
                buckets: Buckets::none(),
                tree,
                locks: KeyLocks::build(),
                leases: Arc::default(),
                ids: Ids::draw().map_err(OpenError::Entropy)?,
                pace: Arc::new(Pace::of(opens_quickly(&root))),
                opens_quickly: opens_quickly(&root),
                listing_room: Arc::new(Semaphore::new(MOST_LISTINGS)),
                settings,
                _lock: lock,
            }),
        };
        store.prepare(found).map_err(at(&root))?;
        Ok(store)
    }

    fn prepare(&self, found: Format) -> io::Result<()> {
        let this = &self.inner;
        for dir in [this.tmp_dir(), this.buckets_dir()] {
            this.tree.make(&dir)?;
        }
        // What a former process renamed but had not synced when it was killed
        // is visible now, so it must be lasting before anybody sees it.
        this.disk.sync_all(&this.root)?;
        this.read_buckets()?;
        if found == Format::First {
            upgrade(self)?;
            this.disk.sync_all(&this.root)?;
        }
        if found != Format::Present {
            write_format(&this.disk, &this.root)?;
        }
        sweep(self)?;
        for bucket in &this.settings.buckets {
            self.make_bucket(bucket)?;
        }
        Ok(())
    }
}

impl Inner {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A path in `tmp/` that nothing has.
    pub(crate) fn tmp_path(&self) -> PathBuf {
        self.tmp_dir().join(self.ids.next())
    }

    pub(crate) fn buckets_dir(&self) -> PathBuf {
        self.root.join("buckets")
    }

    pub(crate) fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.buckets_dir().join(bucket)
    }

    pub(crate) fn objects_dir(&self, bucket: &str) -> PathBuf {
        self.bucket_dir(bucket).join("objects")
    }

    pub(crate) fn object_path(&self, bucket: &str, key: &str) -> PathBuf {
        keypath::object_path(&self.objects_dir(bucket), key)
    }

    pub(crate) fn uploads_dir(&self, bucket: &str) -> PathBuf {
        self.bucket_dir(bucket).join("uploads")
    }

    /// The directory of an upload. `upload_id` must be an id.
    pub(crate) fn upload_dir(&self, bucket: &str, upload_id: &str) -> PathBuf {
        // An id begins with the time, so its end spreads better.
        let shard = upload_id.get(30..).unwrap_or_default();
        self.uploads_dir(bucket).join(shard).join(upload_id)
    }

    /// The tree of the uploads that are not completed.
    pub(crate) fn pending_dir(&self, bucket: &str) -> PathBuf {
        self.bucket_dir(bucket).join("pending")
    }

    /// What the key holds. For the answer to stay true, hold the key's lock. May block.
    pub(crate) fn object(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Sealed<ObjectRecord>>, Fault> {
        self.object_for(bucket, key, Wanted::Record, How::Waiting)
    }

    /// The same, for its body as well perhaps, and without waiting perhaps.
    pub(crate) fn object_for(
        &self,
        bucket: &str,
        key: &str,
        wanted: Wanted,
        how: How,
    ) -> Result<Option<Sealed<ObjectRecord>>, Fault> {
        let path = self.object_path(bucket, key);
        // A change that is not known to last must not be told of.
        match path.parent() {
            Some(dir) if how == How::Waiting => self.tree.settle(dir)?,
            Some(dir) if self.opens_quickly && self.tree.is_settled(dir) => {}
            _ => return Err(io::Error::from(io::ErrorKind::WouldBlock).into()),
        }
        match sealed::open_for::<ObjectRecord>(&path, wanted, how)? {
            Some(sealed) if sealed.record.key != key => {
                Err(Fault::damaged(&path, "its record is of another key"))
            }
            sealed => Ok(sealed),
        }
    }
}

/// How a directory is laid out that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    First,
    Second,
    Present,
}

/// Makes sure that the directory is a store's and that no other process has it.
/// Tells in which format it is.
fn claim(disk: &Disk, root: &Path) -> Result<(File, Format), OpenError> {
    let at = |source| OpenError::Io {
        path: root.to_owned(),
        source,
    };
    let format = root.join("format");
    let found = match fs::read_to_string(&format) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(at(error)),
    };
    if found.is_none() {
        for entry in fs::read_dir(root).map_err(at)? {
            let name = entry.map_err(at)?.file_name();
            if name != "lock" && name != FORMAT_PART {
                return Err(OpenError::NotAStore(root.to_owned()));
            }
        }
    }
    let mut writable = OpenOptions::new();
    writable
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let lock = writable.open(root.join("lock")).map_err(at)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    // A crash may have left it.
    match disk.remove_file(&root.join(FORMAT_PART)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
        _ => {}
    }
    let format = match found.as_deref() {
        Some(FORMAT) => Format::Present,
        Some(SECOND_FORMAT) => Format::Second,
        Some(FIRST_FORMAT) => Format::First,
        Some(_) => return Err(OpenError::UnknownFormat(root.to_owned())),
        None => {
            write_format(disk, root).map_err(at)?;
            Format::Present
        }
    };
    Ok((lock, format))
}

/// Says that the directory is a store's, in the present format.
fn write_format(disk: &Disk, root: &Path) -> io::Result<()> {
    let part = root.join(FORMAT_PART);
    let mut file = disk.create(&part)?;
    file.write(FORMAT.as_bytes())?;
    file.sync()?;
    disk.rename(&part, &root.join("format"))?;
    disk.sync_dir(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(root: &Path) -> Settings {
        Settings {
            buckets: vec!["bucket".to_owned()],
            ..Settings::new(root, "key", "secret")
        }
    }

    #[test]
    fn only_an_empty_directory_or_a_store_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        let store = DiskStore::open(settings(&root)).unwrap();
        assert!(matches!(
            DiskStore::open(settings(&root)),
            Err(OpenError::InUse(_))
        ));
        drop(store);
        DiskStore::open(settings(&root)).unwrap();
        fs::write(root.join("format"), "else").unwrap();
        assert!(matches!(
            DiskStore::open(settings(&root)),
            Err(OpenError::UnknownFormat(_))
        ));
        assert!(matches!(
            DiskStore::open(settings(dir.path())),
            Err(OpenError::NotAStore(_))
        ));
    }

    #[test]
    fn nonsense_settings_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut wrong = settings(dir.path());
        wrong.buckets.push("../x".to_owned());
        assert!(matches!(
            DiskStore::open(wrong),
            Err(OpenError::InvalidBucketName(_))
        ));
        assert!(matches!(
            DiskStore::open(Settings::new(dir.path(), "", "secret")),
            Err(OpenError::EmptyCredentials)
        ));
        let mut wrong = settings(dir.path());
        wrong.region = "US".to_owned();
        assert!(matches!(
            DiskStore::open(wrong),
            Err(OpenError::InvalidRegion(_))
        ));
        let mut wrong = settings(dir.path());
        wrong.cors_origins.push("https://*.*".to_owned());
        assert!(matches!(
            DiskStore::open(wrong),
            Err(OpenError::InvalidOrigin(_))
        ));
        let mut wrong = settings(dir.path());
        wrong.hosts.push("store.example:7601".to_owned());
        assert!(matches!(
            DiskStore::open(wrong),
            Err(OpenError::InvalidHost(_))
        ));
        let long = dir.path().join("x".repeat(200));
        let long = (0..4).fold(long, |path, _| path.join("y".repeat(200)));
        assert!(matches!(
            DiskStore::open(settings(&long)),
            Err(OpenError::PathTooLong(_))
        ));
    }
}
