//! The pool of children, and the door through which the rest of the service uses them.
//!
//! A child serves one tenant: who takes it over sees nothing of another's. It becomes a tenant's with the first task it is given
//! of his. One who has none gets a child that has seen nothing yet; some are kept ready, so that nobody waits for a start. The
//! others' child that was idle for longest makes room for it. What somebody waits for and what nobody does have children of their
//! own, of which the latter step back wherever the former want a processor ([`Pace`]); but that who goes on with a picture that is still
//! decoded ([`KeptPicture`]) does so in the child that has it, at its pace: that takes less than decoding it again would.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use safelight_imaging::{Limits, MediaType, Metadata, Rendition, Segment};
use safelight_model::best_frame::FrameScores;
use safelight_model::codes::Code;
use safelight_model::near::PictureHash;
use safelight_model::per_tenant::PerTenant;
use safelight_model::preset::Preset;
use tokio::sync::Semaphore;

use super::budget::Budget;
use super::clips::ClipSettings;
use super::confinement::Confinement;
use super::error::SandboxError;
use super::idle::Idle;
use super::kept::KeptPicture;
use super::pace::Pace;
use super::protocol::{Only, Outcome, PresetFrame, TaskFrame, child_code, tame};
use super::worker::{Answer, Silence, Worker, read_only};

/// Address space of a child by default.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
/// What a child may keep between tasks by default: what an ordinary photo takes.
pub const KEPT_BYTES: u64 = 160 * 1024 * 1024;

/// How children are started and what each may take.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// The program to run.
    pub program: PathBuf,
    /// Its arguments, after which it calls [`super::child_main`].
    pub args: Vec<OsString>,
    /// How many children have seen something at most, and tasks at a time.
    pub processes: usize,
    /// How many children beside these are kept ready that have seen nothing.
    pub spares: usize,
    /// Address space of a child. It holds the program (60 MiB), the mapped original, and what
    /// [`Limits::max_decode_bytes`] allows.
    pub memory_bytes: u64,
    /// What a tenant's children have of that, where it is less.
    pub memory_of_tenants: PerTenant<u64>,
    /// The longest that a task may take, also in processor time.
    pub wall_clock: Duration,
    /// After so many tasks a child is replaced, so that nothing grows in it for ever, and who takes it over sees no more than these.
    pub tasks_per_process: u32,
    /// A child that holds more than this between tasks is replaced as well. So much of the budget is each child's own.
    pub kept_bytes: u64,
    /// What all children together may hold, in bytes. Pictures that take more than a child may keep wait until there
    /// is enough; one that takes more than there is is decoded when no other such is.
    pub budget_bytes: u64,
    /// Whether faces are looked for: where squares are cut, and in frames of bursts.
    pub faces: bool,
    /// Whether children may decode although the kernel does not filter their system calls.
    pub may_be_open: bool,
    /// How clips are decoded; not at all where there is nothing.
    pub clips: Option<ClipSettings>,
}

impl SandboxSettings {
    /// This program, under its `sandbox` subcommand, with one child for each processor.
    #[must_use]
    pub fn own_program() -> Self {
        Self {
            // The running file itself, even where another has taken its place since.
            program: PathBuf::from("/proc/self/exe"),
            args: vec![OsString::from("sandbox")],
            processes: std::thread::available_parallelism().map_or(2, usize::from),
            spares: 0,
            memory_bytes: MEMORY_BYTES,
            memory_of_tenants: PerTenant::all(u64::MAX),
            wall_clock: Duration::from_secs(20),
            tasks_per_process: 100,
            kept_bytes: KEPT_BYTES,
            budget_bytes: u64::MAX,
            faces: true,
            may_be_open: false,
            clips: None,
        }
    }
}

/// What to make of a file.
#[derive(Clone, Debug)]
pub struct RenderTask {
    /// The renditions wanted, each one of [`safelight_model::preset::ALL`] or an alternative ([`safelight_model::variant`]), or of a version
    /// with numbers that an operator may choose ([`safelight_model::tenant_presets`]).
    pub presets: Vec<Preset>,
    /// The bounds for the decoder.
    pub limits: Limits,
    /// Whether to make a thumbhash and a perceptual hash too.
    pub want_hashes: bool,
    /// Whether to measure how sharp and how well exposed it is, too.
    pub want_scores: bool,
    /// Whether to count the faces in it besides, where the settings have faces looked for.
    pub want_faces: bool,
    /// Whether every rendition is as long as its preset says ([`safelight_imaging::Wants::exact`]).
    pub exact: bool,
    /// Whether renditions say whose the picture is, where the original does.
    pub credit: bool,
}

/// A JPEG to make of a file.
#[derive(Clone, Copy, Debug)]
pub struct CopyTask {
    /// The longer edge in pixels; originals that are smaller are not enlarged.
    pub long_edge: u32,
    /// The encoder's quality, 1 to 100.
    pub quality: u8,
    /// The bounds for the decoder.
    pub limits: Limits,
}

/// What was made of it. Every picture has been checked to be of its preset's format and of the
/// size given here.
#[derive(Clone, Debug)]
pub struct RenderReply {
    /// The original's kind, by content.
    pub media: MediaType,
    /// Columns of the original, upright.
    pub width: u32,
    /// Rows of the original, upright.
    pub height: u32,
    /// In the order of the presets asked for.
    pub renditions: Vec<Rendition>,
    /// The placeholder's bytes, if hashes were asked for.
    pub thumbhash: Option<Vec<u8>>,
    /// The perceptual hash, if hashes were asked for and the picture is not too plain for one.
    pub picture_hash: Option<PictureHash>,
    /// How sharp and how well exposed it is, if that was asked for.
    pub scores: Option<FrameScores>,
    /// What the file tells of how it was taken, as the child says, if that was asked for and could be read.
    pub metadata: Option<Box<Metadata>>,
    /// Processor time that this task took in the child.
    pub cpu_us: u64,
    /// The most memory that the child ever had resident.
    pub max_rss_bytes: u64,
}

/// A pool of decoding children. Clones share it.
#[derive(Clone)]
pub struct Sandbox {
    pub(super) shared: Arc<Shared>,
    /// Whose files tasks of this clone are about.
    tenant_id: Arc<str>,
    /// Who waits for tasks of this clone.
    pub(super) pace: Pace,
    /// Microseconds of processor time that tasks of this clone took.
    pub(super) cpu_us: Arc<AtomicU64>,
}

pub(super) struct Shared {
    pub(super) settings: SandboxSettings,
    pub(super) budget: Budget,
    /// One for each child that may be busy; waiters are served in the order they came.
    pub(super) turns: Semaphore,
    /// Taken all of it when nothing runs any more.
    pub(super) running: Semaphore,
    pub(super) idle: Idle,
}

impl Sandbox {
    /// Starts all children. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`SandboxError::Start`] when a child cannot be started.
    pub fn start(settings: SandboxSettings) -> Result<Self, SandboxError> {
        let processes = settings.processes.max(1);
        let idle = (0..processes)
            .map(|_| Worker::start(&settings))
            .collect::<Result<Vec<_>, _>>()?;
        let (kept, most) = (settings.kept_bytes, settings.memory_bytes);
        let budget = Budget::of(settings.budget_bytes, processes, kept, most);
        Ok(Self {
            tenant_id: Arc::from(""),
            pace: Pace::default(),
            cpu_us: Arc::default(),
            shared: Arc::new(Shared {
                budget: match settings.clips {
                    Some(_) => budget.with_streams(),
                    None => budget,
                },
                settings,
                turns: Semaphore::new(processes),
                running: Semaphore::new(processes),
                idle: Idle::of(idle),
            }),
        })
    }

    /// The same pool for the files of a tenant, at a pace: no child that is given one is given another tenant's. It adds up in `cpu_us` how much
    /// processor time tasks take in the children, in microseconds, whatever comes of them. A child that dies takes its count
    /// with it.
    #[must_use]
    pub fn serving(&self, tenant_id: &str, pace: Pace, cpu_us: Arc<AtomicU64>) -> Self {
        Self {
            shared: self.shared.clone(),
            tenant_id: Arc::from(tenant_id),
            pace,
            cpu_us,
        }
    }

    /// Makes renditions of the whole file behind `original`, which nobody may change meanwhile.
    /// Waits for a free child first; that wait is not part of the task's time. Dropping the future
    /// kills the child.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn render(
        &self,
        original: OwnedFd,
        task: RenderTask,
    ) -> Result<RenderReply, SandboxError> {
        let frame = self.frame(&task);
        reply(self.run(original, frame).await?, &task)
    }

    /// As [`Sandbox::render`], and reads what the file tells of how it was taken, in the same visit. If anything is named in `later`, the
    /// picture is decoded so that it can be made of it as well, and kept for [`Sandbox::render_more`], where a child may hold so much.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn render_first(
        &self,
        original: OwnedFd,
        task: RenderTask,
        later: &[Preset],
    ) -> Result<(RenderReply, Option<KeptPicture>), SandboxError> {
        let frame = TaskFrame {
            want_metadata: true,
            keep_for: later.iter().map(PresetFrame::of).collect(),
            ..self.frame(&task)
        };
        let (answer, kept) = self.visit(original, frame, None).await?;
        Ok((reply(answer, &task)?, kept))
    }

    /// As [`Sandbox::render`], of the picture that was kept of the same file: it is decoded anew only if its child has gone meanwhile.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn render_more(
        &self,
        kept: KeptPicture,
        original: OwnedFd,
        task: RenderTask,
    ) -> Result<RenderReply, SandboxError> {
        let frame = self.frame(&task);
        let (answer, _) = self.visit(original, frame, Some(kept)).await?;
        reply(answer, &task)
    }

    /// Reads what the file behind `original` tells of how it was taken; nothing is decoded. It is what the child says: texts and
    /// numbers are still to be checked.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn read_metadata(&self, original: OwnedFd) -> Result<Box<Metadata>, SandboxError> {
        let frame = TaskFrame {
            only: Some(Only::Metadata),
            ..self.empty_frame()
        };
        match self.run(original, frame).await?.frame.outcome {
            Outcome::Read { metadata } => Ok(metadata),
            Outcome::Refused { code, detail } => Err(refused(&code, &detail)),
            Outcome::Done { .. } | Outcome::Cleaned { .. } => Err(unanswered()),
        }
    }

    /// Says what a cleaned original of the file behind `original` is made of ([`safelight_imaging::clean`]). It is what the child says:
    /// where the segments lie is still to be checked.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn clean(&self, original: OwnedFd) -> Result<Vec<Segment>, SandboxError> {
        let frame = TaskFrame {
            only: Some(Only::Cleaned),
            ..self.empty_frame()
        };
        let answer = self.run(original, frame).await?;
        match answer.frame.outcome {
            Outcome::Cleaned { .. } => {
                let list = answer.pictures.into_iter().next().unwrap_or_default();
                serde_json::from_slice(&list).map_err(|_| unanswered())
            }
            Outcome::Refused { code, detail } => Err(refused(&code, &detail)),
            Outcome::Done { .. } | Outcome::Read { .. } => Err(unanswered()),
        }
    }

    /// The frame of a task.
    fn frame(&self, task: &RenderTask) -> TaskFrame {
        TaskFrame {
            presets: task.presets.iter().map(PresetFrame::of).collect(),
            limits: task.limits,
            want_hashes: task.want_hashes,
            want_scores: task.want_scores,
            exact: task.exact,
            credit: task.credit,
            faces: self.shared.settings.faces,
            count_faces: self.shared.settings.faces && task.want_scores && task.want_faces,
            ..self.empty_frame()
        }
    }

    /// A frame that asks for nothing.
    fn empty_frame(&self) -> TaskFrame {
        TaskFrame {
            presets: Vec::new(),
            copy: None,
            limits: Limits::default(),
            want_hashes: false,
            want_scores: false,
            exact: false,
            credit: false,
            faces: false,
            count_faces: false,
            want_metadata: false,
            only: None,
            keep_for: Vec::new(),
            goes_on: false,
            cpu_seconds: self.cpu_seconds(),
        }
    }

    /// Makes a JPEG of the whole file behind `original`, as [`Sandbox::render`] makes renditions. It has what a copy keeps of the
    /// original's EXIF ([`safelight_imaging::with_kept_exif`]).
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub async fn copy(&self, original: OwnedFd, task: CopyTask) -> Result<Vec<u8>, SandboxError> {
        let frame = TaskFrame {
            copy: Some((task.long_edge, task.quality)),
            limits: task.limits,
            ..self.empty_frame()
        };
        let answer = self.run(original, frame).await?;
        match answer.frame.outcome {
            Outcome::Refused { code, detail } => Err(refused(&code, &detail)),
            Outcome::Read { .. } | Outcome::Cleaned { .. } => Err(unanswered()),
            // There is one: it was checked.
            Outcome::Done { .. } => Ok(answer.pictures.into_iter().next().unwrap_or_default()),
        }
    }

    fn cpu_seconds(&self) -> u64 {
        self.shared.settings.wall_clock.as_secs()
    }

    async fn run(&self, original: OwnedFd, frame: TaskFrame) -> Result<Answer, SandboxError> {
        let (answer, _) = self.visit(original, frame, None).await?;
        Ok(answer)
    }

    /// One task in a child; its picture, if it is to be kept and can be.
    async fn visit(
        &self,
        original: OwnedFd,
        mut frame: TaskFrame,
        at_hand: Option<KeptPicture>,
    ) -> Result<(Answer, Option<KeptPicture>), SandboxError> {
        let wall_clock = self.shared.settings.wall_clock;
        let original = read_only(&original)?;
        let _share = match &frame.only {
            // Nothing is decoded, and the file is mapped: that takes no memory that the kernel could not take back.
            Some(_) => None,
            None => {
                let beyond = frame.beyond_built_in_bytes();
                let share = self
                    .shared
                    .budget
                    .take(&original, &frame.limits, beyond)
                    .await;
                share.map_err(|_| SandboxError::Closed)?
            }
        };
        let _turn = self
            .shared
            .turns
            .acquire()
            .await
            .map_err(|_| SandboxError::Closed)?;
        let _running = self
            .shared
            .running
            .acquire()
            .await
            .map_err(|_| SandboxError::Closed)?;
        let mut worker = match at_hand.and_then(KeptPicture::take) {
            Some(worker) => {
                frame.goes_on = true;
                worker
            }
            None => self.take()?,
        };
        match self.hand_over(&mut worker, &frame, &original).await {
            Ok(()) if frame.goes_on => {
                metrics::counter!("safelight_decodes_spared_total").increment(1);
            }
            Ok(()) => {}
            Err(SandboxError::Open(open)) => {
                self.shared.idle.put(worker);
                return Err(SandboxError::Open(open));
            }
            Err(_) => {
                // It died while idle, which is nobody's fault: once more with a fresh one.
                worker.kill().await;
                worker = Worker::start(&self.shared.settings)?;
                self.hand_over(&mut worker, &frame, &original).await?;
            }
        }
        self.keep_ready();
        match tokio::time::timeout(wall_clock, worker.receive(&frame)).await {
            Ok(Ok(mut answer)) => {
                if let Some(peak) = worker.peak_bytes() {
                    answer.frame.max_rss_bytes = peak;
                }
                // It may say what it likes, but not that it took longer than it had.
                let most_us = u64::try_from(wall_clock.as_micros()).unwrap_or(u64::MAX);
                answer.frame.cpu_us = answer.frame.cpu_us.min(most_us);
                self.cpu_us.fetch_add(answer.frame.cpu_us, Ordering::SeqCst);
                let keeps = matches!(answer.frame.outcome, Outcome::Done { keeps: true, .. });
                let kept = self.put_back(worker, keeps && !frame.keep_for.is_empty());
                let kept = kept.await;
                Ok((answer, kept))
            }
            Ok(Err(Silence::Died)) => Err(worker.autopsy(wall_clock).await),
            Ok(Err(Silence::Lied(what))) => {
                worker.kill().await;
                Err(SandboxError::Crashed {
                    detail: format!("an answer that cannot be: {what}"),
                })
            }
            Err(_) => {
                worker.kill().await;
                Err(SandboxError::TimedOut { wall_clock })
            }
        }
    }

    /// How tightly children are closed on this kernel, as one of them says.
    ///
    /// # Errors
    /// [`SandboxError::Start`] when it ended before it could say, [`SandboxError::Closed`] after the
    /// shutdown.
    pub async fn confinement(&self) -> Result<Confinement, SandboxError> {
        let closed = |_| SandboxError::Closed;
        let _turn = self.shared.turns.acquire().await.map_err(closed)?;
        let _running = self.shared.running.acquire().await.map_err(closed)?;
        let mut worker = self.take_fresh()?;
        let confinement = worker.ready().await?.clone();
        self.shared.idle.put(worker);
        Ok(confinement)
    }

    /// Gives a child its task, once it is closed.
    async fn hand_over(
        &self,
        worker: &mut Worker,
        frame: &TaskFrame,
        original: &OwnedFd,
    ) -> Result<(), SandboxError> {
        let confinement = worker.ready().await?;
        if confinement.is_open() && !self.shared.settings.may_be_open {
            return Err(SandboxError::Open(confinement.clone()));
        }
        if worker.serves.is_none() {
            let settings = &self.shared.settings;
            let own = settings.memory_of_tenants.of(&self.tenant_id);
            let less = Some(own).filter(|own| *own < settings.memory_bytes);
            worker.belong_to(self.tenant_id.clone(), self.pace, less)?;
        }
        // Who does not read what he is sent is no better than who does not answer.
        let sent = worker.send(frame, original);
        let sent = tokio::time::timeout(self.shared.settings.wall_clock, sent).await;
        Ok(sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??)
    }

    /// Waits for the tasks that run, turns away those that wait, and ends all children.
    pub async fn shutdown(&self) {
        self.shared.budget.close();
        self.shared.turns.close();
        let all = u32::try_from(self.shared.settings.processes.max(1)).unwrap_or(u32::MAX);
        let _running = self.shared.running.acquire_many(all).await;
        let idle = self.shared.idle.take_all();
        for worker in idle {
            worker.kill().await;
        }
    }

    /// A child that is this tenant's already and goes at this pace, or nobody's.
    fn take(&self) -> Result<Worker, SandboxError> {
        let idle = &self.shared.idle;
        if let Some(worker) = idle.take_of(&self.tenant_id, self.pace) {
            return Ok(worker);
        }
        // Where there is room for another, what is kept is left for who comes for it.
        let has_room = idle.of_tenants() <= self.shared.running.available_permits();
        let kept = (!has_room).then(|| idle.take_keeping(&self.tenant_id, self.pace));
        match kept.flatten() {
            Some(worker) => Ok(worker),
            None => self.take_fresh(),
        }
    }

    /// A child that has seen nothing; others make room for it.
    fn take_fresh(&self) -> Result<Worker, SandboxError> {
        let settings = &self.shared.settings;
        let fresh = self.shared.idle.take_fresh();
        // Who asks has taken his turn: as many more may be a tenant's as there are turns left.
        let turns_left = self.shared.running.available_permits();
        self.shared.idle.keep_of_tenants(turns_left);
        match fresh {
            Some(worker) => Ok(worker),
            None => Ok(Worker::start(settings)?),
        }
    }

    /// Starts what is missing of the children that are kept ready.
    fn keep_ready(&self) {
        let settings = &self.shared.settings;
        for _ in self.shared.idle.fresh()..settings.spares {
            // Where it fails, who needs one tries again and says so.
            if let Ok(fresh) = Worker::start(settings) {
                self.shared.idle.put(fresh);
            }
        }
    }

    /// Puts a child by for the next task; what it keeps for one, if it is to.
    async fn put_back(&self, worker: Worker, keeps: bool) -> Option<KeptPicture> {
        let kept_bytes = worker.resident_bytes().unwrap_or(0);
        if worker.tasks_left > 0 && kept_bytes <= self.shared.settings.kept_bytes {
            if keeps {
                return Some(KeptPicture::put(&self.shared, worker));
            }
            self.shared.idle.put(worker);
            return None;
        }
        worker.kill().await;
        // Ready for the next task. Where it fails, that task tries again and says so.
        if let Ok(fresh) = Worker::start(&self.shared.settings) {
            self.shared.idle.put(fresh);
        }
        None
    }
}

fn refused(code: &str, detail: &str) -> SandboxError {
    SandboxError::Refused {
        code: child_code(code).unwrap_or(Code::DecodeCrashed),
        detail: tame(detail),
    }
}

/// An answer to another task than the child was given; `check_answer` lets none through.
fn unanswered() -> SandboxError {
    SandboxError::Crashed {
        detail: "an answer to another task".to_owned(),
    }
}

/// An answer as the service sees it.
fn reply(answer: Answer, task: &RenderTask) -> Result<RenderReply, SandboxError> {
    match answer.frame.outcome {
        Outcome::Refused { code, detail } => Err(refused(&code, &detail)),
        Outcome::Read { .. } | Outcome::Cleaned { .. } => Err(unanswered()),
        Outcome::Done {
            media,
            width,
            height,
            thumbhash,
            picture_hash,
            scores,
            metadata,
            pictures,
            keeps: _,
        } => Ok(RenderReply {
            media,
            width,
            height,
            renditions: task
                .presets
                .iter()
                .zip(pictures)
                .zip(answer.pictures)
                .map(|((preset, picture), bytes)| Rendition {
                    preset: *preset,
                    width: picture.width,
                    height: picture.height,
                    bytes,
                })
                .collect(),
            thumbhash,
            picture_hash: picture_hash.map(PictureHash),
            scores,
            metadata,
            cpu_us: answer.frame.cpu_us,
            max_rss_bytes: answer.frame.max_rss_bytes,
        }),
    }
}
