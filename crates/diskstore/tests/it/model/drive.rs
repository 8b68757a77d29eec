//! Carrying operations out over the S3 protocol.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedPart, Delete, MetadataDirective, ObjectIdentifier, Tag, Tagging,
    TaggingDirective,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::lists::{objects, uploads};
use super::step::{Op, Tags};
use crate::harness::*;
use crate::multipart::list;

/// What the store answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The status, and the code if there was a body for one.
    Failed(u16, Option<String>),
    Done,
    /// The ETag of what was written.
    Written(String),
    Got(Box<Got>),
    Tagged(Tags),
    Created(String),
    /// Numbers, sizes and ETags.
    Parts(Vec<(i32, i64, String)>),
    /// Keys, with ETags unless they are common prefixes.
    Listed(Vec<(String, Option<String>)>),
    Uploads(Vec<(String, String)>),
    /// The keys that were reported as deleted, and those that were not, with
    /// codes.
    Deleted(Vec<String>, Vec<(String, String)>),
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Got {
    pub body: Vec<u8>,
    pub etag: String,
    pub note: Option<String>,
    pub tag_count: usize,
    pub parts_count: Option<i32>,
    pub content_range: Option<String>,
}

pub type Outcome = Result<Answer, Answer>;

pub fn failed<E: ProvideErrorMetadata + std::fmt::Debug>(
    error: SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
) -> Answer {
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = error.as_service_error().and_then(|error| error.code());
    Answer::Failed(
        status.unwrap_or_else(|| panic!("no answer: {error:?}")),
        code.map(str::to_owned),
    )
}

pub async fn carry_out(client: &Client, op: &Op) -> Answer {
    let outcome = match op {
        Op::Put { .. }
        | Op::Copy { .. }
        | Op::Part { .. }
        | Op::PartCopy { .. }
        | Op::Complete { .. } => write(client, op).await,
        Op::List { .. } => objects(client, op).await,
        Op::ListUploads { prefix, page } => uploads(client, prefix, *page).await,
        _ => other(client, op).await,
    };
    outcome.unwrap_or_else(|failure| failure)
}

fn written(etag: Option<String>) -> Outcome {
    Ok(Answer::Written(etag.unwrap()))
}

fn query(tags: &Tags) -> Option<String> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = tags
        .iter()
        .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
        .collect();
    (!tags.is_empty()).then(|| pairs.join("&"))
}

fn source(key: &str) -> String {
    format!("{BUCKET}/{}", utf8_percent_encode(key, NON_ALPHANUMERIC))
}

async fn write(client: &Client, op: &Op) -> Outcome {
    match op.clone() {
        Op::Put {
            key,
            body,
            note,
            tags,
            if_match,
            if_none_match,
            sha256,
        } => {
            let put = client
                .put_object()
                .bucket(BUCKET)
                .key(key)
                .set_metadata(note.map(|note| [("note".to_owned(), note)].into()))
                .set_tagging(query(&tags))
                .set_if_match(if_match)
                .set_if_none_match(if_none_match.then(|| "*".to_owned()))
                .set_checksum_algorithm(sha256.then_some(ChecksumAlgorithm::Sha256))
                .body(body.into());
            written(put.send().await.map_err(failed)?.e_tag)
        }
        Op::Copy {
            from,
            to,
            note,
            tags,
            sha256,
            if_match,
        } => {
            let copy = client
                .copy_object()
                .bucket(BUCKET)
                .key(to)
                .copy_source(source(&from))
                .set_copy_source_if_match(if_match)
                .set_metadata_directive(note.as_ref().map(|_| MetadataDirective::Replace))
                .set_metadata(
                    note.flatten()
                        .map(|note| [("note".to_owned(), note)].into()),
                )
                .set_tagging_directive(tags.as_ref().map(|_| TaggingDirective::Replace))
                .set_tagging(tags.and_then(|tags| query(&tags)))
                .set_checksum_algorithm(sha256.then_some(ChecksumAlgorithm::Sha256));
            let copied = copy.send().await.map_err(failed)?;
            written(copied.copy_object_result.unwrap().e_tag)
        }
        Op::Part {
            key,
            id,
            number,
            body,
        } => {
            let part = client
                .upload_part()
                .bucket(BUCKET)
                .key(key)
                .upload_id(id)
                .part_number(number);
            written(part.body(body.into()).send().await.map_err(failed)?.e_tag)
        }
        Op::PartCopy {
            key,
            id,
            number,
            from,
            range,
        } => {
            let part = client
                .upload_part_copy()
                .bucket(BUCKET)
                .key(key)
                .upload_id(id)
                .part_number(number)
                .copy_source(source(&from))
                .set_copy_source_range(range.map(|(from, to)| format!("bytes={from}-{to}")));
            let copied = part.send().await.map_err(failed)?;
            written(copied.copy_part_result.unwrap().e_tag)
        }
        Op::Complete {
            key,
            id,
            parts,
            if_none_match,
        } => {
            let parts: Vec<CompletedPart> = parts
                .into_iter()
                .map(|(number, etag)| {
                    CompletedPart::builder()
                        .part_number(number)
                        .e_tag(etag)
                        .build()
                })
                .collect();
            let complete = client
                .complete_multipart_upload()
                .bucket(BUCKET)
                .key(key)
                .upload_id(id)
                .multipart_upload(list(&parts))
                .set_if_none_match(if_none_match.then(|| "*".to_owned()));
            written(complete.send().await.map_err(failed)?.e_tag)
        }
        op => panic!("{op:?} writes nothing"),
    }
}

async fn other(client: &Client, op: &Op) -> Outcome {
    match op.clone() {
        Op::Get {
            key,
            range,
            part,
            if_match,
            if_none_match,
        } => {
            let got = client
                .get_object()
                .bucket(BUCKET)
                .key(key)
                .set_range(range.map(|(from, to)| format!("bytes={from}-{to}")))
                .set_part_number(part)
                .set_if_match(if_match)
                .set_if_none_match(if_none_match)
                .send()
                .await
                .map_err(failed)?;
            Ok(Answer::Got(Box::new(Got {
                etag: got.e_tag.clone().unwrap(),
                note: got
                    .metadata()
                    .and_then(|metadata| metadata.get("note"))
                    .cloned(),
                tag_count: got.tag_count.unwrap_or(0) as usize,
                parts_count: got.parts_count,
                content_range: got.content_range.clone(),
                body: got.body.collect().await.unwrap().to_vec(),
            })))
        }
        Op::Delete { key, if_match } => {
            let delete = client
                .delete_object()
                .bucket(BUCKET)
                .key(key)
                .set_if_match(if_match);
            delete.send().await.map_err(failed)?;
            Ok(Answer::Done)
        }
        Op::DeleteMany { keys, quiet } => {
            let objects = keys.into_iter().map(|(key, etag)| {
                ObjectIdentifier::builder()
                    .key(key)
                    .set_e_tag(etag)
                    .build()
                    .unwrap()
            });
            let delete = Delete::builder()
                .set_objects(Some(objects.collect()))
                .quiet(quiet);
            let deleted = client
                .delete_objects()
                .bucket(BUCKET)
                .delete(delete.build().unwrap());
            let deleted = deleted.send().await.map_err(failed)?;
            let gone = deleted
                .deleted()
                .iter()
                .map(|one| one.key().unwrap().to_owned());
            let left = deleted.errors().iter().map(|one| {
                (
                    one.key().unwrap().to_owned(),
                    one.code().unwrap().to_owned(),
                )
            });
            Ok(Answer::Deleted(gone.collect(), left.collect()))
        }
        Op::Tags { key } => {
            let tags = client
                .get_object_tagging()
                .bucket(BUCKET)
                .key(key)
                .send()
                .await
                .map_err(failed)?;
            let tags = tags
                .tag_set()
                .iter()
                .map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
            Ok(Answer::Tagged(tags.collect::<BTreeMap<_, _>>()))
        }
        Op::Retag { key, tags: None } => {
            client
                .delete_object_tagging()
                .bucket(BUCKET)
                .key(key)
                .send()
                .await
                .map_err(failed)?;
            Ok(Answer::Done)
        }
        Op::Retag {
            key,
            tags: Some(tags),
        } => {
            let set = tags
                .iter()
                .map(|(k, v)| Tag::builder().key(k).value(v).build().unwrap());
            let tagging = Tagging::builder()
                .set_tag_set(Some(set.collect()))
                .build()
                .unwrap();
            let put = client
                .put_object_tagging()
                .bucket(BUCKET)
                .key(key)
                .tagging(tagging);
            put.send().await.map_err(failed)?;
            Ok(Answer::Done)
        }
        Op::Create { key, note, tags } => {
            let create = client
                .create_multipart_upload()
                .bucket(BUCKET)
                .key(key)
                .set_metadata(note.map(|note| [("note".to_owned(), note)].into()))
                .set_tagging(query(&tags));
            Ok(Answer::Created(
                create.send().await.map_err(failed)?.upload_id.unwrap(),
            ))
        }
        Op::ListParts { key, id } => {
            let parts = client
                .list_parts()
                .bucket(BUCKET)
                .key(key)
                .upload_id(id)
                .send()
                .await
                .map_err(failed)?;
            let part = |part: &aws_sdk_s3::types::Part| {
                (
                    part.part_number().unwrap(),
                    part.size().unwrap(),
                    part.e_tag().unwrap().to_owned(),
                )
            };
            Ok(Answer::Parts(parts.parts().iter().map(part).collect()))
        }
        Op::Abort { key, id } => {
            let abort = client
                .abort_multipart_upload()
                .bucket(BUCKET)
                .key(key)
                .upload_id(id);
            abort.send().await.map_err(failed)?;
            Ok(Answer::Done)
        }
        op => panic!("{op:?} is not here"),
    }
}
