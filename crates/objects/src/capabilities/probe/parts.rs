//! Parts: how large they must be, and what completions answer.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::answer::{Answer, settled};
use super::conditions::conditional;
use super::request::Put;
use super::{Failure, Probe};
use crate::ObjectKey;
use crate::capabilities::{DuplicateComplete, Treatment};

const MIB: usize = 1 << 20;
/// Sizes of a first part that are tried, in bytes: none too small, what Amazon S3 takes, and what
/// a store might want instead.
const SIZES: [usize; 5] = [1, 5 * MIB, 8 * MIB, 16 * MIB, 64 * MIB];

/// What was found about sizes.
pub(super) struct PartSizes {
    pub min_part_bytes: i64,
    pub equal_parts: bool,
}

/// An upload whose parts have arrived.
struct Whole {
    key: ObjectKey,
    upload: String,
    parts: CompletedMultipartUpload,
}

impl Probe<'_> {
    /// The first size that the store takes, and whether the next part may be larger than it.
    pub(super) async fn part_sizes(&self) -> Result<PartSizes, Failure> {
        let mut last = String::new();
        for size in SIZES {
            for (second, equal_parts) in [(size + 1, false), (size, true)] {
                match self.try_sizes(&[size, second, 1]).await? {
                    Ok(()) => {
                        return Ok(PartSizes {
                            min_part_bytes: i64::try_from(size).unwrap_or(i64::MAX),
                            equal_parts,
                        });
                    }
                    Err(answer) => {
                        last = answer.to_string();
                        if answer.code == "EntityTooSmall" {
                            break;
                        }
                    }
                }
            }
        }
        Err(Failure::Refused {
            what: "an upload in parts of any size up to 64 MiB",
            answer: last,
        })
    }

    async fn try_sizes(&self, sizes: &[usize]) -> Result<Result<(), Answer>, Failure> {
        match self.whole(self.key()?, sizes).await? {
            Ok(whole) => Ok(self.complete_whole(&whole, false).await?.map(|_| ())),
            Err(answer) => Ok(Err(answer)),
        }
    }

    /// Completes an upload twice.
    pub(super) async fn duplicate_complete(&self) -> Result<DuplicateComplete, Failure> {
        let Ok(whole) = self.whole(self.key()?, &[1]).await? else {
            return Ok(DuplicateComplete::Unknown);
        };
        let Ok(etag) = self.complete_whole(&whole, false).await? else {
            return Ok(DuplicateComplete::Unknown);
        };
        let again = self.complete_whole(&whole, false).await?;
        let head = self.objects.head(&whole.key).await?;
        let stands = head.is_some_and(|head| head.size_bytes == 1 && head.etag == etag);
        Ok(match again {
            _ if !stands => DuplicateComplete::Damages,
            Ok(same) if same == etag => DuplicateComplete::Succeeds,
            Ok(_) => DuplicateComplete::Damages,
            Err(answer) if answer.code == "NoSuchUpload" => DuplicateComplete::NoSuchUpload,
            Err(_) => DuplicateComplete::Fails,
        })
    }

    /// Completes an upload to a key that may be written once, and holds something.
    pub(super) async fn complete_if_none_match(&self) -> Result<Treatment, Failure> {
        let key = self.key()?;
        for attempt in 1..=2 {
            let Ok(whole) = self.whole(key.clone(), &[1]).await? else {
                return Ok(Treatment::Unknown);
            };
            match (self.complete_whole(&whole, true).await?, attempt) {
                (Ok(_), 1) => {}
                (Err(_), 1) => return Ok(Treatment::Refused),
                (Ok(_), _) => return Ok(Treatment::Ignored),
                (Err(answer), _) => return Ok(conditional(answer.status)),
            }
        }
        Ok(Treatment::Unknown)
    }

    /// Sends parts of these sizes, with their lengths signed and without checksums.
    async fn whole(
        &self,
        key: ObjectKey,
        sizes: &[usize],
    ) -> Result<Result<Whole, Answer>, Failure> {
        let upload = match self.begin(&key, None, None).await? {
            Ok(upload) => upload,
            Err(answer) => return Ok(Err(answer)),
        };
        let mut parts = Vec::with_capacity(sizes.len());
        for (number, size) in (1..).zip(sizes) {
            let put = Put {
                part: Some((i64::from(number), &upload)),
                body: Bytes::from(vec![0; *size]),
                ..Put::default()
            };
            let (answer, etag) = self.put(&key, put).await?;
            if !answer.is_taken() {
                return Ok(Err(answer));
            }
            let part = CompletedPart::builder().part_number(number).set_e_tag(etag);
            parts.push(part.build());
        }
        Ok(Ok(Whole {
            key,
            upload,
            parts: CompletedMultipartUpload::builder()
                .set_parts(Some(parts))
                .build(),
        }))
    }

    /// Completes an upload; its ETag.
    async fn complete_whole(
        &self,
        whole: &Whole,
        once_only: bool,
    ) -> Result<Result<String, Answer>, Failure> {
        let outcome = self
            .objects
            .inner
            .client
            .complete_multipart_upload()
            .bucket(&self.objects.inner.bucket)
            .key(whole.key.as_str())
            .upload_id(&whole.upload)
            .multipart_upload(whole.parts.clone())
            .set_if_none_match(once_only.then(|| "*".to_owned()))
            .send()
            .await;
        Ok(settled("complete multipart upload", outcome)?
            .map(|answer| answer.e_tag.unwrap_or_default()))
    }
}
