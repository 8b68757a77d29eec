//! What follows from each capability, and what the operator should do.

use std::time::Duration;

use safelight_model::limits;

use super::assess::Verdict;
use super::{BucketRule, Capabilities, ChecksumAlgorithm, DuplicateComplete, Treatment};

const SECONDS_PER_DAY: u64 = 86_400;

/// Verdict, meaning, and what to do.
pub(super) type Judgement = (Verdict, &'static str, Option<&'static str>);

const SOONER: &str = "other bytes than declared are found when the original is inspected, not on arrival; take a store that checks SHA-256 to have them refused at once";

pub(super) const UNUSED: Judgement = (Verdict::Ok, "not used", None);
const UNPROBED: Judgement = (
    Verdict::Warning,
    "nobody has looked",
    Some("run `safelight doctor store`"),
);

pub(super) fn hashes(are_bound: bool) -> Judgement {
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

impl Capabilities {
    pub(super) fn judge_length(&self) -> Judgement {
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

    pub(super) fn judge_own_sum(&self) -> Judgement {
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

    pub(super) fn judge_repeats(&self) -> Judgement {
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

    pub(super) fn judge_absence(&self) -> Judgement {
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

    pub(super) fn judge_replacement(&self) -> Judgement {
        let meaning = if self.puts_if_same() {
            "of two catalogs that use the bucket, each notices at once"
        } else {
            "of two catalogs that use the bucket, each notices within its next rounds"
        };
        (Verdict::Ok, meaning, None)
    }

    pub(super) fn judge_match(&self) -> Judgement {
        let meaning = if self.trusts_if_match() {
            "the store sees to it that reads are of the pinned original"
        } else {
            "the server compares the ETag of each read with the pinned one by itself"
        };
        (Verdict::Ok, meaning, None)
    }

    pub(super) fn judge_sizes(&self) -> Judgement {
        let meaning = if self.min_part_bytes > limits::PART_BYTES {
            "parts are made as large as this store wants them, all but the last of one size"
        } else {
            "parts are of 8 MiB or more, all but the last of one size"
        };
        (Verdict::Ok, meaning, None)
    }

    pub(super) fn judge_duplicate(&self) -> Judgement {
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

    pub(super) fn judge_aborts(&self) -> Judgement {
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

    pub(super) fn judge_expiry(&self) -> Judgement {
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

    pub(super) fn judge_cors(&self) -> Judgement {
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
}
