//! What parent and child say to each other.
//!
//! Parent to child: a frame (length, JSON) with the original's descriptor attached to its first
//! byte. Child to parent: a frame, and behind it the pictures' bytes in order, their sizes in the
//! frame.

use safelight_imaging::{Limits, MediaType, Metadata, SNIFF_BYTES, sniff};
use safelight_model::best_frame::FrameScores;
use safelight_model::codes::Code;
use safelight_model::preset::{Format, LARGE, Preset, Shape};
use safelight_model::tenant_presets::{LARGE_EDGES, are_possible};
use safelight_model::variant;

/// Length of a frame: a little-endian `u32`.
pub(super) const LENGTH_BYTES: usize = 4;
/// Longest JSON of a frame.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Most bytes of all pictures in an answer.
pub(super) const MAX_PICTURES_BYTES: u64 = 64 * 1024 * 1024;
/// Longest JSON of what a cleaned original is made of: a clip of hours takes one, whose other tracks lie between those that stay.
pub(super) const MAX_LIST_BYTES: u64 = 8 * 1024 * 1024;
/// Most characters kept of what a child says.
pub(super) const MAX_DETAIL_CHARS: usize = 300;
/// The longest thumbhash there is (with alpha) has 25 bytes.
const MAX_THUMBHASH_BYTES: usize = 32;
/// The codes that a child may answer with.
const CHILD_CODES: [Code; 6] = [
    Code::UnsupportedMediaType,
    Code::MediaCorrupt,
    Code::PixelLimitExceeded,
    Code::FrameLimitExceeded,
    Code::DecodeMemory,
    Code::Internal,
];

/// One file to make pictures of.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct TaskFrame {
    pub presets: Vec<PresetFrame>,
    /// Long edge and quality of a JPEG that is wanted too, behind those of the presets, with what a copy keeps of the
    /// original's EXIF.
    #[serde(default)]
    pub copy: Option<(u32, u8)>,
    pub limits: Limits,
    pub want_hashes: bool,
    /// Whether to measure how sharp and how well exposed it is, too.
    #[serde(default)]
    pub want_scores: bool,
    #[serde(default)]
    pub exact: bool,
    #[serde(default)]
    pub credit: bool,
    /// Whether squares are cut where faces are.
    #[serde(default)]
    pub faces: bool,
    /// Whether faces are counted among what is measured.
    #[serde(default)]
    pub count_faces: bool,
    /// Whether to read what the file tells of how it was taken, too.
    #[serde(default)]
    pub want_metadata: bool,
    /// What is wanted in place of pictures: nothing is decoded then.
    #[serde(default)]
    pub only: Option<Only>,
    /// What is to be made of the same picture next: it is decoded so that this can be, and kept until the next task.
    #[serde(default)]
    pub keep_for: Vec<PresetFrame>,
    /// Whether the file is that of the task before, which kept its picture for this one.
    #[serde(default)]
    pub goes_on: bool,
    /// Processor time for this task.
    pub cpu_seconds: u64,
}

/// One preset: what it is of, and its numbers, which an operator may have chosen.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct PresetFrame {
    /// Its name, or that of an alternative's row.
    pub slot: String,
    pub version: u32,
    pub long_edge: u32,
    pub quality: u8,
}

impl PresetFrame {
    pub(super) fn of(preset: &Preset) -> Self {
        Self {
            slot: variant::slot(&preset.label()).to_owned(),
            version: preset.version,
            long_edge: preset.long_edge,
            quality: preset.quality,
        }
    }

    /// The preset, if there is one of this name, and its numbers are within what an operator may choose.
    fn preset(&self) -> Option<Preset> {
        let built_in = variant::built_in(&self.slot)?;
        let (version, long_edge, quality) = (self.version, self.long_edge, self.quality);
        are_possible(&built_in, version, long_edge, quality).then_some(Preset {
            version,
            long_edge,
            quality,
            ..built_in
        })
    }
}

/// What the pixels of a picture that is made take, in whatever form, and the file.
const BYTES_PER_PIXEL: u64 = 8;

/// A task for which no picture is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Only {
    /// Read what the file tells of how it was taken.
    Metadata,
    /// Say what a cleaned original of it is made of.
    Cleaned,
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
            shape: Shape::Whole,
        });
        named
            .map(PresetFrame::preset)
            .chain(copy.map(Some))
            .collect()
    }

    /// The presets of what is made next, if all are known.
    pub(super) fn kept_presets(&self) -> Option<Vec<Preset>> {
        self.keep_for.iter().map(PresetFrame::preset).collect()
    }

    /// What the pictures take, in bytes, beyond those of the built-in presets.
    pub(super) fn beyond_built_in_bytes(&self) -> u64 {
        let pixels = |edge: u32| u64::from(edge) * u64::from(edge);
        let all = self.presets.iter().chain(&self.keep_for);
        let longest = all.map(|p| p.long_edge).max();
        let longest = longest.unwrap_or(0).min(LARGE_EDGES.1);
        let beyond = pixels(longest).saturating_sub(pixels(LARGE.long_edge));
        beyond * BYTES_PER_PIXEL
    }
}

/// What became of it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct AnswerFrame {
    pub outcome: Outcome,
    /// Processor time that the task took, user and system.
    pub cpu_us: u64,
    /// The most memory that the child ever had resident, as it knows: at least what its parent had when it was started.
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
        #[serde(default)]
        scores: Option<FrameScores>,
        #[serde(default)]
        metadata: Option<Box<Metadata>>,
        pictures: Vec<PictureFrame>,
        /// Whether the picture was kept for the next task.
        #[serde(default)]
        keeps: bool,
    },
    Read {
        metadata: Box<Metadata>,
    },
    /// Behind the frame comes the list of segments, as JSON of so many bytes.
    Cleaned {
        list_bytes: u64,
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
    let (width, height, thumbhash, picture_hash, scores, metadata, pictures) = match &answer.outcome
    {
        Outcome::Refused { .. } => return Ok(()),
        Outcome::Read { .. } if task.only == Some(Only::Metadata) => return Ok(()),
        Outcome::Cleaned { list_bytes } if task.only == Some(Only::Cleaned) => {
            return match *list_bytes <= MAX_LIST_BYTES {
                true => Ok(()),
                false => Err("list too long"),
            };
        }
        _ if task.only.is_some() => return Err("an answer to another task"),
        Outcome::Read { .. } | Outcome::Cleaned { .. } => return Err("an answer to another task"),
        Outcome::Done {
            width,
            height,
            thumbhash,
            picture_hash,
            scores,
            metadata,
            pictures,
            ..
        } => (
            width,
            height,
            thumbhash,
            picture_hash,
            scores,
            metadata,
            pictures,
        ),
    };
    if metadata.is_some() && !task.want_metadata {
        return Err("metadata unasked");
    }
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
    if scores.is_some() != task.want_scores || scores.is_some_and(|s| !s.is_possible()) {
        return Err("scores missing, unasked or impossible");
    }
    if scores.is_some_and(|s| s.faces.is_some() != task.count_faces) {
        return Err("faces missing or unasked");
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
        if preset.shape == Shape::Square && picture.width != picture.height {
            return Err("a square whose sides differ");
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
        Format::Avif => MediaType::Avif,
        Format::Mp4 | Format::M3u8 => return Err("a clip where a picture was asked for"),
    };
    // First: the headers of these are read in a time that goes by their length, here in the parent.
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

#[cfg(any(fuzzing, test))]
fn fuzz_task(outcome: &Outcome) -> TaskFrame {
    TaskFrame {
        presets: vec![PresetFrame::of(&safelight_model::preset::COVER)],
        copy: Some((1600, 80)),
        limits: Limits::default(),
        want_hashes: true,
        want_scores: true,
        exact: true,
        want_metadata: true,
        only: match outcome {
            Outcome::Done { .. } | Outcome::Refused { .. } => None,
            Outcome::Read { .. } => Some(Only::Metadata),
            Outcome::Cleaned { .. } => Some(Only::Cleaned),
        },
        keep_for: Vec::new(),
        goes_on: false,
        cpu_seconds: 1,
        credit: true,
        faces: true,
        count_faces: true,
    }
}

/// Reads bytes as a child's answer to a task, in the steps that the parent takes; or as what ffprobe says of a clip.
#[cfg(any(fuzzing, test))]
pub fn fuzz_answer(bytes: &[u8]) {
    if bytes.starts_with(b"{") {
        if let Ok(facts) = super::clip_facts::read(bytes, 200_000_000) {
            assert!(facts.width > 0 && facts.height > 0 && facts.duration_s >= 0.0);
        }
        return;
    }
    let Some((head, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return;
    };
    let Some((json, mut behind)) = frame_length(*head).and_then(|n| rest.split_at_checked(n))
    else {
        return;
    };
    let _ = serde_json::from_slice::<super::confinement::Confinement>(json);
    let Ok(answer) = serde_json::from_slice::<AnswerFrame>(json) else {
        return;
    };
    let task = fuzz_task(&answer.outcome);
    if check_answer(&answer, &task).is_err() {
        return;
    }
    let believed = crate::processing::file_metadata::believed;
    match answer.outcome {
        Outcome::Refused { code, detail } => {
            let _ = child_code(&code);
            assert!(tame(&detail).chars().count() <= MAX_DETAIL_CHARS);
        }
        Outcome::Read { metadata } => {
            assert!(serde_json::to_string(&believed(*metadata).harmless).is_ok())
        }
        Outcome::Cleaned { .. } => {
            let _ = serde_json::from_slice::<Vec<safelight_imaging::Segment>>(behind);
        }
        Outcome::Done {
            pictures, metadata, ..
        } => {
            if let Some(metadata) = metadata {
                assert!(serde_json::to_string(&believed(*metadata).harmless).is_ok());
            }
            for (frame, preset) in pictures.iter().zip(task.presets().unwrap_or_default()) {
                let size = usize::try_from(frame.size_bytes).unwrap_or(usize::MAX);
                let Some((picture, rest)) = behind.split_at_checked(size) else {
                    return;
                };
                behind = rest;
                let _ = check_picture(picture, frame, &preset);
            }
        }
    }
}

#[cfg(any(fuzzing, test))]
const CLIP_TO_FUZZ: &str = r#"{"streams":[{"index":0,"codec_type":"video","codec_name":"hevc","width":1920,"height":1080,"sample_aspect_ratio":"16:15","disposition":{"default":1,"attached_pic":0},"color_transfer":"arib-std-b67","color_primaries":"bt2020","side_data_list":[{},{"rotation":-90}]},{"index":1,"codec_type":"audio","codec_name":"aac","sample_fmt":"fltp"}],"format":{"duration":"1.5"}}"#;

/// Answers as a child gives them: a refusal, metadata, and pictures.
#[cfg(any(fuzzing, test))]
pub fn answers_to_fuzz() -> Vec<Vec<u8>> {
    let webp = safelight_imaging::encode_webp(4, 3, &[7; 36], false, 75).unwrap_or_default();
    let jpeg = safelight_imaging::encode_jpeg(4, 3, &[7; 36], 75).unwrap_or_default();
    let pictures = [&webp, &jpeg].map(|picture| PictureFrame {
        width: 4,
        height: 3,
        size_bytes: picture.len() as u64,
    });
    let outcomes = [
        Outcome::Refused {
            code: Code::MediaCorrupt.as_str().to_owned(),
            detail: "cut off".to_owned(),
        },
        Outcome::Read {
            metadata: Box::default(),
        },
        Outcome::Cleaned { list_bytes: 2 },
        Outcome::Done {
            media: MediaType::Jpeg,
            width: 40,
            height: 30,
            thumbhash: Some(vec![1; 20]),
            picture_hash: Some(7),
            scores: Some(FrameScores {
                sharpness: 700,
                mean_luma: 120,
                dark_permille: 10,
                bright_permille: 20,
                faces: Some(2),
            }),
            metadata: Some(Box::default()),
            pictures: pictures.into(),
            keeps: false,
        },
    ];
    let framed = outcomes.map(|outcome| {
        let answer = AnswerFrame {
            outcome,
            cpu_us: 1000,
            max_rss_bytes: 1 << 20,
        };
        frame(&answer).unwrap_or_default()
    });
    let answers = framed.into_iter();
    let answers = answers.map(|answer| [answer, webp.clone(), jpeg.clone()].concat());
    answers.chain([CLIP_TO_FUZZ.as_bytes().to_vec()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_begins_with_is_read() {
        for answer in answers_to_fuzz() {
            fuzz_answer(&answer);
        }
        assert!(super::super::clip_facts::read(CLIP_TO_FUZZ.as_bytes(), 200_000_000).is_ok());
    }
}
