//! Clips: ffprobe and ffmpeg as children, one for each run.
//!
//! The clip is their standard input, a file that they open again by its descriptor to seek in it; what they make goes to
//! their standard output, a file without a name. They are told that it is MP4 or QuickTime, so that no other format of those that
//! refer to files or addresses is guessed; and that nothing but files is opened, of which landlock leaves them none.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use safelight_model::codes::Code;
use safelight_model::preset::{STREAM, STREAM_SHORT_EDGE};
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, Command};

use super::clip_facts::{self, ClipFacts, Colors};
use super::confine_clip::{CLIP_RUN_VARIABLE, ClipRun, NOT_CONFINED, NOT_STARTED};
use super::confinement::Confinement;
use super::error::SandboxError;
use super::pool::Sandbox;
use super::protocol::{LENGTH_BYTES, frame_length, tame};
use super::worker::{LAST_WORDS_BYTES, judge, read_only};

/// Most that ffprobe's answer may take.
const PROBE_BYTES: u64 = 256 * 1024;
/// Threads of ffmpeg: a clip is not to have all processors.
const THREADS: u64 = 2;
/// So many seconds into a clip its picture is taken, or a third into a shorter one: what is first is often still dark.
const POSTER_AT_S: f64 = 1.0;
/// What ffmpeg has resident with its libraries, and the frames that a decoder and an encoder hold, of 1.5 to 3 bytes a pixel.
const BASE_BYTES: u64 = 160 * 1024 * 1024;
const BYTES_PER_PIXEL: u64 = 48;
/// What of a frame's size its file may take: three bytes a pixel, and the zlib around them.
const FRAME_BYTES_PER_PIXEL: u64 = 4;
/// The clip, and the output, as ffmpeg names them.
const INPUT: &str = "/proc/self/fd/0";
const OUTPUT: &str = "/proc/self/fd/1";

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
    /// Whether it makes a stream, which nobody waits for.
    is_stream: bool,
}

impl Sandbox {
    /// Has ffmpeg say who it is, closed in as it would be for a clip.
    ///
    /// # Errors
    /// [`SandboxError::NoClips`] where there is none or it cannot be closed in.
    pub async fn clip_tools(&self) -> Result<ClipTools, SandboxError> {
        let nothing = scratch(self.clips()?).await?;
        let args = ["-hide_banner", "-version"].map(str::to_owned);
        let tool = self.clips()?.ffmpeg.clone();
        let (mut output, confinement) = self
            .run_clip(
                &tool,
                args.into(),
                &nothing.into(),
                &self.briefly(PROBE_BYTES),
            )
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

    /// Looks at the tracks of a clip. Nothing is decoded.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn probe_clip(
        &self,
        clip: &OwnedFd,
        max_pixels: u64,
    ) -> Result<ClipFacts, SandboxError> {
        let mut args = texts(&["-hide_banner", "-v", "error"]);
        args.extend(input());
        args.extend(texts(&[
            "-show_entries",
            clip_facts::ENTRIES,
            "-of",
            "json",
        ]));
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
        let at_s = POSTER_AT_S.min(facts.duration_s / 3.0);
        // What cannot be found at its time is taken from the beginning.
        for at_s in [at_s, 0.0] {
            let args = frame_args(facts, at_s);
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

    /// The clip as every player plays it ([`STREAM`]): in a file without a name.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn transcode_clip(
        &self,
        clip: &OwnedFd,
        facts: &ClipFacts,
    ) -> Result<File, SandboxError> {
        let clips = self.clips()?;
        let bounds = Bounds {
            wall_clock: clips.transcode,
            output_bytes: clips.stream_bytes,
            expected_bytes: facts.expected_bytes(),
            reopens_output: true,
            is_stream: true,
        };
        let args = stream_args(facts);
        let (output, _) = self.run_clip(&clips.ffmpeg, args, clip, &bounds).await?;
        Ok(output)
    }

    fn clips(&self) -> Result<&ClipSettings, SandboxError> {
        let clips = self.shared.settings.clips.as_ref();
        clips.ok_or_else(|| SandboxError::NoClips("there is no ffmpeg".to_owned()))
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
            nice: self.pace.nice(),
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

    /// What every picture of it goes through: tones and colours that screens show, square pixels.
    fn filters(&self) -> Vec<String> {
        let mut filters = Vec::new();
        if self.is_anamorphic {
            filters.push(format!("scale={}:{}", self.width, self.height));
        }
        match self.colors {
            Colors::Ordinary => {}
            Colors::UntoldHd => filters.push("setparams=colorspace=bt709".to_owned()),
            Colors::Wide => filters.push("zscale=p=709:t=709:m=709".to_owned()),
            // Light as it is, brought into what a screen shows by a curve that leaves middle tones alone, then coded again.
            Colors::Bright => filters.push(
                "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=709,tonemap=hable:desat=0,zscale=t=709:m=709:r=tv"
                    .to_owned(),
            ),
        }
        filters.push("setsar=1".to_owned());
        filters
    }

    /// Columns and rows of its stream: even, within the preset, never enlarged.
    fn stream_size(&self) -> (u32, u32) {
        let (long, short) = (
            u64::from(self.width.max(self.height)),
            u64::from(self.width.min(self.height)),
        );
        let (most_long, most_short) = (u64::from(STREAM.long_edge), u64::from(STREAM_SHORT_EDGE));
        let side = |side: u32| {
            let mut side = u64::from(side);
            if long * most_short > short * most_long {
                if long > most_long {
                    side = side * most_long / long;
                }
            } else if short > most_short {
                side = side * most_short / short;
            }
            u32::try_from((side / 2 * 2).max(2)).unwrap_or(2)
        };
        (side(self.width), side(self.height))
    }
}

fn texts(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

/// How the clip is opened, by both tools.
fn input() -> Vec<String> {
    texts(&["-f", "mov", "-protocol_whitelist", "file", "-i", INPUT])
}

fn frame_args(facts: &ClipFacts, at_s: f64) -> Vec<String> {
    let mut args = texts(&["-nostdin", "-hide_banner", "-v", "error"]);
    args.extend(["-threads".to_owned(), THREADS.to_string()]);
    if at_s > 0.0 {
        args.extend(texts(&["-noaccurate_seek", "-ss"]));
        args.push(format!("{at_s:.3}"));
    }
    args.extend(input());
    args.extend(["-map".to_owned(), format!("0:{}", facts.track)]);
    let mut filters = facts.filters();
    // Packed, and said to be what it is now.
    filters.push("format=rgb24".to_owned());
    args.extend(["-vf".to_owned(), filters.join(",")]);
    args.extend(texts(&[
        "-frames:v",
        "1",
        "-map_metadata",
        "-1",
        "-c:v",
        "png",
        "-compression_level",
        "1",
        "-f",
        "image2pipe",
        "pipe:1",
    ]));
    args
}

fn stream_args(facts: &ClipFacts) -> Vec<String> {
    let (width, height) = facts.stream_size();
    let mut args = texts(&["-nostdin", "-hide_banner", "-v", "error", "-y"]);
    args.extend(["-threads".to_owned(), THREADS.to_string()]);
    args.extend(input());
    args.extend(["-map".to_owned(), format!("0:{}", facts.track)]);
    if facts.has_sound {
        args.extend(texts(&["-map", "0:a:0"]));
    }
    // Smaller first: the rest costs by the pixel.
    let mut filters = vec![format!("scale={width}:{height}")];
    filters.extend(
        facts
            .filters()
            .into_iter()
            .filter(|f| !f.starts_with("scale=")),
    );
    // Some phones use all of a byte for light; players that do not look take it for the usual range.
    filters.push("scale=out_range=tv".to_owned());
    filters.push("format=yuv420p".to_owned());
    args.extend(["-vf".to_owned(), filters.join(",")]);
    args.extend(texts(&[
        "-sn",
        "-dn",
        "-map_metadata",
        "-1",
        "-map_metadata:s:v",
        "-1",
        "-map_chapters",
        "-1",
        // Without the name of what encoded it, and of tracks.
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "23",
        "-maxrate",
        "8M",
        "-bufsize",
        "16M",
        "-profile:v",
        "high",
        "-fpsmax",
        "60",
        "-force_key_frames",
        "expr:gte(t,n_forced*2)",
    ]));
    args.extend(["-threads".to_owned(), THREADS.to_string()]);
    if facts.has_sound {
        args.extend(texts(&[
            "-map_metadata:s:a",
            "-1",
            "-flags:a",
            "+bitexact",
            "-c:a",
            "aac",
            "-b:a",
            "128k",
            "-ac",
            "2",
        ]));
    }
    args.extend(texts(&["-movflags", "+faststart", "-f", "mp4", OUTPUT]));
    args
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

    fn facts(width: u32, height: u32) -> ClipFacts {
        ClipFacts {
            width,
            height,
            duration_s: 2.0,
            has_sound: true,
            track: 0,
            colors: Colors::Ordinary,
            is_anamorphic: false,
        }
    }

    #[test]
    fn a_stream_is_even_and_at_most_1080p() {
        for (from, to) in [
            ((3840, 2160), (1920, 1080)),
            ((2160, 3840), (1080, 1920)),
            ((1920, 1440), (1440, 1080)),
            ((4000, 1000), (1920, 480)),
            ((1080, 1080), (1080, 1080)),
            ((641, 361), (640, 360)),
            ((1, 1), (2, 2)),
            ((u32::MAX, 1), (1920, 2)),
        ] {
            assert_eq!(facts(from.0, from.1).stream_size(), to, "{from:?}");
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

    #[test]
    fn nothing_of_the_clip_stands_in_an_argument() {
        // All that comes from outside are numbers.
        for args in [frame_args(&facts(10, 10), 0.5), stream_args(&facts(10, 10))] {
            let whitelist = args
                .iter()
                .position(|a| a == "-protocol_whitelist")
                .unwrap();
            let input = args.iter().position(|a| a == "-i").unwrap();
            assert!(whitelist < input);
            assert_eq!(args[input + 1], INPUT);
            assert_eq!(args[whitelist - 1], "mov");
        }
    }
}
