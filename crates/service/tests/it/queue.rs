//! The executor, with a handler that does as the test says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use safelight_catalog::jobs::{self, Job, NewJob};
use safelight_catalog::{Backend, Catalog, CatalogError, CatalogSettings, Tx};
use safelight_model::clock::{Clock, ManualClock, Micros};
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::entropy::SeededEntropy;
use safelight_model::ids;
use safelight_model::job::{JobKind, JobState};
use safelight_model::lane::{LEASE, Lane, MAX_ATTEMPTS};
use safelight_service::queue::{Executor, ExecutorSettings};
use safelight_service::work::{Handler, JobError, Lease, Results, results};
use safelight_testkit::postgres::Cluster;
use safelight_testkit::wait;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Long enough for any wait here on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// A wait that no test waits for.
const NEVER: Duration = Duration::from_secs(24 * 3600);

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn sqlite() {
                super::$name(super::Fixture::open(safelight_catalog::Backend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn postgres() {
                super::$name(super::Fixture::open(safelight_catalog::Backend::Postgres).await).await;
            }
        }
    )+ };
}

on_both!(
    results_and_the_end_of_the_job_are_one,
    a_handler_that_panics_is_tried_again,
    a_cancelled_job_dies_with_its_handler_told,
    the_last_attempt_buries,
    an_interactive_job_finds_its_slot_free,
    of_several_heavy_workers_one_is_kept_free,
    an_import_delays_anothers_single_photo_by_one_job_per_worker,
    covers_before_renditions_before_backfill,
    bulk_yields_as_soon_as_anything_else_waits,
    what_is_heavy_holds_up_its_like_alone,
    who_made_a_cover_goes_on_with_the_same_photo_unless_somebody_waits,
    going_on_leaves_the_reserved_slot_alone,
    backfill_leaves_a_seat_to_who_goes_on,
    that_seat_is_for_no_third_of_one_lane,
    what_failed_attempts_cost_is_added_up,
    a_lost_bell_is_made_good_by_polling,
    stopping_lets_jobs_finish_and_takes_no_more,
    what_does_not_finish_in_time_is_given_back,
    a_killed_workers_job_is_rescued,
    a_killed_workers_last_attempt_is_told,
    a_lost_lease_stops_the_handler,
    a_late_finish_changes_nothing,
);

struct Fixture {
    catalog: Catalog,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    url: String,
    _directory: Option<TempDir>,
}

impl Fixture {
    async fn open(backend: Backend) -> Self {
        let (url, directory) = match backend {
            Backend::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("catalog.db");
                (format!("sqlite://{}", path.display()), Some(directory))
            }
            Backend::Postgres => {
                let made = || Cluster::shared().unwrap().fresh_database().unwrap();
                (tokio::task::block_in_place(made), None)
            }
        };
        let clock = Arc::new(ManualClock::at(Micros(1_795_000_000_000_000)));
        let catalog = connect(&url, &clock).await;
        Self {
            catalog,
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            url,
            _directory: directory,
        }
    }

    /// Adds a job for `subject` through `catalog`.
    async fn add_through(&self, catalog: &Catalog, lane: Lane, subject: &str) {
        self.add_job(catalog, lane, CostClass::Light, "o", subject)
            .await;
    }

    async fn add_of(&self, owner: &str, lane: Lane, class: CostClass, subject: &str) {
        self.add_job(&self.catalog, lane, class, owner, subject)
            .await;
    }

    async fn add_job(
        &self,
        catalog: &Catalog,
        lane: Lane,
        class: CostClass,
        owner: &str,
        subject: &str,
    ) {
        let id = ids::fresh(ids::JOB, self.clock.now(), &*self.entropy);
        let (subject, owner) = (subject.to_owned(), owner.to_owned());
        let unique_key = format!("{} {subject}", lane.as_str());
        let added = catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move {
                    let now = tx.now().await?;
                    let job = NewJob {
                        tenant_id: "ten_1",
                        job_id: &id,
                        kind: JobKind::Derive,
                        lane,
                        class,
                        owner_id: &owner,
                        subject_id: &subject,
                        unique_key: &unique_key,
                        goes_first: false,
                        run_at: now,
                        now,
                    };
                    jobs::enqueue(tx, &job).await
                })
            })
            .await;
        assert!(added.unwrap());
    }

    async fn add(&self, lane: Lane, subject: &str) {
        self.add_through(&self.catalog, lane, subject).await;
    }

    async fn find(&self, job: &Job) -> Option<(Job, JobState)> {
        let mut reader = self.catalog.reader().await.unwrap();
        jobs::find(&mut reader.tx(), &job.tenant_id, &job.job_id)
            .await
            .unwrap()
    }

    /// Waits until the job stands in `state`; `None`: until it is done.
    async fn stands(&self, job: &Job, state: Option<JobState>) -> Option<Job> {
        wait::until_some(DEADLINE, async || {
            let found = self.find(job).await;
            (found.as_ref().map(|(_, s)| *s) == state).then_some(found.map(|(job, _)| job))
        })
        .await
        .unwrap()
    }

    /// What the toy handler wrote: one word for each results committed and each burial told.
    async fn written(&self) -> Vec<String> {
        let mut reader = self.catalog.reader().await.unwrap();
        let rows = reader
            .tx()
            .rows("SELECT name FROM tenants ORDER BY tenant_id", &[])
            .await
            .unwrap();
        rows.iter().map(|row| row.text(0).unwrap()).collect()
    }

    /// So many workers, and none that does interactive jobs alone.
    fn start(&self, workers: usize, change: impl FnOnce(&mut ExecutorSettings)) -> Working {
        let (handler, runs) = toy();
        let mut settings = ExecutorSettings::for_workers(workers, "wrk_1".to_owned());
        settings.cover_workers = 0;
        settings.display_workers = 0;
        settings.poll = Duration::from_millis(20);
        settings.rescue = Duration::from_millis(20);
        settings.drain = NEVER;
        change(&mut settings);
        let stop = CancellationToken::new();
        let executor = Executor::start(
            self.catalog.clone(),
            handler,
            self.entropy.clone(),
            settings,
            stop.clone(),
        );
        Working {
            executor,
            stop,
            runs,
        }
    }
}

async fn connect(url: &str, clock: &Arc<ManualClock>) -> Catalog {
    let clock: Arc<dyn Clock> = clock.clone();
    let settings = CatalogSettings {
        connections: 16,
        clock: Some(clock),
        ..CatalogSettings::for_url(url)
    };
    Catalog::open(settings).await.unwrap()
}

struct Working {
    executor: Executor,
    stop: CancellationToken,
    runs: mpsc::UnboundedReceiver<Run>,
}

impl Working {
    /// The next run that the handler begins.
    async fn next(&mut self) -> Run {
        timeout(DEADLINE, self.runs.recv()).await.unwrap().unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.executor.drained()).await.unwrap();
    }
}

enum Answer {
    Done,
    Fail(JobError),
    Panic,
    PanicInResults,
}

/// A run that waits for its answer.
struct Run {
    lease: Lease,
    answer: oneshot::Sender<Answer>,
}

impl Run {
    fn subject(&self) -> &str {
        &self.lease.job.subject_id
    }

    /// Answers; the job.
    fn answer(self, answer: Answer) -> Job {
        assert!(self.answer.send(answer).is_ok(), "the run is over");
        self.lease.job
    }
}

struct Toy {
    runs: mpsc::UnboundedSender<Run>,
}

fn toy() -> (Arc<Toy>, mpsc::UnboundedReceiver<Run>) {
    let (runs, begun) = mpsc::unbounded_channel();
    (Arc::new(Toy { runs }), begun)
}

async fn note(tx: &mut Tx<'_>, key: &str, word: &str) -> Result<(), CatalogError> {
    let sql = "INSERT INTO tenants (tenant_id, name, created_at) VALUES ($1, $2, 0)";
    tx.exec(sql, &[key.into(), word.into()]).await.map(|_| ())
}

#[async_trait]
impl Handler for Toy {
    async fn run(&self, lease: &Lease) -> Result<Results, JobError> {
        let (answer, told) = oneshot::channel();
        self.runs
            .send(Run {
                lease: lease.clone(),
                answer,
            })
            .unwrap();
        match told.await.unwrap() {
            Answer::Fail(error) => Err(error),
            Answer::Panic => panic!("as told"),
            Answer::PanicInResults => Ok(results(|_| {
                Box::pin(async move { panic!("as told, while writing") })
            })),
            Answer::Done => {
                let (key, word) = (
                    lease.job.job_id.clone(),
                    format!("done {}", lease.job.fence),
                );
                Ok(results(move |tx| {
                    Box::pin(async move { Ok(note(tx, &key, &word).await?) })
                }))
            }
        }
    }

    fn goes_on_with(&self, job: &Job) -> Option<JobKind> {
        let is_cover = job.lane == Lane::Interactive && job.subject_id.starts_with("photo");
        is_cover.then_some(JobKind::Derive)
    }

    async fn buried(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        code: Code,
        detail: &str,
    ) -> Result<(), CatalogError> {
        note(tx, &job.job_id, &format!("buried {code} {detail}")).await
    }
}

fn retry(after: Duration) -> Answer {
    Answer::Fail(JobError::Retry {
        after: Some(after),
        code: Code::StoreUnavailable,
        detail: "no answer".to_owned(),
    })
}

async fn results_and_the_end_of_the_job_are_one(f: Fixture) {
    let mut working = f.start(2, |_| {});
    f.add(Lane::Standard, "s").await;
    let job = working.next().await.answer(Answer::PanicInResults);
    f.stands(&job, Some(JobState::Scheduled)).await;
    assert!(f.written().await.is_empty());
    f.clock.advance(Duration::from_secs(1));
    let job = working.next().await.answer(Answer::Done);
    f.stands(&job, None).await;
    assert_eq!(f.written().await, ["done 2"]);
    working.stop().await;
}

async fn a_handler_that_panics_is_tried_again(f: Fixture) {
    let mut working = f.start(1, |_| {});
    f.add(Lane::Standard, "s").await;
    let job = working.next().await.answer(Answer::Panic);
    let job = f.stands(&job, Some(JobState::Scheduled)).await.unwrap();
    assert_eq!(job.error_code.as_deref(), Some("internal"));
    assert!(
        job.run_at < f.clock.now().plus(Duration::from_secs(1)),
        "the first back-off"
    );
    f.clock.advance(Duration::from_secs(1));
    let job = working.next().await.answer(Answer::Done);
    assert_eq!(job.attempts, 2);
    f.stands(&job, None).await;
    working.stop().await;
}

async fn a_cancelled_job_dies_with_its_handler_told(f: Fixture) {
    let mut working = f.start(1, |_| {});
    f.add(Lane::Standard, "s").await;
    let error = JobError::Cancel {
        code: Code::MediaCorrupt,
        detail: "cut off".to_owned(),
    };
    let job = working.next().await.answer(Answer::Fail(error));
    let dead = f.stands(&job, Some(JobState::Dead)).await.unwrap();
    assert_eq!(dead.error_code.as_deref(), Some("media_corrupt"));
    assert_eq!(f.written().await, ["buried media_corrupt cut off"]);
    working.stop().await;
}

async fn the_last_attempt_buries(f: Fixture) {
    let mut working = f.start(1, |_| {});
    f.add(Lane::Standard, "s").await;
    // Too early is no attempt.
    let snooze = JobError::Snooze {
        after: Duration::ZERO,
    };
    let mut job = working.next().await.answer(Answer::Fail(snooze));
    for attempt in 1..=MAX_ATTEMPTS {
        job = working.next().await.answer(retry(Duration::ZERO));
        assert_eq!(job.attempts, attempt);
    }
    f.stands(&job, Some(JobState::Dead)).await;
    assert_eq!(f.written().await, ["buried store_unavailable no answer"]);
    working.stop().await;
}

async fn an_interactive_job_finds_its_slot_free(f: Fixture) {
    for n in 0..20 {
        f.add(Lane::Standard, &format!("s{n}")).await;
    }
    let mut working = f.start(2, |settings| settings.cover_workers = 1);
    let [first, second] = [working.next().await, working.next().await];
    let mut subjects = [first.subject(), second.subject()];
    subjects.sort_unstable();
    assert_eq!(subjects, ["s0", "s1"]);
    // Both workers are busy, and the interactive job is begun all the same.
    f.add(Lane::Interactive, "i0").await;
    let interactive = working.next().await;
    assert_eq!(interactive.subject(), "i0");
    // Whichever slot frees, the next interactive job has it.
    f.add(Lane::Interactive, "i1").await;
    first.answer(Answer::Done);
    let urgent = working.next().await;
    assert_eq!(urgent.subject(), "i1");
    interactive.answer(Answer::Done);
    let third = working.next().await;
    assert_eq!(third.subject(), "s2");
    urgent.answer(Answer::Done);
    second.answer(Answer::Done);
    // The rest: two at once and never a third, who would take the place kept for what is urgent.
    let mut held = third;
    for n in 3..20 {
        let next = working.next().await;
        assert_eq!(next.subject(), format!("s{n}"));
        assert!(working.runs.try_recv().is_err());
        held.answer(Answer::Done);
        held = next;
    }
    held.answer(Answer::Done);
    working.stop().await;
    assert_eq!(f.written().await.len(), 22);
}

async fn of_several_heavy_workers_one_is_kept_free(f: Fixture) {
    let heavy = CostClass::Heavy;
    for n in 0..4 {
        f.add_of("o", Lane::Standard, heavy, &format!("s{n}")).await;
    }
    let mut working = f.start(1, |settings| settings.heavy_workers = 2);
    let standard = working.next().await;
    f.add_of("o", Lane::Interactive, heavy, "i0").await;
    let interactive = working.next().await;
    assert_eq!([standard.subject(), interactive.subject()], ["s0", "i0"]);
    interactive.answer(Answer::Done);
    let mut held = standard;
    for n in 1..4 {
        assert!(working.runs.try_recv().is_err());
        held.answer(Answer::Done);
        held = working.next().await;
        assert_eq!(held.subject(), format!("s{n}"));
    }
    held.answer(Answer::Done);
    working.stop().await;
}

async fn an_import_delays_anothers_single_photo_by_one_job_per_worker(f: Fixture) {
    const WORKERS: usize = 2;
    let (lane, class) = (Lane::Interactive, CostClass::Light);
    for n in 0..500 {
        f.add_of("importer", lane, class, &format!("i{n}")).await;
    }
    let mut working = f.start(WORKERS, |_| {});
    let mut running = Vec::new();
    for _ in 0..WORKERS {
        running.push(working.next().await);
    }
    f.add_of("another", lane, class, "single").await;
    // Each worker ends the job it has, and begins one more at most before the single one.
    let mut begun = Vec::new();
    for run in running {
        run.answer(Answer::Done);
        let next = working.next().await;
        begun.push(next.subject().to_owned());
        next.answer(Answer::Done);
    }
    while !begun.iter().any(|subject| subject == "single") {
        assert!(begun.len() < 2 * WORKERS, "{begun:?}");
        let next = working.next().await;
        begun.push(next.subject().to_owned());
        next.answer(Answer::Done);
    }
    let before = begun.iter().position(|subject| subject == "single");
    assert!(before.unwrap() <= WORKERS, "{begun:?}");
    // The importer goes on; there is no need to see all of it.
    assert!(working.next().await.subject().starts_with('i'));
    working.stop.cancel();
}

async fn covers_before_renditions_before_backfill(f: Fixture) {
    let lanes = [Lane::Bulk, Lane::Standard, Lane::Interactive];
    for lane in lanes {
        for n in 0..7 {
            f.add(lane, &format!("{} {n}", lane.as_str())).await;
        }
    }
    let mut working = f.start(1, |_| {});
    let mut begun = Vec::new();
    for _ in 0..lanes.len() * 7 {
        begun.push(working.next().await.answer(Answer::Done).lane);
    }
    assert!(begun.is_sorted(), "{begun:?}");
    working.stop().await;
}

async fn bulk_yields_as_soon_as_anything_else_waits(f: Fixture) {
    for n in 0..20 {
        f.add(Lane::Bulk, &format!("b{n}")).await;
    }
    let mut working = f.start(1, |settings| settings.cover_workers = 1);
    let backfill = working.next().await;
    assert_eq!(backfill.lease.job.lane, Lane::Bulk);
    f.add(Lane::Interactive, "i0").await;
    let interactive = working.next().await;
    assert_eq!(interactive.subject(), "i0");
    // Both are busy. What arrives now goes before all the backfill that waits.
    f.add(Lane::Standard, "s0").await;
    f.add(Lane::Interactive, "i1").await;
    backfill.answer(Answer::Done);
    let second = working.next().await;
    assert_eq!(second.subject(), "i1");
    interactive.answer(Answer::Done);
    let standard = working.next().await;
    assert_eq!(standard.subject(), "s0");
    second.answer(Answer::Done);
    // One slot is there for what is urgent alone; the other had something that is not backfill.
    standard.answer(Answer::Done);
    assert_eq!(working.next().await.answer(Answer::Done).lane, Lane::Bulk);
    working.stop.cancel();
}

async fn what_is_heavy_holds_up_its_like_alone(f: Fixture) {
    for n in 0..3 {
        let (heavy, clip) = (format!("heavy{n}"), format!("clip{n}"));
        f.add_of("o", Lane::Interactive, CostClass::Heavy, &heavy)
            .await;
        f.add_of("o", Lane::Interactive, CostClass::Video, &clip)
            .await;
    }
    let mut working = f.start(2, |settings| {
        (settings.heavy_workers, settings.video_workers) = (1, 1);
    });
    let mut held = [working.next().await, working.next().await];
    held.sort_by(|a, b| a.subject().cmp(b.subject()));
    assert_eq!(held.each_ref().map(Run::subject), ["clip0", "heavy0"]);
    // As many light ones go at once as if there were nothing else, of every lane.
    f.add(Lane::Standard, "s0").await;
    let standard = working.next().await;
    f.add(Lane::Interactive, "i0").await;
    let interactive = working.next().await;
    assert_eq!([standard.subject(), interactive.subject()], ["s0", "i0"]);
    standard.answer(Answer::Done);
    interactive.answer(Answer::Done);
    for n in 1..20 {
        f.add(Lane::Interactive, &format!("i{n}")).await;
        let run = working.next().await;
        assert_eq!(run.subject(), format!("i{n}"));
        run.answer(Answer::Done);
    }
    let [clip, heavy] = held;
    heavy.answer(Answer::Done);
    let next = working.next().await;
    assert_eq!(next.subject(), "heavy1");
    clip.answer(Answer::Done);
    assert_eq!(
        working.next().await.answer(Answer::Done).subject_id,
        "clip1"
    );
    next.answer(Answer::Done);
    for _ in 0..2 {
        working.next().await.answer(Answer::Done);
    }
    working.stop().await;
}

async fn who_made_a_cover_goes_on_with_the_same_photo_unless_somebody_waits(f: Fixture) {
    for n in 0..3 {
        f.add(Lane::Standard, &format!("s{n}")).await;
    }
    f.add(Lane::Standard, "photo0").await;
    f.add(Lane::Interactive, "photo0").await;
    let mut working = f.start(1, |_| {});
    let cover = working.next().await.answer(Answer::Done);
    assert_eq!(
        (&*cover.subject_id, cover.lane),
        ("photo0", Lane::Interactive)
    );
    let same = working.next().await;
    let job = &same.lease.job;
    assert_eq!((same.subject(), job.lane), ("photo0", Lane::Standard));
    assert_eq!((job.attempts, job.fence), (1, 1));
    // It is leased as any other.
    assert_eq!(f.find(job).await.unwrap().1, JobState::Leased);

    f.add(Lane::Interactive, "photo1").await;
    f.add(Lane::Standard, "photo1").await;
    same.answer(Answer::Done);
    let cover = working.next().await;
    f.add(Lane::Interactive, "i0").await;
    assert_eq!(cover.answer(Answer::Done).subject_id, "photo1");
    assert_eq!(working.next().await.answer(Answer::Done).subject_id, "i0");
    // Nothing is at hand any more: the lane has its order.
    for subject in ["s0", "s1", "s2", "photo1"] {
        assert_eq!(
            working.next().await.answer(Answer::Done).subject_id,
            subject
        );
    }
    working.stop().await;
    assert_eq!(f.written().await.len(), 8);
}

async fn going_on_leaves_the_reserved_slot_alone(f: Fixture) {
    f.add(Lane::Standard, "s0").await;
    let mut working = f.start(1, |settings| settings.cover_workers = 1);
    let standard = working.next().await;
    f.add(Lane::Interactive, "photo0").await;
    f.add(Lane::Standard, "photo0").await;
    let cover = working.next().await.answer(Answer::Done);
    assert_eq!(cover.lane, Lane::Interactive);
    f.stands(&cover, None).await;
    // The only seat for others is taken, so the slot is there for this one.
    f.add(Lane::Interactive, "i0").await;
    assert_eq!(working.next().await.answer(Answer::Done).subject_id, "i0");
    standard.answer(Answer::Done);
    let same = working.next().await.answer(Answer::Done);
    assert_eq!((&*same.subject_id, same.lane), ("photo0", Lane::Standard));
    working.stop().await;
}

fn with_a_seat_more(settings: &mut ExecutorSettings) {
    settings.cover_workers = 1;
    settings.display_workers = 1;
}

/// Adds a cover, which is begun, and no more than that: who takes it would have taken another. Whether who made it may go on.
async fn no_third_is_taken(f: &Fixture, working: &mut Working) -> bool {
    f.add(Lane::Interactive, "last").await;
    let last = working.next().await;
    assert_eq!(last.subject(), "last");
    let may_go_on = (last.lease.may_go_on.0)();
    let job = last.answer(Answer::Done);
    f.stands(&job, None).await;
    assert!(working.runs.try_recv().is_err());
    may_go_on
}

async fn backfill_leaves_a_seat_to_who_goes_on(f: Fixture) {
    for n in 0..4 {
        f.add(Lane::Bulk, &format!("b{n}")).await;
    }
    let mut working = f.start(2, with_a_seat_more);
    let backfill = [working.next().await, working.next().await];
    f.add(Lane::Interactive, "seen").await;
    let seen = working.next().await;
    assert_eq!(seen.subject(), "seen");
    assert!((seen.lease.may_go_on.0)());
    f.add(Lane::Standard, "larger").await;
    let larger = working.next().await;
    assert_eq!(larger.subject(), "larger");
    assert!(!(seen.lease.may_go_on.0)(), "the seat is taken");
    for run in [seen, larger] {
        let job = run.answer(Answer::Done);
        f.stands(&job, None).await;
    }
    // That seat is for no third of these.
    let may_go_on = no_third_is_taken(&f, &mut working).await;
    assert!(may_go_on);
    for run in backfill {
        run.answer(Answer::Done);
    }
    for _ in 0..2 {
        working.next().await.answer(Answer::Done);
    }
    working.stop().await;
}

async fn that_seat_is_for_no_third_of_one_lane(f: Fixture) {
    for n in 0..4 {
        f.add(Lane::Standard, &format!("s{n}")).await;
    }
    let mut working = f.start(2, with_a_seat_more);
    let larger = [working.next().await, working.next().await];
    // Nor for backfill, which would begin before the others of these.
    f.add(Lane::Bulk, "b").await;
    let may_go_on = no_third_is_taken(&f, &mut working).await;
    assert!(!may_go_on);
    let mut running = VecDeque::from(larger);
    for next in ["s2", "s3", "b"] {
        running.pop_front().unwrap().answer(Answer::Done);
        let run = working.next().await;
        assert_eq!(run.subject(), next);
        running.push_back(run);
    }
    for run in running {
        run.answer(Answer::Done);
    }
    working.stop().await;
}

async fn what_failed_attempts_cost_is_added_up(f: Fixture) {
    let mut working = f.start(1, |_| {});
    f.add(Lane::Standard, "s").await;
    for cpu_us in [1_500, 20] {
        let run = working.next().await;
        run.lease.cpu_us.fetch_add(cpu_us, Ordering::SeqCst);
        run.answer(retry(Duration::ZERO));
    }
    let run = working.next().await;
    assert_eq!(run.lease.job.cpu_us, 1_520);
    run.lease.cpu_us.fetch_add(7, Ordering::SeqCst);
    let error = JobError::Cancel {
        code: Code::MediaCorrupt,
        detail: "cut off".to_owned(),
    };
    let job = run.answer(Answer::Fail(error));
    let dead = f.stands(&job, Some(JobState::Dead)).await.unwrap();
    assert_eq!(dead.cpu_us, 1_527);
    working.stop().await;
}

async fn a_lost_bell_is_made_good_by_polling(f: Fixture) {
    let mut working = f.start(1, |_| {});
    // A row that nobody rang for.
    let other = connect(&f.url, &f.clock).await;
    let copy = "INSERT INTO jobs (tenant_id, job_id, kind, lane, owner_id, subject_id, unique_key, state, \
                turn, run_at, attempts, fence, enqueued_at, updated_at) \
                VALUES ('t', 'job_1', 'derive', 'bulk', 'o', 'silent', 'k', 'queued', 1000, 0, 0, 0, 0, 0)";
    other
        .write::<_, CatalogError, _>(move |tx| Box::pin(async move { tx.exec(copy, &[]).await }))
        .await
        .unwrap();
    let job = working.next().await.answer(Answer::Done);
    assert_eq!(job.subject_id, "silent");
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_process_is_heard_without_polling() {
    let f = Fixture::open(Backend::Postgres).await;
    let other = connect(&f.url, &f.clock).await;
    f.add(Lane::Interactive, "first").await;
    let mut working = f.start(2, |settings| settings.poll = NEVER);
    // While this one runs and a slot is free the executor waits for nothing but the bell.
    let first = working.next().await;
    // The listener may not be connected yet: ring until it is.
    let mut rings = 0;
    let heard = wait::until_some(DEADLINE, async || {
        rings += 1;
        f.add_through(&other, Lane::Interactive, &format!("ring{rings}"))
            .await;
        working.runs.try_recv().ok()
    })
    .await
    .unwrap();
    heard.answer(Answer::Done);
    first.answer(Answer::Done);
    for _ in 1..rings {
        working.next().await.answer(Answer::Done);
    }
    working.stop().await;
    assert_eq!(f.written().await.len(), rings + 1);
}

async fn stopping_lets_jobs_finish_and_takes_no_more(f: Fixture) {
    let mut working = f.start(1, |_| {});
    f.add(Lane::Standard, "s0").await;
    let run = working.next().await;
    f.add(Lane::Standard, "s1").await;
    working.stop.cancel();
    let job = run.answer(Answer::Done);
    timeout(DEADLINE, working.executor.drained()).await.unwrap();
    assert!(f.find(&job).await.is_none());
    assert!(working.runs.try_recv().is_err());
    assert_eq!(f.written().await, ["done 1"]);
    // The next process goes on.
    let mut working = f.start(1, |_| {});
    assert_eq!(working.next().await.answer(Answer::Done).subject_id, "s1");
    working.stop().await;
}

async fn what_does_not_finish_in_time_is_given_back(f: Fixture) {
    let mut working = f.start(1, |settings| settings.drain = Duration::ZERO);
    f.add(Lane::Standard, "s").await;
    let mut run = working.next().await;
    working.stop().await;
    assert!(run.lease.cancelled.is_cancelled());
    timeout(DEADLINE, run.answer.closed()).await.unwrap();
    let (job, state) = f.find(&run.lease.job).await.unwrap();
    // The workers of another class may have queued it again before they stopped.
    assert!(job.attempts == 0 && matches!(state, JobState::Scheduled | JobState::Queued));
    let mut working = f.start(1, |_| {});
    assert_eq!(working.next().await.answer(Answer::Done).attempts, 1);
    working.stop().await;
}

/// Has an executor of another process take the next job and die; the job.
async fn killed(f: &Fixture) -> Job {
    let (url, clock, entropy) = (f.url.clone(), f.clock.clone(), f.entropy.clone());
    let process = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let run = runtime.block_on(async {
            let (handler, mut runs) = toy();
            let settings = ExecutorSettings::for_workers(1, "wrk_dead".to_owned());
            let catalog = connect(&url, &clock).await;
            let stop = CancellationToken::new();
            let _executor = Executor::start(catalog, handler, entropy, settings, stop);
            timeout(DEADLINE, runs.recv()).await.unwrap().unwrap()
        });
        runtime.shutdown_background();
        run.lease.job
    };
    tokio::task::spawn_blocking(process).await.unwrap()
}

async fn a_killed_workers_job_is_rescued(f: Fixture) {
    f.add(Lane::Interactive, "s").await;
    let job = killed(&f).await;
    let mut working = f.start(1, |_| {});
    assert_eq!(f.find(&job).await.unwrap().1, JobState::Leased);
    f.clock.advance(LEASE);
    let again = working.next().await.answer(Answer::Done);
    assert_eq!(
        (again.job_id.clone(), again.fence, again.attempts),
        (job.job_id, 2, 2)
    );
    f.stands(&again, None).await;
    assert_eq!(f.written().await, ["done 2"]);
    working.stop().await;
}

async fn a_killed_workers_last_attempt_is_told(f: Fixture) {
    f.add(Lane::Interactive, "s").await;
    let last = format!("UPDATE jobs SET attempts = {}", MAX_ATTEMPTS - 1);
    f.catalog
        .write::<_, CatalogError, _>(move |tx| Box::pin(async move { tx.exec(&last, &[]).await }))
        .await
        .unwrap();
    let job = killed(&f).await;
    f.clock.advance(LEASE);
    let working = f.start(1, |_| {});
    f.stands(&job, Some(JobState::Dead)).await;
    assert_eq!(
        f.written().await,
        [format!("buried internal {}", jobs::LOST_DETAIL)]
    );
    working.stop().await;
}

/// Gives the job to somebody else, as if its lease had run out.
async fn steal(f: &Fixture) {
    f.clock.advance(LEASE);
    f.catalog
        .write::<_, CatalogError, _>(|tx| {
            Box::pin(async move {
                for job in jobs::expired(tx, 1).await? {
                    jobs::rescue(tx, &job).await?;
                }
                jobs::promote(tx).await?;
                let stolen =
                    jobs::claim(tx, Lane::Standard, CostClass::Light, "wrk_2", 1, NEVER).await?;
                assert_eq!(stolen.len(), 1);
                Ok(())
            })
        })
        .await
        .unwrap();
}

async fn a_lost_lease_stops_the_handler(f: Fixture) {
    let mut working = f.start(1, |settings| {
        settings.heartbeat = Duration::from_millis(20);
        settings.lease = NEVER;
        settings.rescue = NEVER;
    });
    f.add(Lane::Standard, "s").await;
    let mut run = working.next().await;
    // By force, since the heartbeats would keep it.
    f.catalog
        .write::<_, CatalogError, _>(|tx| {
            Box::pin(async move { tx.exec("UPDATE jobs SET fence = fence + 1", &[]).await })
        })
        .await
        .unwrap();
    timeout(DEADLINE, run.lease.cancelled.cancelled())
        .await
        .unwrap();
    timeout(DEADLINE, run.answer.closed()).await.unwrap();
    working.stop().await;
    assert_eq!(f.find(&run.lease.job).await.unwrap().1, JobState::Leased);
    assert!(f.written().await.is_empty());
}

async fn a_late_finish_changes_nothing(f: Fixture) {
    let mut working = f.start(1, |settings| {
        settings.heartbeat = NEVER;
        settings.rescue = NEVER;
    });
    f.add(Lane::Standard, "s").await;
    let run = working.next().await;
    steal(&f).await;
    let job = run.answer(Answer::Done);
    working.stop().await;
    let (now, state) = f.find(&job).await.unwrap();
    assert_eq!((now.fence, state), (2, JobState::Leased));
    assert!(f.written().await.is_empty(), "its results were taken back");
}
