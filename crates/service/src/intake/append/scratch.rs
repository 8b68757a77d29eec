//! Files without a name in which bytes wait until they are a part, within a budget.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use safelight_objects::FileSlice;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Gateway;
use super::error::AppendError;

/// The budget is counted in so many bytes.
pub const UNIT_BYTES: u64 = 64 * 1024;
/// Bytes gathered in memory before they go into the file.
const BUFFER_BYTES: usize = 64 * 1024;

/// The bytes of one part, as they come. Positions are counted from the part's beginning.
#[derive(Debug)]
pub struct Scratch {
    budget: Arc<Semaphore>,
    units: u32,
    room: Option<OwnedSemaphorePermit>,
    dir: PathBuf,
    file: Option<Arc<File>>,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Scratch {
    /// For a part of at most `bytes`. It has no room yet.
    #[must_use]
    pub fn of(gateway: &Gateway, dir: PathBuf, bytes: i64) -> Self {
        let units = u64::try_from(bytes).unwrap_or(0).div_ceil(UNIT_BYTES);
        Self {
            budget: gateway.room.clone(),
            // A part that is larger than the whole budget takes all of it, rather than wait for ever.
            units: u32::try_from(units.max(1))
                .unwrap_or(u32::MAX)
                .min(gateway.units),
            room: None,
            dir,
            file: None,
            buffer: Vec::new(),
            buffer_at: 0,
        }
    }

    /// Takes room for the whole part, unless it has it.
    ///
    /// # Errors
    /// If there is none at present.
    pub fn reserve(&mut self) -> Result<(), AppendError> {
        if self.room.is_none() {
            let room = self.budget.clone().try_acquire_many_owned(self.units);
            self.room = Some(room.map_err(|_| AppendError::NoRoom)?);
        }
        Ok(())
    }

    async fn file(&mut self) -> Result<Arc<File>, AppendError> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        self.reserve()?;
        let dir = self.dir.clone();
        let made = blocking(move || tempfile::tempfile_in(dir)).await?;
        let file = Arc::new(made);
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Puts bytes at a position, which is right behind the last ones, or the beginning of something else.
    ///
    /// # Errors
    /// If there is no room, or the disk fails.
    pub async fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), AppendError> {
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
    /// If there is no room, or the disk fails.
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
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn what_left_memory_is_still_there() {
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let gateway = Gateway::start(1 << 20, Duration::from_secs(1), stop);
        let mut scratch = Scratch::of(&gateway, dir.path().to_owned(), 300_000);
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
    }
}
