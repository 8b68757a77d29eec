//! What the program that decodes clips cannot do, however much of it a clip has taken over.
//!
//! Here this program takes the place of ffmpeg too: started as that would be, it does before `main` what its standard input, in
//! place of a clip, names, and says on standard error what came of it.

use std::ffi::{CStr, c_char, c_int};
use std::os::fd::OwnedFd;

use safelight_model::codes::Code;
use safelight_service::processing::sandbox::{
    ClipSettings, Landlock, Sandbox, SandboxError, SandboxSettings, Seccomp, child_main,
};
use safelight_testkit::older_kernel::{LANDLOCK, SECCOMP, run_without};

use super::attempts::{Attempt, DEADLY, Outcome, REFUSED, call, outcome, path};
use super::sandbox::{DEADLINE, file};

/// What a decoding process is started with: the framework of the tests, which says something first, is not asked.
const CHILD: &CStr = c"child-of-clips";
const MIB: usize = 1024 * 1024;
const MEMORY_BYTES: u64 = 512 * 1024 * 1024;

/// What only fails that kills a decoder of pictures, and what works: a program has to be started and linked, and has threads.
const OTHERWISE: &[(&str, Outcome)] = &[
    ("open", Some(libc::EACCES)),
    ("open itself", Some(libc::EACCES)),
    ("open relative", Some(libc::EACCES)),
    ("open below the socket", Some(libc::ENOTDIR)),
    ("open by the library", Some(libc::EACCES)),
    ("list a folder", Some(libc::EACCES)),
    ("create", Some(libc::EACCES)),
    ("old open", Some(libc::EPERM)),
    ("clone3", Some(libc::ENOSYS)),
    ("thread", None),
    // One was started already, which is this one.
    ("execve", Some(libc::ENOSYS)),
    ("execveat", Some(libc::ENOSYS)),
];

/// Further attempts, and what comes of them.
const OWN: &[(&str, Outcome, Attempt)] = &[
    ("itself again", Some(libc::ENOSYS), |_| {
        call(libc::SYS_execve, &[path(c"/proc/self/exe"), 0, 0])
    }),
    ("a library", None, |_| {
        outcome(std::fs::File::open("/etc/ld.so.cache").err())
    }),
    ("the clip", None, |_| {
        outcome(std::fs::File::open("/proc/self/fd/0").err())
    }),
    ("write the clip", Some(libc::EACCES), |_| {
        let mut how = std::fs::OpenOptions::new();
        outcome(how.append(true).open("/proc/self/fd/0").err())
    }),
    ("open the output", Some(libc::EACCES), |_| {
        let mut how = std::fs::OpenOptions::new();
        outcome(how.write(true).open("/proc/self/fd/1").err())
    }),
    ("write a library", Some(libc::EACCES), |_| {
        let mut how = std::fs::OpenOptions::new();
        outcome(how.append(true).open("/etc/ld.so.cache").err())
    }),
    ("some memory", None, |_| take(64 * MIB)),
    ("too much memory", Some(libc::ENOMEM), |_| take(600 * MIB)),
    ("too much in pieces", Some(libc::ENOMEM), |_| {
        (0..600).find_map(|_| take(MIB))
    }),
];

/// Maps so much memory, and keeps it.
fn take(bytes: usize) -> Outcome {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    outcome((mapped == libc::MAP_FAILED).then(std::io::Error::last_os_error))
}

/// In place of ffmpeg: `main` does not know these arguments.
#[used]
#[unsafe(link_section = ".init_array")]
static IN_PLACE_OF_FFMPEG: extern "C" fn(c_int, *const *const c_char) = in_place_of_ffmpeg;

extern "C" fn in_place_of_ffmpeg(count: c_int, arguments: *const *const c_char) {
    // SAFETY: the C library hands over what `main` gets, a list of texts of this length.
    let first = (count > 1).then(|| unsafe { CStr::from_ptr(*arguments.add(1)) });
    if first == Some(CHILD) {
        std::process::exit(child_main());
    }
    if first != Some(c"-hide_banner") {
        return;
    }
    let wanted = std::io::read_to_string(std::io::stdin()).unwrap();
    match wanted.as_str() {
        "" => println!("ffmpeg version of the tests Copyright"),
        "more output" => {
            // The limit is that of an answer of ffprobe.
            println!("{}", "x".repeat(MIB));
        }
        "sleep" => loop {
            std::thread::park();
        },
        "spin" => loop {
            std::hint::spin_loop();
        },
        wanted => {
            let attempts = DEADLY.iter().chain(REFUSED).copied();
            let mut all = attempts.chain(OWN.iter().map(|(name, _, attempt)| (*name, *attempt)));
            let (_, attempt) = all.find(|(name, _)| *name == wanted).unwrap();
            // Of others the first process will do: to ask for the parent is forbidden too.
            let came = attempt(1);
            eprintln!("came={};", came.unwrap_or(0));
            std::process::exit(1);
        }
    }
    std::process::exit(0);
}

fn clip_settings() -> SandboxSettings {
    let this = std::env::current_exe().unwrap();
    SandboxSettings {
        clips: Some(ClipSettings {
            ffmpeg: this.clone(),
            ffprobe: this,
            memory_bytes: MEMORY_BYTES,
            transcode: DEADLINE,
            stream_bytes: 1 << 20,
            scratch_dir: std::env::temp_dir(),
        }),
        args: vec![CHILD.to_string_lossy().into_owned().into()],
        ..SandboxSettings::own_program()
    }
}

fn wanted(text: &str) -> OwnedFd {
    file(text.as_bytes())
}

async fn fails(sandbox: &Sandbox, text: &str) -> SandboxError {
    sandbox.probe_clip(&wanted(text), 1).await.unwrap_err()
}

/// Fails unless this attempt comes back with this.
async fn comes_back(sandbox: &Sandbox, name: &str, expected: Outcome) {
    let error = fails(sandbox, name).await;
    let came = format!("came={};", expected.unwrap_or(0));
    assert!(error.to_string().contains(&came), "{name}: {error}");
    assert_eq!(error.code(), Code::MediaCorrupt, "{name}");
}

#[tokio::test]
async fn a_program_is_started_and_says_how_tightly_it_is_closed() {
    let sandbox = Sandbox::start(clip_settings()).unwrap();
    let tools = sandbox.clip_tools().await.unwrap();
    assert_eq!(tools.version, "ffmpeg version of the tests");
    assert_eq!(tools.confinement.seccomp, Seccomp::Filtered);
    assert_eq!(tools.confinement.memory_bytes, MEMORY_BYTES);
    sandbox.shutdown().await;
    let error = sandbox.clip_tools().await.unwrap_err();
    assert!(matches!(error, SandboxError::Closed), "{error}");
}

#[tokio::test]
async fn whatever_reaches_out_is_killed_or_fails() {
    let sandbox = Sandbox::start(clip_settings()).unwrap();
    let landlock = sandbox.clip_tools().await.unwrap().confinement.landlock;
    assert!(matches!(landlock, Landlock::Enforced(_)), "{landlock:?}");
    for (name, _) in DEADLY {
        if let Some((_, expected)) = OTHERWISE.iter().find(|(other, _)| other == name) {
            comes_back(&sandbox, name, *expected).await;
            continue;
        }
        let error = fails(&sandbox, name).await;
        assert!(matches!(error, SandboxError::Forbidden), "{name}: {error}");
    }
    for (name, _) in REFUSED {
        comes_back(&sandbox, name, Some(libc::EPERM)).await;
    }
    for (name, expected, _) in OWN {
        comes_back(&sandbox, name, *expected).await;
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn what_takes_too_much_is_ended() {
    let sandbox = Sandbox::start(clip_settings()).unwrap();
    let error = fails(&sandbox, "more output").await;
    assert_eq!(error.code(), Code::ByteLimitExceeded, "{error}");
    sandbox.shutdown().await;
    for text in ["sleep", "spin"] {
        let sandbox = Sandbox::start(SandboxSettings {
            wall_clock: std::time::Duration::from_secs(1),
            ..clip_settings()
        })
        .unwrap();
        let error = fails(&sandbox, text).await;
        assert_eq!(error.code(), Code::DecodeTimeout, "{error}");
        sandbox.shutdown().await;
    }
}

#[test]
fn where_files_could_be_opened_no_clip_is_decoded_unless_told_to() {
    for call in [LANDLOCK, SECCOMP] {
        run_without(call, async || {
            for may_be_open in [false, true] {
                let sandbox = Sandbox::start(SandboxSettings {
                    may_be_open,
                    ..clip_settings()
                })
                .unwrap();
                match sandbox.clip_tools().await {
                    Ok(tools) => {
                        assert!(may_be_open);
                        assert!(tools.confinement.lets_files_be_opened());
                    }
                    Err(error) => {
                        assert!(!may_be_open, "{error}");
                        assert!(matches!(error, SandboxError::NoClips(_)), "{error}");
                        assert!(!error.retryable());
                        assert_eq!(error.code(), Code::UnsupportedMediaType);
                    }
                }
                sandbox.shutdown().await;
            }
        })
        .unwrap();
    }
}

#[tokio::test]
async fn without_ffmpeg_there_are_no_clips() {
    let sandbox = Sandbox::start(SandboxSettings {
        clips: None,
        ..clip_settings()
    })
    .unwrap();
    let error = fails(&sandbox, "open").await;
    assert!(matches!(error, SandboxError::NoClips(_)), "{error}");
    sandbox.shutdown().await;
    let mut settings = clip_settings();
    if let Some(clips) = &mut settings.clips {
        clips.ffprobe = "/no/such/program".into();
    }
    let sandbox = Sandbox::start(settings).unwrap();
    let error = fails(&sandbox, "open").await;
    assert!(
        matches!(error, SandboxError::Start(_)) && error.retryable(),
        "{error}"
    );
    sandbox.shutdown().await;
}
