//! Files without a name in which bytes wait until they are a part, within a budget.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use safelight_catalog::uploads::Upload;
use safelight_objects::FileSlice;

use super::Gateway;
use super::error::AppendError;
use super::room::Share;

/// The budget is counted in so many bytes.
pub const UNIT_BYTES: u64 = 64 * 1024;
/// Bytes gathered in memory before they go into the file.
const BUFFER_BYTES: usize = 64 * 1024;

/// The bytes of one part after another, as they come. Positions are counted from the part's beginning. It has room as far as its
/// bytes ever went, as its file has.
#[derive(Debug)]
pub struct Scratch {
    room: Share,
    dir: PathBuf,
    file: Option<Arc<File>>,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Scratch {
    /// For the parts of an upload. It has no room yet.
    #[must_use]
    pub fn of(gateway: &Gateway, dir: PathBuf, upload: &Upload) -> Self {
        Self {
            room: Share::none(gateway.room.clone(), &upload.tenant_id, &upload.owner_id),
            dir,
            file: None,
            buffer: Vec::new(),
            buffer_at: 0,
        }
    }

    /// Takes room for bytes up to the position `end`, unless it has it.
    ///
    /// # Errors
    /// If there is none at present.
    pub fn reserve(&mut self, end: u64) -> Result<(), AppendError> {
        if self.room.grow(units(end)) {
            Ok(())
        } else {
            Err(AppendError::NoRoom)
        }
    }

    /// As [`Scratch::reserve`], waiting for others to give something back for as long as this.
    ///
    /// # Errors
    /// If there is none by then.
    pub async fn reserve_within(
        &mut self,
        end: u64,
        patience: Duration,
    ) -> Result<(), AppendError> {
        if self.room.grow_within(units(end), patience).await {
            Ok(())
        } else {
            Err(AppendError::NoRoom)
        }
    }

    async fn file(&mut self) -> Result<Arc<File>, AppendError> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let dir = self.dir.clone();
        let made = blocking(move || tempfile::tempfile_in(dir)).await?;
        let file = Arc::new(made);
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Puts bytes at a position, which is right behind the last ones, or the beginning of something else.
    ///
    /// # Errors
    /// If there is no room, and nothing was put; or if the disk fails.
    pub async fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), AppendError> {
        self.reserve(at + bytes.len() as u64)?;
        if at != self.buffer_at + self.buffer.len() as u64 {
            self.flush().await?;
        }
        if self.buffer.is_empty() {
            self.buffer_at = at;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Whether bytes wait in memory for more.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.buffer.capacity() > 0
    }

    /// Has them wait in the file.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn leave_memory(&mut self) -> Result<(), AppendError> {
        self.flush().await?;
        self.buffer = Vec::new();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), AppendError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let file = self.file().await?;
        let (buffer, at) = (std::mem::take(&mut self.buffer), self.buffer_at);
        let mut buffer = blocking(move || file.write_all_at(&buffer, at).map(|()| buffer)).await?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    /// The bytes from `start` to `end`.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn slice(&mut self, start: u64, end: u64) -> Result<FileSlice, AppendError> {
        self.flush().await?;
        let file = self.file().await?;
        Ok(FileSlice::of(file, start, end.saturating_sub(start)))
    }
}

fn units(end: u64) -> u32 {
    u32::try_from(end.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, AppendError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| AppendError::Scratch(std::io::Error::other(e)))?
        .map_err(AppendError::Scratch)
}

#[cfg(test)]
mod tests {
    use super::super::room::Room;
    use super::*;

    #[tokio::test]
    async fn what_left_memory_is_still_there() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::of(16);
        let mut scratch = Scratch {
            room: Share::none(room.clone(), "t", "ann"),
            dir: dir.path().to_owned(),
            file: None,
            buffer: Vec::new(),
            buffer_at: 0,
        };
        assert!(!scratch.is_in_memory());
        let mut whole = Vec::new();
        for (number, bytes) in [(1, 10_000), (2, 90_000), (3, 1), (4, 7_000)] {
            scratch
                .put(whole.len() as u64, &vec![number; bytes])
                .await
                .unwrap();
            whole.resize(whole.len() + bytes, number);
            assert!(scratch.is_in_memory());
            if number != 3 {
                scratch.leave_memory().await.unwrap();
                assert!(!scratch.is_in_memory());
            }
        }
        let slice = scratch.slice(0, whole.len() as u64).await.unwrap();
        assert_eq!(slice.size_bytes(), 107_001);
        let mut read = vec![0; whole.len()];
        let file = scratch.file().await.unwrap();
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == whole);
        // It holds two units of 64 KiB; what goes beyond the budget is not taken, and what was is not lost.
        let mut other = Share::none(room, "t", "bob");
        assert!(!other.grow(15) && other.grow(14));
        let more = scratch.put(whole.len() as u64, &[5; 40_000]).await;
        assert!(matches!(more, Err(AppendError::NoRoom)), "{more:?}");
        assert!(scratch.put(whole.len() as u64, &[5; 20_000]).await.is_ok());
        let slice = scratch.slice(0, 127_001).await.unwrap();
        assert_eq!(slice.size_bytes(), 127_001);
        drop(scratch);
        assert!(other.grow(16));
    }
}
