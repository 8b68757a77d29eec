//! Checksums: which are checked, on objects and on parts.

use aws_sdk_s3::types::{ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::answer::{Answer, settled};
use super::request::Put;
use super::{Failure, Probe};
use crate::ObjectKey;
use crate::capabilities::ChecksumAlgorithm::{self, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use crate::capabilities::{Checksums, Support, Treatment};

/// The check string of the CRC catalogues, so that its sums stand in the literature.
const BODY: &[u8] = b"123456789";

impl ChecksumAlgorithm {
    /// The sum of [`BODY`], base64.
    fn right(self) -> &'static str {
        match self {
            Crc32 => "y/Q5Jg==",
            Crc32c => "4waSgw==",
            Crc64Nvme => "rosUhgp5mIg=",
            Sha1 => "98O8HYCOBHMq32eZZczDTKeuNEE=",
            Sha256 => "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        }
    }

    /// A sum of the right form that is another's, base64.
    fn wrong(self) -> &'static str {
        match self {
            Crc32 | Crc32c => "AAAAAA==",
            Crc64Nvme => "AAAAAAAAAAA=",
            Sha1 => "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            Sha256 => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        }
    }
}

/// An upload as it was begun, or the refusal to.
type Begun = Result<String, Answer>;

impl Probe<'_> {
    pub(super) async fn put_checksums(&self) -> Result<Checksums, Failure> {
        let key = self.key()?;
        let mut found = Checksums::new();
        for algorithm in [Crc32, Crc32c, Crc64Nvme, Sha1, Sha256] {
            let treatment = self.compare(&key, None, algorithm).await?;
            found.insert(algorithm, treatment);
        }
        Ok(found)
    }

    /// Stores the same object twice. An encryption of its own per object shows in the ETag.
    pub(super) async fn repeat_keeps_etag(&self) -> Result<Support, Failure> {
        let key = self.key()?;
        let store = async || {
            let put = Put {
                headers: &[(&header(Sha256), Sha256.right())],
                body: Bytes::from_static(BODY),
                ..Put::default()
            };
            Ok::<_, Failure>(self.put(&key, put).await?.1)
        };
        Ok(match (store().await?, store().await?) {
            (Some(first), Some(second)) if first == second => Support::Yes,
            (Some(_), Some(_)) => Support::No,
            _ => Support::Unknown,
        })
    }

    /// Composite checksums, and whether lists of parts have the SHA-256. An algorithm counts only if
    /// an upload with it can be completed.
    pub(super) async fn composite_checksums(&self) -> Result<(Checksums, Support), Failure> {
        let mut found = Checksums::new();
        let mut listed = Support::No;
        for algorithm in [Crc32, Crc32c, Sha1, Sha256] {
            let key = self.key()?;
            let upload = match self.begin(&key, Some(algorithm), None).await? {
                Ok(upload) => upload,
                Err(_) => {
                    found.insert(algorithm, Treatment::Refused);
                    continue;
                }
            };
            let mut treatment = self.compare(&key, Some(&upload), algorithm).await?;
            if treatment == Treatment::Enforced {
                let parts = self.objects.list_parts(&key, &upload).await?;
                let parts = parts.unwrap_or_default();
                if algorithm == Sha256 && parts.iter().any(|part| part.sha256_hex.is_some()) {
                    listed = Support::Yes;
                }
                let etag = parts.first().map(|part| part.etag.clone());
                let part = completed(etag.unwrap_or_default(), Some(algorithm));
                if self.complete(&key, &upload, part, None).await?.is_err() {
                    treatment = Treatment::Refused;
                }
            }
            found.insert(algorithm, treatment);
        }
        Ok((found, listed))
    }

    /// Sums of the whole that come with the completion.
    pub(super) async fn full_object_checksums(&self) -> Result<Checksums, Failure> {
        let mut found = Checksums::new();
        for algorithm in [Crc32, Crc32c, Crc64Nvme] {
            let treatment = self.full_object_checksum(algorithm).await?;
            found.insert(algorithm, treatment);
        }
        Ok(found)
    }

    async fn full_object_checksum(
        &self,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Treatment, Failure> {
        let key = self.key()?;
        let whole = Some(ChecksumType::FullObject);
        let Ok(upload) = self.begin(&key, Some(algorithm), whole).await? else {
            return Ok(Treatment::Refused);
        };
        let put = Put {
            part: Some((1, &upload)),
            headers: &[(&header(algorithm), algorithm.right())],
            body: Bytes::from_static(BODY),
            ..Put::default()
        };
        let (answer, etag) = self.put(&key, put).await?;
        if !answer.is_taken() {
            return Ok(Treatment::Refused);
        }
        let part = completed(etag.unwrap_or_default(), Some(algorithm));
        let wrong = Some((algorithm, algorithm.wrong()));
        if self
            .complete(&key, &upload, part.clone(), wrong)
            .await?
            .is_ok()
        {
            return Ok(Treatment::Ignored);
        }
        let right = Some((algorithm, algorithm.right()));
        Ok(match self.complete(&key, &upload, part, right).await? {
            Ok(()) => Treatment::Enforced,
            Err(_) => Treatment::Refused,
        })
    }

    /// Sends the bytes with the wrong sum and with the right one.
    async fn compare(
        &self,
        key: &ObjectKey,
        upload: Option<&str>,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Treatment, Failure> {
        let send = async |sum: &str| {
            let put = Put {
                part: upload.map(|upload| (1, upload)),
                headers: &[(&header(algorithm), sum)],
                body: Bytes::from_static(BODY),
                ..Put::default()
            };
            Ok::<_, Failure>(self.put(key, put).await?.0.is_taken())
        };
        let wrong = send(algorithm.wrong()).await?;
        let right = send(algorithm.right()).await?;
        Ok(match (wrong, right) {
            (_, false) => Treatment::Refused,
            (false, true) => Treatment::Enforced,
            (true, true) => Treatment::Ignored,
        })
    }

    pub(super) async fn begin(
        &self,
        key: &ObjectKey,
        algorithm: Option<ChecksumAlgorithm>,
        kind: Option<ChecksumType>,
    ) -> Result<Begun, Failure> {
        self.go_on()?;
        self.traces.beginning(key);
        let outcome = self
            .objects
            .inner
            .client
            .create_multipart_upload()
            .bucket(&self.objects.inner.bucket)
            .key(key.as_str())
            .set_checksum_algorithm(algorithm.map(ChecksumAlgorithm::wire))
            .set_checksum_type(kind)
            .send()
            .await;
        let begun = settled("create multipart upload", outcome)?
            .map(|answer| answer.upload_id.unwrap_or_default());
        let id = begun.as_ref().ok().map(String::as_str);
        self.traces.begun(key, id);
        Ok(begun)
    }

    /// Completes an upload of one part, with a sum of the whole where one is given.
    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &str,
        part: CompletedPart,
        whole: Option<(ChecksumAlgorithm, &str)>,
    ) -> Result<Result<(), Answer>, Failure> {
        let sum = |of| {
            whole
                .filter(|(algorithm, _)| *algorithm == of)
                .map(|(_, sum)| sum.to_owned())
        };
        let outcome = self
            .objects
            .inner
            .client
            .complete_multipart_upload()
            .bucket(&self.objects.inner.bucket)
            .key(key.as_str())
            .upload_id(upload)
            .multipart_upload(CompletedMultipartUpload::builder().parts(part).build())
            .set_checksum_type(whole.map(|_| ChecksumType::FullObject))
            .set_checksum_crc32(sum(Crc32))
            .set_checksum_crc32_c(sum(Crc32c))
            .set_checksum_crc64_nvme(sum(Crc64Nvme))
            .send()
            .await;
        Ok(settled("complete multipart upload", outcome)?.map(|_| ()))
    }
}

fn header(algorithm: ChecksumAlgorithm) -> String {
    format!("x-amz-checksum-{}", algorithm.as_str())
}

/// Part 1, whose bytes are [`BODY`].
fn completed(etag: String, algorithm: Option<ChecksumAlgorithm>) -> CompletedPart {
    let sum = |of| {
        algorithm
            .filter(|algorithm| *algorithm == of)
            .map(|algorithm| algorithm.right().to_owned())
    };
    CompletedPart::builder()
        .part_number(1)
        .e_tag(etag)
        .set_checksum_crc32(sum(Crc32))
        .set_checksum_crc32_c(sum(Crc32c))
        .set_checksum_crc64_nvme(sum(Crc64Nvme))
        .set_checksum_sha1(sum(Sha1))
        .set_checksum_sha256(sum(Sha256))
        .build()
}
