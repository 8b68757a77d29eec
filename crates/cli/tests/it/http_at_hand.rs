//! What a worker has just fetched is not fetched again.

use crate::http_rig::{Database, Split, on_both_databases, photo};

on_both_databases!(an_original_is_fetched_once);

async fn an_original_is_fetched_once(database: Database) {
    // One light worker: it can do nothing else meanwhile.
    let split = Split::start_with(database, &["--workers", "1"]).await;
    let ann = split.owner("ann");
    for number in 1..=3 {
        let ready = ann.ready(&ann.upload(&photo(number)).await).await;
        for preset in ["cover", "display", "large"] {
            assert_eq!(ready["renditions"][preset]["state"], "ready", "{ready}");
        }
        let asked = split.asked.lock().unwrap();
        let originals = asked
            .iter()
            .filter(|line| line.starts_with("GET /safelight/o/"));
        assert_eq!(originals.count() as u64, number, "{asked:?}");
    }
}
