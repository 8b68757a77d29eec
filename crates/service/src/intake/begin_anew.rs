//! An upload that begins anew as one that is appended to: on a link that breaks before a part is through, parts never arrive,
//! however often they are sent. What was signed for it and what had arrived stays behind under its old key, and is removed as
//! that of an upload that was given up.

use safelight_catalog::CatalogError;
use safelight_catalog::uploads::{self, Anew, MOST_BEGUN_ANEW, Replan, Upload};
use safelight_model::ids;
use safelight_objects::ObjectKey;

use super::may_be_sent::may_be_sent;
use super::read_upload::arrived;
use super::sign_urls::SignError;
use crate::context::Context;

/// Whether it may: not if all of it has arrived, of which perhaps only the answer was lost, and not without end.
pub(super) async fn may_begin_anew(context: &Context, upload: &Upload) -> Result<bool, SignError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let all = uploads::of_asset(tx, &upload.tenant_id, &upload.asset_id).await?;
    drop(reader);
    if i64::try_from(all.len()).is_ok_and(|n| n > MOST_BEGUN_ANEW) {
        return Ok(false);
    }
    let there = arrived(context, upload).await?;
    let there_bytes: i64 = there.iter().map(|part| part.size_bytes).sum();
    if there_bytes > 0 {
        return Ok(there_bytes < upload.size_bytes);
    }
    // A completion whose answer was lost leaves no parts, but the object.
    let key = ObjectKey::parse(&upload.object_key)?;
    let object = context.objects.head(&key).await?;
    Ok(object.is_none_or(|object| object.size_bytes != upload.size_bytes))
}

/// Has it begin anew by this plan; none if it is no longer as it was read.
pub(super) async fn begin_anew(
    context: &Context,
    mut upload: Upload,
    to: Replan,
) -> Result<Option<Upload>, SignError> {
    let now = context.now();
    let key = ObjectKey::original(&upload.tenant_id, now, context.entropy.as_ref())?;
    let anew = Anew {
        object_key: key.as_str().to_owned(),
        left_id: context.fresh_id(ids::UPLOAD),
        now,
    };
    let (as_read, changes, under) = (upload.clone(), to.clone(), anew.clone());
    let of = context.clone();
    let written = context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                if !uploads::begin_anew(tx, &as_read, &changes, &under).await? {
                    return Ok(false);
                }
                may_be_sent(tx, &of, &as_read).await?;
                // Whoever looks after uploads removes at once what it leaves behind.
                tx.ring().await?;
                Ok::<_, CatalogError>(true)
            })
        })
        .await?;
    if !written {
        return Ok(None);
    }
    metrics::counter!("safelight_uploads_begun_anew_total").increment(1);
    tracing::debug!(
        upload_id = upload.upload_id,
        left_behind = anew.left_id,
        "an upload began anew"
    );
    upload.object_key = anew.object_key;
    upload.store_upload_id = None;
    upload.part_checksum = None;
    upload.intent = None;
    upload.version += 1;
    upload.transport = to.transport;
    upload.part_size_bytes = to.part_size_bytes;
    upload.concurrency = to.concurrency;
    upload.advice = to.advice;
    Ok(Some(upload))
}
