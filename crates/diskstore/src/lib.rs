//! An S3-compatible endpoint over a directory.
//!
//! [`DiskStore::open`] takes a directory, [`serve`] answers the S3 protocol on
//! a listener. The store knows nothing of who uses it.
//!
//! # What it speaks
//!
//! PutObject, GetObject (ranges, conditions), HeadObject, DeleteObject,
//! ListObjectsV2, HeadBucket, CreateBucket, ListBuckets, and multipart uploads
//! (Create, UploadPart, ListParts, Complete, Abort), path style, Signature
//! Version 4 in headers and in presigned URLs. Everything else answers
//! `NotImplemented`; so does a request that asks for something the store would
//! have to ignore (encryption, tags, locks, ACL grants).
//!
//! # The directory
//!
//! Directories have mode 0700 and files 0600. One process owns it, by a lock.
//!
//! ```text
//! format                        "safelight-diskstore 1"
//! lock                          held by the process that has the store open
//! tmp/<id>                      bodies and records that are being written
//! tmp/doom.<bucket>.<upload>    parts that are being removed
//! buckets/<bucket>/bucket
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
//! Opening empties `tmp/`: its cost does not depend on how many objects exist.
//!
//! # What to know
//!
//! * ETags are opaque. One that is put with a SHA-256 depends on the content
//!   alone, so that a repetition changes nothing for its readers; every other
//!   write gets a fresh random one, even if the content is the same.
//! * An object or part without a checksum from the client gets a CRC64NVME.
//! * An upload with composite checksums needs one with every part, in
//!   UploadPart and in Complete, and consecutive part numbers.
//! * `ListObjectsV2` reads the tree without a lock: what is written or deleted
//!   meanwhile may or may not appear.
//! * Parts that a Complete leaves out are removed after it; if the process dies
//!   at that moment they stay until the object is deleted or Complete repeated.
//! * If the disk is full the answer is 507 `DiskFull` and nothing is kept.

mod access;
mod checksum;
mod clock;
mod conditions;
mod disposal;
mod expectation;
mod fault;
mod gate;
mod ids;
mod keypath;
mod leases;
mod locks;
mod ops;
mod publish;
mod read;
mod receive;
mod record;
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

pub use serve::serve;
pub use settings::Settings;
pub use store::{DiskStore, OpenError};
