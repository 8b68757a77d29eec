//! The child: gives up what it does not need, then renders what it is sent until its socket ends.
//!
//! Linux only, and without threads: everything here runs before or between tasks on the main one.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use safelight_imaging::{DecodedPicture, Wants};

use super::confine::confine;
use super::confine_clip::{CLIP_RUN_VARIABLE, clip_main};
use super::protocol::{
    AnswerFrame, LENGTH_BYTES, MAX_LIST_BYTES, Only, Outcome, PictureFrame, TaskFrame, frame,
    frame_length, tame,
};

/// Free memory that a child keeps between tasks: what a picture of 12 megapixels takes.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 96 * 1024 * 1024;
/// Ends of the process, for the parent's log.
const CONFINE_FAILED: i32 = 70;
const SOCKET_FAILED: i32 = 71;

/// Runs as a sandbox child: standard input is the socket to the parent. Returns the exit status
/// when the parent closes it; or, if the parent says so, becomes the program that decodes a clip. The first thing a program does, before it opens anything or starts a
/// thread.
#[must_use]
pub fn child_main() -> i32 {
    if let Ok(run) = std::env::var(CLIP_RUN_VARIABLE) {
        return clip_main(&run);
    }
    if let Err(error) = confine() {
        eprintln!("cannot confine the sandbox: {error}");
        return CONFINE_FAILED;
    }
    serve_tasks()
}

/// The part of [`child_main`] that comes after [`confine`].
#[must_use]
pub fn serve_tasks() -> i32 {
    keep_memory();
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("the sandbox's socket failed: {error}");
            SOCKET_FAILED
        }
    }
}

/// Lets the allocator keep what one task gave back for the next: handing it to the kernel and
/// faulting it in again, page by page, costs an eighth of a task's time.
fn keep_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no other thread, and these options take numbers only.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
    }
}

/// Gives back what a picture took while it was decoded: what is kept of it lies behind, and would hold the rest fast.
fn give_back_holes() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no other thread, and the option takes a number only.
    unsafe {
        // At the end of the heap as much stays as stays between tasks.
        libc::malloc_trim(KEPT_BYTES as usize);
    }
}

/// Takes tasks until the parent closes the socket.
fn serve() -> io::Result<()> {
    let socket = io::stdin();
    let mut kept = None;
    while let Some((task, original)) = receive(&socket)? {
        allow_cpu(task.cpu_seconds)?;
        let before = usage().cpu_us;
        if !task.goes_on {
            kept = None;
        }
        let (outcome, pictures) = carry_out(&task, &original, &mut kept);
        drop(original);
        let after = usage();
        let answer = AnswerFrame {
            outcome,
            cpu_us: after.cpu_us.saturating_sub(before),
            max_rss_bytes: after.max_rss_bytes,
        };
        send_all(&socket, &frame(&answer)?)?;
        for picture in pictures {
            send_all(&socket, &picture)?;
        }
    }
    Ok(())
}

fn refused(code: &str, detail: &str) -> (Outcome, Vec<Vec<u8>>) {
    let outcome = Outcome::Refused {
        code: code.to_owned(),
        detail: tame(detail),
    };
    (outcome, Vec::new())
}

fn carry_out(
    task: &TaskFrame,
    original: &OwnedFd,
    kept: &mut Option<DecodedPicture>,
) -> (Outcome, Vec<Vec<u8>>) {
    let mapped = match Mapped::map(original) {
        Ok(mapped) => mapped,
        Err(error) => return refused("decode_memory", &format!("mapping the file: {error}")),
    };
    match task.only {
        None => render(task, &mapped, kept),
        Some(Only::Metadata) => match safelight_imaging::read_metadata(mapped.bytes()) {
            Err(error) => refused(error.code().as_str(), &error.to_string()),
            Ok(metadata) => {
                let metadata = Box::new(metadata);
                (Outcome::Read { metadata }, Vec::new())
            }
        },
        Some(Only::Cleaned) => clean(mapped.bytes()),
    }
}

fn clean(input: &[u8]) -> (Outcome, Vec<Vec<u8>>) {
    let cleaned = match safelight_imaging::clean(input) {
        Ok(cleaned) => cleaned,
        Err(error) => return refused(error.code().as_str(), &error.to_string()),
    };
    let list = serde_json::to_vec(cleaned.segments()).unwrap_or_default();
    let list_bytes = list.len() as u64;
    if !(1..=MAX_LIST_BYTES).contains(&list_bytes) {
        let why = "what stays lies in too many pieces";
        return refused("unsupported_media_type", why);
    }
    (Outcome::Cleaned { list_bytes }, vec![list])
}

/// Makes pictures of the one that was kept, or of the file; what is kept for the next task is there afterwards.
fn render(
    task: &TaskFrame,
    mapped: &Mapped,
    kept: &mut Option<DecodedPicture>,
) -> (Outcome, Vec<Vec<u8>>) {
    let (Some(presets), Some(later)) = (task.presets(), task.kept_presets()) else {
        return refused("internal", "unknown preset");
    };
    let want = Wants {
        hashes: task.want_hashes,
        scores: task.want_scores,
        exact: task.exact,
        credit: task.credit,
        faces: task.faces,
        count_faces: task.count_faces,
    };
    let (input, limits) = (mapped.bytes(), &task.limits);
    let rendered = match kept.take() {
        Some(decoded) => decoded.make(input, &presets, limits, want),
        None => {
            let both = safelight_imaging::render_first(input, &presets, &later, limits, want);
            both.map(|(rendered, decoded)| {
                *kept = decoded;
                rendered
            })
        }
    };
    if kept.is_some() {
        give_back_holes();
    }
    match rendered {
        Err(error) => refused(error.code().as_str(), &error.to_string()),
        Ok(mut rendered) => {
            if task.copy.is_some()
                && let Some(copy) = rendered.renditions.last_mut()
            {
                let jpeg = std::mem::take(&mut copy.bytes);
                copy.bytes = safelight_imaging::with_kept_exif(jpeg, mapped.bytes());
            }
            let frames = rendered.renditions.iter().map(|r| PictureFrame {
                width: r.width,
                height: r.height,
                size_bytes: r.bytes.len() as u64,
            });
            let outcome = Outcome::Done {
                media: rendered.media,
                width: rendered.width,
                height: rendered.height,
                thumbhash: rendered.thumbhash,
                picture_hash: rendered.picture_hash.map(|hash| hash.0),
                scores: rendered.scores,
                // A picture that can be shown is none the worse for what cannot be read of it.
                metadata: task
                    .want_metadata
                    .then(|| safelight_imaging::read_metadata(mapped.bytes()).ok())
                    .flatten()
                    .map(Box::new),
                pictures: frames.collect(),
                keeps: kept.is_some(),
            };
            (
                outcome,
                rendered.renditions.into_iter().map(|r| r.bytes).collect(),
            )
        }
    }
}

/// The next task and its file, or nothing at the end of the socket.
fn receive(socket: &impl AsFd) -> io::Result<Option<(TaskFrame, OwnedFd)>> {
    let mut head = [0; LENGTH_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        socket,
        &mut [io::IoSliceMut::new(&mut head)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if got.bytes == 0 {
        return Ok(None);
    }
    let mut original = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            original = original.or(descriptors.last());
        }
    }
    let original = original.ok_or_else(|| io::Error::other("a task without its file"))?;
    read_all(socket, head.get_mut(got.bytes..).unwrap_or_default())?;
    let length = frame_length(head).ok_or_else(|| io::Error::other("frame too long"))?;
    let mut json = vec![0; length];
    read_all(socket, &mut json)?;
    Ok(Some((serde_json::from_slice(&json)?, original)))
}

fn read_all(socket: &impl AsFd, mut to: &mut [u8]) -> io::Result<()> {
    while !to.is_empty() {
        match rustix::io::read(socket, &mut *to) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => to = to.get_mut(n..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(super) fn send_all(socket: &impl AsFd, mut from: &[u8]) -> io::Result<()> {
    while !from.is_empty() {
        match rustix::net::send(socket, from, SendFlags::NOSIGNAL) {
            Ok(n) => from = from.get(n..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Lets the process use this much more processor time before the kernel ends it.
fn allow_cpu(seconds: u64) -> io::Result<()> {
    let used = usage().cpu_us / 1_000_000;
    let limit = Rlimit {
        // One for the part of a second that was cut off, one so that the wall clock comes first.
        current: Some(used.saturating_add(seconds).saturating_add(2)),
        maximum: getrlimit(Resource::Cpu).maximum,
    };
    Ok(setrlimit(Resource::Cpu, limit)?)
}

struct Usage {
    cpu_us: u64,
    max_rss_bytes: u64,
}

fn usage() -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid; zeros are a valid value where the call fails.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let micros = |t: libc::timeval| {
        u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(t.tv_usec).unwrap_or(0)
    };
    Usage {
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
        max_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    }
}

/// A file in memory, read-only.
struct Mapped {
    start: *mut libc::c_void,
    len: usize,
}

impl Mapped {
    fn map(file: &OwnedFd) -> io::Result<Self> {
        let size = rustix::fs::fstat(file)?.st_size;
        let len = usize::try_from(size).map_err(io::Error::other)?;
        if len == 0 {
            return Ok(Self {
                start: std::ptr::null_mut(),
                len,
            });
        }
        // SAFETY: a fresh private mapping of an open file.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start, len })
    }

    fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: mapped readable for as long as `self` lives. The parent does not change a file
        // that it has sent.
        unsafe { std::slice::from_raw_parts(self.start.cast::<u8>(), self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: this mapping, once.
            unsafe { libc::munmap(self.start, self.len) };
        }
    }
}
