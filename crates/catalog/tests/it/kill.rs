//! Killed with SIGKILL in the middle of a storm of writes: what was acknowledged is there, and whole.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use safelight_catalog::{Backend, Catalog, CatalogSettings, captures, uploads};
use safelight_model::entropy::SeededEntropy;

use crate::fixture::Fixture;
use crate::samples::*;

const URL: &str = "CATALOG_TEST_URL";
const ROUND: &str = "CATALOG_TEST_ROUND";
const ROUNDS: usize = 5;
const ASSETS: usize = 3;

/// The process that gets killed: this binary, started again by the test below. It says what was
/// acknowledged.
#[test]
fn child_that_writes() {
    let (Ok(url), Ok(round)) = (std::env::var(URL), std::env::var(ROUND)) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // Ids that differ from those of the rounds before.
        let mut f = Fixture::open(Backend::Sqlite).await;
        f.entropy = Arc::new(SeededEntropy::new(round.parse().unwrap()));
        let catalog = Catalog::open(CatalogSettings::for_url(&url)).await.unwrap();
        at_once(48, |n| {
            let catalog = catalog.clone();
            let prepared: Vec<_> = (0..400)
                .map(|i| capture(&f, OWNER, &format!("{round}-{n}-{i}"), ASSETS))
                .collect();
            async move {
                for fresh in &prepared {
                    make_one(&catalog, fresh).await;
                    println!("\nACKNOWLEDGED {}", fresh.capture_id);
                }
            }
        })
        .await;
        println!("\nFINISHED");
    });
}

/// The captures that were acknowledged before the process was killed, after so many of them.
fn storm(directory: &Path, url: &str, round: usize, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_writes", "--nocapture"])
        .env(URL, url)
        // It cannot tidy up behind itself.
        .env("TMPDIR", directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut acknowledged, mut killed, mut line) = (Vec::new(), false, String::new());
    loop {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            break;
        }
        // The last line may have been cut off.
        let Some(whole) = line.strip_suffix('\n') else {
            break;
        };
        assert_ne!(whole, "FINISHED", "the storm was over before the kill");
        acknowledged.extend(whole.strip_prefix("ACKNOWLEDGED ").map(str::to_owned));
        if acknowledged.len() >= enough && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let mut acknowledged = HashSet::new();
    for round in 1..=ROUNDS {
        let said =
            tokio::task::block_in_place(|| storm(directory.path(), &url, round, 100 * round + 37));
        acknowledged.extend(said);

        let catalog = Catalog::open(CatalogSettings::for_url(&url)).await.unwrap();
        let mut reader = catalog.reader().await.unwrap();
        let mut tx = reader.tx();
        for capture_id in &acknowledged {
            let members = captures::members(&mut tx, TENANT, capture_id)
                .await
                .unwrap();
            let uploads = uploads::of_capture(&mut tx, TENANT, capture_id)
                .await
                .unwrap();
            assert_eq!((members.len(), uploads.len()), (ASSETS, ASSETS));
        }
        // What nobody was told of is there whole, or not at all.
        let captures = count(&catalog, "captures").await;
        assert!(captures >= i64::try_from(acknowledged.len()).unwrap());
        for table in ["idempotency", "events"] {
            assert_eq!(count(&catalog, table).await, captures, "{table}");
        }
        for table in ["assets", "resources", "uploads", "capture_assets"] {
            let expected = captures * i64::try_from(ASSETS).unwrap();
            assert_eq!(count(&catalog, table).await, expected, "{table}");
        }
        let sound = tx.row("SELECT * FROM pragma_integrity_check", &[]).await;
        assert_eq!(sound.unwrap().unwrap().text(0).unwrap(), "ok");
        drop(reader);
        catalog.close().await;
    }
}
