//! Capabilities in words.

use super::{BucketRule, Capabilities, Checksums, DuplicateComplete, Support, Treatment};

const MIB: i64 = 1 << 20;

impl Capabilities {
    pub(super) fn sizes(&self) -> String {
        let least = match self.min_part_bytes {
            ..=1 => "no least size".to_owned(),
            bytes if bytes % MIB == 0 => format!("from {} MiB", bytes / MIB),
            bytes => format!("from {bytes} B"),
        };
        let alike = if self.equal_parts { "equal" } else { "unequal" };
        format!("{least}, {alike}")
    }

    pub(super) fn repeats(&self) -> &'static str {
        match self.repeat_keeps_etag {
            Support::Yes => "keeps the ETag",
            Support::No => "changes the ETag",
            Support::Unknown => "unknown",
        }
    }

    pub(super) fn duplicate(&self) -> &'static str {
        match self.duplicate_complete {
            DuplicateComplete::Succeeds => "succeeds",
            DuplicateComplete::NoSuchUpload => "NoSuchUpload",
            DuplicateComplete::Fails => "another error",
            DuplicateComplete::Damages => "changes the object",
            DuplicateComplete::Unknown => "unknown",
        }
    }

    pub(super) fn aborts(&self) -> String {
        match self.lifecycle.abort_after_days {
            Some(days) => format!("after {days} days"),
            None => rule(self.lifecycle.abort_incomplete).to_owned(),
        }
    }

    pub(super) fn expires(&self) -> &'static str {
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

pub(super) fn text(treatment: Option<&Treatment>) -> String {
    treatment.copied().unwrap_or_default().as_str().to_owned()
}

pub(super) fn support(support: Support) -> &'static str {
    match support {
        Support::Yes => "yes",
        Support::No => "no",
        Support::Unknown => "unknown",
    }
}

pub(super) fn rule(rule: BucketRule) -> &'static str {
    match rule {
        BucketRule::Set => "set",
        BucketRule::Unset => "not set",
        BucketRule::Unsupported => "not supported",
        BucketRule::Unknown => "unknown",
    }
}

/// Algorithms by what is done with them: `crc32 sha256 enforced, sha1 refused`.
pub(super) fn sums(checksums: &Checksums) -> String {
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
