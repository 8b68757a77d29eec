//! Giving an upload up.

use super::access::Target;
use crate::context::{Context, Owner};
use crate::http::problem::Refused;
use crate::intake::abort_upload::abort_upload;
use crate::intake::append::take;

/// Gives it up, also if it was given up before.
///
/// # Errors
/// If there is none, it is whole, or the catalog fails.
pub(super) async fn give_up(context: &Context, target: &Target) -> Result<(), Refused> {
    let owner_id = target.owner_id.as_deref();
    let found = take::look(context, &target.tenant_id, &target.upload_id, owner_id).await?;
    let owner = Owner {
        tenant_id: found.tenant_id,
        owner_id: found.owner_id,
    };
    abort_upload(context, &owner, &target.upload_id, None).await?;
    Ok(())
}
