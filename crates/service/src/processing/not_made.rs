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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use safelight_model::clock::Micros;
    use safelight_model::cost_class::CostClass;
    use safelight_model::job::JobKind;
    use safelight_model::lane::Lane;

    use super::*;

    #[test]
    fn what_took_too_long_is_tried_once_more_and_what_is_damaged_is_not() {
        let late = SandboxError::TimedOut {
            wall_clock: Duration::from_secs(1),
        };
        let damaged = SandboxError::Refused {
            code: Code::MediaCorrupt,
            detail: "cut off".to_owned(),
        };
        for (error, attempts, is_tried) in [
            (&late, 1, true),
            (&late, 2, false),
            (&damaged, 1, false),
            (&SandboxError::Killed, 1, true),
            (&SandboxError::Killed, 5, true),
        ] {
            let made = not_made(error, &job(attempts));
            let tries = matches!(made, JobError::Retry { .. });
            assert_eq!(tries, is_tried, "{error} {attempts}");
        }
    }

    fn job(attempts: i64) -> Job {
        Job {
            tenant_id: "t".to_owned(),
            job_id: "j".to_owned(),
            kind: JobKind::Derive,
            lane: Lane::Standard,
            class: CostClass::Light,
            owner_id: "o".to_owned(),
            subject_id: "s".to_owned(),
            run_at: Micros(0),
            attempts,
            fence: 1,
            enqueued_at: Micros(0),
            updated_at: Micros(0),
            cpu_us: 0,
            error_code: None,
            error_detail: None,
        }
    }
}
