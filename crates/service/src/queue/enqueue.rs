//! Asking for work, in the caller's transaction.

use safelight_catalog::jobs::{self, NewJob};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::cost_class::CostClass;
use safelight_model::ids;
use safelight_model::job::JobKind;
use safelight_model::lane::Lane;

use crate::context::{Context, Owner};

/// Where a job waits.
struct Place {
    lane: Lane,
    class: CostClass,
    goes_first: bool,
}

impl From<(Lane, CostClass)> for Place {
    fn from((lane, class): (Lane, CostClass)) -> Self {
        Self {
            lane,
            class,
            goes_first: false,
        }
    }
}

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

/// As [`enqueue_costing`], before what waits there, one of a tenant's at a time: for what is to be seen everywhere at once.
///
/// # Errors
/// What the database says.
pub async fn enqueue_first(
    tx: &mut Tx<'_>,
    context: &Context,
    class: CostClass,
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    let place = Place {
        lane: kind.lane(),
        class,
        goes_first: true,
    };
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

/// As [`enqueue_costing`], of what nobody waits for, and beside what somebody may ask for meanwhile: who waits for the same does not
/// stand behind this.
///
/// # Errors
/// What the database says.
pub async fn enqueue_backfill(
    tx: &mut Tx<'_>,
    context: &Context,
    class: CostClass,
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    let unique_key = format!("backfill:{}", unique_key(kind, subject_id));
    let place = (Lane::Bulk, class);
    add_as(tx, context, place, kind, owner, subject_id, &unique_key).await
}

/// Whether `kind` is to be done to `subject_id`, or is being done, and not only as backfill.
///
/// # Errors
/// What the database says.
pub async fn is_asked_for(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    kind: JobKind,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    jobs::is_live(tx, tenant_id, &unique_key(kind, subject_id)).await
}

/// Of which of these `kind` is to be done, or is being done, and not only as backfill.
///
/// # Errors
/// What the database says.
pub async fn asked_for<'a>(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    kind: JobKind,
    subjects: &[&'a str],
) -> Result<Vec<&'a str>, CatalogError> {
    let keys: Vec<String> = subjects.iter().map(|id| unique_key(kind, id)).collect();
    let live = jobs::live_among(tx, tenant_id, &keys).await?;
    let both = subjects.iter().zip(&keys);
    Ok(both
        .filter(|(_, key)| live.contains(*key))
        .map(|(id, _)| *id)
        .collect())
}

fn unique_key(kind: JobKind, subject_id: &str) -> String {
    format!("{}:{subject_id}", kind.as_str())
}

async fn add(
    tx: &mut Tx<'_>,
    context: &Context,
    place: impl Into<Place>,
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
) -> Result<bool, CatalogError> {
    let unique_key = unique_key(kind, subject_id);
    add_as(tx, context, place, kind, owner, subject_id, &unique_key).await
}

async fn add_as(
    tx: &mut Tx<'_>,
    context: &Context,
    place: impl Into<Place>,
    kind: JobKind,
    owner: &Owner,
    subject_id: &str,
    unique_key: &str,
) -> Result<bool, CatalogError> {
    let now = tx.now().await?;
    let place = match context.settings.lanes {
        true => place.into(),
        false => ONE_LANE.into(),
    };
    let job = NewJob {
        tenant_id: &owner.tenant_id,
        job_id: &context.fresh_id(ids::JOB),
        kind,
        lane: place.lane,
        class: place.class,
        owner_id: &owner.owner_id,
        subject_id,
        unique_key,
        goes_first: place.goes_first,
        run_at: now,
        now,
    };
    jobs::enqueue(tx, &job).await
}
