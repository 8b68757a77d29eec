//! One program may be started, and none after it.
//!
//! A filter that lets a call through does so every time. So starting a program is a question to whoever listens at the
//! filter: here a thread of the same process, which says yes once, and which the start itself ends. The listener closes
//! then, with the descriptors of the process before, and from there on the kernel answers `ENOSYS`.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A thread that waits for the question.
pub(super) struct Permission {
    listener: Sender<OwnedFd>,
}

impl Permission {
    /// Starts the thread, which has to be before the process may start none.
    pub(super) fn prepare() -> io::Result<Self> {
        let (listener, handed) = channel();
        std::thread::Builder::new().spawn(move || answer(&handed))?;
        Ok(Self { listener })
    }

    /// From now on the calling thread, and what it becomes, may start one program.
    ///
    /// # Errors
    /// The kernel has no such filters (Linux before 5.5), or lets this process have none.
    pub(super) fn bind(self) -> io::Result<()> {
        let listener = ask_at_start()?;
        self.listener
            .send(listener)
            .map_err(|_| io::Error::other("the thread that permits is gone"))
    }
}

/// Has the kernel ask before a program is started.
fn ask_at_start() -> io::Result<OwnedFd> {
    let number = std::mem::offset_of!(libc::seccomp_data, nr);
    let number = u32::try_from(number).map_err(io::Error::other)?;
    let call = |number: libc::c_long| u32::try_from(number).map_err(io::Error::other);
    let [load, equal, end] = [
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    ];
    let step = |code: u32, k: u32, jt: u8, jf: u8| {
        let code = u16::try_from(code).map_err(io::Error::other)?;
        Ok::<_, io::Error>(libc::sock_filter { code, jt, jf, k })
    };
    // What another processor's interface calls by these numbers, the filters behind this one kill.
    let mut steps = [
        step(load, number, 0, 0)?,
        step(equal, call(libc::SYS_execve)?, 1, 0)?,
        step(equal, call(libc::SYS_execveat)?, 0, 1)?,
        step(end, libc::SECCOMP_RET_USER_NOTIF, 0, 0)?,
        step(end, libc::SECCOMP_RET_ALLOW, 0, 0)?,
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).map_err(io::Error::other)?,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the program lives through the call, which copies it.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    match RawFd::try_from(listener) {
        // SAFETY: the kernel has just made it, for nobody else.
        Ok(listener) if listener >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(listener) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Says yes to the first question. The thread does not live through what it says yes to.
fn answer(handed: &Receiver<OwnedFd>) {
    let Ok(listener) = handed.recv() else {
        return;
    };
    // SAFETY: zeros are what the kernel wants to find, and a valid value.
    let mut question: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    let descriptor = listener.as_raw_fd();
    // SAFETY: the pointer is valid, and of the type that this call writes.
    if unsafe {
        libc::ioctl(
            descriptor,
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut question,
        )
    } != 0
    {
        return;
    }
    let mut yes = libc::seccomp_notif_resp {
        id: question.id,
        val: 0,
        error: 0,
        flags: u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(0),
    };
    // SAFETY: the pointer is valid, and of the type that this call reads. Should it fail, the program is not started, and the
    // parent hears why.
    unsafe { libc::ioctl(descriptor, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut yes) };
}
