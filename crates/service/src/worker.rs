//! The worker: the role that does jobs. Which handler does which kind stands here and nowhere else.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use safelight_catalog::blobs;
use safelight_catalog::jobs::Job;
use safelight_catalog::{CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::job::JobKind;
use safelight_model::lane::Lane;

use crate::context::Context;
use crate::processing::sandbox::{Pace, Sandbox};
use crate::processing::{
    AtHand, clean_original, crop_picture, derive, derive_alternatives, derive_motion, hash_picture,
    inspect, read_metadata, transcode,
};
use crate::retention::{purge_blob, sweep};
use crate::work::{Handler, JobError, Lease, Results, results};

/// Does every kind of job.
pub struct Worker {
    /// Catalog, store, time.
    pub context: Context,
    /// Where bytes are decoded.
    pub sandbox: Sandbox,
    /// What was just fetched.
    pub at_hand: AtHand,
}

#[async_trait]
impl Handler for Worker {
    async fn run(&self, lease: &Lease) -> Result<Results, JobError> {
        let job = &lease.job;
        let pace = match job.lane {
            Lane::Interactive => Pace::Brisk,
            // ffmpeg goes behind pictures all the same.
            _ if job.kind == JobKind::DeriveMotion => Pace::Brisk,
            _ => Pace::Leisurely,
        };
        let sandbox = self
            .sandbox
            .serving(&job.tenant_id, pace, lease.cpu_us.clone());
        let done = match job.kind {
            JobKind::Inspect => inspect::run(&self.context, &sandbox, &self.at_hand, lease).await,
            JobKind::Crop => crop_picture::run(&self.context, &sandbox, job).await,
            JobKind::Derive => derive::run(&self.context, &sandbox, &self.at_hand, job).await,
            JobKind::DeriveJpeg | JobKind::DeriveLean | JobKind::DeriveAvif => {
                derive_alternatives::run(&self.context, &sandbox, job).await
            }
            JobKind::DeriveMotion => derive_motion::run(&self.context, &sandbox, job).await,
            JobKind::Transcode => transcode::run(&self.context, &sandbox, job).await,
            JobKind::Hash => hash_picture::run(&self.context, &sandbox, job).await,
            JobKind::ReadMetadata => read_metadata::run(&self.context, &sandbox, job).await,
            JobKind::Clean => clean_original::run(&self.context, &sandbox, job).await,
            JobKind::Purge => purge_blob::run(&self.context, job).await,
            JobKind::Sweep => sweep::run(&self.context).await,
        }?;
        // The row of a job that is done goes, with what its attempts took.
        let this_time = i64::try_from(lease.cpu_us.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
        let cpu_us = job.cpu_us.saturating_add(this_time);
        if cpu_us == 0 {
            return Ok(done);
        }
        let job = job.clone();
        Ok(results(move |tx| {
            Box::pin(async move {
                // First, as whoever deletes holds the blob first.
                blobs::spent(tx, &job.tenant_id, &job.subject_id, cpu_us).await?;
                done(tx).await
            })
        }))
    }

    fn goes_on_with(&self, job: &Job) -> Option<JobKind> {
        let is_cover = job.kind == JobKind::Inspect;
        (is_cover && self.at_hand.has(job)).then_some(JobKind::Derive)
    }

    fn put_down(&self, job: &Job) {
        self.at_hand.put_down(job);
    }

    async fn buried(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        code: Code,
        detail: &str,
    ) -> Result<(), CatalogError> {
        match job.kind {
            JobKind::Inspect => inspect::buried(tx, &self.context, job, code, detail).await,
            JobKind::Crop => crop_picture::buried(tx, &self.context, job, code, detail).await,
            JobKind::Derive | JobKind::Transcode => {
                derive::buried(tx, &self.context, job, code, detail).await
            }
            JobKind::DeriveJpeg | JobKind::DeriveLean | JobKind::DeriveAvif => {
                derive_alternatives::buried(tx, &self.context, job, code, detail).await
            }
            JobKind::DeriveMotion => {
                derive_motion::buried(tx, &self.context, job, code, detail).await
            }
            JobKind::Hash => hash_picture::buried(tx, &self.context, job).await,
            JobKind::ReadMetadata => read_metadata::buried(tx, &self.context, job).await,
            JobKind::Clean => clean_original::buried(tx, &self.context, job, code, detail).await,
            // What it was to remove stays doomed; the dead letter tells of it.
            JobKind::Purge => Ok(()),
            // The janitor asks for another.
            JobKind::Sweep => Ok(()),
        }
    }
}
