//! Keeps the catalog's mark as far as the catalog is: every process does, whatever its roles, for what it commits itself.
//!
//! To a catalog that was restored from a copy, what was committed after that copy looks like nobody's. The mark in the store
//! tells it so, if it was raised since. So a commit that such a copy would miss has the mark raised a moment later; what
//! comes while that is not so long ago waits for the next time. Where nothing is committed, nothing is written but every
//! [`EVERY`], and the store is asked each half minute whether somebody else uses it too.

use std::time::Duration;

use safelight_catalog::catalog_mark::{self as rows, CatalogMark};
use tokio_util::sync::CancellationToken;

use super::catalog_mark::{EVERY, MarkError, doubt, raise};
use super::hear_others::Known;
use super::held_back::is_doubted;
use crate::context::Context;

/// How long after a commit the mark is raised at the earliest, so that one mark does for many.
const GATHERED: Duration = Duration::from_secs(1);
/// How often it is raised at most, by all processes of a catalog: so much, and no more, may a copy lack that does not know it.
pub const AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// How often the store is asked, also where nothing happens.
const LOOKS_EVERY: Duration = Duration::from_secs(30);
/// How long raising may take when the process is to end.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What the mark stands for so far, of the commits of this process.
#[derive(Debug, Default)]
pub struct KeptMark {
    /// `None` at a start: what was committed before it is not known, and the mark may have been left half raised.
    covered: Option<u64>,
    /// Commits that a mark is wanted for, and the mark as it was read behind them. Whatever is in the store later and was not known
    /// then was raised after them.
    wanted: Option<(u64, Known)>,
}

impl KeptMark {
    /// Of a process that starts now.
    fn at_start(watch: Watch) -> Self {
        Self {
            // One that serves whatever catalog names its bytes has nothing to say of its own.
            covered: (watch == Watch::NotKept).then_some(0),
            wanted: None,
        }
    }

    /// Raises the mark if this process has committed something that it does not stand for yet, and it was not raised in
    /// the last `gap`. Whether it stands for everything now.
    ///
    /// # Errors
    /// If catalog or store fail.
    pub async fn keep_up(&mut self, context: &Context, gap: Duration) -> Result<bool, MarkError> {
        // Before the row is read: what comes behind it is for the next time.
        let commits = context.catalog.outdating_commits();
        if self.wanted.is_none() && self.covered == Some(commits) {
            return Ok(true);
        }
        if self.settle(&find(context).await?, commits) {
            return Ok(true);
        }
        raise(context, context.now().minus(gap)).await?;
        Ok(self.settle(&find(context).await?, commits))
    }

    fn settle(&mut self, mark: &Option<CatalogMark>, commits: u64) -> bool {
        let Some(mark) = mark else { return false };
        if let Some((covered, _)) = self.wanted.take_if(|(_, known)| known.is_passed_by(mark)) {
            self.covered = Some(covered);
        }
        if self.wanted.is_none() && self.covered != Some(commits) {
            self.wanted = Some((commits, Known::of(mark)));
        }
        self.wanted.is_none()
    }
}

async fn find(context: &Context) -> Result<Option<CatalogMark>, MarkError> {
    Ok(rows::find(&mut context.catalog.reader().await?.tx()).await?)
}

/// What a process does about the mark besides raising it behind its own commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// It raises the mark at its start, looks for others in the store, and says there when it finds any.
    Kept,
    /// Nothing: one that only stores bytes works for whatever catalog names them, and need not know which that is.
    NotKept,
}

/// Works until it is told to stop, and raises the mark a last time then.
pub async fn run(context: Context, watch: Watch, stop: CancellationToken) {
    let bell = context.catalog.outdated_bell();
    let mut kept = KeptMark::at_start(watch);
    if watch == Watch::Kept {
        tell(start(&context, &mut kept).await);
    }
    while !stop.is_cancelled() {
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let is_behind = kept.covered != Some(context.catalog.outdating_commits());
        tokio::select! {
            () = stop.cancelled() => break,
            // What was not raised a moment ago since another was quicker, or since the store was away.
            () = tokio::time::sleep(if is_behind { AT_MOST_EVERY } else { LOOKS_EVERY }) => {}
            () = &mut rung, if !is_behind => {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(GATHERED) => {}
                }
            }
        }
        match kept.keep_up(&context, AT_MOST_EVERY).await {
            Ok(_) if watch == Watch::Kept => {
                tell(look(&context).await);
                tell(listen(&context).await);
            }
            other => tell(other),
        }
    }
    let last = kept.keep_up(&context, Duration::ZERO);
    match tokio::time::timeout(LAST_WORD, last).await {
        Ok(outcome) => tell(outcome),
        Err(_) => tracing::warn!(
            "the catalog's mark was not raised at the end: the store does not answer"
        ),
    }
}

/// Raises the mark whatever the time, since who restores a catalog starts its servers behind it.
async fn start(context: &Context, kept: &mut KeptMark) -> Result<(), MarkError> {
    let commits = context.catalog.outdating_commits();
    kept.settle(&find(context).await?, commits);
    context.hearing.begin(context).await?;
    raise(context, context.now()).await?;
    listen(context).await
}

/// Goes on hearing whether others contest it, so that removals need not begin with that.
async fn listen(context: &Context) -> Result<(), MarkError> {
    if !is_doubted(context).await? {
        context.hearing.wait(context).await?;
    }
    Ok(())
}

/// Looks whether somebody else was there, and raises the mark if it was not for long.
async fn look(context: &Context) -> Result<(), MarkError> {
    raise(context, context.now().minus(EVERY)).await?;
    doubt(context).await.map(|_| ())
}

fn tell<T>(outcome: Result<T, MarkError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "the catalog's mark was not raised");
    }
}
