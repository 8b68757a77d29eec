//! One writer, or some readers, of a key at a time.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use crate::at_hand::How;
use crate::fault::Fault;

/// So many that two of some dozen keys in work rarely share one.
const STRIPES: usize = 1024;

/// Locks by key. They are held for moves on the disk, never while a client
/// sends or receives, and for longer than an instant only on threads that may block.
pub(crate) struct KeyLocks {
    hasher: RandomState,
    stripes: Vec<RwLock<()>>,
}

impl KeyLocks {
    pub(crate) fn build() -> Self {
        Self {
            hasher: RandomState::new(),
            stripes: (0..STRIPES).map(|_| RwLock::new(())).collect(),
        }
    }

    /// For looking at what the key holds, or at its uploads' parts.
    pub(crate) fn read(&self, bucket: &str, key: &str) -> RwLockReadGuard<'_, ()> {
        self.stripe(bucket, key)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, without waiting perhaps for who changes it now.
    pub(crate) fn read_for(
        &self,
        bucket: &str,
        key: &str,
        how: How,
    ) -> Result<RwLockReadGuard<'_, ()>, Fault> {
        if how == How::Waiting {
            return Ok(self.read(bucket, key));
        }
        match self.stripe(bucket, key).try_read() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(io::Error::from(io::ErrorKind::WouldBlock).into()),
        }
    }

    /// For changing what the key holds.
    pub(crate) fn write(&self, bucket: &str, key: &str) -> RwLockWriteGuard<'_, ()> {
        self.stripe(bucket, key)
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn stripe(&self, bucket: &str, key: &str) -> &RwLock<()> {
        let hash = self.hasher.hash_one((bucket, key));
        &self.stripes[(hash % STRIPES as u64) as usize]
    }
}
