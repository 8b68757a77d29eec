//! Files that end with their record.
//!
//! `body ‖ record (JSON) ‖ record length u32 ‖ CRC32C of the record u32 ‖
//! body length u64 ‖ magic`, integers little endian.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crc_fast::CrcAlgorithm;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::Fault;

const MAGIC: [u8; 8] = *b"SLDISK01";
const FOOTER_BYTES: usize = 24;
/// Most records fit into what one read from the end brings.
const TAIL_BYTES: u64 = 4096;

/// An open file with its record.
#[derive(Debug)]
pub(crate) struct Sealed<T> {
    pub file: File,
    pub record: T,
    pub body_bytes: u64,
}

/// Appends the record to a file whose body is whole.
pub(crate) fn seal<T: Serialize>(file: &mut File, body_bytes: u64, record: &T) -> io::Result<()> {
    let mut tail = serde_json::to_vec(record)?;
    let record_bytes = u32::try_from(tail.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the record is too long"))?;
    let crc = crc32c(&tail);
    tail.extend_from_slice(&record_bytes.to_le_bytes());
    tail.extend_from_slice(&crc.to_le_bytes());
    tail.extend_from_slice(&body_bytes.to_le_bytes());
    tail.extend_from_slice(&MAGIC);
    file.write_all(&tail)
}

/// Opens a sealed file; `None` if there is none.
pub(crate) fn open<T: DeserializeOwned>(path: &Path) -> Result<Option<Sealed<T>>, Fault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = |reason| Fault::Damaged {
        path: path.to_owned(),
        reason,
    };
    let total = file.metadata()?.len();
    let mut tail = read_at(&file, total.saturating_sub(TAIL_BYTES), total)?;
    let Some(split) = tail.len().checked_sub(FOOTER_BYTES) else {
        return Err(damaged("it is too short"));
    };
    let footer = &tail[split..];
    if footer[16..] != MAGIC {
        return Err(damaged("it has no footer"));
    }
    let record_bytes = u64::from(le_u32(&footer[..4]));
    let crc = le_u32(&footer[4..8]);
    let body_bytes = u64::from(le_u32(&footer[8..12])) | u64::from(le_u32(&footer[12..16])) << 32;
    let record_end = total - FOOTER_BYTES as u64;
    if body_bytes.checked_add(record_bytes) != Some(record_end) {
        return Err(damaged("its lengths do not add up"));
    }
    let record = if record_bytes <= split as u64 {
        tail.truncate(split);
        tail.split_off(split - record_bytes as usize)
    } else {
        read_at(&file, body_bytes, record_end)?
    };
    if crc32c(&record) != crc {
        return Err(damaged("its record has another checksum"));
    }
    let record =
        serde_json::from_slice(&record).map_err(|_| damaged("its record cannot be read"))?;
    Ok(Some(Sealed {
        file,
        record,
        body_bytes,
    }))
}

fn read_at(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(to - from).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
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
    use super::*;

    fn write(path: &Path, body: &[u8], record: &Vec<String>) {
        let mut file = File::create(path).unwrap();
        file.write_all(body).unwrap();
        seal(&mut file, body.len() as u64, record).unwrap();
    }

    #[test]
    fn a_record_comes_back_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (body, count) in [(0, 0), (1, 1), (5000, 1), (10, 5000), (9000, 9000)] {
            let record: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            write(&path, &vec![7; body], &record);
            let sealed: Sealed<Vec<String>> = open(&path).unwrap().unwrap();
            assert_eq!(sealed.record, record);
            assert_eq!(sealed.body_bytes, body as u64);
        }
    }

    #[test]
    fn damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write(&path, b"body", &vec!["a record".to_owned()]);
        let whole = std::fs::read(&path).unwrap();
        assert!(
            open::<Vec<String>>(&dir.path().join("y"))
                .unwrap()
                .is_none()
        );
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(open::<Vec<String>>(&path).is_err(), "cut at {cut}");
        }
        for at in 4..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(open::<Vec<String>>(&path).is_err(), "flipped at {at}");
        }
    }
}
