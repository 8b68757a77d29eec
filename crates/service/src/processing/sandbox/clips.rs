//! Clips: ffprobe and ffmpeg as children, one for each run.
//!
//! The clip is their standard input, a file that they open again by its descriptor to seek in it; what they make goes to
//! their standard output, a file without a name. They are told what the clip is and what may be opened (`clip_args.rs`): nothing but
//! files, of which landlock leaves them none.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use safelight_model::codes::Code;
use safelight_model::limits::MAX_CLIP_PIXELS;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, Command};

use super::clip_args::{self, INPUT, THREADS};
use super::clip_facts::{self, ClipFacts};
use super::confine_clip::{CLIP_RUN_VARIABLE, ClipRun, NOT_CONFINED, NOT_STARTED};
use super::confinement::Confinement;
use super::error::SandboxError;
use super::pool::Sandbox;
use super::protocol::{LENGTH_BYTES, frame_length, tame};
use super::worker::{LAST_WORDS_BYTES, judge, read_only};

/// Most that ffprobe's answer may take.
const PROBE_BYTES: u64 = 256 * 1024;
/// What ffmpeg has resident with its libraries, and the frames that a decoder and an encoder hold, of 1.5 to 3 bytes a pixel.
const BASE_BYTES: u64 = 160 * 1024 * 1024;
const BYTES_PER_PIXEL: u64 = 48;
/// What of a frame's size its file may take: three bytes a pixel, and the zlib around them.
const FRAME_BYTES_PER_PIXEL: u64 = 4;
/// What a preview may take: more than its rate comes to.
const PREVIEW_BYTES: u64 = 4 * 1024 * 1024;
/// What the clip of a motion photo may take: more than 30 seconds at its highest rate come to.
const MOTION_BYTES: u64 = 40 * 1024 * 1024;
/// The longest that it may take to make: many times what it takes where nothing else is done.
const MOTION_CLOCK: Duration = Duration::from_secs(60);
/// How ffmpeg says that it was built without what it takes.
const LACKS: [&str; 3] = [
    "Unknown encoder",
    "No such filter",
    "not found for input stream",
];
/// How ffmpeg says that a picture has more pixels than `-max_pixels`, with the numbers behind it.
const TOO_MANY_PIXELS: (&str, &str, &str) =
    ("Picture size ", " exceeds specified max pixel count ", ",");

/// How clips are decoded.
#[derive(Clone, Debug)]
pub struct ClipSettings {
    /// The program ffmpeg.
    pub ffmpeg: PathBuf,
    /// The program ffprobe.
    pub ffprobe: PathBuf,
    /// Address space of each run.
    pub memory_bytes: u64,
    /// The longest that a transcode may take.
    pub transcode: Duration,
    /// The longest file that a transcode may make.
    pub stream_bytes: u64,
    /// Where files without a name are made.
    pub scratch_dir: PathBuf,
}

/// What decodes clips here.
#[derive(Clone, Debug)]
pub struct ClipTools {
    /// What ffmpeg calls itself: `ffmpeg version 5.1.9`.
    pub version: String,
    /// How tightly it is closed.
    pub confinement: Confinement,
}

/// What a run may take.
struct Bounds {
    wall_clock: Duration,
    output_bytes: u64,
    expected_bytes: u64,
    reopens_output: bool,
    /// Whether it makes a clip that nobody waits for.
    is_stream: bool,
}

impl Sandbox {
    /// Has ffmpeg say who it is, closed in as it would be for a clip.
    ///
    /// # Errors
    /// [`SandboxError::NoClips`] where there is none or it cannot be closed in.
    pub async fn clip_tools(&self) -> Result<ClipTools, SandboxError> {
        let nothing = scratch(self.clips()?).await?;
        let args = clip_args::version();
        let tool = self.clips()?.ffmpeg.clone();
        let (mut output, confinement) = self
            .run_clip(&tool, args, &nothing.into(), &self.briefly(PROBE_BYTES))
            .await?;
        let mut said = Vec::new();
        output.read_to_end(&mut said)?;
        let said = String::from_utf8_lossy(&said);
        let first = said.lines().next().unwrap_or_default();
        let version = first.split(" Copyright").next().unwrap_or_default();
        Ok(ClipTools {
            version: tame(version),
            confinement,
        })
    }

    /// Looks at the tracks of a clip. Of pictures of at most `max_pixels`, and [`MAX_CLIP_PIXELS`], as much is decoded as it takes to
    /// know what they are; of larger ones nothing.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn probe_clip(
        &self,
        clip: &OwnedFd,
        max_pixels: u64,
    ) -> Result<ClipFacts, SandboxError> {
        let max_pixels = max_pixels.min(MAX_CLIP_PIXELS);
        let args = clip_args::probe(max_pixels);
        let tool = self.clips()?.ffprobe.clone();
        let bounds = self.briefly(PROBE_BYTES);
        let (mut output, _) = self.run_clip(&tool, args, clip, &bounds).await?;
        let mut json = Vec::new();
        output.read_to_end(&mut json)?;
        clip_facts::read(&json, max_pixels)
    }

    /// A picture of the clip, upright, in sRGB: a PNG in a file without a name, to be rendered as pictures are.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn clip_frame(
        &self,
        clip: &OwnedFd,
        facts: &ClipFacts,
    ) -> Result<OwnedFd, SandboxError> {
        let pixels = facts.pixels();
        let bounds = Bounds {
            expected_bytes: facts.expected_bytes(),
            ..self.briefly(pixels.saturating_mul(FRAME_BYTES_PER_PIXEL) + PROBE_BYTES)
        };
        let tool = self.clips()?.ffmpeg.clone();
        for at_s in clip_args::places(facts) {
            let args = clip_args::frame(facts, at_s);
            match self.run_clip(&tool, args, clip, &bounds).await {
                Ok((output, _)) if output.metadata()?.len() > 0 => return Ok(output.into()),
                Err(error) if at_s <= 0.0 || error.code() != Code::MediaCorrupt => {
                    return Err(error);
                }
                Ok(_) | Err(_) => {}
            }
        }
        Err(SandboxError::Refused {
            code: Code::MediaCorrupt,
            detail: "there is no whole picture in the clip".to_owned(),
        })
    }

    /// The clip as every player plays it ([`STREAM`](safelight_model::preset::STREAM)): in a file without a name, and what it is.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn transcode_clip(
        &self,
        clip: &OwnedFd,
        facts: &ClipFacts,
    ) -> Result<(File, ClipFacts), SandboxError> {
        let bounds = self.long(facts, self.clips()?.stream_bytes)?;
        self.recode(clip, clip_args::stream(facts), bounds).await
    }

    /// The same of the first `most_seconds` of the clip of a motion photo ([`MOTION`](safelight_model::variant::MOTION)), which runs for a
    /// few: for that somebody waits, and it does not stand behind streams that take minutes.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn motion_clip(
        &self,
        clip: &OwnedFd,
        facts: &ClipFacts,
        most_seconds: u64,
    ) -> Result<(File, ClipFacts), SandboxError> {
        let args = clip_args::motion(facts, most_seconds);
        let bounds = Bounds {
            wall_clock: MOTION_CLOCK,
            output_bytes: MOTION_BYTES,
            is_stream: false,
            ..self.long(facts, 0)?
        };
        self.recode(clip, args, bounds).await
    }

    /// A [`STREAM`](safelight_model::preset::STREAM) in fragments, with an index of them at its beginning: in a file without a name.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn fragment_stream(&self, stream: &OwnedFd) -> Result<File, SandboxError> {
        let most = self.clips()?.stream_bytes;
        let facts = self.probe_clip(stream, MAX_CLIP_PIXELS).await?;
        let args = clip_args::fragmented(&facts);
        // The index and the heads of fragments come on top.
        let most = most.saturating_add(most / 8);
        let bounds = self.long(&facts, most)?;
        let made = self.recode(stream, args, bounds).await?;
        Ok(made.0)
    }

    /// A short silent clip from where [`Sandbox::clip_frame`] finds its picture ([`PREVIEW_CLIP`](safelight_model::preset::PREVIEW_CLIP)):
    /// in a file without a name, and what it is.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn preview_clip(
        &self,
        clip: &OwnedFd,
        facts: &ClipFacts,
    ) -> Result<(File, ClipFacts), SandboxError> {
        let [at_s, beginning_s] = clip_args::places(facts);
        let args = clip_args::preview(facts, at_s);
        let bounds = || self.long(facts, PREVIEW_BYTES);
        match self.recode(clip, args, bounds()?).await {
            Err(error) if at_s > beginning_s && error.code() == Code::MediaCorrupt => {
                let args = clip_args::preview(facts, beginning_s);
                self.recode(clip, args, bounds()?).await
            }
            made => made,
        }
    }

    /// Makes a clip of a clip.
    async fn recode(
        &self,
        clip: &OwnedFd,
        args: Vec<String>,
        bounds: Bounds,
    ) -> Result<(File, ClipFacts), SandboxError> {
        let tool = self.clips()?.ffmpeg.clone();
        let (made, _) = self.run_clip(&tool, args, clip, &bounds).await?;
        // What it is said to be is what it is.
        let again = OwnedFd::from(made.try_clone()?);
        match self.probe_clip(&again, MAX_CLIP_PIXELS).await {
            Ok(found) => Ok((made, found)),
            // Of what has no picture that can be decoded ffmpeg makes a clip without tracks.
            Err(error) if error.code() == Code::UnsupportedMediaType => {
                Err(SandboxError::Refused {
                    code: Code::MediaCorrupt,
                    detail: "there is no whole picture in the clip".to_owned(),
                })
            }
            Err(error) => Err(error),
        }
    }

    fn clips(&self) -> Result<&ClipSettings, SandboxError> {
        let clips = self.shared.settings.clips.as_ref();
        clips.ok_or_else(|| SandboxError::NoClips("there is no ffmpeg".to_owned()))
    }

    /// Bounds of what makes a clip of at most `output_bytes`, which nobody waits for.
    fn long(&self, facts: &ClipFacts, output_bytes: u64) -> Result<Bounds, SandboxError> {
        Ok(Bounds {
            wall_clock: self.clips()?.transcode,
            output_bytes,
            expected_bytes: facts.expected_bytes(),
            reopens_output: true,
            is_stream: true,
        })
    }

    /// Bounds of what somebody waits for.
    fn briefly(&self, output_bytes: u64) -> Bounds {
        Bounds {
            wall_clock: self.shared.settings.wall_clock,
            output_bytes,
            expected_bytes: BASE_BYTES,
            reopens_output: false,
            is_stream: false,
        }
    }

    /// Runs a tool on a clip; what it wrote, at its beginning. Dropping the future ends it.
    async fn run_clip(
        &self,
        tool: &Path,
        args: Vec<String>,
        clip: &OwnedFd,
        bounds: &Bounds,
    ) -> Result<(File, Confinement), SandboxError> {
        let shared = &self.shared;
        let closed = |_| SandboxError::Closed;
        let _share = match bounds.is_stream {
            true => shared.budget.take_for_stream(bounds.expected_bytes).await,
            false => shared.budget.take_bytes(bounds.expected_bytes).await,
        }
        .map_err(closed)?;
        let _turn = shared.turns.acquire().await.map_err(closed)?;
        let _running = shared.running.acquire().await.map_err(closed)?;
        // What it may hold without asking is that of a child that does nothing meanwhile.
        shared
            .idle
            .keep_of_tenants(shared.running.available_permits());
        let mut output = scratch(self.clips()?).await?;
        let cpu_seconds = bounds.wall_clock.as_secs().saturating_mul(THREADS);
        let run = ClipRun {
            program: tool.to_owned(),
            args,
            memory_bytes: self.clips()?.memory_bytes,
            cpu_seconds: cpu_seconds.saturating_add(THREADS),
            output_bytes: bounds.output_bytes,
            reopens_output: bounds.reopens_output,
            nice: self.pace.nice_for_clips(),
            may_be_open: shared.settings.may_be_open,
        };
        let run = serde_json::to_string(&run).map_err(io::Error::other)?;
        let mut process = Command::new(&shared.settings.program)
            .args(&shared.settings.args)
            .env_clear()
            .env(CLIP_RUN_VARIABLE, run)
            .current_dir("/")
            .stdin(Stdio::from(read_only(clip)?))
            .stdout(Stdio::from(output.try_clone()?))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = process.id();
        let stderr = process.stderr.take();
        let ended = tokio::time::timeout(bounds.wall_clock, async {
            let heard = match stderr {
                Some(stderr) => listen(stderr).await,
                None => Heard::default(),
            };
            // Before it is waited for, after which there is no account of it any more.
            let cpu_us = id.and_then(cpu_us_of);
            process.wait().await.map(|status| (heard, status, cpu_us))
        });
        let Ok(ended) = ended.await else {
            self.add_cpu(id.and_then(cpu_us_of));
            let _ = process.kill().await;
            let wall_clock = bounds.wall_clock;
            return Err(SandboxError::TimedOut { wall_clock });
        };
        let (heard, status, cpu_us) = ended?;
        self.add_cpu(cpu_us);
        let Some(confinement) = heard.confinement else {
            let words = tame(&heard.words);
            let error = io::Error::other(format!("{status}: {words}"));
            return Err(error.into());
        };
        if status.code() == Some(NOT_CONFINED) {
            let why = format!("ffmpeg would not be confined here: {confinement}");
            return Err(SandboxError::NoClips(why));
        }
        // Even where it makes something of the rest.
        if let Some(refused) = too_many_pixels(&heard.words) {
            return Err(refused);
        }
        // The kernel ends by force what has used all its time, of which its account leaves out parts of ticks.
        let is_over = cpu_us.is_some_and(|used| used / 1_000_000 + 1 >= cpu_seconds);
        if status.signal() == Some(libc::SIGKILL) && is_over {
            let wall_clock = bounds.wall_clock;
            return Err(SandboxError::TimedOut { wall_clock });
        }
        if !status.success() {
            return Err(end_of(status, &heard.words, bounds.wall_clock));
        }
        output.rewind()?;
        Ok((output, confinement))
    }

    fn add_cpu(&self, cpu_us: Option<u64>) {
        self.cpu_us.fetch_add(cpu_us.unwrap_or(0), Ordering::SeqCst);
    }
}

impl ClipFacts {
    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn expected_bytes(&self) -> u64 {
        BASE_BYTES.saturating_add(self.pixels().saturating_mul(BYTES_PER_PIXEL))
    }
}

/// A file without a name.
async fn scratch(clips: &ClipSettings) -> io::Result<File> {
    let scratch_dir = clips.scratch_dir.clone();
    let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(scratch_dir));
    made.await.map_err(io::Error::other)?
}

/// What a run says on standard error.
#[derive(Default)]
struct Heard {
    /// How tightly it is closed: said before anything of the clip was read.
    confinement: Option<Confinement>,
    /// What came first of the rest.
    words: String,
}

/// Listens until the process ends.
async fn listen(mut stderr: ChildStderr) -> Heard {
    let mut heard = Heard::default();
    let mut head = [0; LENGTH_BYTES];
    let mut words = Vec::new();
    if stderr.read_exact(&mut head).await.is_ok() {
        match frame_length(head) {
            Some(length) => {
                let mut json = vec![0; length];
                if stderr.read_exact(&mut json).await.is_ok() {
                    heard.confinement = serde_json::from_slice(&json).ok();
                }
            }
            None => words.extend_from_slice(&head),
        }
    }
    let most = usize::try_from(LAST_WORDS_BYTES).unwrap_or(usize::MAX);
    let mut chunk = vec![0; most];
    // To the end, so that it is never held up by a pipe that is full.
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        let left = most.saturating_sub(words.len()).min(count);
        words.extend_from_slice(chunk.get(..left).unwrap_or_default());
    }
    heard.words = String::from_utf8_lossy(&words).into_owned();
    heard
}

/// Processor time that a process has used, by the kernel's account.
fn cpu_us_of(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may be anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let used = ticks()?.saturating_add(ticks()?);
    // SAFETY: asks for a number.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    used.saturating_mul(1_000_000).checked_div(per_second)
}

/// What the end of a tool means, and what it said.
fn end_of(status: ExitStatus, words: &str, wall_clock: Duration) -> SandboxError {
    let detail = first_words(words);
    match (status.signal(), status.code()) {
        (Some(libc::SIGXFSZ), _) => SandboxError::Refused {
            code: Code::ByteLimitExceeded,
            detail: "what was made of the clip is larger than allowed".to_owned(),
        },
        (Some(_), _) => judge(status, words, wall_clock),
        (None, Some(NOT_STARTED)) => io::Error::other(tame(words)).into(),
        _ if words.contains("Cannot allocate memory") => SandboxError::OutOfMemory { detail },
        _ if words.contains("No space left on device") => {
            io::Error::from(io::ErrorKind::StorageFull).into()
        }
        // Not every build of ffmpeg has all that clips take.
        _ if LACKS.iter().any(|lack| words.contains(lack)) => SandboxError::NoClips(detail),
        // Its writes fail where it ignores the signal.
        _ if words.contains("File too large") => SandboxError::Refused {
            code: Code::ByteLimitExceeded,
            detail: "what was made of the clip is larger than allowed".to_owned(),
        },
        _ => SandboxError::Refused {
            code: Code::MediaCorrupt,
            detail: format!("the clip cannot be decoded: {detail}"),
        },
    }
}

/// What it says of a picture that it was not to decode.
fn too_many_pixels(words: &str) -> Option<SandboxError> {
    let (before, between, behind) = TOO_MANY_PIXELS;
    let (_, said) = words.split_once(before)?;
    let (size, said) = said.split_once(between)?;
    let (most, _) = said.split_once(behind)?;
    Some(SandboxError::Refused {
        code: Code::PixelLimitExceeded,
        detail: tame(&format!("{size} is more than {most} pixels")),
    })
}

/// The first line, without where in the program it comes from and by what name the clip went there.
fn first_words(words: &str) -> String {
    let line = words.lines().find(|l| !l.trim().is_empty());
    let line = line.unwrap_or("no reason was given");
    let said = match line.strip_prefix('[').and_then(|l| l.split_once("] ")) {
        Some((_, said)) => said,
        None => line,
    };
    let said = said.strip_prefix(INPUT).unwrap_or(said);
    tame(said.trim_start_matches(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_too_large_is_heard_of() {
        let words = "[h264 @ 0x55] [IMGUTILS @ 0x7f] Picture size 16000x12000 exceeds specified max pixel count 1000, see the documentation";
        let error = too_many_pixels(words).unwrap();
        assert_eq!(error.code(), Code::PixelLimitExceeded);
        let said = error.to_string();
        assert!(
            said.ends_with("16000x12000 is more than 1000 pixels"),
            "{said}"
        );
        for other in ["", "Picture size", "Picture size 1x1 exceeds"] {
            assert!(too_many_pixels(other).is_none());
        }
    }

    #[test]
    fn ends() {
        let wall_clock = Duration::from_secs(1);
        let mov = "[mov,mp4 @ 0x55b1] moov atom not found\n/proc/self/fd/0: Invalid data";
        for (raw, words, code, said) in [
            (1 << 8, mov, Code::MediaCorrupt, ": moov atom not found"),
            (
                1 << 8,
                "/proc/self/fd/0: Invalid data",
                Code::MediaCorrupt,
                ": Invalid data",
            ),
            (1 << 8, "x: Cannot allocate memory", Code::DecodeMemory, ""),
            (1 << 8, "x: No space left on device", Code::Internal, ""),
            (
                1 << 8,
                "Unknown encoder 'libx264'",
                Code::UnsupportedMediaType,
                "libx264",
            ),
            (libc::SIGXFSZ, "", Code::ByteLimitExceeded, ""),
            (libc::SIGSYS, "", Code::DecodeCrashed, ""),
            (libc::SIGSEGV, "", Code::DecodeCrashed, ""),
            (
                NOT_STARTED << 8,
                "no such file",
                Code::Internal,
                "no such file",
            ),
        ] {
            let error = end_of(ExitStatus::from_raw(raw), words, wall_clock);
            assert_eq!(error.code(), code, "{raw} {words}");
            assert!(error.to_string().contains(said), "{error}");
            assert!(!error.to_string().contains("/proc/"), "{error}");
        }
    }
}
