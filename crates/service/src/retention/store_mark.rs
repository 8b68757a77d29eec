//! The mark as the store has it, under `c/mark`.

use bytes::Bytes;
use safelight_catalog::catalog_mark::HIGHEST;
use safelight_objects::{ObjectKey, PutCondition, PutOptions, StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::context::Context;

/// A mark is longer than this only if it is none.
const MOST_BYTES: i64 = 16_384;

/// The mark in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoreMark {
    /// Which catalog left it.
    pub(super) catalog_id: String,
    /// How often that had raised it.
    pub(super) mark: i64,
    /// What it is known by. A version before nonces left none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<String>,
    /// Who says that the store is not that catalog's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) contested: Option<Contested>,
    /// What another version has to say.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// Another catalog, or another copy of the same, uses the store too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contested {
    /// The catalog that says so.
    pub(super) by: String,
    /// Why.
    pub(super) why: String,
    /// When, RFC 3339.
    pub(super) at: String,
}

/// What stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Nothing,
    Mark(StoreMark),
    Nonsense,
}

/// What stands in the store, and its ETag.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) stands: Stands,
    etag: Option<String>,
}

/// Looks what stands in the store.
pub(super) async fn read(context: &Context) -> Result<Seen, StoreError> {
    let Some(read) = context.objects.get(&ObjectKey::mark(), None, None).await? else {
        return Ok(Seen {
            stands: Stands::Nothing,
            etag: None,
        });
    };
    let etag = Some(read.etag.clone());
    let stands = if read.size_bytes > MOST_BYTES {
        Stands::Nonsense
    } else {
        of_bytes(&read.bytes().await?)
    };
    Ok(Seen { stands, etag })
}

fn of_bytes(body: &[u8]) -> Stands {
    match serde_json::from_slice::<StoreMark>(body) {
        // None that a catalog comes to, and none that it could go on from.
        Ok(mark) if (0..=HIGHEST).contains(&mark.mark) => Stands::Mark(mark),
        _ => Stands::Nonsense,
    }
}

/// Puts a mark in the place of what was seen. `false` if something else stands there meanwhile, as far as the store looks
/// at that.
pub(super) async fn write(
    context: &Context,
    mark: &StoreMark,
    over: &Seen,
) -> Result<bool, StoreError> {
    let body = serde_json::to_vec(mark).unwrap_or_default();
    let options = PutOptions {
        content_type: Some("application/json"),
        condition: Some(match &over.etag {
            Some(etag) => PutCondition::Is(etag),
            None => PutCondition::Absent,
        }),
        ..PutOptions::default()
    };
    let put = context
        .objects
        .put(&ObjectKey::mark(), Bytes::from(body), options)
        .await;
    match put {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            StoreErrorKind::PreconditionFailed | StoreErrorKind::Conflict => Ok(false),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_other_versions_are_read_and_kept_whole() {
        let old = of_bytes(br#"{"catalog_id":"cat_1","mark":7}"#);
        let Stands::Mark(old) = old else {
            panic!("{old:?}");
        };
        assert_eq!((old.mark, &old.nonce, &old.contested), (7, &None, &None));
        let later = br#"{"catalog_id":"cat_1","mark":7,"nonce":"n","levitation":[1]}"#;
        let Stands::Mark(later) = of_bytes(later) else {
            panic!("not read");
        };
        let back = serde_json::to_string(&later).unwrap();
        assert!(back.contains(r#""levitation":[1]"#), "{back}");
    }

    #[test]
    fn what_no_catalog_leaves_is_nonsense() {
        for body in [
            "",
            "nobody's",
            "[]",
            r#"{"catalog_id":"cat_1"}"#,
            r#"{"catalog_id":"cat_1","mark":-1}"#,
            r#"{"catalog_id":"cat_1","mark":9223372036854775807}"#,
            r#"{"catalog_id":"cat_1","mark":9223372036854775808}"#,
            r#"{"catalog_id":"cat_1","mark":1.5}"#,
            r#"{"catalog_id":"cat_1","mark":1,"contested":{}}"#,
        ] {
            assert_eq!(of_bytes(body.as_bytes()), Stands::Nonsense, "{body}");
        }
    }
}
