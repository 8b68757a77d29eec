//! Why a call to the API did not do what was asked.

use std::time::Duration;

use safelight_api::problem::Problem;
use safelight_model::codes::Code;

use crate::transport::{Answer, TransportError};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer came, however often it was tried.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// The server refused.
    #[error("{code}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code of the problem; `http_{status}` when the answer was not one of the API's.
        code: String,
        /// What is wrong, and what to do next.
        detail: String,
        /// When to try again, if the server said so.
        retry_after: Option<Duration>,
    },
    /// The answer was a success that this version cannot read.
    #[error("the server's answer was not understood: {0}")]
    NotUnderstood(String),
}

impl CallError {
    /// The refusal in an answer that is not a success.
    #[must_use]
    pub fn refusal(answer: &Answer) -> Self {
        let status = answer.status;
        let (code, detail) = match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) => {
                let place = problem.field.map(|f| format!(" (at {f})"));
                let detail = format!("{}{}", problem.detail, place.unwrap_or_default());
                (problem.code, detail)
            }
            Err(_) => (
                format!("http_{status}"),
                format!(
                    "the server answered {status} without saying why; is this URL a safelight server's?"
                ),
            ),
        };
        Self::Refused {
            status,
            code,
            detail,
            retry_after: answer.retry_after,
        }
    }

    /// A stable word for it: the problem's code, or one of the client's own.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Transport(TransportError::Unreachable(_)) => "unreachable",
            Self::Transport(TransportError::Broken(_)) => "connection_broken",
            Self::Transport(TransportError::File(_)) => "file_unreadable",
            Self::Transport(TransportError::Malformed(_)) => "request_malformed",
            Self::Refused { code, .. } => code,
            Self::NotUnderstood(_) => "answer_not_understood",
        }
    }

    /// What happened, without the code.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Refused { detail, .. } => detail.clone(),
            other => other.to_string(),
        }
    }

    /// Whether the same call may go through later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport(TransportError::Unreachable(_) | TransportError::Broken(_)) => true,
            Self::Transport(_) | Self::NotUnderstood(_) => false,
            Self::Refused { status, code, .. } => {
                matches!(status, 408 | 429 | 500..=599)
                    || code == Code::IdempotencyKeyInFlight.as_str()
            }
        }
    }

    /// Whether the owner has so much under way that there is no room for more: some once something of it has ended.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == Code::QuotaExceeded.as_str())
    }

    /// When the server wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
