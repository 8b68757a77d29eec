//! DeleteObjects.

use futures::{StreamExt as _, stream};
use s3s::dto::{
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition, Error, ObjectIdentifier,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::access::DeniedKeys;
use crate::conditions::WriteConditions;
use crate::document;
use crate::events::Cause;
use crate::fault::blocking;
use crate::keys::denied;
use crate::remove::remove;
use crate::store::DiskStore;
use crate::unsupported::{not_implemented, refuse_version};

/// The most that one request may name, as on Amazon S3.
const MOST_OBJECTS: usize = 1000;
/// So many are removed at a time: their syncs can then share the disk's.
const AT_A_TIME: usize = 16;

pub(super) async fn delete_objects(
    store: &DiskStore,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    document::verify_required(&request)?;
    // Whoever checked the access left this; without it everything is denied.
    let Some(DeniedKeys(denied_keys)) = request.extensions.get().cloned() else {
        return Err(denied());
    };
    let DeleteObjectsInput { bucket, delete, .. } = request.input;
    store.inner.require_bucket(&bucket)?;
    if delete.objects.is_empty() || delete.objects.len() > MOST_OBJECTS {
        return Err(s3_error!(
            MalformedXML,
            "A request names 1 to {MOST_OBJECTS} objects."
        ));
    }
    if delete.objects.iter().any(|object| object.key.is_empty()) {
        return Err(s3_error!(MalformedXML, "An object without a key."));
    }
    let removals = delete.objects.into_iter().map(|object| {
        let (store, bucket, key) = (store.clone(), bucket.clone(), object.key.clone());
        let is_denied = denied_keys.contains(&key);
        async move {
            if is_denied {
                return (key, Err(denied()));
            }
            let removed = blocking(move || remove_one(&store, &bucket, object)).await;
            (key, removed)
        }
    });
    let outcomes: Vec<(String, S3Result<()>)> =
        stream::iter(removals).buffered(AT_A_TIME).collect().await;
    let mut output = DeleteObjectsOutput::default();
    let quiet = delete.quiet == Some(true);
    for (key, removed) in outcomes {
        match removed {
            Ok(()) if quiet => {}
            Ok(()) => output.deleted.get_or_insert_default().push(DeletedObject {
                key: Some(key),
                ..DeletedObject::default()
            }),
            Err(error) => output.errors.get_or_insert_default().push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(key),
                message: error.message().map(str::to_owned),
                version_id: None,
            }),
        }
    }
    Ok(S3Response::new(output))
}

fn remove_one(store: &DiskStore, bucket: &str, object: ObjectIdentifier) -> S3Result<()> {
    if !s3s::path::check_key(&object.key) {
        return Err(s3_error!(KeyTooLongError, "Your key is too long."));
    }
    refuse_version(object.version_id.as_deref())?;
    if object.last_modified_time.is_some() || object.size.is_some() {
        return Err(not_implemented("conditions on time and size"));
    }
    let conditions = WriteConditions {
        if_match: object.e_tag.map(|e_tag| match e_tag.value() {
            "*" => ETagCondition::Any,
            _ => ETagCondition::ETag(e_tag),
        }),
        ..WriteConditions::default()
    };
    remove(store, bucket, &object.key, Cause::Delete, |current| {
        conditions.check(current).map(|()| true)
    })
    .map(drop)
}
