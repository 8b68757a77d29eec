//! Counts how transfers went as clients saw them, for the operator's metrics. They are told with a completion, and nothing
//! else depends on them: what a client makes up spoils a graph.

use safelight_api::uploads::TransferReport;

use super::sign_urls::SignError;

/// Reports in one request at most.
const MOST: usize = 32;
/// A transfer of more tries than this is counted as one of so many.
const MOST_TRIES: u32 = 100_000;
/// The networks that are told apart: a word of a client's own would make a series each.
const NETWORKS: [&str; 7] = ["ethernet", "wifi", "cellular", "2g", "3g", "4g", "5g"];
const OUTCOMES: [&str; 3] = ["completed", "failed", "cancelled"];

/// Whether there are not too many.
///
/// # Errors
/// If there are.
pub fn check(reports: &[TransferReport]) -> Result<(), SignError> {
    if reports.len() > MOST {
        let why = format!("at most {MOST} transfers are told of in one request");
        return Err(SignError::Invalid("transfers".to_owned(), why));
    }
    Ok(())
}

/// Counts them.
pub fn count(reports: &[TransferReport]) {
    for report in reports {
        let network = report.network.as_deref();
        let network = network.map_or("unknown", |word| known(&NETWORKS, word));
        let outcome = known(&OUTCOMES, &report.outcome);
        let labels = [("network", network), ("outcome", outcome)];
        metrics::counter!("safelight_client_transfers_total", &labels).increment(1);
        for (name, count) in [
            ("safelight_client_attempts_total", report.attempts),
            ("safelight_client_retries_total", report.retries),
            ("safelight_client_failed_parts_total", report.failed_parts),
        ] {
            metrics::counter!(name, "network" => network).increment(count.min(MOST_TRIES).into());
        }
    }
}

/// The word of the list; `other` for any that is not in it.
fn known(words: &[&'static str], word: &str) -> &'static str {
    let found = words.iter().find(|known| **known == word);
    found.copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_clients_own_are_one_series() {
        assert_eq!(known(&NETWORKS, "wifi"), "wifi");
        assert_eq!(known(&NETWORKS, "the neighbour's"), "other");
        assert_eq!(known(&OUTCOMES, ""), "other");
        assert!(check(&vec![TransferReport::default(); MOST]).is_ok());
        let error = check(&vec![TransferReport::default(); MOST + 1]).unwrap_err();
        assert_eq!(error.field(), Some("transfers"));
    }
}
