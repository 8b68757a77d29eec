//! What goes wrong inside, and what the client is told.

use std::io;
use std::path::PathBuf;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

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
        reason: &'static str,
    },
}

impl From<Fault> for S3Error {
    fn from(fault: Fault) -> Self {
        use rustix::io::Errno;
        let errno = match &fault {
            Fault::Io(error) => Errno::from_io_error(error),
            Fault::Damaged { .. } => None,
        };
        tracing::error!(error = %fault, "the store failed");
        match errno {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
                let mut error = S3Error::with_message(
                    S3ErrorCode::Custom("DiskFull".into()),
                    "The disk of this store is full.",
                );
                error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
                error
            }
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
                s3_error!(SlowDown, "The store has too much to do.")
            }
            _ => s3_error!(InternalError, "The store failed."),
        }
    }
}

/// An error of the file system as the client is told.
pub(crate) fn io_fault(error: io::Error) -> S3Error {
    Fault::Io(error).into()
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
    fn a_full_disk_has_its_own_code() {
        for errno in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT] {
            let error = io_fault(errno.into());
            assert_eq!(error.code().as_str(), "DiskFull");
            assert_eq!(error.status_code(), Some(StatusCode::INSUFFICIENT_STORAGE));
        }
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
