//! What is near is found along indexes, however many assets there are and whatever the planner knows.

use safelight_model::near::PictureHash;

use super::unhashed::{Lacking, question};
use super::{Side, alike, neighbours};
use crate::assets;
use crate::connect::{Backend, Catalog, CatalogSettings, Schema};
use crate::explain::{self, write};
use crate::values;

/// One owner with 20,000 pictures and their hashes, among others of the tenant.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    for (columns, values) in [
        (
            "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, created_at, updated_at)",
            "'ten', 'ast' || n, CASE n % 2 WHEN 0 THEN 'own' ELSE 'own' || (n % 100) END, 'cap', 'pub' || n, 'ready', 1, CAST(n AS BIGINT) * 60000000, 0",
        ),
        (
            "resources (tenant_id, resource_id, asset_id, kind, size_bytes)",
            "'ten', 'res' || n, 'ast' || n, 'primary', 1",
        ),
        (
            "blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, width, hash_sought_at, scores_sought_at, created_at)",
            "'ten', 'blb' || n, 'own', 'o' || n, 'e', 1, 'live', 'clean', 1, CASE WHEN n % 50 = 0 THEN NULL ELSE 1 END, CASE WHEN n % 50 = 0 THEN NULL ELSE 1 END, 0",
        ),
        (
            "asset_hashes (tenant_id, asset_id, owner_id, picture_hash)",
            "'ten', 'ast' || n, CASE n % 2 WHEN 0 THEN 'own' ELSE 'own' || (n % 100) END, CAST(n AS BIGINT) * 461168601842738",
        ),
    ] {
        let sql = format!("INSERT INTO {columns} SELECT {values} FROM {numbers}");
        write(catalog, sql).await;
    }
}

async fn check(catalog: &Catalog) {
    let mut reader = catalog.reader().await.unwrap();
    let tx = &mut reader.tx();
    let on_postgres = tx.is_postgres();
    let asset = assets::find(tx, "ten", "ast5000").await.unwrap().unwrap();
    let (sql, values) = alike(&asset, PictureHash(0x1234_5678_9abc_def0), on_postgres);
    let plan = explain::plan(tx, &sql, &values).await.unwrap();
    for index in 0..4 {
        let along = match on_postgres {
            true => format!("asset_hashes_by_{index} "),
            false => format!(
                "asset_hashes_by_{index} (tenant_id=? AND owner_id=? AND quarter_{index}=?)"
            ),
        };
        assert_eq!(plan.matches(&along).count(), 17, "{plan}");
    }
    for (lacking, index) in [
        (Lacking::Hash, "blobs_unhashed"),
        (Lacking::Scores, "blobs_unscored"),
    ] {
        let plan = explain::plan(tx, &question(lacking, on_postgres), values![100_i64])
            .await
            .unwrap();
        assert!(plan.contains(index), "{plan}");
        assert!(
            !plan.contains("Sort") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
    for side in [Side::Before, Side::After] {
        let (sql, values) = neighbours(&asset, side, on_postgres);
        let plan = explain::plan(tx, &sql, &values).await.unwrap();
        assert!(plan.contains("assets_by_time"), "{plan}");
        let by_key = match on_postgres {
            true => "asset_hashes_pkey",
            false => "h USING PRIMARY KEY (tenant_id=? AND asset_id=?)",
        };
        assert!(plan.contains(by_key), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    fill(&catalog).await;
    check(&catalog).await;
}

/// The same catalog, opened without its planner being told anything.
async fn untold(catalog: &Catalog, directory: &tempfile::TempDir) -> Catalog {
    write(catalog, "DELETE FROM sqlite_stat1").await;
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let settings = CatalogSettings {
        schema: Schema::LeaveAsItIs,
        ..CatalogSettings::for_url(&url)
    };
    Catalog::open(settings).await.unwrap()
}

#[tokio::test]
async fn on_sqlite_that_was_told_nothing() {
    let (catalog, directory) = explain::sqlite().await;
    fill(&catalog).await;
    let catalog = untold(&catalog, &directory).await;
    let told = "SELECT COUNT(*) FROM sqlite_stat1";
    let told = catalog.reader().await.unwrap().tx().row(told, &[]).await;
    assert_eq!(told.unwrap().unwrap().int(0).unwrap(), 0);
    check(&catalog).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let catalog = explain::postgres().await;
    fill(&catalog).await;
    write(&catalog, "ANALYZE").await;
    check(&catalog).await;
}

/// Pictures of one owner.
const MANY: u64 = 100_000;

/// A number that looks like chance, for each `n` another (splitmix64).
fn scattered(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of a picture: every tenth is a retake of the one before, and every hundredth looks like all its like, as from a
/// camera that never moves.
fn hash_of(n: u64) -> u64 {
    match n {
        n if n % 100 == 50 => scattered(7) ^ (1 << (n / 100 % 64)),
        n if n % 10 == 1 => scattered(n - 1) ^ 0b101,
        n => scattered(n),
    }
}

/// How long it takes to ask what is near, in a library of [`MANY`]: prints the median, the 99th percentile and the longest of
/// 300 questions.
async fn time(catalog: &Catalog) {
    fill_many(catalog).await;
    time_filled(catalog).await;
}

async fn fill_many(catalog: &Catalog) {
    let numbers: Vec<u64> = (0..MANY).collect();
    for chunk in numbers.chunks(1_000) {
        let rows = |row: &dyn Fn(u64) -> String| {
            let rows: Vec<String> = chunk.iter().map(|n| row(*n)).collect();
            rows.join(", ")
        };
        let assets = rows(&|n| {
            let at = n * 300_000_000;
            format!("('ten', 'ast{n:06}', 'own', 'cap', 'pub{n}', 'ready', 1, {at}, 0)")
        });
        let resources = rows(&|n| format!("('ten', 'res{n:06}', 'ast{n:06}', 'primary', 1)"));
        let hashes = rows(&|n| {
            let hash = PictureHash(hash_of(n)).to_stored();
            format!("('ten', 'ast{n:06}', 'own', {hash})")
        });
        for (columns, values) in [
            (
                "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, created_at, updated_at)",
                assets,
            ),
            (
                "resources (tenant_id, resource_id, asset_id, kind, size_bytes)",
                resources,
            ),
            (
                "asset_hashes (tenant_id, asset_id, owner_id, picture_hash)",
                hashes,
            ),
        ] {
            write(catalog, format!("INSERT INTO {columns} VALUES {values}")).await;
        }
    }
    if catalog.backend() == Backend::Postgres {
        write(catalog, "ANALYZE").await;
    }
}

async fn time_filled(catalog: &Catalog) {
    let mut reader = catalog.reader().await.unwrap();
    for (what, every, first) in [
        ("scattered, with a retake", 10, 0),
        ("a thousand alike", 100, 50),
    ] {
        let mut took = Vec::new();
        for i in 0..300 {
            let id = format!("ast{:06}", first + i * every);
            let tx = &mut reader.tx();
            let asset = assets::find(tx, "ten", &id).await.unwrap().unwrap();
            let begun = std::time::Instant::now();
            let near = super::near(tx, &asset, 50).await.unwrap().unwrap();
            took.push(begun.elapsed());
            assert!(!near.is_empty(), "{id}");
        }
        took.sort();
        println!(
            "{:?}: {what}: {:?}, {:?}, {:?}",
            catalog.backend(),
            took[150],
            took[297],
            took[299]
        );
    }
}

#[tokio::test]
#[ignore = "takes a minute and asserts little: it prints how long questions take"]
async fn time_on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    time(&catalog).await;
}

#[tokio::test]
#[ignore = "takes a minute and asserts little: it prints how long questions take"]
async fn time_on_sqlite_that_was_told_nothing() {
    let (catalog, directory) = explain::sqlite().await;
    fill_many(&catalog).await;
    time_filled(&untold(&catalog, &directory).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and asserts little: it prints how long questions take"]
async fn time_on_postgres() {
    let catalog = explain::postgres().await;
    time(&catalog).await;
}
