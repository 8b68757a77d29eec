//! Answers: what a store said, refusals included.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::super::Support;
use crate::StoreError;

/// Status and code of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    /// The store's code; empty where it named none.
    pub code: String,
}

impl Answer {
    pub(super) fn is_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it says nothing about what was asked: the store has too much to do.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 503) || matches!(self.code.as_str(), "SlowDown")
    }

    /// What a refusal says of the support for what was asked. Who may not ask is not told.
    pub(super) fn support(&self) -> Support {
        match self.status {
            200..=299 => Support::Yes,
            401 | 403 => Support::Unknown,
            _ => Support::No,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

/// The outcome of an operation of the SDK: its output, or the store's refusal.
///
/// # Errors
/// When the store did not answer, or has too much to do.
pub(super) fn settled<T, E>(
    operation: &'static str,
    outcome: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Result<T, Answer>, StoreError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let error = match outcome {
        Ok(output) => return Ok(Ok(output)),
        Err(error) => error,
    };
    let refusal = match &error {
        SdkError::ServiceError(told) => Some(Answer {
            status: told.raw().status().as_u16(),
            code: error.code().unwrap_or_default().to_owned(),
        }),
        _ => None,
    };
    match refusal {
        // An error in a 200, as completions have, is a refusal too.
        Some(mut answer) if !answer.is_passing() => {
            if answer.is_taken() {
                answer.status = 400;
            }
            Ok(Err(answer))
        }
        _ => Err(StoreError::of(operation, error)),
    }
}
