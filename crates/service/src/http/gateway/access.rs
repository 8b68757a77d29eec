//! Who may touch an upload: who has its signed address, or its owner.

use axum::extract::FromRequestParts as _;
use http::request::Parts;
use safelight_model::codes::Code;

use crate::http::problem::Refused;
use crate::http::request::{Media, Path, Query};
use crate::http::router::AppState;
use crate::intake::append::links::{Protocol, Signature, path};

/// The upload that an address names, to whoever may touch it.
pub(super) struct Target {
    /// The owner whose upload it must be; none where the address itself was signed.
    pub(super) owner_id: Option<String>,
    pub(super) tenant_id: String,
    pub(super) upload_id: String,
}

/// The upload of a request.
///
/// # Errors
/// If neither the signature nor the credential will do.
pub(super) async fn access(
    state: &AppState,
    parts: &mut Parts,
    protocol: Protocol,
) -> Result<Target, Refused> {
    let Path((tenant_id, upload_id)) =
        Path::<(String, String)>::from_request_parts(parts, state).await?;
    let owner_id = may_touch(state, parts, protocol, &tenant_id, &upload_id).await?;
    Ok(Target {
        owner_id,
        tenant_id,
        upload_id,
    })
}

async fn may_touch(
    state: &AppState,
    parts: &mut Parts,
    protocol: Protocol,
    tenant_id: &str,
    upload_id: &str,
) -> Result<Option<String>, Refused> {
    let signature = Query::<Signature>::from_request_parts(parts, &())
        .await
        .ok();
    if let Some(Query(signature)) = signature {
        let path = path(protocol, tenant_id, upload_id);
        return if signature.is_for(&state.context, &path) {
            Ok(None)
        } else {
            Err(Refused::because(
                Code::Forbidden,
                "this address is not signed by this server, or its upload's time is over",
            ))
        };
    }
    let media = Media::from_request_parts(parts, state).await?;
    if media.owner.tenant_id != tenant_id {
        return Err(Refused::because(Code::NotFound, "there is no such upload"));
    }
    Ok(Some(media.owner.owner_id))
}
