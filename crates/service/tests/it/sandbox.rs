//! The pool of decoding children, with children that behave and children that do not.
//!
//! The children are this test program itself, started again with the name of one of the ignored
//! tests at the end of this file.

use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use safelight_imaging::{Limits, Wants, encode_jpeg, encode_webp, render};
use safelight_model::codes::Code;
use safelight_model::preset::{ALL, COVER, DISPLAY, LARGE, Preset};
use safelight_service::processing::sandbox::{
    CopyTask, Pace, RenderReply, RenderTask, Sandbox, SandboxError, SandboxSettings, child_main,
    confine, serve_tasks,
};
use safelight_testkit::camera::{self, Scene};

/// Long enough for any wait here on a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// What a frame begins with.
const LENGTH_BYTES: usize = 4;
/// What a child calls itself when it has taken the task that it will not finish.
const BUSY: &std::ffi::CStr = c"sandbox-busy";

fn settings(child: &str) -> SandboxSettings {
    settings_of(&format!("sandbox::{child}"))
}

/// Has the pool start this program again, to run the test of this name alone.
pub(super) fn settings_of(name: &str) -> SandboxSettings {
    let args = ["--exact", "--ignored", "--nocapture", "--test-threads=1"];
    SandboxSettings {
        program: std::env::current_exe().unwrap(),
        args: args
            .into_iter()
            .map(Into::into)
            .chain([name.into()])
            .collect(),
        processes: 1,
        wall_clock: DEADLINE,
        ..SandboxSettings::own_program()
    }
}

pub(super) fn picture(width: u32, height: u32) -> Vec<u8> {
    let rgb: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, (x ^ y) as u8]))
        .collect();
    encode_jpeg(width, height, &rgb, 85).unwrap()
}

/// An open file without a name.
pub(super) fn file(bytes: &[u8]) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file.into()
}

pub(super) fn task(presets: &[Preset]) -> RenderTask {
    RenderTask {
        presets: presets.to_vec(),
        limits: Limits::default(),
        want_hashes: true,
        want_scores: false,
        want_faces: false,
        exact: false,
        credit: false,
    }
}

/// The task at which the moody children fail.
pub(super) fn bad_task() -> RenderTask {
    RenderTask {
        want_hashes: false,
        ..task(&[COVER])
    }
}

pub(super) async fn render_good(sandbox: &Sandbox) -> Result<RenderReply, SandboxError> {
    sandbox.render(file(&picture(400, 300)), task(&ALL)).await
}

/// Sends a pool of moody children the task that they fail at, then one that they do not.
async fn fails_alone(child: &str, wall_clock: Duration) -> SandboxError {
    let sandbox = Sandbox::start(SandboxSettings {
        wall_clock,
        ..settings(child)
    })
    .unwrap();
    let error = sandbox
        .render(file(&picture(40, 30)), bad_task())
        .await
        .unwrap_err();
    render_good(&sandbox).await.unwrap();
    sandbox.shutdown().await;
    error
}

#[tokio::test]
async fn a_child_reads_and_cleans_without_decoding() {
    let sandbox = Sandbox::start(settings("child_serves_all")).unwrap();
    let original = camera::photo(&Scene::default());
    // In the same visit as pictures are made, and by itself; not where nobody asked.
    let reply = sandbox.render(file(&original), task(&ALL)).await.unwrap();
    assert_eq!(reply.metadata, None);
    let both = sandbox.render_first(file(&original), task(&ALL), &[]).await;
    let (both, kept) = both.unwrap();
    assert!(kept.is_none());
    assert_eq!(both.renditions.len(), ALL.len());
    let read = sandbox.read_metadata(file(&original)).await.unwrap();
    assert_eq!(both.metadata.as_ref(), Some(&read));
    assert_eq!(*read, safelight_imaging::read_metadata(&original).unwrap());
    assert!(read.place.is_some());

    let segments = sandbox.clean(file(&original)).await.unwrap();
    let expected = safelight_imaging::clean(&original).unwrap();
    assert_eq!(segments, expected.segments());
    // What is refused is refused by a code, and nobody dies of it.
    for odd in [&b"GIF89a.."[..], b"", b"text"] {
        for error in [
            sandbox.read_metadata(file(odd)).await.unwrap_err(),
            sandbox.clean(file(odd)).await.unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::UnsupportedMediaType, "{error}");
            assert!(matches!(error, SandboxError::Refused { .. }), "{error}");
        }
    }
    sandbox.shutdown().await;
}

fn exif_of(bytes: &[u8]) -> exif::Exif {
    let read = exif::Reader::new().read_from_container(&mut std::io::Cursor::new(bytes));
    read.unwrap()
}

#[tokio::test]
async fn a_copy_is_upright_and_smaller_and_keeps_the_time_but_not_the_place() {
    use exif::{In, Tag};
    let sandbox = Sandbox::start(settings("child_serves_all")).unwrap();
    let original = camera::photo(&Scene {
        orientation: 6,
        ..Scene::default()
    });
    let before = exif_of(&original);
    assert!(before.get_field(Tag::GPSLatitude, In::PRIMARY).is_some());
    // A longer edge than there is enlarges nothing.
    for (long_edge, size) in [(320, (240, 320)), (4_000, (480, 640)), (65_535, (480, 640))] {
        let task = CopyTask {
            long_edge,
            quality: 70,
            limits: Limits::default(),
        };
        let copy = sandbox.copy(file(&original), task).await.unwrap();
        assert!(copy.len() < original.len());
        let header = safelight_imaging::header(&copy, &Limits::default()).unwrap();
        assert_eq!(header.upright_size(), size, "{long_edge}");
        assert_eq!((header.width, header.height), size);
        let after = exif_of(&copy);
        let kept = [Tag::DateTimeOriginal, Tag::OffsetTimeOriginal, Tag::Make];
        for tag in kept {
            let of = |exif: &exif::Exif| {
                let field = exif.get_field(tag, In::PRIMARY);
                field.map(|f| f.display_value().to_string())
            };
            assert!(of(&before).is_some(), "{tag}");
            assert_eq!(of(&after), of(&before), "{tag}");
        }
        for tag in [Tag::GPSLatitude, Tag::Orientation, Tag::BodySerialNumber] {
            assert!(after.get_field(tag, In::PRIMARY).is_none(), "{tag}");
        }
        assert!(after.fields().all(|f| f.ifd_num == In::PRIMARY));
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_copy_of_what_breaks_a_child_fails_alone() {
    let sandbox = Sandbox::start(settings("child_serves_all")).unwrap();
    let task = CopyTask {
        long_edge: 2_048,
        quality: 80,
        limits: Limits::default(),
    };
    let refused = sandbox.copy(file(b"no picture"), task).await;
    assert_eq!(refused.unwrap_err().code(), Code::UnsupportedMediaType);
    sandbox.copy(file(&picture(400, 300)), task).await.unwrap();
    sandbox.shutdown().await;
    let moody = Sandbox::start(settings("child_aborts")).unwrap();
    let crashed = moody.copy(file(&picture(40, 30)), task).await.unwrap_err();
    assert_eq!(crashed.code(), Code::DecodeCrashed);
    moody.shutdown().await;
}

/// The kernel begins a child's peak with its parent's memory.
#[tokio::test]
async fn memory_is_the_childs_own() {
    let held = std::hint::black_box(vec![1_u8; 300 << 20]);
    let sandbox = Sandbox::start(settings("child_serves")).unwrap();
    let task = task(&ALL);
    let reply = sandbox.render(file(&picture(640, 480)), task).await;
    let peak = reply.unwrap().max_rss_bytes;
    assert!((1 << 20..150 << 20).contains(&peak), "{peak}");
    assert_eq!(std::hint::black_box(held).len(), 300 << 20);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_child_answers_what_imaging_renders() {
    let sandbox = Sandbox::start(settings("child_serves")).unwrap();
    let bytes = picture(2500, 1500);
    let want = Wants {
        hashes: true,
        scores: true,
        exact: false,
        credit: false,
        faces: true,
        count_faces: false,
    };
    let expected = render(&bytes, &ALL, &Limits::default(), want).unwrap();
    let task = RenderTask {
        want_scores: true,
        want_faces: false,
        ..task(&ALL)
    };
    let reply = sandbox.render(file(&bytes), task).await.unwrap();
    assert_eq!(reply.renditions, expected.renditions);
    assert!(reply.scores.is_some() && reply.scores == expected.scores);
    assert_eq!((reply.width, reply.height), (2500, 1500));
    assert_eq!(reply.thumbhash, expected.thumbhash);
    assert_eq!(reply.media, expected.media);
    assert!(
        reply.cpu_us > 0 && reply.max_rss_bytes > 1024 * 1024,
        "{reply:?}"
    );
    sandbox.shutdown().await;
    assert!(matches!(
        render_good(&sandbox).await,
        Err(SandboxError::Closed)
    ));
}

#[tokio::test]
async fn many_tasks_share_few_children_that_are_replaced() {
    let sandbox = Sandbox::start(SandboxSettings {
        processes: 2,
        tasks_per_process: 3,
        ..settings("child_shares")
    })
    .unwrap();
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let sandbox = sandbox.clone();
            tokio::spawn(async move { render_good(&sandbox).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().renditions.len(), ALL.len());
    }
    // The kernel shows a program's name an instant after it has begun.
    wait_until(|| children("sandbox::child_shares").len() == 2).await;
    sandbox.shutdown().await;
}

/// The child that a task of this tenant was given to.
async fn served_by(sandbox: &Sandbox, tenant_id: &str) -> String {
    served_at(sandbox, tenant_id, Pace::Brisk).await
}

async fn served_at(sandbox: &Sandbox, tenant_id: &str, pace: Pace) -> String {
    let sandbox = sandbox.serving(tenant_id, pace, Arc::default());
    let error = sandbox
        .render(file(&picture(40, 30)), task(&ALL))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::MediaCorrupt, "{error}");
    error.to_string()
}

#[tokio::test]
async fn no_child_sees_the_files_of_two_tenants() {
    for (processes, spares) in [(1, 0), (1, 1), (2, 1)] {
        let sandbox = Sandbox::start(SandboxSettings {
            processes,
            spares,
            ..settings("child_tells_who_it_is")
        })
        .unwrap();
        let mut whose = HashMap::new();
        for _ in 0..3 {
            for tenant in ["ten_a", "ten_b", "ten_c"] {
                let child = served_by(&sandbox, tenant).await;
                // Who comes again is not given another for nothing.
                assert_eq!(served_by(&sandbox, tenant).await, child);
                assert_eq!(*whose.entry(child).or_insert(tenant), tenant);
            }
        }
        // Tasks at once, of tenants that come and go.
        let tasks: Vec<_> = (0..12)
            .map(|n| {
                let sandbox = sandbox.clone();
                tokio::spawn(async move {
                    let tenant = ["ten_a", "ten_b", "ten_c"][n % 3];
                    (served_by(&sandbox, tenant).await, tenant)
                })
            })
            .collect();
        for task in tasks {
            let (child, tenant) = task.await.unwrap();
            assert_eq!(*whose.entry(child).or_insert(tenant), tenant);
        }
        wait_until(|| children("sandbox::child_tells_who_it_is").len() == processes + spares).await;
        sandbox.shutdown().await;
    }
}

/// How far a process steps back for others, by the kernel's account.
fn niceness(pid: &str) -> i32 {
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap());
    rustix::process::getpriority_process(pid).unwrap()
}

#[tokio::test]
async fn what_nobody_waits_for_steps_back() {
    let sandbox = Sandbox::start(SandboxSettings {
        processes: 2,
        spares: 1,
        ..settings("child_steps_back")
    })
    .unwrap();
    let own = niceness(&std::process::id().to_string());
    let brisk = served_at(&sandbox, "ten_a", Pace::Brisk).await;
    let leisurely = served_at(&sandbox, "ten_a", Pace::Leisurely).await;
    for _ in 0..3 {
        // Each is given its own again, at whatever pace came last.
        let again = served_at(&sandbox, "ten_a", Pace::Brisk).await;
        assert_eq!(again, brisk);
        assert_eq!(niceness(&again), own);
        let again = served_at(&sandbox, "ten_a", Pace::Leisurely).await;
        assert_eq!(again, leisurely);
        assert!(niceness(&again) > own);
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn as_many_tenants_as_there_may_be_children_keep_theirs() {
    let sandbox = Sandbox::start(SandboxSettings {
        processes: 2,
        spares: 1,
        ..settings("child_stays")
    })
    .unwrap();
    let first = [
        served_by(&sandbox, "ten_a").await,
        served_by(&sandbox, "ten_b").await,
    ];
    for _ in 0..3 {
        assert_eq!(served_by(&sandbox, "ten_a").await, first[0]);
        assert_eq!(served_by(&sandbox, "ten_b").await, first[1]);
    }
    // The one that was idle for longest makes room.
    served_by(&sandbox, "ten_c").await;
    assert_eq!(served_by(&sandbox, "ten_b").await, first[1]);
    assert_ne!(served_by(&sandbox, "ten_a").await, first[0]);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_child_that_has_grown_is_replaced() {
    for (kept_bytes, is_replaced) in [(1, true), (1 << 30, false)] {
        let sandbox = Sandbox::start(SandboxSettings {
            kept_bytes,
            ..settings("child_grows")
        })
        .unwrap();
        render_good(&sandbox).await.unwrap();
        let mut before = Vec::new();
        wait_until(|| {
            before = children("sandbox::child_grows");
            before.len() == 1
        })
        .await;
        render_good(&sandbox).await.unwrap();
        let mut after = Vec::new();
        wait_until(|| {
            after = children("sandbox::child_grows");
            after.len() == 1
        })
        .await;
        assert_eq!(before != after, is_replaced);
        sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn refusals_carry_their_code() {
    let sandbox = Sandbox::start(settings("child_serves")).unwrap();
    let whole = picture(400, 300);
    let half = &whole[..whole.len() / 2];
    for (bytes, code) in [
        (&b"<svg/>"[..], Code::UnsupportedMediaType),
        (b"", Code::UnsupportedMediaType),
        (half, Code::MediaCorrupt),
    ] {
        let error = sandbox.render(file(bytes), task(&ALL)).await.unwrap_err();
        assert!(matches!(error, SandboxError::Refused { .. }), "{error}");
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.retryable());
    }
    let tight = RenderTask {
        limits: Limits {
            max_pixels: 1000,
            ..Limits::default()
        },
        ..task(&ALL)
    };
    let error = sandbox.render(file(&whole), tight).await.unwrap_err();
    assert_eq!(error.code(), Code::PixelLimitExceeded);
    render_good(&sandbox).await.unwrap();
    sandbox.shutdown().await;
}

#[tokio::test]
async fn memory_is_bounded() {
    let bytes = picture(7000, 7000);
    for (memory_bytes, fits) in [(48 << 20, false), (1 << 30, true)] {
        let sandbox = Sandbox::start(SandboxSettings {
            memory_bytes,
            ..settings("child_serves")
        })
        .unwrap();
        let result = sandbox.render(file(&bytes), task(&[LARGE])).await;
        match result {
            Ok(reply) => assert!(fits, "{reply:?}"),
            Err(error) => {
                assert!(!fits, "{error}");
                assert_eq!(error.code(), Code::DecodeMemory, "{error}");
            }
        }
        sandbox.shutdown().await;
    }
}

/// Of a HEIC of 48 megapixels as phones write it, which would take 146 MB, a sixteenth is ever in memory: a grid, here of 16 by 12 times
/// the same tile of one colour (512 by 512, x265 by `heif-enc -q 60`), cut to 8064 by 6048.
#[tokio::test]
async fn a_heic_of_48_megapixels_is_never_whole_in_memory() {
    let sandbox = Sandbox::start(settings("child_serves")).unwrap();
    let bytes = include_bytes!("grid_48mp.heic");
    let reply = sandbox.render(file(bytes), task(&ALL)).await.unwrap();
    assert_eq!((reply.width, reply.height), (8064, 6048));
    let most = 64 << 20;
    assert!(reply.max_rss_bytes < most, "{}", reply.max_rss_bytes);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_child_out_of_memory_fails_its_task_only() {
    let error = fails_alone("child_allocates", DEADLINE).await;
    assert_eq!(error.code(), Code::DecodeMemory, "{error}");
}

#[tokio::test]
async fn a_child_that_crashes_fails_its_task_only() {
    for child in [
        "child_aborts",
        "child_panics",
        "child_exits",
        "child_faults",
    ] {
        let error = fails_alone(child, DEADLINE).await;
        assert_eq!(error.code(), Code::DecodeCrashed, "{child}: {error}");
        assert!(!error.retryable());
    }
}

#[tokio::test]
async fn a_child_that_hangs_is_killed_and_replaced() {
    // Enough for the good task that follows, on a busy machine.
    let error = fails_alone("child_hangs", Duration::from_secs(5)).await;
    assert_eq!(error.code(), Code::DecodeTimeout, "{error}");
}

#[tokio::test]
async fn a_child_that_lies_is_not_believed() {
    for child in ["child_claims_a_long_frame", "child_sends_no_picture"] {
        let error = fails_alone(child, DEADLINE).await;
        assert_eq!(error.code(), Code::DecodeCrashed, "{child}: {error}");
        assert!(error.to_string().contains("cannot be"), "{error}");
    }
}

/// A version of `display` with an operator's numbers.
fn chosen(long_edge: u32, quality: u8) -> Preset {
    Preset {
        version: 2,
        long_edge,
        quality,
        ..DISPLAY
    }
}

#[tokio::test]
async fn an_operators_numbers_go_with_the_task() {
    let sandbox = Sandbox::start(settings("child_serves_all")).unwrap();
    let (bytes, presets) = (picture(1500, 1125), [COVER, chosen(1440, 40), LARGE]);
    let expected = render(&bytes, &presets, &Limits::default(), true).unwrap();
    let reply = sandbox.render(file(&bytes), task(&presets)).await.unwrap();
    assert_eq!(reply.renditions, expected.renditions);
    let made = &reply.renditions[1];
    assert!(
        made.preset == presets[1] && made.width > DISPLAY.long_edge,
        "{made:?}"
    );
    // What nobody can choose no child makes.
    for impossible in [
        chosen(9000, 40),
        chosen(1440, 0),
        chosen(1440, 101),
        Preset {
            version: 1,
            ..chosen(1440, 40)
        },
        Preset {
            version: 2,
            ..COVER
        },
    ] {
        let refused = sandbox.render(file(&bytes), task(&[impossible])).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Internal, "{impossible:?}: {refused}");
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn no_picture_is_larger_than_its_preset() {
    for child in [
        "child_sends_a_larger_picture",
        "child_hides_a_larger_picture",
    ] {
        let sandbox = Sandbox::start(settings(child)).unwrap();
        let bad = RenderTask {
            want_hashes: false,
            ..task(&[chosen(600, 40)])
        };
        let error = sandbox.render(file(&picture(800, 600)), bad).await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), Code::DecodeCrashed, "{child}: {error}");
        assert!(error.to_string().contains("size"), "{error}");
        sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn an_abandoned_task_takes_its_child_with_it() {
    let sandbox = Sandbox::start(settings("child_waits_for_ever")).unwrap();
    {
        let mut task = Box::pin(sandbox.render(file(&picture(40, 30)), bad_task()));
        let started = Instant::now();
        while !children("sandbox::child_waits_for_ever")
            .into_iter()
            .any(is_busy)
        {
            assert!(started.elapsed() < DEADLINE);
            let polled = tokio::time::timeout(Duration::from_millis(1), &mut task).await;
            assert!(polled.is_err(), "{polled:?}");
        }
    }
    wait_until(|| children("sandbox::child_waits_for_ever").is_empty()).await;
    render_good(&sandbox).await.unwrap();
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_child_that_died_idle_is_nobodys_fault() {
    let sandbox = Sandbox::start(settings("child_is_shot")).unwrap();
    render_good(&sandbox).await.unwrap();
    let pids = children("sandbox::child_is_shot");
    assert_eq!(pids.len(), 1);
    for pid in pids {
        let target = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(target, rustix::process::Signal::KILL).unwrap();
        wait_until(|| is_gone(pid)).await;
    }
    render_good(&sandbox).await.unwrap();
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_confined_child_has_nothing() {
    // A descriptor that a library forgot to close on exec.
    let leaked = tempfile::tempfile().unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let error = fails_alone("child_inspects_itself", DEADLINE).await;
    let text = error.to_string();
    assert!(
        text.contains("fds=[0, 1, 2] env=1 writes=refused"),
        "{text}"
    );
}

#[tokio::test]
async fn no_program_is_retryable() {
    let missing = SandboxSettings {
        program: "/nonexistent".into(),
        ..settings("child_serves")
    };
    let error = Sandbox::start(missing).err().unwrap();
    assert!(
        error.retryable() && error.code() == Code::Internal,
        "{error}"
    );
}

pub(super) async fn wait_until(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE);
        tokio::task::yield_now().await;
    }
}

/// State and parent of a process, if there is one.
fn state(pid: i32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name in brackets.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether nothing is left of a process but its exit status.
fn is_gone(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state(pid).is_none_or(|(state, _)| (state == 'Z' || state == 'X') && threads <= 1)
}

/// Living children of this process that run the test of this name.
pub(super) fn children(name: &str) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter(|pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            state(*pid).is_some_and(|(_, parent)| parent == std::process::id())
                && !is_gone(*pid)
                && arguments.split(|b| *b == 0).any(|a| a == name.as_bytes())
        })
        .collect()
}

// The children.

/// Whether this process was started by the pool: it clears the environment but for one variable.
pub(super) fn is_child() -> bool {
    std::env::vars_os().count() == 1 && std::env::var_os("SANDBOX_MEMORY_BYTES").is_some()
}

/// Closes itself in and looks at the first task without taking it. Serves if it is a good one; else lets
/// `misbehave`, which is given the task's JSON.
pub(super) fn moody(misbehave: impl FnOnce(&[u8])) {
    if !is_child() {
        return;
    }
    confine().unwrap();
    let mut peeked = [0; 4096];
    // As the filter has it: the child's own way to read.
    let got = rustix::net::recvmsg(
        std::io::stdin(),
        &mut [std::io::IoSliceMut::new(&mut peeked)],
        &mut rustix::net::RecvAncillaryBuffer::default(),
        rustix::net::RecvFlags::PEEK,
    )
    .unwrap()
    .bytes;
    if String::from_utf8_lossy(&peeked[..got]).contains("\"want_hashes\":false") {
        std::io::stdin().read_exact(&mut peeked[..got]).unwrap();
        misbehave(&peeked[LENGTH_BYTES..got]);
    }
    std::process::exit(serve_tasks());
}

fn say(bytes: &[u8]) {
    rustix::net::send(std::io::stdin(), bytes, rustix::net::SendFlags::NOSIGNAL).unwrap();
}

fn say_frame(json: &str) {
    say(&u32::try_from(json.len()).unwrap().to_le_bytes());
    say(json.as_bytes());
}

/// Says that it has a task, and never ends it.
pub(super) fn be_busy() -> ! {
    // SAFETY: a zero-ended text of less than 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, BUSY.as_ptr()) };
    wait_for_ever()
}

/// Whether a child says so.
pub(super) fn is_busy(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().any(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm"));
        name.is_ok_and(|name| name.trim() == BUSY.to_string_lossy())
    })
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_serves() {
    moody(|_| ());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_serves_all() {
    if is_child() {
        std::process::exit(child_main());
    }
}

/// Refuses every task by its own number.
fn tell_who_it_is() {
    if !is_child() {
        return;
    }
    let pid = std::process::id();
    confine().unwrap();
    let mut task = [0; 4096];
    let take = |task: &mut [u8]| {
        let into = &mut [std::io::IoSliceMut::new(task)];
        let control = &mut rustix::net::RecvAncillaryBuffer::default();
        let flags = rustix::net::RecvFlags::empty();
        rustix::net::recvmsg(std::io::stdin(), into, control, flags).map_or(0, |got| got.bytes)
    };
    while take(&mut task) > 0 {
        say_frame(&format!(
            r#"{{"outcome":{{"refused":{{"code":"media_corrupt","detail":"{pid}"}}}},"cpu_us":1,"max_rss_bytes":1}}"#
        ));
    }
    std::process::exit(0);
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_tells_who_it_is() {
    tell_who_it_is();
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_steps_back() {
    tell_who_it_is();
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_stays() {
    tell_who_it_is();
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_shares() {
    moody(|_| ());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_grows() {
    moody(|_| ());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_is_shot() {
    moody(|_| ());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_hangs() {
    moody(|_| wait_for_ever());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_waits_for_ever() {
    moody(|_| be_busy());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_aborts() {
    moody(|_| std::process::abort());
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_panics() {
    moody(|_| panic!("a decoder's bug"));
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_exits() {
    moody(|_| std::process::exit(0));
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_faults() {
    // SAFETY: none: this is the fault.
    moody(|_| unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) });
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_allocates() {
    moody(|_| {
        let mut hoard = Vec::new();
        loop {
            hoard.push(vec![1_u8; 64 << 20]);
        }
    });
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_claims_a_long_frame() {
    moody(|_| {
        say(&[0xff; 4]);
        wait_for_ever();
    });
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_sends_no_picture() {
    moody(|_| {
        say_frame(
            r#"{"outcome":{"done":{"media":"jpeg","width":40,"height":30,"thumbhash":null,
            "pictures":[{"width":40,"height":30,"size_bytes":17}]}},"cpu_us":1,"max_rss_bytes":1}"#,
        );
        say(b"<script>1</script");
        wait_for_ever();
    });
}

/// Answers with a picture one column wider than was asked for, and says that it is so wide.
fn send_wider(says: u32) {
    let webp = encode_webp(601, 400, &vec![99; 601 * 400 * 3], false, 50).unwrap();
    say_frame(&format!(
        r#"{{"outcome":{{"done":{{"media":"jpeg","width":800,"height":600,"thumbhash":null,"picture_hash":null,
        "pictures":[{{"width":{says},"height":400,"size_bytes":{}}}]}}}},"cpu_us":1,"max_rss_bytes":1}}"#,
        webp.len()
    ));
    say(&webp);
    wait_for_ever();
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_sends_a_larger_picture() {
    moody(|_| send_wider(601));
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_hides_a_larger_picture() {
    moody(|_| send_wider(600));
}

#[test]
#[ignore = "a child process of the other tests"]
fn child_inspects_itself() {
    moody(|_| {
        let is_open = |fd: &i32| {
            // SAFETY: asks for a number's flags.
            unsafe { libc::fcntl(*fd, libc::F_GETFD) >= 0 }
        };
        let open: Vec<i32> = (0..1024).filter(is_open).collect();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
        let writes = if limit.maximum == Some(0) {
            "refused"
        } else {
            "allowed"
        };
        eprintln!(
            "fds={open:?} env={} writes={writes}",
            std::env::vars_os().count()
        );
        std::process::abort();
    });
}
