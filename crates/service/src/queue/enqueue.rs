//! Asking for work, in the caller's transaction.

use safelight_catalog::jobs::{self, NewJob};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::cost_class::CostClass;
use safelight_model::ids;
use safelight_model::job::JobKind;
use safelight_model::lane::Lane;

use crate::context::{Context, Owner};

/// Where everything waits in a server that is to do without lanes: no worker is kept free from it.
const ONE_LANE: (Lane, CostClass) = (Lane::Interactive, CostClass::Light);

/// Asks that `kind` be done to `subject_id`, in the lane where that kind waits. It costs little. Workers are woken
/// after the caller's commit. `false`: it is asked for already and not done yet.
///
/// # Errors
/// What the database says.
pub async fn enqueue(
    tx: &mut Tx<'_>,
    context: &Context,
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    let place = (kind.lane(), CostClass::Light);
    add(tx, context, place, kind, owner, subject_id).await
}

/// As [`enqueue`], in a lane of the caller's choice.
///
/// # Errors
/// What the database says.
pub async fn enqueue_in(
    tx: &mut Tx<'_>,
    context: &Context,
    lane: Lane,
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    let place = (lane, CostClass::Light);
    add(tx, context, place, kind, owner, subject_id).await
}

/// As [`enqueue`], of what may cost more.
///
/// # Errors
/// What the database says.
pub async fn enqueue_costing(
    tx: &mut Tx<'_>,
    context: &Context,
    class: CostClass,
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    add(tx, context, (kind.lane(), class), kind, owner, subject_id).await
}

async fn add(
    tx: &mut Tx<'_>,
    context: &Context,
    place: (Lane, CostClass),
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    let now = tx.now().await?;
    let (lane, class) = if context.settings.lanes {
        place
    } else {
        ONE_LANE
    };
    let job = NewJob {
        tenant_id: &owner.tenant_id,
        job_id: &context.fresh_id(ids::JOB),
        kind,
        lane,
        class,
        owner_id: &owner.owner_id,
        subject_id,
        unique_key: &format!("{}:{subject_id}", kind.as_str()),
        run_at: now,
        now,
    };
    jobs::enqueue(tx, &job).await
}
