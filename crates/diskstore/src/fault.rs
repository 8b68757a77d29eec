//! What goes wrong inside, and what the client is told.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::at_hand::How;

/// A failure of the disk or of what is on it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file does not hold what this store writes.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
}

impl Fault {
    /// Damage to a file.
    pub(crate) fn damaged(path: &Path, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// What went wrong when a file was read. What the disk cannot read is as good as damaged.
    pub(crate) fn reading(path: &Path, error: io::Error) -> Self {
        if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::IO) {
            Self::damaged(path, "the disk cannot read it")
        } else {
            Self::Io(error)
        }
    }

    /// Whether it is about what is on the disk, and trying again would not help.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

impl Fault {
    /// Whether all that is wrong is that it would have to be waited for.
    pub(crate) fn would_block(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) => error,
            damage => Self::other(damage),
        }
    }
}

impl From<Fault> for S3Error {
    fn from(fault: Fault) -> Self {
        use rustix::io::Errno;
        tracing::error!(error = %fault, "the store failed");
        let errno = match &fault {
            Fault::Io(error) => Errno::from_io_error(error),
            Fault::Damaged { .. } => return damaged_object(),
        };
        match errno {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
                let mut error = S3Error::with_message(
                    S3ErrorCode::Custom("DiskFull".into()),
                    "The disk of this store is full.",
                );
                error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
                error
            }
            Some(Errno::ROFS) => {
                let mut error = S3Error::with_message(
                    S3ErrorCode::Custom("DiskReadOnly".into()),
                    "The disk of this store cannot be written.",
                );
                error.set_status_code(StatusCode::SERVICE_UNAVAILABLE);
                error
            }
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
                s3_error!(SlowDown, "The store has too much to do.")
            }
            _ => s3_error!(InternalError, "The store failed."),
        }
    }
}

fn damaged_object() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("ObjectDamaged".into()),
        "What the disk of this store holds is not what was written. The store's log says where; restore it from a backup.",
    );
    error.set_status_code(StatusCode::INTERNAL_SERVER_ERROR);
    error
}

/// An error of the file system as the client is told.
pub(crate) fn io_fault(error: io::Error) -> S3Error {
    Fault::Io(error).into()
}

/// Why a look that waits for nothing has no answer.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It would have had to wait.
    WouldBlock,
    /// This is the answer.
    Refused(S3Error),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        if fault.would_block() {
            Self::WouldBlock
        } else {
            Self::Refused(fault.into())
        }
    }
}

impl From<S3Error> for Stopped {
    fn from(error: S3Error) -> Self {
        Self::Refused(error)
    }
}

/// Looks for something at hand, and else on a thread that may block.
pub(crate) async fn look<T: Send + 'static>(
    at: impl Fn(How) -> Result<T, Stopped> + Send + 'static,
) -> S3Result<T> {
    match at(How::AtHand) {
        Ok(found) => return Ok(found),
        Err(Stopped::Refused(error)) => return Err(error),
        Err(Stopped::WouldBlock) => {}
    }
    blocking(move || match at(How::Waiting) {
        Ok(found) => Ok(found),
        Err(Stopped::Refused(error)) => Err(error),
        // Nothing that waits says so.
        Err(Stopped::WouldBlock) => Err(io_fault(io::ErrorKind::WouldBlock.into())),
    })
    .await
}

/// Runs what blocks on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(died(error)))
}

/// A thread's panic as the client is told.
pub(crate) fn died(error: tokio::task::JoinError) -> S3Error {
    tracing::error!(%error, "a task of the store died");
    s3_error!(InternalError, "The store failed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_cannot_read_is_damage() {
        let of = |errno: rustix::io::Errno| Fault::reading(Path::new("x"), errno.into());
        assert!(of(rustix::io::Errno::IO).is_damage());
        assert!(!of(rustix::io::Errno::MFILE).is_damage());
        let error = S3Error::from(of(rustix::io::Errno::IO));
        assert_eq!(error.code().as_str(), "ObjectDamaged");
    }

    #[test]
    fn a_full_disk_has_its_own_code() {
        for errno in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT] {
            let error = io_fault(errno.into());
            assert_eq!(error.code().as_str(), "DiskFull");
            assert_eq!(error.status_code(), Some(StatusCode::INSUFFICIENT_STORAGE));
        }
        assert_eq!(
            io_fault(rustix::io::Errno::ROFS.into()).code().as_str(),
            "DiskReadOnly"
        );
        assert_eq!(
            io_fault(rustix::io::Errno::MFILE.into()).code(),
            &S3ErrorCode::SlowDown
        );
        assert_eq!(
            io_fault(rustix::io::Errno::IO.into()).code(),
            &S3ErrorCode::InternalError
        );
    }
}
