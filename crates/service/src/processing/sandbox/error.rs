//! Why the sandbox gave no pictures.

use std::time::Duration;

use safelight_model::codes::Code;

use super::confinement::Confinement;

/// What became of a task that failed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The child looked at the file and refused it.
    #[error("{detail}")]
    Refused {
        /// One of the codes that a file can earn.
        code: Code,
        /// What the child said, shortened, without control characters.
        detail: String,
    },
    /// The child was still at it when its time was over, and was killed.
    #[error("not decoded within {} ms of wall clock or processor time", wall_clock.as_millis())]
    TimedOut {
        /// The time allowed.
        wall_clock: Duration,
    },
    /// The child ran out of the memory it may take, and died of it.
    #[error("the decoder died for want of memory: {detail}")]
    OutOfMemory {
        /// The child's last words.
        detail: String,
    },
    /// The child died, or answered what no child answers.
    #[error("the decoder died: {detail}")]
    Crashed {
        /// Its end, and its last words.
        detail: String,
    },
    /// The child made a system call that decoding does not take, and the kernel killed it.
    #[error("the decoder tried what it may not do, and was killed")]
    Forbidden,
    /// Somebody else killed the child: the machine ran out of memory, or an operator.
    #[error("the decoder was killed from outside")]
    Killed,
    /// No child could be started, or it could not be given the file.
    #[error("cannot start a decoder: {0}")]
    Start(#[from] std::io::Error),
    /// The kernel does not confine decoders, and the settings do not let them run like that.
    #[error("decoders would not be confined here: {0}")]
    Open(Confinement),
    /// Clips are not decoded here, and why.
    #[error("clips are not decoded on this server: {0}")]
    NoClips(String),
    /// The sandbox is shutting down.
    #[error("the sandbox is shutting down")]
    Closed,
}

impl SandboxError {
    /// The stable code of this failure.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } => *code,
            Self::TimedOut { .. } => Code::DecodeTimeout,
            Self::OutOfMemory { .. } => Code::DecodeMemory,
            Self::Crashed { .. } | Self::Forbidden => Code::DecodeCrashed,
            Self::NoClips(_) => Code::UnsupportedMediaType,
            Self::Killed | Self::Start(_) | Self::Open(_) | Self::Closed => Code::Internal,
        }
    }

    /// Whether the same file may fare better later: the failure was not its fault.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => *code == Code::Internal,
            Self::Killed | Self::Start(_) | Self::Open(_) | Self::Closed => true,
            Self::TimedOut { .. }
            | Self::OutOfMemory { .. }
            | Self::Crashed { .. }
            | Self::NoClips(_)
            | Self::Forbidden => false,
        }
    }
}
