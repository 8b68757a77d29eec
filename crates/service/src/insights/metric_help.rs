//! What each metric means, as `/metrics` and the guide say it.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// How a metric goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It is as it is now.
    Gauge,
    /// How many there were of each size.
    Histogram,
}
use Kind::{Counter, Gauge, Histogram};

/// All of them, by name. Each is of one process, but for those that say otherwise.
const ALL: &[(Kind, &str, &str)] = &[
    (
        Gauge,
        "safelight_catalog_doubted",
        "1 while removals are held back since the catalog may be older than the store",
    ),
    (
        Counter,
        "safelight_client_attempts_total",
        "Requests that clients made to send files, as they tell of it, by network",
    ),
    (
        Counter,
        "safelight_client_failed_parts_total",
        "Parts that clients gave up or sent again, as they tell of it, by network",
    ),
    (
        Counter,
        "safelight_client_retries_total",
        "Requests among safelight_client_attempts_total that repeated another, by network",
    ),
    (
        Counter,
        "safelight_client_transfers_total",
        "Files that clients sent or gave up, as they tell of it, by network and outcome",
    ),
    (
        Counter,
        "safelight_decode_memory_waits_total",
        "Pictures and clips that waited for memory to be decoded in",
    ),
    (
        Counter,
        "safelight_decoders_changed_total",
        "Decoding processes that were ended for one of another kind or tenant",
    ),
    (
        Counter,
        "safelight_decodes_spared_total",
        "Pictures of which more was made while they were still decoded for their cover",
    ),
    (
        Counter,
        "safelight_deletions_completed_total",
        "Deletions after which nothing was left at the store",
    ),
    (
        Counter,
        "safelight_deletions_failed_total",
        "How often a deletion could not be looked at; it is looked at again",
    ),
    (
        Counter,
        "safelight_event_streams_cut_off_total",
        "Streams of events that were given up since nobody read them",
    ),
    (
        Counter,
        "safelight_events_total",
        "Events that this process gave a place in the order",
    ),
    (
        Histogram,
        "safelight_http_request_seconds",
        "Time from a request's head to the end of its answer, by route and method; those held back at their own wish are not in it",
    ),
    (
        Counter,
        "safelight_http_requests_total",
        "Requests that were answered, by route, method and status",
    ),
    (
        Histogram,
        "safelight_job_cpu_seconds",
        "Processor time of one attempt at a job, by kind and class",
    ),
    (
        Histogram,
        "safelight_job_run_seconds",
        "Time that one attempt at a job took, by kind",
    ),
    (
        Histogram,
        "safelight_job_wait_seconds",
        "Time from when a job was due until a worker took it, by lane and class",
    ),
    (
        Counter,
        "safelight_jobs_rescued_total",
        "Jobs of workers that fell silent, by kind and outcome",
    ),
    (
        Counter,
        "safelight_jobs_total",
        "Attempts at jobs that ended, by kind, lane and outcome",
    ),
    (
        Gauge,
        "safelight_queue_jobs",
        "Jobs of all processes by lane, class and state (queued: due; scheduled: for later; leased: under way; dead: given up), counted by each janitor once a minute",
    ),
    (
        Gauge,
        "safelight_queue_oldest_seconds",
        "For how long the first job that is queued has been due, by lane and class; 0 where there is none",
    ),
    (
        Gauge,
        "safelight_removals_failed",
        "Removals that were given up after all their attempts, at the end of the last sweep",
    ),
    (
        Counter,
        "safelight_removals_held_back_total",
        "Removals that were put off since the catalog may be older than the store, by what they are of",
    ),
    (
        Gauge,
        "safelight_sandbox_landlock_abi",
        "The version of landlock that confines decoders of pictures; 0 is none",
    ),
    (
        Gauge,
        "safelight_sandbox_seccomp",
        "1 where the kernel filters what decoders of pictures may call",
    ),
    (
        Gauge,
        "safelight_sandbox_video_landlock_abi",
        "The version of landlock that confines ffmpeg; 0 is none",
    ),
    (
        Gauge,
        "safelight_sandbox_video_seccomp",
        "1 where the kernel filters what ffmpeg may call",
    ),
    (
        Gauge,
        "safelight_store_damaged",
        "Damaged objects that the last reading of the embedded store found",
    ),
    (
        Counter,
        "safelight_store_events_total",
        "Events that a store told of, by form and what came of it",
    ),
    (
        Counter,
        "safelight_store_scrubbed_bytes_total",
        "Bytes of the embedded store that were read to find damage",
    ),
    (
        Gauge,
        "safelight_sweep_findings",
        "What the last sweep found, by kind",
    ),
    (
        Counter,
        "safelight_sweep_removed_total",
        "What sweeps removed, by kind",
    ),
    (
        Counter,
        "safelight_uploads_begun_anew_total",
        "Uploads of which no part got through, and that began again as append",
    ),
    (
        Counter,
        "safelight_uploads_cleared_total",
        "Ended uploads of which nothing is left at the store",
    ),
    (
        Counter,
        "safelight_uploads_expired_total",
        "Uploads that were given up since nothing came any more",
    ),
    (
        Counter,
        "safelight_uploads_found_whole_total",
        "Uploads that were completed for a client that had fallen silent",
    ),
    (
        Counter,
        "safelight_uploads_merged_total",
        "Uploads that ended since the owner had the same bytes",
    ),
    (
        Gauge,
        "safelight_waiting",
        "Requests that wait for a change, and open streams of events",
    ),
    (
        Counter,
        "safelight_webhook_tries_total",
        "Messages that were sent to webhooks, by outcome: delivered, or a code",
    ),
];

/// Gives the recorder that is installed what each of them means.
pub fn describe() {
    for (kind, name, help) in ALL.iter().copied() {
        match kind {
            Counter => describe_counter!(name, help),
            Gauge => describe_gauge!(name, help),
            Histogram => describe_histogram!(name, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    use super::*;

    fn sources(below: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }

    /// The names of metrics that stand in a text after `before`.
    fn names(text: &str, before: &str) -> BTreeSet<String> {
        let beginning = format!("{before}safelight_");
        let after = text.split(&beginning).skip(1);
        let name = |rest: &str| {
            let is_of_it = |c: char| c.is_ascii_lowercase() || c == '_';
            let end = rest.find(|c| !is_of_it(c)).unwrap_or(rest.len());
            format!("safelight_{}", &rest[..end])
        };
        after.map(name).collect()
    }

    #[test]
    fn all_that_is_measured_is_explained_here_and_in_the_guide() {
        let service = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = service.ancestors().nth(2).unwrap();
        let mut files = Vec::new();
        for crate_name in ["service", "cli", "catalog", "objects", "diskstore"] {
            sources(
                &root.join("crates").join(crate_name).join("src"),
                &mut files,
            );
        }
        let mut used = BTreeMap::new();
        for path in files
            .iter()
            .filter(|p| !p.ends_with(file!().rsplit('/').next().unwrap()))
        {
            let text = std::fs::read_to_string(path).unwrap();
            let is_code = text.contains("metrics::");
            for name in names(&text, "\"").into_iter().filter(|_| is_code) {
                used.insert(name, path.clone());
            }
        }
        let explained: BTreeSet<&str> = ALL.iter().map(|(_, name, _)| *name).collect();
        assert_eq!(explained.len(), ALL.len(), "one stands here twice");
        for (name, path) in &used {
            assert!(explained.contains(name.as_str()), "{name} of {path:?}");
        }
        let guide = std::fs::read_to_string(root.join("docs/guide/metrics.md")).unwrap();
        for (kind, name, help) in ALL {
            assert!(used.contains_key(*name), "nothing counts {name}");
            let kind = format!("{kind:?}").to_lowercase();
            let row = format!("| `{name}` | {kind} | {help} |\n");
            assert!(guide.contains(&row), "the guide lacks {row}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        }
    }
}
