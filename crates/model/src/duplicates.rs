//! What becomes of bytes that are there already.

/// What a capture wants of bytes that its owner has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The asset that has them joins the capture.
    #[default]
    Merge,
    /// They become an asset of their own, on the same stored bytes.
    Keep,
}

impl Duplicates {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Merge, Self::Keep];

    /// As in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Keep => "keep",
        }
    }

    /// What this text says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.as_str() == text)
    }
}

/// Among whose bytes the same ones are stored once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DedupScope {
    /// One owner's.
    #[default]
    Owner,
    /// Those of all owners of a tenant; found only after they arrived, so that nobody learns by a hash what others have.
    Tenant,
}

impl DedupScope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Owner, Self::Tenant];

    /// As in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Tenant => "tenant",
        }
    }

    /// The scope of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for one in Duplicates::ALL {
            assert_eq!(Duplicates::parse(one.as_str()), Some(one));
        }
        for one in DedupScope::ALL {
            assert_eq!(DedupScope::parse(one.as_str()), Some(one));
        }
        assert_eq!(Duplicates::parse(""), None);
        assert_eq!(DedupScope::parse("tenants"), None);
    }
}
