//! Files that end with their record.
//!
//! `body ‖ sums of the body's blocks ‖ record (JSON) ‖ record length u32 ‖ CRC32C of the record u32 ‖ body length u64 ‖
//! magic`, integers little endian. What the first formats of a directory wrote has another magic and no sums.

use std::io;
use std::path::Path;

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::at_hand::How;
use crate::blocks::sums_bytes;
use crate::body::{Body, CHUNK_BYTES, Held};
use crate::fault::Fault;
use crate::record::PartRecord;

const MAGIC: [u8; 8] = *b"SLDISK02";
const MAGIC_WITHOUT_SUMS: [u8; 8] = *b"SLDISK01";
const FOOTER_BYTES: u64 = 24;
/// Most records fit into what one read from the end brings.
const TAIL_BYTES: u64 = 4096;

/// An open file with its record.
#[derive(Debug)]
pub(crate) struct Sealed<T> {
    pub body: Body,
    pub record: T,
}

/// What comes behind a body: its sums, the record, the footer.
pub(crate) fn tail<T: Serialize>(
    body_bytes: u64,
    sums: Vec<u8>,
    record: &T,
) -> io::Result<Vec<u8>> {
    let mut tail = sums;
    let record = serde_json::to_vec(record)?;
    let record_bytes = u32::try_from(record.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the record is too long"))?;
    tail.extend_from_slice(&record);
    tail.extend_from_slice(&record_bytes.to_le_bytes());
    tail.extend_from_slice(&crc32c(&record).to_le_bytes());
    tail.extend_from_slice(&body_bytes.to_le_bytes());
    tail.extend_from_slice(&MAGIC);
    Ok(tail)
}

/// What is wanted of a file that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What is known of it.
    Record,
    /// Its body as well: if that is small it is read at once.
    Body,
}

/// Opens a sealed file for its record; `None` if there is none. May block.
pub(crate) fn open<T: DeserializeOwned>(path: &Path) -> Result<Option<Sealed<T>>, Fault> {
    open_for(path, Wanted::Record, How::Waiting)
}

/// Opens a sealed file; `None` if there is none.
pub(crate) fn open_for<T: DeserializeOwned>(
    path: &Path,
    wanted: Wanted,
    how: How,
) -> Result<Option<Sealed<T>>, Fault> {
    let Some((body, record)) = split(path, wanted, how)? else {
        return Ok(None);
    };
    let record = serde_json::from_slice(&record)
        .map_err(|_| Fault::damaged(path, "its record cannot be read"))?;
    Ok(Some(Sealed { body, record }))
}

/// Opens the file of a part of an object, which must be the one that the object was made of. Its own record may be that
/// of an object, if it was one once.
pub(crate) fn open_part(path: &Path, part: &PartRecord, how: How) -> Result<Body, Fault> {
    #[derive(serde::Deserialize)]
    struct Tagged {
        etag: String,
    }
    let Some(Sealed { body, record }) = open_for::<Tagged>(path, Wanted::Body, how)? else {
        return Err(Fault::damaged(path, "it is missing"));
    };
    if body.bytes() != part.size_bytes || record.etag != part.etag {
        let reason = "it is not the part that the object's record names";
        return Err(Fault::damaged(path, reason));
    }
    Ok(body)
}

/// The body, and the record as it is written.
fn split(path: &Path, wanted: Wanted, how: How) -> Result<Option<(Body, Bytes)>, Fault> {
    let file = match how.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::reading(path, error)),
    };
    let reading = |error| Fault::reading(path, error);
    let damaged = |reason: &'static str| Fault::damaged(path, reason);
    let total = file.metadata().map_err(reading)?.len();
    let from = match wanted {
        Wanted::Body if total <= CHUNK_BYTES => 0,
        _ => total.saturating_sub(TAIL_BYTES),
    };
    let held = Held::read(&file, from..total, how).map_err(reading)?;
    let record_end = total.saturating_sub(FOOTER_BYTES);
    let Some(footer) = held.slice(&(record_end..total)).filter(|_| record_end > 0) else {
        return Err(damaged("it is too short"));
    };
    let has_sums = footer[16..] == MAGIC;
    if !has_sums && footer[16..] != MAGIC_WITHOUT_SUMS {
        return Err(damaged("it has no footer"));
    }
    let record_bytes = u64::from(le_u32(&footer[..4]));
    let crc = le_u32(&footer[4..8]);
    let body_bytes = u64::from(le_u32(&footer[8..12])) | u64::from(le_u32(&footer[12..16])) << 32;
    let sums_bytes = if has_sums { sums_bytes(body_bytes) } else { 0 };
    let record_start = body_bytes.checked_add(sums_bytes);
    if record_start.and_then(|start| start.checked_add(record_bytes)) != Some(record_end) {
        return Err(damaged("its lengths do not add up"));
    }
    let stands_at = record_end - record_bytes..record_end;
    let record = match held.slice(&stands_at) {
        Some(record) => record,
        // It takes its time to be understood as well.
        None if how == How::AtHand => {
            return Err(Fault::Io(io::ErrorKind::WouldBlock.into()));
        }
        None => Held::read(&file, stands_at.clone(), how)
            .map_err(reading)?
            .slice(&stands_at)
            .unwrap_or_default(),
    };
    if crc32c(&record) != crc {
        return Err(damaged("its record has another checksum"));
    }
    let body = Body::of(file, path, body_bytes, has_sums, held);
    Ok(Some((body, record)))
}

fn le_u32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    use crate::blocks::BlockSums;

    fn write(path: &Path, body: &[u8], record: &Vec<String>) {
        let mut sums = BlockSums::begin();
        sums.update(body);
        let mut file = File::create(path).unwrap();
        file.write_all(body).unwrap();
        let tail = tail(body.len() as u64, sums.finish(), record).unwrap();
        file.write_all(&tail).unwrap();
    }

    fn read(path: &Path) -> Result<(Vec<u8>, Vec<String>), Fault> {
        let Sealed { body, record } = open(path)?.unwrap();
        let bytes = body.bytes();
        let mut body = body.read(0..bytes, How::Waiting)?;
        let mut read = Vec::new();
        while body.left_bytes() > 0 {
            read.extend(body.next(u64::MAX, How::Waiting)?);
        }
        Ok((read, record))
    }

    #[test]
    fn what_was_written_comes_back_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (body, count) in [
            (0, 0),
            (1, 1),
            (5000, 1),
            (10, 5000),
            (9000, 9000),
            (200_000, 2),
        ] {
            let record: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            let body: Vec<u8> = (0..body).map(|n: u32| n as u8).collect();
            write(&path, &body, &record);
            assert_eq!(read(&path).unwrap(), (body, record));
        }
        assert!(
            open::<Vec<String>>(&dir.path().join("y"))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn damage_is_seen_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write(&path, b"body", &vec!["a record".to_owned()]);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(&path).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(read(&path).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn files_of_the_first_formats_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let record = br#"["a record"]"#;
        let mut bytes = b"body".to_vec();
        bytes.extend_from_slice(record);
        bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32c(record).to_le_bytes());
        bytes.extend_from_slice(&4_u64.to_le_bytes());
        bytes.extend_from_slice(&MAGIC_WITHOUT_SUMS);
        std::fs::write(&path, &bytes).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read, (b"body".to_vec(), vec!["a record".to_owned()]));
    }
}
