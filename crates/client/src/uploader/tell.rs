//! How transfers went, for the operator: each is told with its own completion, and those that failed or were cancelled with
//! the next one.

use std::sync::atomic::{AtomicU32, Ordering};

use safelight_api::uploads::TransferReport;

use super::Uploader;
use crate::conditions::NetworkKind;
use crate::journal::JournalError;

/// Reports that go with one completion, besides its own.
const AT_ONCE: usize = 16;

/// Counts the tries of one file.
#[derive(Debug, Default)]
pub(super) struct Tally {
    attempts: AtomicU32,
    retries: AtomicU32,
    failed_parts: AtomicU32,
}

impl Tally {
    /// A request that carries bytes begins; `again` if others carried the same part before it.
    pub(super) fn attempt(&self, again: bool) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if again {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The first try of a part failed.
    pub(super) fn part_failed(&self) {
        self.failed_parts.fetch_add(1, Ordering::Relaxed);
    }
}

impl Uploader {
    fn report_of(&self, tally: &Tally, outcome: &str) -> Option<TransferReport> {
        let attempts = tally.attempts.load(Ordering::Relaxed);
        let network = self.settings.conditions.borrow().network;
        (attempts > 0).then(|| TransferReport {
            network: network
                .filter(|kind| *kind != NetworkKind::Offline)
                .map(|kind| kind.as_str().to_owned()),
            outcome: outcome.to_owned(),
            attempts,
            retries: tally.retries.load(Ordering::Relaxed),
            failed_parts: tally.failed_parts.load(Ordering::Relaxed),
        })
    }

    /// What goes with a completion, and by which numbers it is forgotten once it was told.
    pub(super) async fn reports_with(
        &self,
        tally: &Tally,
    ) -> Result<(Vec<TransferReport>, Vec<i64>), JournalError> {
        let kept = self.journal(|journal| journal.reports(AT_ONCE)).await?;
        // One that cannot be read is forgotten with the others.
        let seqs = kept.iter().map(|(seq, _)| *seq).collect();
        let reports = kept
            .iter()
            .filter_map(|(_, report)| serde_json::from_str(report).ok());
        Ok((
            reports.chain(self.report_of(tally, "completed")).collect(),
            seqs,
        ))
    }

    /// The server was told.
    pub(super) async fn told(&self, seqs: Vec<i64>) -> Result<(), JournalError> {
        if seqs.is_empty() {
            return Ok(());
        }
        self.journal(move |journal| journal.forget_reports(&seqs))
            .await
    }

    /// Keeps how a transfer ended that brings no completion.
    pub(super) async fn keep_report(
        &self,
        tally: &Tally,
        outcome: &str,
    ) -> Result<(), JournalError> {
        let Some(report) = self.report_of(tally, outcome) else {
            return Ok(());
        };
        let Ok(text) = serde_json::to_string(&report) else {
            return Ok(());
        };
        self.journal(move |journal| journal.keep_report(&text))
            .await
    }
}
