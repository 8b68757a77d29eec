//! Listing everything, page by page.

use aws_sdk_s3::Client;

use super::drive::{Answer, Outcome, failed};
use super::step::Op;
use crate::harness::*;

pub async fn objects(client: &Client, op: &Op) -> Outcome {
    let Op::List {
        prefix,
        delimiter,
        after,
        page,
        first_version,
    } = op
    else {
        panic!("{op:?} does not list");
    };
    let delimiter = (!delimiter.is_empty()).then(|| delimiter.clone());
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let (mut marker, mut token) = (after.clone(), None);
    loop {
        let (contents, common, truncated, next) = if *first_version {
            let list = client
                .list_objects()
                .bucket(BUCKET)
                .prefix(prefix)
                .max_keys(*page);
            let list = list
                .set_delimiter(delimiter.clone())
                .set_marker(marker.clone());
            let listed = list.send().await.map_err(failed)?;
            (
                listed.contents,
                listed.common_prefixes,
                listed.is_truncated,
                listed.next_marker,
            )
        } else {
            let list = client
                .list_objects_v2()
                .bucket(BUCKET)
                .prefix(prefix)
                .max_keys(*page);
            let list = list
                .set_delimiter(delimiter.clone())
                .set_start_after(after.clone());
            let listed = list
                .set_continuation_token(token)
                .send()
                .await
                .map_err(failed)?;
            (
                listed.contents,
                listed.common_prefixes,
                listed.is_truncated,
                listed.next_continuation_token,
            )
        };
        let mut names: Vec<(String, Option<String>)> = contents
            .unwrap_or_default()
            .into_iter()
            .map(|object| (object.key.unwrap(), object.e_tag))
            .chain(
                common
                    .unwrap_or_default()
                    .into_iter()
                    .map(|common| (common.prefix.unwrap(), None)),
            )
            .collect();
        names.sort();
        found.extend(names);
        if truncated != Some(true) {
            return Ok(Answer::Listed(found));
        }
        marker = next
            .clone()
            .or_else(|| found.last().map(|(name, _)| name.clone()));
        token = next;
    }
}

pub async fn uploads(client: &Client, prefix: &str, page: i32) -> Outcome {
    let mut found = Vec::new();
    let (mut key, mut id) = (None, None);
    loop {
        let list = client
            .list_multipart_uploads()
            .bucket(BUCKET)
            .prefix(prefix)
            .max_uploads(page);
        let listed = list
            .set_key_marker(key)
            .set_upload_id_marker(id)
            .send()
            .await
            .map_err(failed)?;
        let one = |upload: &aws_sdk_s3::types::MultipartUpload| {
            (
                upload.key().unwrap().to_owned(),
                upload.upload_id().unwrap().to_owned(),
            )
        };
        found.extend(listed.uploads().iter().map(one));
        if listed.is_truncated() != Some(true) {
            return Ok(Answer::Uploads(found));
        }
        key = listed.next_key_marker;
        id = listed.next_upload_id_marker;
    }
}
