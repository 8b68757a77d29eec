//! The one decision about who may have what. Deny by default.

use safelight_catalog::assets::Asset;
use safelight_model::codes::Code;
use safelight_model::file_metadata::MetadataPolicy;
use safelight_model::lifecycle::State;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Something derived.
    Rendition,
    /// The bytes as they were received.
    Original,
}

/// Who looks at what an owner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// The owner himself, by a device token.
    Owner,
    /// A key of his tenant's that names him.
    Tenant,
}

/// Whether what a file tells of places and belongings is shown.
#[must_use]
pub fn shows_private(policy: MetadataPolicy, viewer: Viewer) -> bool {
    match (policy, viewer) {
        (MetadataPolicy::Strip, _) | (MetadataPolicy::OwnerOnly, Viewer::Tenant) => false,
        (MetadataPolicy::Keep, _) | (MetadataPolicy::OwnerOnly, Viewer::Owner) => true,
    }
}

/// Why it is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not there, or not yet.
    #[error("this is not available: the asset is {}", .0.as_str())]
    NotAvailable(State),
    /// Its owner deleted it.
    #[error("this was deleted")]
    Deleted,
    /// It is withheld.
    #[error("this is withheld by a scanner or moderator")]
    Withheld,
}

impl Refusal {
    /// The stable code for it.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::NotAvailable(_) => Code::NotFound,
            Self::Deleted => Code::AssetDeleted,
            Self::Withheld => Code::ContentQuarantined,
        }
    }
}

/// Whether `wanted` of `asset` may be given out to a caller who has shown that he may ask: as its owner,
/// or by a living signature for exactly this.
///
/// Renditions: only of a ready asset whose blob's verdict is `clean`. Originals: of a ready one, and of
/// one that failed for a reason other than its verdict, since the owner must not lose what was taken in.
///
/// # Errors
/// Why not.
pub fn decide(asset: &Asset, wanted: Wanted) -> Result<(), Refusal> {
    // One that became another is a tombstone too, and leads there.
    if asset.state == State::Deleted && asset.merged_into.is_none() {
        return Err(Refusal::Deleted);
    }
    let Some(blob) = asset.blob.as_ref() else {
        return Err(Refusal::NotAvailable(asset.state));
    };
    if asset.state == State::Quarantined || blob.verdict == "quarantine" {
        return Err(Refusal::Withheld);
    }
    let allowed = match wanted {
        Wanted::Rendition => asset.state.is_viewable(),
        Wanted::Original => asset.state.has_original(),
    };
    if !allowed || blob.verdict != "clean" || blob.state != "live" {
        return Err(Refusal::NotAvailable(asset.state));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use safelight_catalog::blobs::Blob;
    use safelight_model::clock::Micros;

    use super::*;

    fn asset(state: State, verdict: Option<&str>) -> Asset {
        Asset {
            tenant_id: "ten_1".into(),
            asset_id: "ast_1".into(),
            owner_id: "me".into(),
            capture_id: "cap_1".into(),
            public_id: "p".into(),
            state,
            reason_code: None,
            reason_detail: None,
            version: 1,
            preview: None,
            created_at: Micros(0),
            uploaded_at: None,
            viewable_at: None,
            updated_at: Micros(0),
            filename: None,
            mime: None,
            size_bytes: 1,
            sha256: None,
            merged_into: None,
            metadata: Default::default(),
            revision: 1,
            blob: verdict.map(|verdict| Blob {
                state: "live".into(),
                verdict: verdict.into(),
                ..Blob::default()
            }),
        }
    }

    #[test]
    fn only_a_ready_and_clean_asset_gives_renditions() {
        for state in State::ALL {
            for verdict in [None, Some("unknown"), Some("clean"), Some("quarantine")] {
                let given = decide(&asset(state, verdict), Wanted::Rendition).is_ok();
                assert_eq!(
                    given,
                    state == State::Ready && verdict == Some("clean"),
                    "{state:?} {verdict:?}"
                );
            }
        }
    }

    #[test]
    fn an_original_is_given_when_ready_or_failed_but_never_unscanned_or_withheld() {
        for state in State::ALL {
            for verdict in [None, Some("unknown"), Some("clean"), Some("quarantine")] {
                let given = decide(&asset(state, verdict), Wanted::Original).is_ok();
                let should =
                    matches!(state, State::Ready | State::Failed) && verdict == Some("clean");
                assert_eq!(given, should, "{state:?} {verdict:?}");
            }
        }
        let withheld = decide(&asset(State::Quarantined, Some("clean")), Wanted::Original);
        assert_eq!(withheld, Err(Refusal::Withheld));
        let deleted = decide(&asset(State::Deleted, None), Wanted::Rendition);
        assert_eq!(deleted, Err(Refusal::Deleted));
    }
}
