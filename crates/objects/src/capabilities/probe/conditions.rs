//! Lengths and conditions: what a presigned URL and a read are bound to.

use bytes::Bytes;

use super::answer::settled;
use super::request::Put;
use super::{Failure, Probe};
use crate::capabilities::Treatment;

const BODY: &[u8] = b"nine byte";
const LONGER: &[u8] = b"ten bytes!";
const SHORTER: &[u8] = b"8 bytes!";
/// An ETag that no object has.
const OTHER_ETAG: &str = "\"00000000000000000000000000000000\"";

impl Probe<'_> {
    /// Stores, reads and lists an object, as nothing works without.
    pub(super) async fn basics(&self) -> Result<(), Failure> {
        let key = self.key()?;
        let put = Put {
            headers: &[
                ("content-type", "text/plain"),
                ("x-amz-meta-safelight-tenant", "probe"),
            ],
            body: Bytes::from_static(BODY),
            ..Put::default()
        };
        let (answer, _) = self.put(&key, put).await?;
        if !answer.is_taken() {
            return Err(Failure::Refused {
                what: "a presigned PUT",
                answer: answer.to_string(),
            });
        }
        let read = self.objects.get(&key, Some((5, None)), None).await?;
        let bytes = match read {
            Some(read) => read.bytes().await?,
            None => Bytes::new(),
        };
        let listed = self.objects.list(key.as_str(), None, 2).await?;
        if bytes != BODY[5..] || listed.objects.len() != 1 {
            return Err(Failure::Refused {
                what: "to read and list what was stored",
                answer: format!("{} bytes, {} objects", bytes.len(), listed.objects.len()),
            });
        }
        Ok(())
    }

    /// Sends more and fewer bytes than were signed.
    pub(super) async fn signed_length(&self) -> Result<Treatment, Failure> {
        let key = self.key()?;
        for body in [LONGER, SHORTER] {
            let put = Put {
                signed_length: Some(BODY.len()),
                body: Bytes::from_static(body),
                ..Put::default()
            };
            if self.put(&key, put).await?.0.is_taken() {
                return Ok(Treatment::Ignored);
            }
        }
        // That the right length is taken was seen before.
        Ok(Treatment::Enforced)
    }

    /// Writes a key twice that may be written once.
    pub(super) async fn put_if_none_match(&self) -> Result<Treatment, Failure> {
        let key = self.key()?;
        let put = || Put {
            headers: &[("if-none-match", "*")],
            body: Bytes::from_static(BODY),
            ..Put::default()
        };
        if !self.put(&key, put()).await?.0.is_taken() {
            return Ok(Treatment::Refused);
        }
        let (again, _) = self.put(&key, put()).await?;
        Ok(conditional(again.status))
    }

    /// Replaces an object as itself and as another.
    pub(super) async fn put_if_match(&self) -> Result<Treatment, Failure> {
        let key = self.key()?;
        let put = |headers, body| Put {
            headers,
            body: Bytes::from_static(body),
            ..Put::default()
        };
        let (_, etag) = self.put(&key, put(&[], BODY)).await?;
        let same = etag.unwrap_or_default();
        let same = [("if-match", same.as_str())];
        if !self.put(&key, put(&same, LONGER)).await?.0.is_taken() {
            return Ok(Treatment::Refused);
        }
        let other = [("if-match", OTHER_ETAG)];
        let (answer, _) = self.put(&key, put(&other, SHORTER)).await?;
        Ok(conditional(answer.status))
    }

    /// Reads an object as itself and as another.
    pub(super) async fn get_if_match(&self) -> Result<Treatment, Failure> {
        let key = self.key()?;
        let put = Put {
            body: Bytes::from_static(BODY),
            ..Put::default()
        };
        let (_, etag) = self.put(&key, put).await?;
        let get = async |etag: String| {
            let outcome = self
                .objects
                .inner
                .client
                .get_object()
                .bucket(&self.objects.inner.bucket)
                .key(key.as_str())
                .if_match(etag)
                .send()
                .await;
            settled("get object", outcome)
        };
        if get(etag.unwrap_or_default()).await?.is_err() {
            return Ok(Treatment::Refused);
        }
        Ok(match get(OTHER_ETAG.to_owned()).await? {
            Ok(_) => Treatment::Ignored,
            Err(answer) => conditional(answer.status),
        })
    }
}

/// What a store does with a condition, by its answer to a request whose condition does not hold.
pub(super) fn conditional(status: u16) -> Treatment {
    match status {
        409 | 412 => Treatment::Enforced,
        200..=299 => Treatment::Ignored,
        _ => Treatment::Refused,
    }
}
