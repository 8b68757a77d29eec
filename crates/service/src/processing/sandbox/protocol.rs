//! What parent and child say to each other.
//!
//! Parent to child: a frame (length, JSON) with the original's descriptor attached to its first
//! byte. Child to parent: a frame, and behind it the pictures' bytes in order, their sizes in the
//! frame.

use safelight_imaging::{Limits, MediaType, SNIFF_BYTES, sniff};
use safelight_model::codes::Code;
use safelight_model::preset::{self, Format, Preset};

/// Length of a frame: a little-endian `u32`.
pub(super) const LENGTH_BYTES: usize = 4;
/// Longest JSON of a frame.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Most bytes of all pictures in an answer.
pub(super) const MAX_PICTURES_BYTES: u64 = 64 * 1024 * 1024;
/// Most characters kept of what a child says.
pub(super) const MAX_DETAIL_CHARS: usize = 300;
/// The longest thumbhash there is (with alpha) has 25 bytes.
const MAX_THUMBHASH_BYTES: usize = 32;
/// The codes that a child may answer with.
const CHILD_CODES: [Code; 5] = [
    Code::UnsupportedMediaType,
    Code::MediaCorrupt,
    Code::PixelLimitExceeded,
    Code::DecodeMemory,
    Code::Internal,
];

/// One file to make pictures of.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct TaskFrame {
    /// Name and version of each preset.
    pub presets: Vec<(String, u32)>,
    /// Long edge and quality of a JPEG that is wanted too, behind those of the presets, with what a copy keeps of the
    /// original's EXIF.
    #[serde(default)]
    pub copy: Option<(u32, u8)>,
    pub limits: Limits,
    pub want_hashes: bool,
    /// Processor time for this task.
    pub cpu_seconds: u64,
}

impl TaskFrame {
    /// The presets named, if all are known, and that of the copy.
    pub(super) fn presets(&self) -> Option<Vec<Preset>> {
        let named = self.presets.iter();
        let copy = self.copy.map(|(long_edge, quality)| Preset {
            name: "copy",
            version: 1,
            long_edge,
            format: Format::Jpeg,
            quality,
        });
        named
            .map(|(name, version)| preset::find(name, *version))
            .chain(copy.map(Some))
            .collect()
    }
}

/// What became of it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct AnswerFrame {
    pub outcome: Outcome,
    /// Processor time that the task took, user and system.
    pub cpu_us: u64,
    /// The most memory that the child ever had resident.
    pub max_rss_bytes: u64,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Done {
        media: MediaType,
        width: u32,
        height: u32,
        thumbhash: Option<Vec<u8>>,
        picture_hash: Option<u64>,
        pictures: Vec<PictureFrame>,
    },
    Refused {
        code: String,
        detail: String,
    },
}

/// One picture, in the order of the presets.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct PictureFrame {
    pub width: u32,
    pub height: u32,
    pub size_bytes: u64,
}

/// Puts a frame's length before its JSON.
pub(super) fn frame(message: &impl serde::Serialize) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len())
        .ok()
        .filter(|_| json.len() <= MAX_FRAME_BYTES)
        .ok_or_else(|| std::io::Error::other("frame too long"))?;
    let mut framed = length.to_le_bytes().to_vec();
    framed.extend_from_slice(&json);
    Ok(framed)
}

/// The length of the frame that follows, if it is allowed.
pub(super) fn frame_length(head: [u8; LENGTH_BYTES]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(head))
        .ok()
        .filter(|length| *length <= MAX_FRAME_BYTES)
}

/// Checks what can be checked before the pictures are read.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_answer(answer: &AnswerFrame, task: &TaskFrame) -> Result<(), &'static str> {
    let Outcome::Done {
        width,
        height,
        thumbhash,
        picture_hash,
        pictures,
        ..
    } = &answer.outcome
    else {
        return Ok(());
    };
    let presets = task.presets().ok_or("presets unknown")?;
    if pictures.len() != presets.len() {
        return Err("pictures missing or too many");
    }
    if thumbhash.is_some() != task.want_hashes
        || thumbhash
            .as_ref()
            .is_some_and(|h| h.is_empty() || h.len() > MAX_THUMBHASH_BYTES)
    {
        return Err("thumbhash missing, unasked or too long");
    }
    if picture_hash.is_some() && !task.want_hashes {
        return Err("picture hash unasked");
    }
    if *width == 0
        || *height == 0
        || u64::from(*width) * u64::from(*height) > task.limits.max_pixels
    {
        return Err("size of the original out of bounds");
    }
    let mut total: u64 = 0;
    for (picture, preset) in pictures.iter().zip(&presets) {
        let long = picture.width.max(picture.height);
        if picture.width == 0 || picture.height == 0 || long > preset.long_edge {
            return Err("size of a picture out of bounds");
        }
        total = total.saturating_add(picture.size_bytes);
    }
    if total > MAX_PICTURES_BYTES {
        return Err("pictures too large");
    }
    Ok(())
}

/// Checks that a picture's bytes are what its frame and its preset say.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_picture(
    bytes: &[u8],
    frame: &PictureFrame,
    preset: &Preset,
) -> Result<(), &'static str> {
    let expected = match preset.format {
        Format::Jpeg => MediaType::Jpeg,
        Format::Webp => MediaType::Webp,
    };
    // First: the headers of these two are read in a time that goes by their length, here in the parent.
    let head = bytes.get(..SNIFF_BYTES).unwrap_or(bytes);
    if sniff(head) != Some(expected) {
        return Err("a picture of another format");
    }
    let header = safelight_imaging::header(bytes, &Limits::default())
        .map_err(|_| "a picture that is none")?;
    if (header.width, header.height) != (frame.width, frame.height) {
        return Err("a picture of another size");
    }
    Ok(())
}

/// The code that a child answered, if it may.
pub(super) fn child_code(text: &str) -> Option<Code> {
    Code::parse(text).filter(|code| CHILD_CODES.contains(code))
}

/// What a child said, fit for a log and a row.
pub(super) fn tame(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_DETAIL_CHARS)
        .collect::<String>()
        .trim()
        .to_owned()
}
