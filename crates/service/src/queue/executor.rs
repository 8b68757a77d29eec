//! Workers: they take jobs as slots become free, and drain when they are told to stop.

use std::sync::Arc;
use std::time::Duration;

use safelight_catalog::jobs::{self, Job, Outlook};
use safelight_catalog::{Catalog, CatalogError, Tx};
use safelight_model::cost_class::CostClass;
use safelight_model::entropy::{self, Entropy};
use safelight_model::lane::{HEARTBEAT, LEASE, Lane, Rota};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{Crew, Place, attempts};
use super::rescue;
use super::seats::{FreeSeats, Seats};
use crate::work::Handler;

/// How an executor works.
#[derive(Clone, Debug)]
pub struct ExecutorSettings {
    /// Light jobs done at once.
    pub workers: usize,
    /// Light jobs of the interactive lane done at once beside them, so that they wait for no others. With those kept free among
    /// `workers` instead, as many would stand idle whenever nobody waits for a cover.
    pub cover_workers: usize,
    /// Light jobs of the second lane done at once beside them where the third has all of them: who goes on with a picture that has just been
    /// seen waits for no AVIF of another. Neither lane may have more than `workers`, and none of the third begins beside so many of both.
    pub display_workers: usize,
    /// Heavy jobs done at once beside these. If more than one, one of them is always an interactive one, or none.
    pub heavy_workers: usize,
    /// Clips that something is done to at once beside these; the same holds for them.
    pub video_workers: usize,
    /// The name that stands in the rows it has leased.
    pub worker_id: String,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// How often a lease is renewed.
    pub heartbeat: Duration,
    /// How often it looks for work that no bell told it of.
    pub poll: Duration,
    /// How often it looks for jobs of silent workers.
    pub rescue: Duration,
    /// How long jobs that run may go on after the order to stop.
    pub drain: Duration,
}

impl ExecutorSettings {
    /// The defaults for `workers` slots.
    #[must_use]
    pub fn for_workers(workers: usize, worker_id: String) -> Self {
        Self {
            workers: workers.max(1),
            cover_workers: 1,
            display_workers: 1,
            heavy_workers: workers.div_ceil(2).max(1),
            video_workers: workers.div_ceil(2).max(1),
            worker_id,
            lease: LEASE,
            heartbeat: HEARTBEAT,
            poll: Duration::from_secs(1),
            rescue: Duration::from_secs(5),
            drain: Duration::from_secs(20),
        }
    }

    /// Slots for jobs of this class, seats among them, and how many of these each lane may take. There is one always: what nobody does
    /// waits for ever.
    fn slots_for(&self, class: CostClass) -> [usize; 3] {
        // Of few that take long, none is added: what is kept free is one of them.
        let few = |workers: usize| {
            let seats = workers.saturating_sub(1).max(1);
            [workers.max(1), seats, seats]
        };
        match class {
            CostClass::Light => {
                let each = self.workers.max(1);
                let seats = each.saturating_add(self.display_workers);
                [seats.saturating_add(self.cover_workers), seats, each]
            }
            CostClass::Heavy => few(self.heavy_workers),
            CostClass::Video => few(self.video_workers),
        }
    }
}

/// Workers that run in the background until their token is cancelled: a floor for each class of jobs, so that none takes a
/// place that another's job could have.
pub struct Executor {
    working: Vec<JoinHandle<()>>,
}

impl Executor {
    /// Starts the workers. Cancel `stop` to have them drained, then wait for [`Executor::drained`].
    #[must_use]
    pub fn start(
        catalog: Catalog,
        handler: Arc<dyn Handler>,
        entropy: Arc<dyn Entropy>,
        settings: ExecutorSettings,
        stop: CancellationToken,
    ) -> Self {
        let crew = Arc::new(Crew {
            catalog,
            entropy,
            handler,
            lease: settings.lease,
            heartbeat: settings.heartbeat,
            worker_id: settings.worker_id.clone(),
            stop: stop.clone(),
            give_back: CancellationToken::new(),
        });
        let sweeping = tokio::spawn(sweep(crew.clone(), settings.rescue, stop.clone()));
        let floors = CostClass::ALL.map(|class| Floor {
            crew: crew.clone(),
            class,
            settings: settings.clone(),
            seats: {
                let [_, seats, each] = settings.slots_for(class);
                Seats::new(seats, each)
            },
            running: JoinSet::new(),
            rota: None,
        });
        let working = floors.map(|floor| tokio::spawn(floor.work(stop.clone())));
        Self {
            working: working.into_iter().chain([sweeping]).collect(),
        }
    }

    /// Returns when everything is done or given back.
    pub async fn drained(self) {
        for working in self.working {
            if let Err(error) = working.await {
                tracing::error!(%error, "the executor broke");
            }
        }
    }
}

struct Floor {
    crew: Arc<Crew>,
    /// What is done here.
    class: CostClass,
    settings: ExecutorSettings,
    /// Seats for jobs of the other lanes: they leave some slots to the interactive lane.
    seats: Seats,
    running: JoinSet<()>,
    rota: Option<Rota>,
}

/// Slots that there are, or that can be filled now: in all, and seats.
#[derive(Clone, Copy)]
struct Free {
    any: usize,
    seats: FreeSeats,
}

impl Free {
    fn has(self, lane: Lane) -> bool {
        self.any.min(self.seats.of(lane)) > 0
    }

    fn take(&mut self, lane: Lane) {
        self.any = self.any.saturating_sub(1);
        self.seats.take(lane);
    }

    fn may_find(self, outlook: &Outlook) -> bool {
        let mut lanes = Lane::ALL.into_iter();
        lanes.any(|lane| self.has(lane) && outlook.may_have(lane))
    }
}

impl Floor {
    async fn work(mut self, stop: CancellationToken) {
        let bell = self.crew.catalog.bell();
        while !stop.is_cancelled() {
            // Listen before looking: what is rung in between is heard.
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            while self.running.try_join_next().is_some() {}
            let pause = self.fill().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "no jobs could be taken");
                self.settings.poll
            });
            let pause = pause.mul_f64(0.75 + entropy::fraction(self.crew.entropy.as_ref()) / 2.0);
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = self.running.join_next() => {}
                () = &mut rung => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.drain().await;
    }

    /// Takes as many jobs as there are slots for; how long to wait if no bell rings.
    async fn fill(&mut self) -> Result<Duration, CatalogError> {
        let poll = self.settings.poll;
        let [slots, ..] = self.settings.slots_for(self.class);
        let any = slots.saturating_sub(self.running.len());
        let seats = self.seats.free();
        let free = Free { any, seats };
        if any == 0 {
            return Ok(poll);
        }
        // Looking is cheap; only with a prospect is a transaction begun.
        let outlook =
            jobs::outlook(&mut self.crew.catalog.reader().await?.tx(), self.class).await?;
        if !free.may_find(&outlook) {
            let next = outlook.next_run_at.filter(|at| *at > outlook.now);
            return Ok(next.map_or(poll, |at| at.since(outlook.now).min(poll)));
        }
        // Held until it is known which of them are needed: who goes on with another job may not take one meanwhile, unless there is
        // nobody for it.
        let mut held = self.seats.hold(|lane| outlook.may_have(lane));
        let seats = held.count();
        let free = Free { any, seats };
        let rota = self
            .rota
            .clone()
            .unwrap_or_else(|| Rota::starting(outlook.now));
        let (worker, claimed) = (self.settings.clone(), Instant::now());
        let class = self.class;
        let (taken, rota) = self
            .crew
            .catalog
            .write(move |tx| Box::pin(async move { take(tx, class, rota, free, &worker).await }))
            .await?;
        self.rota = Some(rota);
        let mut seated = Vec::with_capacity(taken.len());
        for job in taken {
            let seat = held.take(job.lane);
            seated.push((job, seat));
        }
        // Before they begin: they look whether there is another.
        drop(held);
        for (job, seat) in seated {
            let place = Place {
                seats: self.seats.clone(),
                seat,
            };
            self.running
                .spawn(attempts(self.crew.clone(), place, job, claimed));
        }
        Ok(poll)
    }

    async fn drain(&mut self) {
        let time_is_up = tokio::time::sleep(self.settings.drain);
        tokio::pin!(time_is_up);
        loop {
            tokio::select! {
                ended = self.running.join_next() => if ended.is_none() { return },
                () = &mut time_is_up, if !self.crew.give_back.is_cancelled() => self.crew.give_back.cancel(),
            }
        }
    }
}

/// Leases a job of this class for every free slot, as the rota says.
async fn take(
    tx: &mut Tx<'_>,
    class: CostClass,
    mut rota: Rota,
    mut free: Free,
    worker: &ExecutorSettings,
) -> Result<(Vec<Job>, Rota), CatalogError> {
    jobs::promote(tx).await?;
    let mut taken = Vec::new();
    while free.any > 0 {
        let outlook = jobs::outlook(tx, class).await?;
        let order = rota.order(&outlook.waiting, outlook.now, |lane| free.has(lane));
        let Some(job) = first(tx, &order, class, worker).await? else {
            break;
        };
        rota.served(job.lane, outlook.now);
        free.take(job.lane);
        taken.push(job);
    }
    Ok((taken, rota))
}

async fn first(
    tx: &mut Tx<'_>,
    order: &[Lane],
    class: CostClass,
    worker: &ExecutorSettings,
) -> Result<Option<Job>, CatalogError> {
    for lane in order {
        let claimed = jobs::claim(tx, *lane, class, &worker.worker_id, 1, worker.lease).await?;
        if let Some(job) = claimed.into_iter().next() {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

async fn sweep(crew: Arc<Crew>, every: Duration, stop: CancellationToken) {
    loop {
        if let Err(error) = rescue::sweep(&crew.catalog, &crew.handler).await {
            tracing::warn!(%error, "no jobs could be rescued");
        }
        let pause = every.mul_f64(0.75 + entropy::fraction(crew.entropy.as_ref()) / 2.0);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
