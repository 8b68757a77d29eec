//! Telling a store what to do, without a network between.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use s3s::dto::*;
use s3s::{Body, S3, S3Request, S3Result};

use crate::fault::blocking;
use crate::record::PartRecord;
use crate::rewrite::rewrite;
use crate::store::DiskStore;
use crate::tags::Tags;

pub(super) const BUCKET: &str = "originals";

/// What a store is told.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Put(&'static str, Vec<u8>),
    Delete(&'static str),
    Copy(&'static str, &'static str),
    Tag(&'static str, &'static str),
    /// Begins an upload; it gets the next number, from 0.
    Create(&'static str),
    Part(usize, i32, Vec<u8>),
    /// Completes an upload with these parts.
    Complete(usize, &'static [i32]),
    Abort(usize),
    MakeBucket(&'static str),
    RemoveBucket(&'static str),
}

/// What a client knows that there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Bytes and the value of a tag by key.
    pub objects: BTreeMap<String, (Vec<u8>, Option<String>)>,
    /// Parts by the number of the upload, with their ETags, as far as it is open.
    pub uploads: BTreeMap<usize, BTreeMap<i32, Vec<u8>>>,
    pub buckets: BTreeSet<String>,
}

/// A client of a store.
#[derive(Default, Clone)]
pub(super) struct Client {
    /// Key and id by number.
    pub uploads: Vec<(&'static str, String)>,
    etags: BTreeMap<(usize, i32), ETag>,
}

pub(super) fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::from_static("/"),
        headers: http::HeaderMap::new(),
        extensions: http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

fn blob(bytes: &[u8]) -> (Option<StreamingBlob>, Option<i64>) {
    let body = Body::from(bytes::Bytes::copy_from_slice(bytes));
    (Some(StreamingBlob::from(body)), Some(bytes.len() as i64))
}

impl Client {
    /// Does it, and tells what there is then, if it was done. A store without disk space may refuse.
    pub(super) async fn act(
        &mut self,
        store: &DiskStore,
        act: &Act,
        known: &Known,
    ) -> S3Result<Known> {
        let mut known = known.clone();
        match act {
            Act::Put(key, bytes) => {
                let (body, content_length) = blob(bytes);
                let input = PutObjectInput::builder()
                    .bucket(BUCKET.to_owned())
                    .key((*key).to_owned())
                    .body(body)
                    .content_length(content_length)
                    .build()
                    .unwrap();
                store.put_object(request(input)).await?;
                known
                    .objects
                    .insert((*key).to_owned(), (bytes.clone(), None));
            }
            Act::Delete(key) => {
                let input = DeleteObjectInput::builder()
                    .bucket(BUCKET.to_owned())
                    .key((*key).to_owned())
                    .build()
                    .unwrap();
                store.delete_object(request(input)).await?;
                known.objects.remove(*key);
            }
            Act::Copy(from, to) => {
                let input = CopyObjectInput::builder()
                    .bucket(BUCKET.to_owned())
                    .key((*to).to_owned())
                    .copy_source(CopySource::Bucket {
                        bucket: BUCKET.into(),
                        key: (*from).into(),
                        version_id: None,
                    })
                    .build()
                    .unwrap();
                store.copy_object(request(input)).await?;
                let copied = known.objects[*from].clone();
                known.objects.insert((*to).to_owned(), copied);
            }
            Act::Tag(key, value) => {
                let (store, key) = (store.clone(), *key);
                let tags = Tags::of_header(Some(&format!("t={value}")))?;
                blocking(move || {
                    rewrite(&store, BUCKET, key, None, |record| {
                        record.tags = tags;
                        Ok(())
                    })
                })
                .await?;
                if let Some(object) = known.objects.get_mut(key) {
                    object.1 = Some((*value).to_owned());
                }
            }
            Act::Create(key) => {
                let input = CreateMultipartUploadInput::builder()
                    .bucket(BUCKET.to_owned())
                    .key((*key).to_owned())
                    .build()
                    .unwrap();
                let output = store.create_multipart_upload(request(input)).await?;
                known.uploads.insert(self.uploads.len(), BTreeMap::new());
                self.uploads.push((key, output.output.upload_id.unwrap()));
            }
            Act::Part(upload, number, bytes) => {
                let (body, content_length) = blob(bytes);
                let (key, id) = self.uploads[*upload].clone();
                let input = UploadPartInput::builder()
                    .bucket(BUCKET.to_owned())
                    .key(key.to_owned())
                    .upload_id(id)
                    .part_number(*number)
                    .body(body)
                    .content_length(content_length)
                    .build()
                    .unwrap();
                let output = store.upload_part(request(input)).await?;
                self.etags
                    .insert((*upload, *number), output.output.e_tag.unwrap());
                known
                    .uploads
                    .get_mut(upload)
                    .unwrap()
                    .insert(*number, bytes.clone());
            }
            Act::Complete(upload, parts) => {
                let (key, id) = self.uploads[*upload].clone();
                let listed = parts.iter().map(|number| CompletedPart {
                    part_number: Some(*number),
                    e_tag: self.etags.get(&(*upload, *number)).cloned(),
                    ..CompletedPart::default()
                });
                let input = CompleteMultipartUploadInput::builder()
                    .bucket(BUCKET.to_owned())
                    .key(key.to_owned())
                    .upload_id(id)
                    .multipart_upload(Some(CompletedMultipartUpload {
                        parts: Some(listed.collect()),
                    }))
                    .build()
                    .unwrap();
                store.complete_multipart_upload(request(input)).await?;
                // Repeated, it changes nothing.
                if let Some(of) = known.uploads.remove(upload) {
                    let bytes = parts.iter().flat_map(|number| of[number].clone()).collect();
                    known.objects.insert(key.to_owned(), (bytes, None));
                }
            }
            Act::Abort(upload) => {
                let (key, id) = self.uploads[*upload].clone();
                let input = AbortMultipartUploadInput::builder()
                    .bucket(BUCKET.to_owned())
                    .key(key.to_owned())
                    .upload_id(id)
                    .build()
                    .unwrap();
                store.abort_multipart_upload(request(input)).await?;
                known.uploads.remove(upload);
            }
            Act::MakeBucket(bucket) => {
                let input = CreateBucketInput::builder()
                    .bucket((*bucket).to_owned())
                    .build()
                    .unwrap();
                store.create_bucket(request(input)).await?;
                known.buckets.insert((*bucket).to_owned());
            }
            Act::RemoveBucket(bucket) => {
                let input = DeleteBucketInput::builder()
                    .bucket((*bucket).to_owned())
                    .build()
                    .unwrap();
                store.delete_bucket(request(input)).await?;
                known.buckets.remove(*bucket);
            }
        }
        Ok(known)
    }

    /// What there really is. Uploads that this client does not know have no number and must have no parts.
    pub(super) async fn look(&self, store: &DiskStore) -> S3Result<Known> {
        let mut known = Known::default();
        let buckets = store.inner.buckets_after("").into_iter();
        known.buckets = buckets.map(|(name, _)| name).collect();
        let input = ListObjectsV2Input::builder()
            .bucket(BUCKET.to_owned())
            .build()
            .unwrap();
        let listed = store.list_objects_v2(request(input)).await?;
        for key in listed
            .output
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|o| o.key)
        {
            let object = (self.get(store, &key).await?, self.tag(store, &key).await?);
            known.objects.insert(key, object);
        }
        let input = ListMultipartUploadsInput::builder()
            .bucket(BUCKET.to_owned())
            .build()
            .unwrap();
        let listed = store.list_multipart_uploads(request(input)).await?;
        for upload in listed.output.uploads.unwrap_or_default() {
            let id = upload.upload_id.unwrap();
            let number = self.uploads.iter().position(|(_, of)| *of == id);
            let parts = self.parts(store, &upload.key.unwrap(), &id).await?;
            match number {
                Some(number) => drop(known.uploads.insert(number, parts)),
                None => assert!(
                    parts.is_empty(),
                    "an upload that nobody was told of has parts"
                ),
            }
        }
        Ok(known)
    }

    async fn get(&self, store: &DiskStore, key: &str) -> S3Result<Vec<u8>> {
        let input = GetObjectInput::builder()
            .bucket(BUCKET.to_owned())
            .key(key.to_owned())
            .build()
            .unwrap();
        let output = store.get_object(request(input)).await?;
        let mut body = output.output.body.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend(chunk.unwrap());
        }
        Ok(bytes)
    }

    async fn tag(&self, store: &DiskStore, key: &str) -> S3Result<Option<String>> {
        let input = GetObjectTaggingInput::builder()
            .bucket(BUCKET.to_owned())
            .key(key.to_owned())
            .build()
            .unwrap();
        let output = store.get_object_tagging(request(input)).await?;
        Ok(output.output.tag_set.into_iter().find_map(|tag| tag.value))
    }

    /// The parts of an upload; their bytes only if the client knows them.
    async fn parts(
        &self,
        store: &DiskStore,
        key: &str,
        id: &str,
    ) -> S3Result<BTreeMap<i32, Vec<u8>>> {
        let input = ListPartsInput::builder()
            .bucket(BUCKET.to_owned())
            .key(key.to_owned())
            .upload_id(id.to_owned())
            .build()
            .unwrap();
        let output = store.list_parts(request(input)).await?;
        let mut parts = BTreeMap::new();
        for part in output.output.parts.unwrap_or_default() {
            let number = part.part_number.unwrap();
            let path = crate::upload::part_path(&store.inner.upload_dir(BUCKET, id), number as u16);
            let body = crate::sealed::open::<PartRecord>(&path)?.unwrap().body;
            let length = body.bytes();
            let mut body = body.read(0..length, crate::at_hand::How::Waiting)?;
            let mut bytes = Vec::new();
            while body.left_bytes() > 0 {
                bytes.extend(body.next(u64::MAX, crate::at_hand::How::Waiting)?);
            }
            parts.insert(number, bytes);
        }
        Ok(parts)
    }
}
