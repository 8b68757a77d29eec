//! What an upgrade leaves to do is asked for before the workers have none left, and never all of it at once.

use safelight_service::processing::{hash_picture, read_metadata};

use crate::http_rig::{Database, change, number, on_both_databases};
use crate::in_process::{InProcess, TENANT};

on_both_databases!(more_is_asked_for_before_all_is_done);

/// Pictures of a version that gave them nothing but a cover, by number.
async fn pictures(service: &InProcess, of: std::ops::Range<u32>) {
    for first in of.clone().step_by(100) {
        let rows: Vec<String> = (first..of.end.min(first + 100))
            .map(|n| {
                format!("('{TENANT}', 'blb_{n:04}', 'ann', 'o/{n}', 'tag', 9, 'live', 'clean', 'image/jpeg', 40, 30, 1)")
            })
            .collect();
        let sql = format!(
            "INSERT INTO blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, mime, width, height, created_at)
             VALUES {}",
            rows.join(", ")
        );
        let catalog = &service.context.catalog;
        catalog
            .write::<_, safelight_catalog::CatalogError, _>(move |tx| {
                Box::pin(async move { tx.exec(&sql, &[]).await })
            })
            .await
            .unwrap();
    }
}

async fn more_is_asked_for_before_all_is_done(database: Database) {
    let service = InProcess::start(database).await;
    let (context, catalog) = (&service.context, &service.context.catalog);
    pictures(&service, 0..700).await;
    // As the janitor does: until no more is asked for.
    let schedules = async || {
        let mut sums = [0, 0];
        loop {
            let asked = [
                hash_picture::schedule(context).await.unwrap(),
                read_metadata::schedule(context).await.unwrap(),
            ];
            assert!(asked.iter().all(|n| *n <= 100), "in one commit");
            sums = [sums[0] + asked[0], sums[1] + asked[1]];
            if asked == [0, 0] {
                return sums;
            }
        }
    };
    assert_eq!(schedules().await, [500, 500]);
    assert_eq!(schedules().await, [0, 0]);
    // As if the workers had done so many of them, in order.
    let done = async |count: &'static str| {
        for sql in [
            "DELETE FROM jobs WHERE subject_id < $1",
            "UPDATE blobs SET hash_sought_at = 1, scores_sought_at = 1, metadata_sought_at = 1 WHERE blob_id < $1",
        ] {
            change(catalog, sql, vec![count.into()]).await;
        }
    };
    done("blb_0100").await;
    assert_eq!(schedules().await, [100, 100], "as many as were done");
    assert_eq!(schedules().await, [0, 0]);
    done("blb_0550").await;
    assert_eq!(schedules().await, [100, 100], "all there are");
    assert_eq!(schedules().await, [0, 0]);
    done("blb_0699").await;
    assert_eq!(schedules().await, [0, 0], "the last one waits");
    // What others have asked for keeps nothing from being asked for.
    pictures(&service, 700..710).await;
    assert_eq!(schedules().await, [10, 10]);
    done("blb_0710").await;
    assert_eq!(schedules().await, [0, 0]);
    assert_eq!(number(catalog, "SELECT COUNT(*) FROM jobs").await, 0);
}
