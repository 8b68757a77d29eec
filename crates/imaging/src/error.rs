//! Why a picture could not be made.

use safelight_model::codes::Code;

/// What is wrong with the input, or with the attempt to decode it.
#[derive(Debug, thiserror::Error)]
pub enum ImagingError {
    /// The content is of no kind that can be decoded. The text names what was found.
    #[error("cannot decode {found}")]
    Unsupported {
        /// The media type, or a description of the variant.
        found: String,
    },
    /// The file is damaged or cut off.
    #[error("the file is damaged: {detail}")]
    Corrupt {
        /// What the parser or decoder saw.
        detail: String,
    },
    /// The header claims more pixels than allowed.
    #[error("{width}x{height} is more than {max_pixels} pixels")]
    PixelLimit {
        /// Columns claimed by the header.
        width: u32,
        /// Rows claimed by the header.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// There are more pictures in the file than allowed.
    #[error("{frames} pictures are more than {max_frames}")]
    FrameLimit {
        /// Pictures that the file has.
        frames: u32,
        /// The limit.
        max_frames: u32,
    },
    /// Decoding needs, or tried to take, more memory than allowed.
    #[error("decoding needs more memory than allowed: {detail}")]
    Memory {
        /// How much, or where it failed.
        detail: String,
    },
    /// A picture could not be encoded; never the input's fault.
    #[error("cannot encode: {detail}")]
    Encode {
        /// What the encoder said.
        detail: String,
    },
}

impl ImagingError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unsupported { .. } => Code::UnsupportedMediaType,
            Self::Corrupt { .. } => Code::MediaCorrupt,
            Self::PixelLimit { .. } => Code::PixelLimitExceeded,
            Self::FrameLimit { .. } => Code::FrameLimitExceeded,
            Self::Memory { .. } => Code::DecodeMemory,
            Self::Encode { .. } => Code::Internal,
        }
    }

    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt {
            detail: detail.into(),
        }
    }

    pub(crate) fn memory(detail: impl Into<String>) -> Self {
        Self::Memory {
            detail: detail.into(),
        }
    }

    pub(crate) fn unsupported(found: impl Into<String>) -> Self {
        Self::Unsupported {
            found: found.into(),
        }
    }

    pub(crate) fn encode(detail: impl ToString) -> Self {
        Self::Encode {
            detail: detail.to_string(),
        }
    }
}
