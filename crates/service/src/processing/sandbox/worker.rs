//! One child process, seen from the parent.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};

use super::confine::MEMORY_BYTES_VARIABLE;
use super::confinement::Confinement;
use super::error::SandboxError;
use super::pace::Pace;
use super::pool::SandboxSettings;
use super::protocol::{
    AnswerFrame, LENGTH_BYTES, Outcome, TaskFrame, check_answer, check_picture, frame,
    frame_length, tame,
};

/// How long a child whose socket closed may take to be gone before it is killed.
const LAST_BREATH: Duration = Duration::from_secs(1);
/// How long a child may take to say that it is ready: it does next to nothing before, but machines can be
/// overloaded.
const READY: Duration = Duration::from_secs(60);
/// How much is kept of what a dying child writes to standard error.
pub(super) const LAST_WORDS_BYTES: u64 = 4096;
/// How an allocation that failed reads before the process aborts: the standard library's, and C++'s.
const ALLOCATION_FAILED: [&str; 2] = ["memory allocation of", "std::bad_alloc"];

/// A child that waits for a task. Dropping it kills the process.
pub(super) struct Worker {
    process: Child,
    socket: UnixStream,
    stderr: Option<ChildStderr>,
    /// What it said when it was ready.
    confinement: Option<Confinement>,
    /// Whose files it has seen, or is to see, and at what pace; nobody's yet where there is none.
    pub serves: Option<(Arc<str>, Pace)>,
    /// Tasks it may still be given.
    pub tasks_left: u32,
    /// The number of the picture that it keeps for who goes on with that, while it is idle.
    pub keeps: Option<u64>,
}

/// An answer, checked, with its pictures' bytes.
pub(super) struct Answer {
    pub frame: AnswerFrame,
    pub pictures: Vec<Vec<u8>>,
}

/// Why there is no answer.
pub(super) enum Silence {
    /// The socket ended or failed.
    Died,
    /// The child said what no child says.
    Lied(&'static str),
}

impl From<io::Error> for Silence {
    fn from(_: io::Error) -> Self {
        Self::Died
    }
}

impl Worker {
    /// Starts a child. All of the parent's own descriptors are close-on-exec, as the standard
    /// library opens them; the child closes what may be left.
    pub(super) fn start(settings: &SandboxSettings) -> io::Result<Self> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let mut process = Command::new(&settings.program)
            .args(&settings.args)
            .env_clear()
            .env(MEMORY_BYTES_VARIABLE, settings.memory_bytes.to_string())
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let socket = std::os::unix::net::UnixStream::from(ours);
        socket.set_nonblocking(true)?;
        Ok(Self {
            stderr: process.stderr.take(),
            confinement: None,
            process,
            socket: UnixStream::from_std(socket)?,
            serves: None,
            tasks_left: settings.tasks_per_process.max(1),
            keeps: None,
        })
    }

    /// Whether it is this tenant's, and goes at this pace.
    pub(super) fn is_of(&self, tenant_id: &str, pace: Pace) -> bool {
        let serves = self.serves.as_ref();
        serves.is_some_and(|(tenant, at)| tenant.as_ref() == tenant_id && *at == pace)
    }

    /// Waits until the child has closed itself in, and returns how tightly. What it says can be believed:
    /// it has seen nothing from outside yet.
    pub(super) async fn ready(&mut self) -> io::Result<&Confinement> {
        let confinement = match self.confinement.take() {
            Some(known) => known,
            None => {
                let said = tokio::time::timeout(READY, self.read_frame()).await;
                match said.unwrap_or(Err(Silence::Lied("it was never ready"))) {
                    Ok(confinement) => confinement,
                    Err(Silence::Died) => return Err(self.first_words().await),
                    Err(Silence::Lied(what)) => return Err(io::Error::other(what)),
                }
            }
        };
        Ok(self.confinement.insert(confinement))
    }

    /// Why a child ended before it was ready.
    async fn first_words(&mut self) -> io::Error {
        let Ok(Ok(status)) = tokio::time::timeout(LAST_BREATH, self.process.wait()).await else {
            return io::Error::other("it closed its socket before it was ready");
        };
        let words = self.last_words().await;
        io::Error::other(format!("{status}: {}", tame(&words)))
    }

    /// What a child that is gone has left on standard error.
    async fn last_words(&mut self) -> String {
        let mut words = Vec::new();
        if let Some(stderr) = self.stderr.take() {
            let mut last = stderr.take(LAST_WORDS_BYTES);
            let reading = last.read_to_end(&mut words);
            let _ = tokio::time::timeout(LAST_BREATH, reading).await;
        }
        String::from_utf8_lossy(&words).into_owned()
    }

    async fn read_frame<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Silence> {
        let mut head = [0; LENGTH_BYTES];
        self.socket.read_exact(&mut head).await?;
        let length = frame_length(head).ok_or(Silence::Lied("frame too long"))?;
        let mut json = vec![0; length];
        self.socket.read_exact(&mut json).await?;
        serde_json::from_slice(&json).map_err(|_| Silence::Lied("frame unreadable"))
    }

    /// What the child holds in memory now, by the kernel's account; `None` where it does not tell.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id()?)).ok()?;
        let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        // SAFETY: asks for a number.
        let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        Some(pages.saturating_mul(u64::try_from(page_bytes).ok()?))
    }

    /// The most that the child ever held in memory, by the kernel's account; `None` where it does not tell. What the child
    /// itself could ask for (`getrusage`) begins with what this process held when it was started.
    pub(super) fn peak_bytes(&self) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes.saturating_mul(1024))
    }

    /// Makes the child this tenant's for good, at this pace, who lets it have so much address space if less than others.
    pub(super) fn belong_to(
        &mut self,
        tenant_id: Arc<str>,
        pace: Pace,
        memory_bytes: Option<u64>,
    ) -> io::Result<()> {
        if let Some(bytes) = memory_bytes {
            let pid = self.process.id().and_then(|id| i32::try_from(id).ok());
            let pid = pid.and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            let limit = Rlimit {
                current: Some(bytes),
                maximum: Some(bytes),
            };
            prlimit(Some(pid), Resource::As, limit)?;
        }
        pace.set_for(self.process.id());
        self.serves = Some((tenant_id, pace));
        Ok(())
    }

    /// Sends a task. An error means that the child was gone before it got any of it.
    pub(super) async fn send(&mut self, task: &TaskFrame, original: &OwnedFd) -> io::Result<()> {
        let framed = frame(task)?;
        let sent = self
            .socket
            .async_io(Interest::WRITABLE, || {
                send_with_descriptor(&self.socket, &framed, original.as_fd())
            })
            .await?;
        self.tasks_left = self.tasks_left.saturating_sub(1);
        // What is missing of the frame goes without a descriptor. A failure here shows as silence.
        let _ = self
            .socket
            .write_all(framed.get(sent..).unwrap_or_default())
            .await;
        Ok(())
    }

    /// Waits for the answer to a task that was sent.
    pub(super) async fn receive(&mut self, task: &TaskFrame) -> Result<Answer, Silence> {
        let frame: AnswerFrame = self.read_frame().await?;
        check_answer(&frame, task).map_err(Silence::Lied)?;
        let mut pictures = Vec::new();
        if let Outcome::Cleaned { list_bytes } = &frame.outcome {
            // Bounded by `check_answer`.
            let length =
                usize::try_from(*list_bytes).map_err(|_| Silence::Lied("list too long"))?;
            let mut list = vec![0; length];
            self.socket.read_exact(&mut list).await?;
            pictures.push(list);
        }
        if let Outcome::Done {
            pictures: sizes, ..
        } = &frame.outcome
        {
            let presets = task.presets().ok_or(Silence::Lied("presets unknown"))?;
            for (size, preset) in sizes.iter().zip(&presets) {
                // Bounded by `check_answer`.
                let length = usize::try_from(size.size_bytes)
                    .map_err(|_| Silence::Lied("pictures too large"))?;
                let mut bytes = vec![0; length];
                self.socket.read_exact(&mut bytes).await?;
                check_picture(&bytes, size, preset).map_err(Silence::Lied)?;
                pictures.push(bytes);
            }
        }
        Ok(Answer { frame, pictures })
    }

    /// Ends the child and waits until it is gone.
    pub(super) async fn kill(mut self) {
        // Fails only where it is gone already.
        let _ = self.process.kill().await;
    }

    /// Finds out what a child died of whose socket ended.
    pub(super) async fn autopsy(mut self, wall_clock: Duration) -> SandboxError {
        let status = tokio::time::timeout(LAST_BREATH, self.process.wait()).await;
        let Ok(Ok(status)) = status else {
            self.kill().await;
            return SandboxError::Crashed {
                detail: "it closed its socket and lived on".to_owned(),
            };
        };
        let words = self.last_words().await;
        judge(status, &words, wall_clock)
    }
}

/// What an exit status and last words mean.
pub(super) fn judge(status: ExitStatus, words: &str, wall_clock: Duration) -> SandboxError {
    let said = tame(words);
    match status.signal() {
        Some(libc::SIGXCPU) => SandboxError::TimedOut { wall_clock },
        Some(libc::SIGKILL) => SandboxError::Killed,
        Some(libc::SIGSYS) => SandboxError::Forbidden,
        Some(libc::SIGABRT) if ALLOCATION_FAILED.iter().any(|last| words.contains(last)) => {
            SandboxError::OutOfMemory { detail: said }
        }
        _ => SandboxError::Crashed {
            detail: format!("{status}: {said}"),
        },
    }
}

fn send_with_descriptor(
    socket: &UnixStream,
    bytes: &[u8],
    descriptor: BorrowedFd<'_>,
) -> io::Result<usize> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    Ok(rustix::net::sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?)
}

/// The same file, opened again for reading only, so that a child cannot write to it.
pub(super) fn read_only(original: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", original.as_raw_fd());
    Ok(std::fs::File::open(path)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use safelight_model::codes::Code;

    #[test]
    fn ends() {
        let wall_clock = Duration::from_secs(1);
        for (raw, words, code) in [
            (
                libc::SIGABRT,
                "memory allocation of 9 bytes failed",
                Code::DecodeMemory,
            ),
            (
                libc::SIGABRT,
                "terminate called after throwing an instance of 'std::bad_alloc'",
                Code::DecodeMemory,
            ),
            (libc::SIGABRT, "", Code::DecodeCrashed),
            (libc::SIGSEGV, "", Code::DecodeCrashed),
            (libc::SIGSYS, "", Code::DecodeCrashed),
            (libc::SIGXCPU, "", Code::DecodeTimeout),
            (101 << 8, "panicked", Code::DecodeCrashed),
        ] {
            let error = judge(ExitStatus::from_raw(raw), words, wall_clock);
            assert_eq!(error.code(), code, "{raw} {words}");
            assert!(!error.retryable());
        }
        assert!(judge(ExitStatus::from_raw(libc::SIGKILL), "", wall_clock).retryable());
    }
}
