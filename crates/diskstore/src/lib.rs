//! An S3-compatible endpoint over a directory.
//!
//! [`DiskStore::open`] takes a directory, [`serve`] answers the S3 protocol on
//! a listener. The store knows nothing of who uses it.
//!
//! # What it speaks
//!
//! * objects: PutObject, GetObject and HeadObject (ranges, parts, conditions),
//!   GetObjectAttributes, CopyObject, DeleteObject, DeleteObjects,
//!   Put-, Get- and DeleteObjectTagging, PostObject (browsers' forms with a
//!   policy);
//! * multipart uploads: Create, UploadPart, UploadPartCopy, ListParts, Complete,
//!   Abort, ListMultipartUploads;
//! * listings: ListObjects and ListObjectsV2;
//! * buckets: Create, Head, List, Delete, location, CORS, lifecycle and
//!   notification configurations;
//! * what tools ask of every object and bucket: that the owner has full control
//!   (the ACLs), and what no bucket has here (versions, a policy, a website ...),
//!   which is answered as Amazon S3 does for a bucket that never had it.
//!
//! Path style, and virtual-host style for the host names in [`Settings::hosts`];
//! Signature Version 4 in headers, in presigned URLs and in policies; bodies plain
//! or `aws-chunked`, with or without signatures and trailers; `Content-MD5` and
//! all checksum algorithms of S3, of parts, composite and of full objects.
//!
//! Everything else answers `NotImplemented`; so does a request with an `x-amz-*`
//! header that the store would have to ignore (encryption, locks, ACL grants,
//! storage classes other than `STANDARD`).
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
//! format                        "safelight-diskstore 3"
//! lock                          held by the process that has the store open
//! scrub                         how far the last scrub is, and what it found
//! tmp/<id>                      bodies and records that are being written
//! tmp/<id>/                     a bucket or an upload that is being removed
//! tmp/order.<n>                 the order of a directory; loses this name at once
//! tmp/doom.<bucket>.<upload>    parts that are being removed
//! buckets/<bucket>/bucket       what is known of it and its configuration
//! buckets/<bucket>/objects/...  one file per object, see below
//! buckets/<bucket>/uploads/<xx>/<upload>/upload    what Create was told
//! buckets/<bucket>/uploads/<xx>/<upload>/00001     part 1, and so on
//! buckets/<bucket>/pending/...=<upload>            empty; an upload not completed
//! ```
//!
//! Every file that holds a record ends with it: the body's bytes first, then
//! a CRC32C of each 64 KiB of them, the record as JSON, and a footer of 24 bytes
//! with the lengths, a CRC32C of the record and a magic word. An object and what is
//! known about it are thus one file, written once and published by one `rename`.
//!
//! A key becomes a path segment by segment. Bytes other than `a-z 0-9 - _ .`
//! are written `%xx` (upper case as well, so that the layout also holds where
//! names ignore case), a leading dot too, so no name is `.` or `..`; the empty
//! segment is `%`; the last segment gets `=` appended, so the keys `a` and
//! `a/b` do not clash; and a segment of 64 bytes or more is cut after each 64
//! into directories that end in `+`. A walk of the directories in the right
//! order gives the keys in the order of their bytes, so listing needs no index that
//! lasts. The order of a directory is made when it is first listed, and kept current
//! from then on: in memory, 8 MiB in all (some 35,000 names), or in files without a name
//! that are gone with the process, 1 GiB in all. A page then costs as much as the
//! keys on it, whatever the directory holds and whoever writes to it. What was not
//! listed for the longest time goes first, and the first page of a directory that is not
//! kept waits until all its names are read and ordered. If there is no room for that,
//! each page costs a look at all names of its directory, in little memory. With a
//! delimiter, of a directory below a common prefix only the first names are read, to
//! know that there are keys.
//!
//! Uploads have directories by their ids, so that completing one moves nothing.
//! Those that are not completed are found by key in `pending`, which is laid out
//! like `objects`, so listing them costs as much as there are of them, whatever
//! the number of objects. An upload's file there is on the disk before the upload
//! is and goes after it. It is a hint where to look and nothing more: a file that
//! stands for no open upload is skipped and removed.
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
//! Each upload syncs its own file and directory, and the system joins the syncs of all that write at once: sixteen
//! writers of 100 kB store ten times and more what one does. Gathering the syncs here, of directories or of whole file
//! systems, was tried beside it: no faster on ext4 with a journal, and half as fast without.
//!
//! GetObject and HeadObject try first without waiting for anything: the key's lock, opening the file, reading it. What is
//! in the system's memory is answered so on the thread that serves the connection, and all else on one that may wait.
//!
//! Completing a multipart upload copies nothing: the object's record lists the
//! part files, which stay where they are. The upload is completed if and only
//! if the record under its key names it; there is no second flag that could
//! disagree. A second Complete with the same parts answers as the first did,
//! for as long as that object lives.
//!
//! Tags stand in the object's record, like its headers and metadata, and so come,
//! change and go with it. To change what is known of an object, by
//! PutObjectTagging or a copy onto itself, a new record takes the place of the
//! old one by one rename, and no byte of the body is written. If the old record
//! stands behind its body, that file first gets a second name, as the only part
//! in the directory of an upload of its own, which the new record lists. A note
//! in `tmp/` is on the disk before that name is: after a crash there is either
//! the old record, and the next start removes the name by the note, or the new
//! one, and only the note goes. Where the file system has no second names, the
//! body is copied this once.
//!
//! A copy to another key is a file of its own, made like that of a PutObject: in
//! `tmp/`, sealed, synced and renamed when it is whole, so a crash leaves all of it
//! or nothing. The system copies the bytes, and where the file system can (Btrfs,
//! XFS) it shares them instead. A checksum that the source has is kept; another
//! one is computed from what was written, and then the source's is compared as
//! well. The source is held like one that is being read, without a lock: it may be
//! overwritten or deleted meanwhile. So a copy reads at one moment and is
//! published at a later one, as in S3; one of an object onto itself takes nothing
//! back that others wrote in between.
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
//! Whatever is read of a body is compared with its sums first, block by block. What
//! differs is not given out: `ObjectDamaged`, or, if the answer has begun, its end.
//! [`DiskStore::scrub_pass`] reads everything so, and removes what crashes left that
//! no record needs.
//!
//! Opening empties `tmp/`: its cost does not depend on how many objects exist. A
//! directory of the first format (`safelight-diskstore 1`) is brought up to date
//! when it is opened, at the cost of a look at each of its multipart uploads. Files
//! of the first two formats have no sums: a scrub compares them with the checksums in
//! their records, and reading them does not. The versions that wrote these formats do
//! not open the directory any more.
//!
//! # What to know
//!
//! * ETags are opaque, and only one that is an MD5 looks like one, since some
//!   clients compare. It is the MD5 if `Content-MD5` came in a request with
//!   credentials; of an object whose parts all came so, the MD5 of those. Through
//!   a presigned URL it never is: whoever has one could make two bodies with one
//!   MD5. One that is put with a SHA-256 depends on the content alone, so that a
//!   repetition changes nothing for its readers; a copy has that of its source;
//!   every other write gets a fresh random one, even if the content is the same.
//! * An object or part without a checksum from the client gets a CRC64NVME.
//! * A checksum in the query of a presigned URL binds the body, while Amazon S3
//!   ignores it; but for the CRC-32 of no bytes, which the AWS SDK for JavaScript
//!   adds unasked when it signs a URL without the body.
//! * An upload with composite checksums needs one with every part, in
//!   UploadPart and in Complete, and consecutive part numbers.
//! * A copy is in one piece; one of an object with a composite checksum gets one of
//!   the same algorithm over all bytes. An object that is copied onto itself
//!   keeps its parts, unless a checksum is asked for.
//! * Listings read the tree without a lock: what is written or deleted meanwhile
//!   may or may not appear.
//! * Uploads of one key are listed in the order of their ids, which begin with the
//!   time.
//! * Parts that a Complete leaves out are removed after it; if the process dies
//!   at that moment they stay until the next scrub, or the object is deleted.
//! * An object whose record is damaged is listed with a size of 0. A write or a
//!   deletion without conditions takes it away; parts of it stay, since which they are
//!   cannot be known, and a scrub names them.
//! * A bucket whose record is damaged is opened without its configuration, and
//!   the log says so.
//! * If the disk is full the answer is 507 `DiskFull`, if it can only be read 503
//!   `DiskReadOnly`, and nothing is kept.
//! * s3s answers `InvalidArgument` to a `Range` that is not one range of bytes,
//!   and puts the ETag of GetObjectAttributes in quotation marks; Amazon S3 ignores
//!   such a range, and has no quotation marks there.

mod access;
mod acl;
mod at_hand;
mod blocks;
mod body;
mod buckets;
mod buffers;
mod checksum;
mod chunked;
mod clock;
mod conditions;
mod copy;
mod cors;
#[cfg(test)]
mod crash;
mod disk;
mod disposal;
mod document;
mod etag;
mod events;
mod expectation;
mod fault;
mod form;
mod gate;
mod hoist;
mod hosts;
mod ids;
mod keypath;
mod keys;
mod lanes;
mod leases;
mod lifecycle;
mod listing;
mod listings;
mod locks;
mod ops;
mod pace;
mod pending;
mod publish;
mod read;
mod receive;
mod record;
mod region;
mod remove;
mod rewrite;
mod scrub;
mod sealed;
mod selection;
mod serve;
mod settings;
mod store;
mod sweep;
mod tags;
mod temp;
mod tree;
mod unsupported;
mod upgrade;
mod upload;
mod walk;

pub use events::{Event, EventTarget, InvalidTarget, Receiver, Watch};
pub use keys::{AccessKey, InvalidKey, Permission, UnknownPermission};
pub use lifecycle::{LifecyclePass, LifecycleStep};
pub use scrub::{ScrubPass, ScrubState, ScrubStep};
pub use serve::serve;
pub use settings::Settings;
pub use store::{DiskStore, OpenError};
