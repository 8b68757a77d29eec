//! What an initiation asks goes by indexes, however many rows there are and whatever the planner knows.

use safelight_model::clock::Micros;
use safelight_model::duplicates::{DedupScope, Duplicates};

use super::lookup::question;
use super::{FreshAsset, FreshCapture, OpenLimit};
use crate::connect::Catalog;
use crate::error::CatalogError;
use crate::explain::{self, write};
use crate::{owned_bytes, values};

/// One owner who has 20,000 captures, half of whose assets hold the same blob.
async fn fill(catalog: &Catalog) {
    let numbers = explain::numbers(20000);
    for (columns, values) in [
        (
            "idempotency (tenant_id, caller, idempotency_key, operation, fingerprint, state, subject_id, lease_until, expires_at)",
            "'ten', 'me', 'k' || n, 'initiate', 'f', 'done', 'cap' || n, 0, 0",
        ),
        (
            "captures (tenant_id, capture_id, owner_id, client_ref, mode, created_at)",
            "'ten', 'cap' || n, 'own', 'ref' || n, 'single', 0",
        ),
        (
            "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, created_at, updated_at)",
            "'ten', 'ast' || n, 'own', 'cap' || n, 'pub' || n, 'ready', 1, 0, 0",
        ),
        (
            "resources (tenant_id, resource_id, asset_id, kind, size_bytes, sha256, blob_id)",
            "'ten', 'res' || n, 'ast' || n, 'primary', 1, 'h', CASE n % 2 WHEN 0 THEN 'blb1' ELSE 'blb' || n END",
        ),
        (
            "blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, sha256, state, verdict, created_at)",
            "'ten', 'blb' || n, 'own', 'o', 'e', 1, 'h' || n, 'live', 'clean', 0",
        ),
        (
            "uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, transport, part_size_bytes, concurrency, \
             send_order, size_bytes, state, version, signed_until, expires_at, created_at)",
            "'ten', 'upl' || n, 'own', 'ast' || n, 'res' || n, 'o' || n, 'single', 1, 1, 0, 1, \
             CASE n % 50 WHEN 0 THEN 'open' ELSE 'completed' END, 1, 0, 0, 0",
        ),
        (
            "sweep_findings (tenant_id, kind, object_key, store_upload_id, first_seen_at, last_seen_at, sweep)",
            "'ten', 'missing_original', 'o' || n, '', 0, 0, 1",
        ),
    ] {
        write(
            catalog,
            format!("INSERT INTO {columns} SELECT {values} FROM {numbers}"),
        )
        .await;
    }
}

/// The plans of the three questions, asked for 64 captures at once.
/// The same question for one file at a time.
async fn plans_of_one(catalog: &Catalog) -> String {
    let mut reader = catalog.reader().await.unwrap();
    let mut plans = String::new();
    for from in [owned_bytes::OWN, owned_bytes::SHARED] {
        let (sql, values) = (format!("SELECT {from}"), values!["ten", "own", "h1", 1_i64]);
        plans += &explain::plan(&mut reader.tx(), &sql, values).await.unwrap();
    }
    plans
}

async fn plans(catalog: &Catalog, dedup_scope: DedupScope) -> String {
    let fresh: Vec<FreshCapture> = (0..64).map(|n| capture(n, dedup_scope)).collect();
    catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move {
                let mut plans = String::new();
                let (explain, column) = explain::explain(tx);
                for row in question(tx, explain, &fresh)?.fetch(tx).await? {
                    plans.push_str(&row.text(column)?);
                    plans.push('\n');
                }
                Ok(plans)
            })
        })
        .await
        .unwrap()
}

fn capture(n: usize, dedup_scope: DedupScope) -> FreshCapture {
    let at = Micros(0);
    FreshCapture {
        tenant_id: "ten".into(),
        owner_id: "own".into(),
        caller: "own".into(),
        idempotency_key: format!("x{n}"),
        fingerprint: "f".into(),
        capture_id: format!("c{n}"),
        event_id: format!("e{n}"),
        client_ref: format!("x{n}"),
        mode: "single".into(),
        purpose: None,
        captured_at: None,
        device: None,
        network: None,
        battery: None,
        assets_at_once: None,
        duplicates: Duplicates::Merge,
        dedup_scope,
        open_limit: OpenLimit {
            uploads: 10_000,
            size_bytes: 1 << 40,
        },
        at,
        record_expires_at: at,
        assets: vec![FreshAsset {
            client_ref: "a".into(),
            role: "key".into(),
            asset_id: format!("a{n}"),
            public_id: format!("p{n}"),
            state: "initiated",
            preview: None,
            resource_id: format!("r{n}"),
            kind: "primary".into(),
            filename: None,
            mime: None,
            size_bytes: 1,
            sha256: Some(format!("x{n}")),
            binds_hash: false,
            upload_id: format!("u{n}"),
            started_event_id: None,
            attached_event_id: format!("t{n}"),
            object_key: format!("o{n}"),
            sent_anyway: false,
            transport: "single",
            part_size_bytes: 1,
            concurrency: 1,
            send_order: 0,
            advice: None,
            signed_until: at,
            expires_at: at,
            look_at: at,
        }],
    }
}

#[tokio::test]
async fn on_sqlite() {
    let (catalog, _directory) = explain::sqlite().await;
    for filled in [false, true] {
        if filled {
            fill(&catalog).await;
        }
        let own = plans(&catalog, DedupScope::Owner).await;
        assert!(!own.contains("resources_by_sharer"), "{own}");
        let plans =
            own + &plans(&catalog, DedupScope::Tenant).await + &plans_of_one(&catalog).await;
        for expected in [
            "resources_by_sharer (tenant_id=? AND blob_id=? AND owner_id=?)",
            "PRIMARY KEY (tenant_id=? AND caller=? AND idempotency_key=?)",
            "captures_by_reference (tenant_id=? AND owner_id=? AND client_ref=?)",
            "blobs_by_hash (tenant_id=? AND scope=? AND sha256=?)",
            "resources_by_blob (tenant_id=? AND blob_id=?)",
            "PRIMARY KEY (tenant_id=? AND asset_id=?)",
            "COVERING INDEX uploads_open_by_owner (tenant_id=? AND owner_id=?)",
            "PRIMARY KEY (tenant_id=? AND kind=? AND object_key=? AND store_upload_id=?)",
        ] {
            assert!(plans.contains(expected), "{expected} is not in\n{plans}");
        }
        assert!(!plans.contains("TEMP B-TREE"), "{plans}");
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
        let own = plans(&catalog, DedupScope::Owner).await;
        let plans =
            own + &plans(&catalog, DedupScope::Tenant).await + &plans_of_one(&catalog).await;
        for expected in [
            "resources_by_sharer",
            "idempotency_pkey",
            "captures_by_reference",
            "blobs_by_hash",
            "resources_by_blob",
            "assets_pkey",
            "uploads_open_by_owner",
            "sweep_findings_pkey",
        ] {
            assert!(plans.contains(expected), "{expected} is not in\n{plans}");
        }
        assert!(
            !plans.contains("Seq Scan") && !plans.contains("Hash"),
            "{plans}"
        );
        if filled {
            assert!(!plans.contains("Sort"), "{plans}");
        }
    }
}
