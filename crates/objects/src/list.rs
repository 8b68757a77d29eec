//! Lists what the store holds under a prefix.

use aws_sdk_s3::types::EncodingType;
use safelight_model::clock::Micros;

use crate::clock::AnswerDate;
use crate::url_encoded::decoded;
use crate::{Objects, StoreError};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key as the store has it, which need not be one of ours: [`crate::ObjectKey::parse`].
    pub key: String,
    /// Its length.
    pub size_bytes: i64,
    /// Its ETag, verbatim.
    pub etag: String,
    /// When it was stored, by the store's clock.
    pub modified_at: Micros,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The objects, by key.
    pub objects: Vec<Listed>,
    /// What to ask for the next page with; `None` after the last.
    pub continuation: Option<String>,
    /// When the store answered, by its own clock and to the second; `None` if it does not say.
    pub answered_at: Option<Micros>,
}

impl Objects {
    /// Objects whose keys begin with `prefix`, at most `limit` (stores give at most 1,000).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        prefix: &str,
        continuation: Option<&str>,
        limit: u16,
    ) -> Result<ListPage, StoreError> {
        self.list_page(prefix, continuation, None, limit).await
    }

    /// As [`Objects::list`], from behind the key `after` on, which need not be there: a place in the
    /// listing that holds for as long as one likes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_after(
        &self,
        prefix: &str,
        after: &str,
        limit: u16,
    ) -> Result<ListPage, StoreError> {
        let after = (!after.is_empty()).then_some(after);
        let mut page = self.list_page(prefix, None, after, limit).await?;
        // Only a key is a place: a page without one leads to the next.
        while let (true, Some(next)) = (page.objects.is_empty(), &page.continuation) {
            page = self.list_page(prefix, Some(next), None, limit).await?;
        }
        Ok(page)
    }

    async fn list_page(
        &self,
        prefix: &str,
        continuation: Option<&str>,
        after: Option<&str>,
        limit: u16,
    ) -> Result<ListPage, StoreError> {
        const OPERATION: &str = "list objects";
        let date = AnswerDate::default();
        let answer = self
            .inner
            .client
            .list_objects_v2()
            .bucket(&self.inner.bucket)
            .prefix(prefix)
            .encoding_type(EncodingType::Url)
            .set_continuation_token(continuation.map(str::to_owned))
            .set_start_after(after.map(str::to_owned))
            .max_keys(i32::from(limit.clamp(1, 1000)))
            .customize()
            .interceptor(date.clone())
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e).of_bucket())?;
        let encoding = answer.encoding_type.as_ref();
        let objects = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .map(|object| {
                Some(Listed {
                    key: decoded(object.key?, encoding)?,
                    size_bytes: object.size?,
                    etag: object.e_tag?,
                    modified_at: micros(object.last_modified?)?,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| StoreError::nonsense(OPERATION, "an object lacks a field"))?;
        let more = answer.is_truncated == Some(true);
        let continuation = answer.next_continuation_token.filter(|_| more);
        if more && continuation.is_none() {
            return Err(StoreError::nonsense(
                OPERATION,
                "a page that is not the last has no continuation",
            ));
        }
        Ok(ListPage {
            objects,
            continuation,
            answered_at: self.answered_at(&date),
        })
    }
}

pub(crate) fn micros(at: aws_sdk_s3::primitives::DateTime) -> Option<Micros> {
    let whole = at.secs().checked_mul(1_000_000)?;
    let rest = i64::from(at.subsec_nanos() / 1_000);
    whole.checked_add(rest).map(Micros)
}
