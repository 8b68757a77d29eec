//! What capabilities mean to the one who runs the service.

use serde::Serialize;

use super::judge::{UNUSED, hashes};
use super::words::{rule, sums, support, text};
use super::{Capabilities, ChecksumAlgorithm, Support};

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Ok,
    /// Safelight does without, at a price that is told.
    Warning,
    /// Safelight cannot keep its promises on this store.
    Wrong,
}

/// What one capability means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// The capability, in a few words.
    pub capability: &'static str,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What follows from it.
    pub meaning: &'static str,
    /// What the operator should do, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<&'static str>,
}

impl Capabilities {
    /// What each capability means, the most needed first.
    #[must_use]
    pub fn assess(&self) -> Vec<Assessment> {
        let put = self.put_checksums.get(&ChecksumAlgorithm::Sha256);
        let parts = self.composite_checksums.get(&ChecksumAlgorithm::Sha256);
        let listed = match self.listed_sha256 {
            Support::Yes => "listed",
            Support::No => "not listed",
            Support::Unknown => "unknown whether listed",
        };
        let rows = [
            (
                "signed length",
                text(Some(&self.signed_length)),
                self.judge_length(),
            ),
            (
                "SHA-256 of an object",
                text(put),
                hashes(self.binds_put_sha256()),
            ),
            (
                "SHA-256 of parts",
                format!("{}, {listed}", text(parts)),
                hashes(self.binds_part_sha256()),
            ),
            (
                "checksums of objects",
                sums(&self.put_checksums),
                self.judge_own_sum(),
            ),
            (
                "composite checksums",
                sums(&self.composite_checksums),
                UNUSED,
            ),
            (
                "full-object checksums",
                sums(&self.full_object_checksums),
                UNUSED,
            ),
            (
                "same Put again",
                self.repeats().to_owned(),
                self.judge_repeats(),
            ),
            (
                "If-None-Match on Put",
                text(Some(&self.put_if_none_match)),
                self.judge_absence(),
            ),
            (
                "If-Match on Put",
                text(Some(&self.put_if_match)),
                self.judge_replacement(),
            ),
            (
                "If-None-Match on Complete",
                text(Some(&self.complete_if_none_match)),
                (Verdict::Ok, "not needed: no two uploads have one key", None),
            ),
            (
                "If-Match on Get",
                text(Some(&self.get_if_match)),
                self.judge_match(),
            ),
            ("part sizes", self.sizes(), self.judge_sizes()),
            (
                "duplicate Complete",
                self.duplicate().to_owned(),
                self.judge_duplicate(),
            ),
            ("lifecycle: abort", self.aborts(), self.judge_aborts()),
            (
                "lifecycle: expire",
                self.expires().to_owned(),
                self.judge_expiry(),
            ),
            ("CORS", rule(self.cors).to_owned(), self.judge_cors()),
            ("CopyObject", support(self.copy).to_owned(), UNUSED),
            ("tagging", support(self.tagging).to_owned(), UNUSED),
            (
                "notifications",
                support(self.notifications).to_owned(),
                (
                    Verdict::Ok,
                    "not used: clients and the reconciler complete uploads",
                    None,
                ),
            ),
        ];
        rows.into_iter()
            .map(
                |(capability, found, (verdict, meaning, what_to_do))| Assessment {
                    capability,
                    verdict,
                    found,
                    meaning,
                    what_to_do,
                },
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BucketRule, Checksums, DuplicateComplete, Treatment};
    use super::*;

    fn verdicts(store: &Capabilities, of: Verdict) -> Vec<&'static str> {
        let all = store.assess().into_iter();
        all.filter(|a| a.verdict == of)
            .map(|a| a.capability)
            .collect()
    }

    #[test]
    fn what_breaks_promises_is_wrong_and_says_what_to_do() {
        type Break = (&'static str, fn(&mut Capabilities));
        let breaks: [Break; 3] = [
            ("signed length", |s| s.signed_length = Treatment::Ignored),
            ("duplicate Complete", |s| {
                s.duplicate_complete = DuplicateComplete::Damages;
            }),
            ("lifecycle: expire", |s| s.lifecycle.removes_objects = true),
        ];
        for (capability, spoil) in breaks {
            let mut store = Capabilities::embedded();
            spoil(&mut store);
            assert_eq!(verdicts(&store, Verdict::Wrong), [capability]);
            let all = store.assess();
            let wrong = all.iter().find(|a| a.verdict == Verdict::Wrong);
            assert!(wrong.is_some_and(|a| a.what_to_do.is_some()));
        }
    }

    #[test]
    fn what_is_unknown_is_warned_of_where_it_matters() {
        let warned = verdicts(&Capabilities::unprobed(), Verdict::Warning);
        assert_eq!(
            warned,
            [
                "signed length",
                "SHA-256 of an object",
                "SHA-256 of parts",
                "checksums of objects",
                "same Put again",
                "If-None-Match on Put",
                "duplicate Complete",
            ]
        );
    }

    #[test]
    fn rules_that_end_uploads_too_soon_are_warned_of() {
        let mut store = Capabilities::embedded();
        store.lifecycle.abort_incomplete = BucketRule::Set;
        for (days, verdict) in [
            (1, Verdict::Warning),
            (6, Verdict::Warning),
            (7, Verdict::Ok),
            (8, Verdict::Ok),
        ] {
            store.lifecycle.abort_after_days = Some(days);
            assert_eq!(store.judge_aborts().0, verdict, "{days}");
        }
    }

    #[test]
    fn checksums_are_told_by_what_is_done_with_them() {
        let store = Capabilities::embedded();
        let found = sums(&store.full_object_checksums);
        assert_eq!(found, "crc32 crc32c crc64nvme enforced");
        let mixed = [
            (ChecksumAlgorithm::Sha1, Treatment::Refused),
            (ChecksumAlgorithm::Sha256, Treatment::Enforced),
        ];
        assert_eq!(sums(&mixed.into()), "sha256 enforced, sha1 refused");
        assert_eq!(sums(&Checksums::new()), "unknown");
    }
}
