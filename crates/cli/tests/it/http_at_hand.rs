//! What a worker has just fetched is not fetched again.

use safelight_testkit::wait;

use crate::http_rig::{Database, PATIENCE, Rig, Split, fetch, on_both_databases, photo};

on_both_databases!(an_original_is_fetched_once, a_picture_is_decoded_once);

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

/// How many pictures were still decoded when more was made of them.
async fn spared(rig: &Rig) -> u64 {
    let metrics = fetch(&rig.http, &format!("{}/metrics", rig.server.url())).await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let mut lines = metrics.lines();
    let counted = lines.find_map(|l| l.strip_prefix("safelight_decodes_spared_total "));
    counted.map_or(0, |count| count.parse().unwrap())
}

async fn a_picture_is_decoded_once(database: Database) {
    let rig = Rig::start(database, &["--avif", "no"]).await;
    let ann = rig.owner("ann");
    let mut number = 0;
    // Of single photos, if nothing else is done at that moment.
    let some = wait::until(PATIENCE, async || {
        number += 1;
        let ready = ann.ready(&ann.upload(&photo(number)).await).await;
        assert_eq!(ready["renditions"]["large"]["state"], "ready");
        spared(&rig).await > 0
    });
    some.await.unwrap();
    // In one lane what is derived waits as all else, and is decoded anew.
    let rig = Rig::start(database, &["--avif", "no", "--lanes", "no"]).await;
    let ann = rig.owner("ann");
    for number in 1..=3 {
        ann.ready(&ann.upload(&photo(number)).await).await;
    }
    assert_eq!(spared(&rig).await, 0);
}
