//! What a list asks goes along an index in its order, however many assets there are and whatever the planner knows.

use safelight_model::clock::Micros;

use super::{Filter, Listing, Order, Place, question};
use crate::connect::Catalog;
use crate::explain::{self, write};

/// Ninety owners with 20,000 assets. One has 2,000: every tenth is in an album, every fifteenth
/// has a tag; there are other albums and tags.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    for (columns, values, which) in [
        (
            "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, captured_at, created_at, updated_at)",
            "'ten', 'ast' || n, CASE n % 10 WHEN 0 THEN 'own' ELSE 'own' || (n % 100) END, 'cap' || n, 'pub' || n, 'ready', 1, n * 7919 % 20000, 0, 0",
            "n > 0",
        ),
        (
            "resources (tenant_id, resource_id, asset_id, kind, mime, size_bytes, blob_id)",
            "'ten', 'res' || n, 'ast' || n, 'primary', 'image/jpeg', 1, 'blb' || n",
            "n > 0",
        ),
        (
            "blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, sha256, state, verdict, created_at)",
            "'ten', 'blb' || n, 'own', 'o', 'e', 1, 'h' || n, 'live', 'clean', 0",
            "n > 0",
        ),
        (
            "capture_assets (tenant_id, capture_id, position, client_ref, role, asset_id)",
            "'ten', 'cap' || n, 0, 'a', 'key', 'ast' || n",
            "n > 0",
        ),
        (
            "album_assets (tenant_id, album_id, asset_id, taken_at)",
            "'ten', 'alb1', 'ast' || n, n * 7919 % 20000",
            "n % 100 = 0",
        ),
        (
            "asset_tags (tenant_id, owner_id, tag, asset_id, taken_at)",
            "'ten', 'own', 'sea', 'ast' || n, n * 7919 % 20000",
            "n % 150 = 0",
        ),
        (
            "album_assets (tenant_id, album_id, asset_id, taken_at)",
            "'ten', 'alb' || (n % 100 + 2), 'ast' || n, n * 7919 % 20000",
            "n > 0",
        ),
        (
            "asset_tags (tenant_id, owner_id, tag, asset_id, taken_at)",
            "'ten', 'own', 'tag' || (n % 20), 'ast' || n, n * 7919 % 20000",
            "n % 10 = 0",
        ),
    ] {
        write(
            catalog,
            format!("INSERT INTO {columns} SELECT {values} FROM {numbers} WHERE {which}"),
        )
        .await;
    }
}

/// What is asked, and the index that it goes along on SQLite (with how much of it) and on PostgreSQL.
fn asked() -> Vec<(Filter, Order, &'static str, &'static str)> {
    let album = Filter {
        album_id: Some("alb1".into()),
        ..Filter::default()
    };
    let tag = Filter {
        tag: Some("sea".into()),
        ..Filter::default()
    };
    let both = Filter {
        tag: Some("sea".into()),
        ..album.clone()
    };
    let capture = Filter {
        capture_id: Some("cap70".into()),
        ..Filter::default()
    };
    let rest = Filter {
        state: Some(safelight_model::lifecycle::State::Failed),
        mime: Some("image".into()),
        visibility: Some(safelight_model::metadata::Visibility::Private),
        ..Filter::default()
    };
    let taken = Filter {
        taken: (Some(Micros(10)), Some(Micros(15_000))),
        ..rest.clone()
    };
    let created = Filter {
        created: (Some(Micros(0)), Some(Micros(1))),
        ..rest
    };
    vec![
        (
            Filter::default(),
            Order::Created,
            "a USING INDEX assets_by_owner (tenant_id=? AND owner_id=? AND asset_id<?)",
            "assets_by_owner",
        ),
        (
            Filter::default(),
            Order::Captured,
            "a USING INDEX assets_by_time (tenant_id=? AND owner_id=? AND (taken_at,asset_id)<(?,?))",
            "assets_by_time",
        ),
        (
            album.clone(),
            Order::Created,
            "m USING PRIMARY KEY (tenant_id=? AND album_id=? AND asset_id<?)",
            "album_assets_pkey",
        ),
        (
            album,
            Order::Captured,
            "album_assets_by_time (tenant_id=? AND album_id=? AND (taken_at,asset_id)<(?,?))",
            "album_assets_by_time",
        ),
        (
            tag.clone(),
            Order::Created,
            "t USING PRIMARY KEY (tenant_id=? AND owner_id=? AND tag=? AND asset_id<?)",
            "asset_tags_pkey",
        ),
        (
            tag,
            Order::Captured,
            "asset_tags_by_time (tenant_id=? AND owner_id=? AND tag=? AND (taken_at,asset_id)<(?,?))",
            "asset_tags_by_time",
        ),
        // The tag is asked of each asset of the album.
        (
            both,
            Order::Captured,
            "album_assets_by_time (tenant_id=? AND album_id=? AND (taken_at,asset_id)<(?,?))",
            "album_assets_by_time",
        ),
        // A capture has a hundred assets at most: these may be sorted.
        (
            capture,
            Order::Captured,
            "c USING PRIMARY KEY (tenant_id=? AND capture_id=?)",
            "capture_assets_pkey",
        ),
        (
            taken,
            Order::Captured,
            "a USING INDEX assets_by_time",
            "assets_by_time",
        ),
        (
            created,
            Order::Created,
            "a USING INDEX assets_by_owner",
            "assets_by_owner",
        ),
    ]
}

async fn plan(catalog: &Catalog, (filter, order): (&Filter, Order), first: bool) -> String {
    let place = Place {
        taken_at: Micros(9_000),
        asset_id: "ast5".into(),
    };
    let listing = Listing {
        tenant_id: "ten",
        owner_id: "own",
        filter,
        order,
        after: (!first).then_some(&place),
        limit: 51,
    };
    let mut reader = catalog.reader().await.unwrap();
    let mut tx = reader.tx();
    let (sql, values) = question(&listing, tx.is_postgres());
    explain::plan(&mut tx, &sql, &values).await.unwrap()
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    for filled in [false, true] {
        if filled {
            fill(&catalog).await;
        }
        for (filter, order, index, _) in asked() {
            for first in [false, true] {
                let asked = (&filter, order);
                let plan = plan(&catalog, asked, first).await;
                // The first page has no place to begin behind.
                let index = match first {
                    false => index,
                    true => index.split(" (").next().unwrap(),
                };
                assert!(plan.contains(index), "{index} is not in\n{plan}");
                let resource = "resources_primary (tenant_id=? AND asset_id=?)";
                assert!(plan.contains(resource), "{plan}");
                if filter.capture_id.is_none() {
                    let bad = plan.contains("SCAN") || plan.contains("TEMP B-TREE");
                    assert!(!bad, "{filter:?} {order:?}\n{plan}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let catalog = explain::postgres().await;
    for (filled, analyzed) in [(false, false), (true, false), (true, true)] {
        if filled && !analyzed {
            fill(&catalog).await;
        }
        if analyzed {
            write(&catalog, "ANALYZE").await;
        }
        for (filter, order, _, index) in asked() {
            let plan = plan(&catalog, (&filter, order), false).await;
            assert!(!plan.contains("Seq Scan"), "{plan}");
            // What little is known without statistics may be taken by another index, and sorted.
            if !analyzed {
                continue;
            }
            assert!(plan.contains(index), "{index} is not in\n{plan}");
            // Fewer than are asked for may be sorted: of a capture, and of a state that hardly any are in.
            if filter.capture_id.is_none() && filter.state.is_none() {
                assert!(!plan.contains("Sort"), "{filter:?} {order:?}\n{plan}");
            }
        }
    }
}
