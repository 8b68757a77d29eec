//! What an owner says of his assets, and the albums he puts them in.

pub mod albums;
pub mod fill_album;
pub mod patch_asset;

/// What the caller believes the revision to be (`If-Match`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// He does not say.
    #[default]
    Any,
    /// One of these.
    OneOf(Vec<i64>),
}

impl Expected {
    /// Whether it is as he believes.
    #[must_use]
    pub fn is(&self, revision: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(all) => all.contains(&revision),
        }
    }
}
