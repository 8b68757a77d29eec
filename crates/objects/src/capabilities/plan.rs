//! What follows from capabilities: what is asked of a store, and what is relied on.

use super::{Capabilities, ChecksumAlgorithm, Support, Treatment};

impl Capabilities {
    /// Whether a presigned PUT is bound to the SHA-256 of its bytes. Where it is not, other bytes are
    /// found out when the original is inspected.
    #[must_use]
    pub fn binds_put_sha256(&self) -> bool {
        enforced(self.put_checksums.get(&ChecksumAlgorithm::Sha256))
    }

    /// Whether parts are bound to their SHA-256: the store must check them, and give them back with
    /// its list of parts, since a completion has to name them.
    #[must_use]
    pub fn binds_part_sha256(&self) -> bool {
        enforced(self.composite_checksums.get(&ChecksumAlgorithm::Sha256))
            && self.listed_sha256 == Support::Yes
    }

    /// Whether a presigned PUT is made to write its key once only. A URL that is used again may not
    /// replace what was taken in; one that is bound to the hash cannot, and its repetition, as after
    /// a lost answer, had better be a success, unless it changes the ETag that was pinned.
    #[must_use]
    pub fn writes_once(&self, is_hash_bound: bool) -> bool {
        self.put_if_none_match == Treatment::Enforced && !self.may_repeat(is_hash_bound)
    }

    /// Whether using a URL again does no harm by itself.
    pub(crate) fn may_repeat(&self, is_hash_bound: bool) -> bool {
        is_hash_bound && self.repeat_keeps_etag == Support::Yes
    }

    /// Which checksum the server sends with objects that it stores itself: the strongest that is
    /// checked, if any is.
    #[must_use]
    pub fn own_put_checksum(&self) -> Option<ChecksumAlgorithm> {
        use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha256};
        [Sha256, Crc64Nvme, Crc32c, Crc32]
            .into_iter()
            .find(|algorithm| enforced(self.put_checksums.get(algorithm)))
    }

    /// Whether the server stores an object only where there is none.
    pub(crate) fn puts_if_absent(&self) -> bool {
        self.put_if_none_match == Treatment::Enforced
    }

    /// Whether the server replaces an object only if it is still the one that was read.
    pub(crate) fn puts_if_same(&self) -> bool {
        self.put_if_match == Treatment::Enforced
    }

    /// Whether a read carries `If-Match`. It does no harm where nobody looks at it.
    pub(crate) fn sends_if_match(&self) -> bool {
        self.get_if_match != Treatment::Refused
    }

    /// Whether the store's word is enough that a read is of the object named by `If-Match`. Else the
    /// ETag of the answer is compared.
    pub(crate) fn trusts_if_match(&self) -> bool {
        self.get_if_match == Treatment::Enforced
    }
}

fn enforced(treatment: Option<&Treatment>) -> bool {
    treatment == Some(&Treatment::Enforced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_built_on_what_is_unknown() {
        let unprobed = Capabilities::unprobed();
        assert!(!unprobed.binds_put_sha256() && !unprobed.binds_part_sha256());
        assert!(!unprobed.writes_once(false) && !unprobed.trusts_if_match());
        assert_eq!(unprobed.own_put_checksum(), None);
        // A header of HTTP itself, which no store is known to refuse.
        assert!(unprobed.sends_if_match());
        let empty: Capabilities = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, unprobed);
    }

    #[test]
    fn parts_are_bound_only_where_a_completion_can_name_their_hashes() {
        let mut store = Capabilities::embedded();
        assert!(store.binds_part_sha256());
        store.listed_sha256 = Support::No;
        assert!(!store.binds_part_sha256());
        assert!(store.binds_put_sha256());
    }

    #[test]
    fn urls_write_once_where_a_repetition_could_do_harm() {
        let mut store = Capabilities::embedded();
        assert!(store.writes_once(false) && !store.writes_once(true));
        store.repeat_keeps_etag = Support::No;
        assert!(store.writes_once(true));
        store.put_if_none_match = Treatment::Ignored;
        assert!(!store.writes_once(false) && !store.writes_once(true));
    }

    #[test]
    fn own_objects_carry_the_strongest_checksum_that_is_checked() {
        use ChecksumAlgorithm::{Crc32, Crc32c, Sha256};
        let mut store = Capabilities::embedded();
        assert_eq!(store.own_put_checksum(), Some(Sha256));
        store.put_checksums = [
            (Sha256, Treatment::Ignored),
            (Crc32c, Treatment::Enforced),
            (Crc32, Treatment::Enforced),
        ]
        .into();
        assert_eq!(store.own_put_checksum(), Some(Crc32c));
        store.put_checksums = [(Sha256, Treatment::Refused)].into();
        assert_eq!(store.own_put_checksum(), None);
    }

    #[test]
    fn records_of_other_versions_are_read() {
        let later = r#"{"put_checksums": {"sha256": "enforced"}, "levitation": true}"#;
        let read: Capabilities = serde_json::from_str(later).unwrap();
        assert!(read.binds_put_sha256() && !read.writes_once(false));
        let text = serde_json::to_string(&Capabilities::embedded()).unwrap();
        let back: Capabilities = serde_json::from_str(&text).unwrap();
        assert_eq!(back, Capabilities::embedded());
    }
}
