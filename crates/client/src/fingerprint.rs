//! What a file is, as far as sending it goes: size, time of change, SHA-256.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

/// Bytes that are in memory at once while a file is hashed.
const CHUNK_BYTES: usize = 256 * 1024;

/// What the file system says of a file. If it stays, the content is taken to have stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its size.
    pub size_bytes: i64,
    /// Its time of change, in nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
}

impl Stamp {
    /// Reads the stamp of the file at `path`.
    ///
    /// # Errors
    /// When there is no such file, or it may not be looked at, or it is not a regular file.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        Self::read(&std::fs::metadata(path)?)
    }

    fn read(metadata: &std::fs::Metadata) -> std::io::Result<Self> {
        if !metadata.is_file() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let mtime = metadata.modified()?;
        let mtime_ns = match mtime.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        };
        Ok(Self {
            size_bytes: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
            mtime_ns,
        })
    }
}

/// A file's stamp and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The stamp at the time of hashing.
    pub stamp: Stamp,
    /// SHA-256 of the whole file, lower-case hexadecimal.
    pub sha256: String,
}

impl Fingerprint {
    /// Reads the whole file, a little at a time.
    ///
    /// # Errors
    /// When the file cannot be read or changes while it is.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let stamp = Stamp::read(&file.metadata()?)?;
        let length = u64::try_from(stamp.size_bytes).unwrap_or(0);
        let sha256 = hash(&file, length)?;
        if Stamp::of(path)? != stamp {
            return Err(changed());
        }
        Ok(Self { stamp, sha256 })
    }
}

/// SHA-256 of a range of the file, lower-case hexadecimal.
///
/// # Errors
/// When the file cannot be read or is too short.
pub fn range_sha256(path: &Path, offset: u64, size_bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    hash(&file, size_bytes)
}

fn hash(file: &File, size_bytes: u64) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut rest = file.take(size_bytes);
    let mut read_bytes = 0;
    loop {
        let n = match rest.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..n]);
        read_bytes += n as u64;
    }
    if read_bytes != size_bytes {
        return Err(changed());
    }
    Ok(hex::encode(hasher.finalize()))
}

fn changed() -> std::io::Error {
    std::io::Error::other("the file changed while it was read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_and_ranges_are_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"xabcx").unwrap();
        // The hash of "abc" is an example in FIPS 180-4.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(range_sha256(&path, 1, 3).unwrap(), abc);
        assert!(range_sha256(&path, 3, 3).is_err());
        std::fs::write(&path, b"abc").unwrap();
        let print = Fingerprint::of(&path).unwrap();
        assert_eq!((print.sha256.as_str(), print.stamp.size_bytes), (abc, 3));
        assert!(Fingerprint::of(dir.path()).is_err());
    }
}
