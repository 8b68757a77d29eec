//! An S3-compatible endpoint over a directory.
//!
//! [`DiskStore::open`] takes a directory, [`serve`] answers the S3 protocol on
//! a listener. The store knows nothing of who uses it.
//!
//! # What it speaks
//!
//! PutObject, GetObject (ranges, conditions), HeadObject, DeleteObject,
//! ListObjectsV2, multipart uploads (Create, UploadPart, ListParts, Complete,
//! Abort), PostObject (browsers' forms with a policy), and buckets: Create,
//! Head, List, Delete, location, CORS, lifecycle and notification
//! configurations. Path style, and virtual-host style for the host names in
//! [`Settings::hosts`]; Signature Version 4 in headers, in presigned URLs and in
//! policies. Everything else answers `NotImplemented`; so does a request that
//! asks for something the store would have to ignore (encryption, tags, locks,
//! ACL grants). What tools ask of every bucket and no bucket has here (versions,
//! a policy, a website ...) is answered as Amazon S3 does for a bucket that
//! never had it.
//!
//! # Who may do what
//!
//! Every request is signed; what can change its meaning must be signed, too. The
//! key in the settings may do everything, the others ([`AccessKey`]) what they
//! are given, in one bucket or below one prefix if they are limited to it;
//! `AccessDenied` otherwise. There are no bucket policies and no ACLs.
//!
//! A bucket's CORS rules tell browsers which web pages may send requests and
//! read answers; they give nobody access. A bucket without any goes by
//! [`Settings::cors_origins`]. Preflights are answered unsigned, and answers to
//! pages carry the headers also if they are refusals.
//!
//! # What happens by itself
//!
//! Nothing, unless somebody asks: [`DiskStore::lifecycle_pass`] carries out the
//! lifecycle rules (expiry by prefix, tag, size, days and date; aborting open
//! uploads) with the time that it is given. An object that is overwritten
//! meanwhile is not removed.
//!
//! Events go to the targets in [`Settings::event_targets`] that a bucket's
//! notification configuration names, after the change is on the disk; they hold
//! no request up. A webhook gets each of them once or more often while the
//! process lives; what waits when it dies, or finds the queue of 4096 full, is
//! lost. An event is a doorbell: look for yourself now and then.
//!
//! # The directory
//!
//! Directories have mode 0700 and files 0600. One process owns it, by a lock.
//!
//! ```text
//! format                        "safelight-diskstore 1"
//! lock                          held by the process that has the store open
//! tmp/<id>                      bodies and records that are being written
//! tmp/<id>/                     a bucket or an upload that is being removed
//! tmp/doom.<bucket>.<upload>    parts that are being removed
//! buckets/<bucket>/bucket       what is known of it and its configuration
//! buckets/<bucket>/objects/...  one file per object, see below
//! buckets/<bucket>/uploads/<xx>/<upload>/upload    what Create was told
//! buckets/<bucket>/uploads/<xx>/<upload>/00001     part 1, and so on
//! ```
//!
//! Every file that holds a record ends with it: the body's bytes first, then
//! the record as JSON, then a footer of 24 bytes with the lengths, a CRC32C of
//! the record and a magic word. An object and what is known about it are thus
//! one file, written once and published by one `rename`.
//!
//! A key becomes a path segment by segment. Bytes other than `a-z 0-9 - _ .`
//! are written `%xx` (upper case as well, so that the layout also holds where
//! names ignore case), a leading dot too, so no name is `.` or `..`; the empty
//! segment is `%`; the last segment gets `=` appended, so the keys `a` and
//! `a/b` do not clash; and a segment of 64 bytes or more is cut after each 64
//! into directories that end in `+`. A walk of the directories in the right
//! order gives the keys in the order of their bytes, so listing needs no index;
//! a page costs as much as the directories it reads, so spread keys (by date,
//! for example) rather than putting millions under one prefix.
//!
//! # Life of an object
//!
//! A body is written to `tmp/` while its hashes are computed, in one pass and
//! with bounded memory. When it is whole and every checksum, length and digest
//! that the client gave is true, the record is appended, the file synced,
//! and under the key's lock the conditions are checked, the file renamed and
//! its directory synced. Only then the client gets its 200. Readers take the
//! same lock for an instant, so whatever `GetObject` or `HeadObject` showed is
//! on the disk.
//!
//! Completing a multipart upload copies nothing: the object's record lists the
//! part files, which stay where they are. The upload is completed if and only
//! if the record under its key names it; there is no second flag that could
//! disagree. A second Complete with the same parts answers as the first did,
//! for as long as that object lives.
//!
//! Deleting or overwriting removes an object's file, by which it is gone, and
//! then its parts, under a note in `tmp/` that survives a crash. A read that
//! has begun gets all its bytes: parts are kept until their last reader ends.
//!
//! A bucket's configuration is written beside its record, synced, and takes its
//! place by one rename that is synced before the 200. A bucket goes if it holds no
//! object: by one rename into `tmp/`, with the uploads that are open in it, while
//! nobody puts anything into it. It stays while parts of an object that was
//! deleted from it are being read (`OperationAborted`).
//!
//! Opening empties `tmp/`: its cost does not depend on how many objects exist.
//!
//! # What to know
//!
//! * ETags are opaque. One that is put with a SHA-256 depends on the content
//!   alone, so that a repetition changes nothing for its readers; every other
//!   write gets a fresh random one, even if the content is the same. None looks
//!   like an MD5, which many clients would hold against the content.
//! * An object or part without a checksum from the client gets a CRC64NVME.
//! * An upload with composite checksums needs one with every part, in
//!   UploadPart and in Complete, and consecutive part numbers.
//! * `ListObjectsV2` reads the tree without a lock: what is written or deleted
//!   meanwhile may or may not appear.
//! * Parts that a Complete leaves out are removed after it; if the process dies
//!   at that moment they stay until the object is deleted or Complete repeated.
//! * Objects have no tags yet, so a lifecycle rule with a tag chooses none.
//! * A bucket whose record is damaged is opened without its configuration, and
//!   the log says so.
//! * If the disk is full the answer is 507 `DiskFull` and nothing is kept.

mod access;
mod acl;
mod buckets;
mod checksum;
mod clock;
mod conditions;
mod cors;
mod disposal;
mod events;
mod expectation;
mod fault;
mod form;
mod gate;
mod hosts;
mod ids;
mod keypath;
mod keys;
mod leases;
mod lifecycle;
mod locks;
mod ops;
mod publish;
mod read;
mod receive;
mod record;
mod region;
mod remove;
mod sealed;
mod serve;
mod settings;
mod store;
mod sweep;
mod temp;
mod tree;
mod unsupported;
mod upload;
mod walk;

pub use events::{Event, EventTarget, InvalidTarget, Receiver};
pub use keys::{AccessKey, InvalidKey, Permission, UnknownPermission};
pub use lifecycle::{LifecyclePass, LifecycleStep};
pub use serve::serve;
pub use settings::Settings;
pub use store::{DiskStore, OpenError};
