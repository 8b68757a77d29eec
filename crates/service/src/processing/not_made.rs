//! What becomes of a job whose decoder made nothing.

use safelight_catalog::jobs::Job;
use safelight_model::codes::Code;

use super::sandbox::SandboxError;
use crate::work::JobError;

/// Attempts of what took too long: a machine may have been too busy for a file that it could decode.
const ATTEMPTS: i64 = 2;

/// Again where it was not the file's fault, or may not have been.
pub(super) fn once_more(error: &SandboxError, job: &Job) -> Option<JobError> {
    let (code, detail) = (error.code(), error.to_string());
    if error.retryable() {
        tracing::warn!(%error, subject = job.subject_id, "the sandbox failed");
        return Some(JobError::Retry {
            after: None,
            code,
            detail: "the decoder could not be run".to_owned(),
        });
    }
    (code == Code::DecodeTimeout && job.attempts < ATTEMPTS).then_some(JobError::Retry {
        after: None,
        code,
        detail,
    })
}

/// Again where that may help; else it has failed.
pub(super) fn not_made(error: &SandboxError, job: &Job) -> JobError {
    once_more(error, job).unwrap_or_else(|| JobError::Cancel {
        code: error.code(),
        detail: error.to_string(),
    })
}
