//! Memory that bodies are read into, used again and again.
//!
//! Fresh memory for each piece of an answer costs the system a fault per page, which is a good part of what reading
//! from the page cache costs at all, and the allocator keeps more of it than is in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// So many are kept when they are not in use. More answers than that at once take fresh ones.
const MOST_KEPT: usize = 16;

/// Buffers of one size.
#[derive(Debug, Clone)]
pub(crate) struct Buffers {
    capacity: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer in use. It comes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    home: Buffers,
}

impl Buffers {
    /// Buffers of so many bytes.
    pub(crate) fn of(capacity: usize) -> Self {
        Self {
            capacity,
            free: Arc::default(),
        }
    }

    /// One of so many bytes, which hold anything.
    pub(crate) fn take(&self, length: usize) -> Buffer {
        let free = (length <= self.capacity).then(|| self.lock().pop());
        let bytes = free.flatten();
        Buffer {
            bytes: bytes.unwrap_or_else(|| vec![0; length.max(self.capacity)]),
            length,
            home: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }

    /// What it holds. The buffer comes back when the last that uses it is done.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() != self.home.capacity {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.home.lock();
        if free.len() < MOST_KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_nobody_looks_at_it() {
        let buffers = Buffers::of(100);
        let mut buffer = buffers.take(5);
        buffer.bytes().copy_from_slice(b"bytes");
        let place = buffer.bytes.as_ptr();
        let piece = buffer.freeze().slice(1..3);
        assert_eq!(piece, b"yt".as_slice());
        assert!(buffers.lock().is_empty());
        drop(piece);
        let again = buffers.take(100);
        assert_eq!(again.bytes.as_ptr(), place);
        assert_eq!(again.as_ref().len(), 100);
        drop(buffers.take(101));
        assert!(buffers.lock().is_empty(), "one of another size is not kept");
        let many: Vec<Buffer> = (0..2 * MOST_KEPT).map(|_| buffers.take(1)).collect();
        drop(many);
        assert_eq!(buffers.lock().len(), MOST_KEPT);
    }
}
