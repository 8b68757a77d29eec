//! What capabilities mean to the one who runs the service.

use std::time::Duration;

use safelight_model::limits;
use serde::Serialize;

use super::{
    BucketRule, Capabilities, ChecksumAlgorithm, Checksums, DuplicateComplete, Support, Treatment,
};

const SECONDS_PER_DAY: u64 = 86_400;
const MIB: i64 = 1 << 20;

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

/// Verdict, meaning, and what to do.
type Judgement = (Verdict, &'static str, Option<&'static str>);

const SOONER: &str = "other bytes than declared are found when the original is inspected, not on arrival; take a store that checks SHA-256 to have them refused at once";

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

    fn judge_length(&self) -> Judgement {
        match self.signed_length {
            Treatment::Enforced => (
                Verdict::Ok,
                "an upload URL brings exactly the planned size",
                None,
            ),
            Treatment::Ignored | Treatment::Refused => (
                Verdict::Wrong,
                "whoever holds an upload URL can store as much as they like",
                Some(
                    "take another store, or put a proxy before it that refuses what is not signed",
                ),
            ),
            Treatment::Unknown => UNPROBED,
        }
    }

    fn judge_own_sum(&self) -> Judgement {
        match self.own_put_checksum() {
            Some(ChecksumAlgorithm::Sha256) => (
                Verdict::Ok,
                "renditions are stored with their SHA-256",
                None,
            ),
            Some(_) => (Verdict::Ok, "renditions are stored with a CRC", None),
            None => (
                Verdict::Warning,
                "renditions are stored without a checksum",
                Some("reach the store by TLS, which keeps bytes whole on their way"),
            ),
        }
    }

    fn judge_repeats(&self) -> Judgement {
        if self.may_repeat(true) {
            (
                Verdict::Ok,
                "a repetition after a lost answer does no harm",
                None,
            )
        } else if self.writes_once(true) {
            (
                Verdict::Ok,
                "upload URLs store once, so that none can",
                None,
            )
        } else {
            (
                Verdict::Warning,
                "an upload URL that is used again within 15 minutes makes the original look like another, and unreadable",
                Some(
                    "let nobody but the phone see an upload URL; take encryption with keys of its own off the bucket",
                ),
            )
        }
    }

    fn judge_absence(&self) -> Judgement {
        if self.writes_once(false) {
            return (
                Verdict::Ok,
                "an upload URL without a hash stores once; used again it changes nothing",
                None,
            );
        }
        let advice = if self.binds_put_sha256() {
            "let clients declare each file's SHA-256 (ours do): then only the same bytes can follow"
        } else {
            "let nobody but the phone see an upload URL"
        };
        (
            Verdict::Warning,
            "an upload URL without a hash that is used again within 15 minutes replaces the original; the swap is noticed, the bytes are lost",
            Some(advice),
        )
    }

    fn judge_match(&self) -> Judgement {
        let meaning = if self.trusts_if_match() {
            "the store sees to it that reads are of the pinned original"
        } else {
            "the server compares the ETag of each read with the pinned one by itself"
        };
        (Verdict::Ok, meaning, None)
    }

    fn judge_sizes(&self) -> Judgement {
        let meaning = if self.min_part_bytes > limits::PART_BYTES {
            "parts are made as large as this store wants them, all but the last of one size"
        } else {
            "parts are of 8 MiB or more, all but the last of one size"
        };
        (Verdict::Ok, meaning, None)
    }

    fn judge_duplicate(&self) -> Judgement {
        match self.duplicate_complete {
            DuplicateComplete::Succeeds
            | DuplicateComplete::NoSuchUpload
            | DuplicateComplete::Fails => (
                Verdict::Ok,
                "after a lost answer the server looks at the object",
                None,
            ),
            DuplicateComplete::Damages => (
                Verdict::Wrong,
                "a completion that is repeated after a lost answer changes the object",
                Some("take another store"),
            ),
            DuplicateComplete::Unknown => UNPROBED,
        }
    }

    fn judge_aborts(&self) -> Judgement {
        match (
            self.lifecycle.abort_incomplete,
            self.lifecycle.abort_after_days,
        ) {
            (BucketRule::Set, Some(days)) if outlives_uploads(days) => {
                (Verdict::Ok, "what a crash left behind is removed", None)
            }
            (BucketRule::Set, _) => (
                Verdict::Warning,
                "uploads live 7 days, and the bucket forgets them sooner: what was sent is sent again",
                Some("set AbortIncompleteMultipartUpload to 8 days"),
            ),
            (BucketRule::Unset, _) => (
                Verdict::Warning,
                "parts of uploads that a crash left behind stay, and cost",
                Some("set AbortIncompleteMultipartUpload to 8 days on this bucket"),
            ),
            (BucketRule::Unsupported, _) => (
                Verdict::Ok,
                "the janitor removes the uploads that it knows of",
                None,
            ),
            (BucketRule::Unknown, _) => (
                Verdict::Ok,
                "the server's key may not read this rule, and need not",
                Some("see that the bucket aborts incomplete uploads after 8 days"),
            ),
        }
    }

    fn judge_expiry(&self) -> Judgement {
        if self.lifecycle.removes_objects {
            (
                Verdict::Wrong,
                "a rule of the bucket removes originals or renditions behind Safelight's back",
                Some("take that rule away, or narrow it to the prefix x/"),
            )
        } else {
            (Verdict::Ok, "nothing is removed but by Safelight", None)
        }
    }

    fn judge_cors(&self) -> Judgement {
        match self.cors {
            BucketRule::Set => (
                Verdict::Ok,
                "browsers of the named origins may upload; apps need no rule",
                None,
            ),
            BucketRule::Unset => (
                Verdict::Ok,
                "apps can upload, browsers cannot",
                Some("if browsers upload, set the rule of docs/guide/running.md"),
            ),
            BucketRule::Unsupported => (Verdict::Ok, "apps can upload, browsers cannot", None),
            BucketRule::Unknown => (
                Verdict::Ok,
                "the server's key may not read this rule, and need not",
                None,
            ),
        }
    }

    fn sizes(&self) -> String {
        let least = match self.min_part_bytes {
            ..=1 => "no least size".to_owned(),
            bytes if bytes % MIB == 0 => format!("from {} MiB", bytes / MIB),
            bytes => format!("from {bytes} B"),
        };
        let alike = if self.equal_parts { "equal" } else { "unequal" };
        format!("{least}, {alike}")
    }

    fn repeats(&self) -> &'static str {
        match self.repeat_keeps_etag {
            Support::Yes => "keeps the ETag",
            Support::No => "changes the ETag",
            Support::Unknown => "unknown",
        }
    }

    fn duplicate(&self) -> &'static str {
        match self.duplicate_complete {
            DuplicateComplete::Succeeds => "succeeds",
            DuplicateComplete::NoSuchUpload => "NoSuchUpload",
            DuplicateComplete::Fails => "another error",
            DuplicateComplete::Damages => "changes the object",
            DuplicateComplete::Unknown => "unknown",
        }
    }

    fn aborts(&self) -> String {
        match self.lifecycle.abort_after_days {
            Some(days) => format!("after {days} days"),
            None => rule(self.lifecycle.abort_incomplete).to_owned(),
        }
    }

    fn expires(&self) -> &'static str {
        match (
            self.lifecycle.removes_objects,
            self.lifecycle.abort_incomplete,
        ) {
            (true, _) => "removes o/ or r/",
            (false, BucketRule::Unknown) => "unknown",
            (false, _) => "no such rule",
        }
    }
}

const UNUSED: Judgement = (Verdict::Ok, "not used", None);
const UNPROBED: Judgement = (
    Verdict::Warning,
    "nobody has looked",
    Some("run `safelight doctor store`"),
);

fn hashes(are_bound: bool) -> Judgement {
    if are_bound {
        (
            Verdict::Ok,
            "other bytes than declared are refused on arrival",
            None,
        )
    } else {
        (
            Verdict::Warning,
            "uploads are not bound to their hash",
            Some(SOONER),
        )
    }
}

/// Whether uploads have ended by themselves before the bucket aborts them.
fn outlives_uploads(days: i32) -> bool {
    let days = u64::try_from(days).unwrap_or(0);
    Duration::from_secs(days * SECONDS_PER_DAY) >= limits::UPLOAD
}

fn text(treatment: Option<&Treatment>) -> String {
    treatment.copied().unwrap_or_default().as_str().to_owned()
}

fn support(support: Support) -> &'static str {
    match support {
        Support::Yes => "yes",
        Support::No => "no",
        Support::Unknown => "unknown",
    }
}

fn rule(rule: BucketRule) -> &'static str {
    match rule {
        BucketRule::Set => "set",
        BucketRule::Unset => "not set",
        BucketRule::Unsupported => "not supported",
        BucketRule::Unknown => "unknown",
    }
}

/// Algorithms by what is done with them: `crc32 sha256 enforced, sha1 refused`.
fn sums(checksums: &Checksums) -> String {
    let groups: Vec<String> = [Treatment::Enforced, Treatment::Ignored, Treatment::Refused]
        .into_iter()
        .filter_map(|treatment| {
            let names: Vec<&str> = checksums
                .iter()
                .filter(|(_, of)| **of == treatment)
                .map(|(algorithm, _)| algorithm.as_str())
                .collect();
            (!names.is_empty()).then(|| format!("{} {}", names.join(" "), treatment.as_str()))
        })
        .collect();
    if groups.is_empty() {
        "unknown".to_owned()
    } else {
        groups.join(", ")
    }
}

#[cfg(test)]
mod tests {
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
