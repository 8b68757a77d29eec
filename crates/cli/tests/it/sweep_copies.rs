//! Copies of a catalog, served beside it or put back in its place: what they hold to be abandoned, doomed or nobody's may be what
//! the other one has made of it since.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use safelight_catalog::jobs::Job;
use safelight_catalog::{blobs, sweeps};
use safelight_model::clock::Micros;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::lane::Lane;
use safelight_model::limits;
use safelight_objects::{ObjectKey, ownership};
use safelight_service::context::{Context, ServiceSettings};
use safelight_service::look_after;
use safelight_service::retention::catalog_mark::{self, EVERY};
use safelight_service::retention::clear_segments::clear_segments;
use safelight_service::retention::hear_others::LISTENED_FOR;
use safelight_service::retention::keep_mark::{AT_MOST_EVERY, KeptMark};
use safelight_service::retention::purge_blob;
use safelight_service::work::JobError;

use crate::http_rig::{
    Caller, Database, PART_BYTES, change, large_photo, number, objects, on_both_databases, photo,
    rows, text,
};
use crate::in_process::{InProcess, TENANT, context as process};
use crate::silent_appends::{append as go_on, begin};
use crate::sweep::{DAY, found, put};
use crate::sweep_doubts::{doubt, mark, round, sweep_for_weeks};

on_both_databases!(
    a_copy_that_is_served_removes_nothing_by_its_rows,
    a_copy_beside_a_silent_one_hears_it_before_it_removes_anything,
    what_a_newer_catalog_completed_is_not_cleared,
    a_confirmed_copy_of_any_age_removes_nothing_that_is_needed,
    what_took_the_place_of_lost_bytes_must_be_there,
);

/// A job that purges this blob.
fn purge(blob_id: &str) -> Job {
    Job {
        tenant_id: TENANT.to_owned(),
        job_id: "job_purge".to_owned(),
        kind: JobKind::Purge,
        lane: Lane::Bulk,
        class: CostClass::Light,
        cpu_us: 0,
        owner_id: "ann".to_owned(),
        subject_id: blob_id.to_owned(),
        run_at: Micros(0),
        attempts: 1,
        fence: 1,
        enqueued_at: Micros(0),
        updated_at: Micros(0),
        error_code: None,
        error_detail: None,
    }
}

/// The catalog as it is now, in a database of its own: `path` is where, on SQLite.
async fn copy_of(service: &InProcess, database: Database, path: &std::path::Path) -> Context {
    let from = service.catalog_url.clone();
    let to = match database {
        Database::Sqlite => {
            let file = from.trim_start_matches("sqlite://").to_owned();
            std::fs::create_dir_all(path).unwrap();
            for name in ["catalog.db", "catalog.db-wal"] {
                let from = file.replace("catalog.db", name);
                std::fs::copy(from, path.join(name)).unwrap();
            }
            format!("sqlite://{}", path.join("catalog.db").display())
        }
        Database::Postgres => {
            let to = database.fresh().unwrap();
            let copied = format!(
                "set -e; bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1); \
                 $bin/pg_dump --no-owner '{from}' | $bin/psql -q -v ON_ERROR_STOP=1 '{to}' >/dev/null"
            );
            let mut shell = Command::new("bash");
            shell.args(["-o", "pipefail", "-c", &copied]);
            let done = tokio::task::spawn_blocking(move || shell.output().unwrap());
            let done = done.await.unwrap();
            assert!(done.status.success(), "{done:?}");
            to
        }
    };
    process(service.context.objects.clone(), &to, &service.clock).await
}

/// Begins an upload that is appended to, with these first bytes; its id.
async fn append(service: &InProcess, ann: &Caller, file: &[u8], first: usize) -> String {
    let id = begin(ann, file).await;
    go_on(service, &id, &file[..first], false).await;
    id
}

/// Initiates an upload, and has its bytes at the store; by no URL, whose time the store would see by its own clock. The upload's
/// id.
async fn sent(service: &InProcess, ann: &Caller, file: &[u8]) -> String {
    let asset = ann.initiate(&[file]).await.remove(0);
    let id = text(&asset["uploads"][0]["upload_id"]).to_owned();
    let sql = format!("SELECT object_key FROM uploads WHERE upload_id = '{id}'");
    let row = &rows(&service.context.catalog, &sql).await[0];
    let key = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
    let (store, bytes) = (&service.context.objects, Bytes::from(file.to_vec()));
    store.put(&key, bytes, Default::default()).await.unwrap();
    id
}

/// Everything that a janitor and a worker do by rows, and a process that is alive; whether a purge was put off.
async fn work_by_rows(context: &Context, doomed: &str) -> bool {
    let _ = look_after::round(context).await.unwrap();
    clear_segments(context).await.unwrap();
    match purge_blob::run(context, &purge(doomed)).await {
        Ok(_) => false,
        Err(JobError::Snooze { after }) => after == EVERY,
        Err(error) => panic!("{error}"),
    }
}

async fn a_copy_that_is_served_removes_nothing_by_its_rows(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store, ann) = (
        &service.context,
        &service.context.objects,
        service.owner("ann"),
    );
    round(context).await;
    // As the copy has it: in parts, in one, appended, whole, and whole and doomed.
    let large = large_photo(1, PART_BYTES + 1000);
    let parts = ann.initiate(&[&large]).await.remove(0);
    let parts_id = text(&parts["uploads"][0]["upload_id"]).to_owned();
    ann.send_parts(&parts_id, &large, &[1]).await;
    let single = ann.initiate(&[&photo(2)]).await.remove(0);
    let appended = append(&service, &ann, &large_photo(3, PART_BYTES), 1000).await;
    ann.upload(&photo(4)).await;
    ann.upload(&photo(5)).await;
    let blob = rows(
        &context.catalog,
        "SELECT blob_id FROM blobs ORDER BY blob_id",
    )
    .await;
    let doomed = blob[0].text(0).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = copy_of(&service, database, &dir.path().join("copy")).await;
    assert_eq!(copy.catalog_id, context.catalog_id);
    // The running one goes on, and all of it becomes something; its mark is raised behind that.
    ann.send_parts(&parts_id, &large, &[2]).await;
    ann.complete(&parts_id).await.expect(200);
    ann.send(&single, &photo(2)).await;
    let single_id = text(&single["uploads"][0]["upload_id"]).to_owned();
    ann.complete(&single_id).await.expect(200);
    service.clock.advance(AT_MOST_EVERY);
    let mut here = KeptMark::default();
    assert!(here.keep_up(context, AT_MOST_EVERY).await.unwrap());
    let all = objects(store, "").await;
    assert_eq!(all.iter().filter(|key| key.starts_with("o/")).count(), 4);
    assert!(all.iter().any(|key| key.starts_with("x/")));
    // The copy takes all of that for given up, and the blob for doomed; its janitor and worker are at it for weeks.
    for sql in [
        "UPDATE uploads SET state = 'aborted', version = version + 1, look_at = 1 WHERE state = 'open'",
        "UPDATE append_segments SET state = 'doomed', removable_at = 1",
    ] {
        assert!(change(&copy.catalog, sql, vec![]).await > 0, "{sql}");
    }
    let (other, from) = (blob[1].text(0).unwrap(), doomed.clone());
    let merged = copy
        .catalog
        .write(move |tx| Box::pin(async move { blobs::merge(tx, TENANT, &from, &other).await }));
    assert!(merged.await.unwrap());
    for _ in 0..3 {
        assert!(work_by_rows(&copy, &doomed).await, "it waits");
        service.clock.advance(EVERY);
    }
    assert_eq!(objects(store, "").await, all);
    let uploads = store.list_uploads(None, 10).await.unwrap().uploads;
    assert_eq!(uploads.len(), 0, "an append of less than a part has none");
    let waiting = sweeps::waiting(&mut copy.catalog.reader().await.unwrap().tx()).await;
    let waiting = waiting.unwrap();
    assert_eq!((waiting.uploads, waiting.segments), (3, 1));
    // What it found it has said: the running one removes nothing by its rows either, and takes uploads all the same.
    assert!(doubt(context).await.is_some());
    let path = format!("/v1/uploads/{}", sent(&service, &ann, &photo(6)).await);
    ann.delete(&path).await.expect(200);
    look_after::round(context).await.unwrap();
    assert_eq!(objects(store, "").await.len(), all.len() + 1);
    let taken = sent(&service, &ann, &photo(7)).await;
    ann.complete(&taken).await.expect(200);
    assert_eq!(objects(store, "").await.len(), all.len() + 2);
    // The copy is stopped and the running one confirmed: what it had given up goes, and nothing else.
    catalog_mark::trust(context).await.unwrap();
    service.pass(EVERY).await;
    let left = objects(store, "").await;
    assert_eq!(left.len(), all.len() + 1, "{left:?}");
    assert!(all.iter().all(|key| left.contains(key)));
    go_on(
        &service,
        &appended,
        &large_photo(3, PART_BYTES)[1000..],
        true,
    )
    .await;
    // Were the copy confirmed in its place, it would be as it says: so what held it back was the doubt.
    catalog_mark::trust(&copy).await.unwrap();
    assert!(!work_by_rows(&copy, &doomed).await);
    assert!(objects(store, "").await.len() < left.len());
}

/// Nothing was committed since the copy was made, so that nothing in the store tells it what it is.
async fn a_copy_beside_a_silent_one_hears_it_before_it_removes_anything(database: Database) {
    for is_running in [true, false] {
        let service = InProcess::start(database).await;
        let (context, store) = (&service.context, &service.context.objects);
        let ann = service.owner("ann");
        append(&service, &ann, &large_photo(3, PART_BYTES), 1000).await;
        sent(&service, &ann, &photo(4)).await;
        ann.upload(&photo(5)).await;
        ann.upload(&photo(6)).await;
        let ids = "SELECT blob_id FROM blobs ORDER BY blob_id";
        let ids = rows(&context.catalog, ids).await;
        let [doomed, other] = [0, 1].map(|n| ids[n].text(0).unwrap());
        round(context).await;
        service.clock.advance(EVERY);
        let dir = tempfile::tempdir().unwrap();
        let copy = copy_of(&service, database, &dir.path().join("copy")).await;
        let copy = Context {
            settings: Arc::new(ServiceSettings {
                removal_wait: LISTENED_FOR,
                ..copy.settings.as_ref().clone()
            }),
            ..copy
        };
        for sql in [
            "UPDATE uploads SET state = 'aborted', version = version + 1, look_at = 1 WHERE state = 'open'",
            "UPDATE append_segments SET state = 'doomed', removable_at = 1",
        ] {
            assert!(change(&copy.catalog, sql, vec![]).await > 0, "{sql}");
        }
        let from = doomed.clone();
        let merged = copy.catalog.write(move |tx| {
            Box::pin(async move { blobs::merge(tx, TENANT, &from, &other).await })
        });
        assert!(merged.await.unwrap());
        let all = objects(store, "").await;
        let again = "UPDATE uploads SET look_at = 1 WHERE state = 'aborted' AND cleared_at IS NULL";
        let key = format!("SELECT object_key FROM blobs WHERE blob_id = '{doomed}'");
        let key = rows(&context.catalog, &key).await[0].text(0).unwrap();
        let key = ObjectKey::parse(&key).unwrap();
        let soon = async |copy: &Context| {
            change(&copy.catalog, again, vec![]).await;
            let _ = look_after::round(copy).await.unwrap();
            clear_segments(copy).await.unwrap();
            match purge_blob::run(copy, &purge(&doomed)).await {
                Err(JobError::Snooze { after }) => {
                    // What is removed may come again, and is waited for.
                    store.head(&key).await.unwrap().map(|_| after)
                }
                other => panic!("{}", other.is_ok()),
            }
        };
        // It leaves its mark, and waits.
        for _ in 0..3 {
            let waits = soon(&copy).await.unwrap();
            assert!(waits <= LISTENED_FOR, "{waits:?}");
        }
        assert_eq!(mark(&copy).await.doubt, None);
        assert_ne!(mark(&copy).await.nonce, mark(context).await.nonce);
        service.clock.advance(LISTENED_FOR / 2);
        if is_running {
            assert!(doubt(context).await.is_some(), "its next look");
        }
        service
            .clock
            .advance(LISTENED_FOR / 2 - Duration::from_secs(1));
        assert!(soon(&copy).await.is_some());
        let mark_alone = objects(store, "c/").await.len();
        let left = objects(store, "").await.len();
        assert_eq!((left, mark_alone), (all.len(), 1));
        service.clock.advance(Duration::from_secs(1));
        if !is_running {
            // Nobody was there: it is the only one now.
            assert_eq!(soon(&copy).await, None);
            assert!(objects(store, "").await.len() < all.len() - 1);
            assert_eq!(soon(&copy).await, None, "and need not wait again");
            continue;
        }
        assert_eq!(soon(&copy).await, Some(EVERY));
        // An operator confirms the wrong one, while the other one runs.
        catalog_mark::trust(&copy).await.unwrap();
        assert_eq!(soon(&copy).await, Some(LISTENED_FOR));
        service.clock.advance(LISTENED_FOR / 2);
        assert!(doubt(context).await.is_some());
        service.clock.advance(LISTENED_FOR / 2);
        assert_eq!(soon(&copy).await, Some(EVERY));
        assert_eq!(objects(store, "").await, all, "nothing was removed");
        // And once more when it is stopped.
        catalog_mark::trust(&copy).await.unwrap();
        assert_eq!(soon(&copy).await, Some(LISTENED_FOR));
        service.clock.advance(LISTENED_FOR);
        assert_eq!(soon(&copy).await, None);
        assert!(objects(store, "").await.len() < all.len() - 1);
    }
}

/// A file whose length nobody had told when the copy was made, which is whole since.
async fn what_a_newer_catalog_completed_is_not_cleared(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store, ann) = (
        &service.context,
        &service.context.objects,
        service.owner("ann"),
    );
    round(context).await;
    let file = photo(5);
    append(&service, &ann, &file, 1000).await;
    change(
        &context.catalog,
        "UPDATE uploads SET size_bytes = 0",
        vec![],
    )
    .await;
    let row = &rows(&context.catalog, "SELECT object_key FROM uploads").await[0];
    let key = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
    put(
        store,
        &key,
        Some(&ownership(&context.catalog_id, TENANT, "ast_1")),
    )
    .await;
    service.pass(limits::UPLOAD).await;
    service.pass(limits::UPLOAD).await;
    let cleared = "SELECT COUNT(*) FROM uploads WHERE state = 'expired' AND cleared_at IS NOT NULL";
    assert_eq!(number(&context.catalog, cleared).await, 1);
    sweep_for_weeks(&[context], &service).await;
    assert!(store.head(&key).await.unwrap().is_some());
    let found = found(context).await;
    let why = found[0].kept_because.as_deref().unwrap_or_default();
    assert!(
        found.len() == 1 && why.contains("lost its row"),
        "{found:?}"
    );
    // What it has begun to complete it may clear.
    let begun = "UPDATE uploads SET intent = '{}', cleared_at = NULL, look_at = 1";
    change(&context.catalog, begun, vec![]).await;
    service.pass(DAY).await;
    assert!(store.head(&key).await.unwrap().is_none());
}

/// Backups from every moment, each put back, confirmed by an operator, and let do for weeks what it likes.
async fn a_confirmed_copy_of_any_age_removes_nothing_that_is_needed(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store, ann) = (
        &service.context,
        &service.context.objects,
        service.owner("ann"),
    );
    let dir = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    round(context).await;
    let large = [
        large_photo(1, PART_BYTES + 1000),
        large_photo(2, PART_BYTES + 2000),
    ];
    let parts = ann.initiate(&[&large[0]]).await.remove(0);
    let parts_id = text(&parts["uploads"][0]["upload_id"]).to_owned();
    let single = ann.initiate(&[&photo(2)]).await.remove(0);
    let single_id = text(&single["uploads"][0]["upload_id"]).to_owned();
    let mut appended = String::new();
    for step in 0..10 {
        copies.push(copy_of(&service, database, &dir.path().join(step.to_string())).await);
        match step {
            0 => ann.send(&single, &photo(2)).await,
            1 => ann.send_parts(&parts_id, &large[0], &[1]).await,
            2 => drop(ann.complete(&single_id).await.expect(200)),
            3 => appended = append(&service, &ann, &large[1], 5000).await,
            4 => ann.send_parts(&parts_id, &large[0], &[2]).await,
            5 => {
                go_on(
                    &service,
                    &appended,
                    &large[1][5000..PART_BYTES + 100],
                    false,
                )
                .await
            }
            6 => drop(ann.complete(&parts_id).await.expect(200)),
            7 => go_on(&service, &appended, &large[1][PART_BYTES + 100..], true).await,
            8 => drop(ann.complete(&appended).await.expect(200)),
            _ => drop(ann.upload(&photo(9)).await),
        }
    }
    round(context).await;
    let live = "SELECT object_key FROM blobs WHERE state = 'live' ORDER BY object_key";
    let mut needed = Vec::new();
    for row in rows(&context.catalog, live).await {
        needed.push(row.text(0).unwrap());
    }
    assert_eq!(needed.len(), 4);
    assert_eq!(objects(store, "o/").await, needed);
    for (age, copy) in copies.iter().enumerate() {
        assert!(doubt(copy).await.is_some(), "{age}");
        catalog_mark::trust(copy).await.unwrap();
        for _ in 0..4 {
            service.clock.advance(limits::ORPHAN_GRACE / 2 + DAY);
            look_after::round(copy).await.unwrap();
            clear_segments(copy).await.unwrap();
            look_after::round(copy).await.unwrap();
        }
        sweep_for_weeks(&[copy], &service).await;
        let left = objects(store, "o/").await;
        assert_eq!(left, needed, "a copy of age {age}");
        let whole = "SELECT COUNT(*) FROM blobs WHERE state = 'live'";
        assert!(
            number(&copy.catalog, whole).await >= i64::from(age > 0),
            "{age}"
        );
    }
}

/// A server that was led to the wrong bucket for a while: there everything seemed lost, and came again.
async fn what_took_the_place_of_lost_bytes_must_be_there(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store, ann) = (
        &service.context,
        &service.context.objects,
        service.owner("ann"),
    );
    round(context).await;
    ann.upload(&photo(1)).await;
    ann.upload(&photo(2)).await;
    let blobs = rows(
        &context.catalog,
        "SELECT blob_id, object_key FROM blobs ORDER BY blob_id",
    )
    .await;
    let [first, second] = [0, 1].map(|n| (blobs[n].text(0).unwrap(), blobs[n].text(1).unwrap()));
    let (from, to) = (first.0.clone(), second.0.clone());
    // As if nobody had said what the first is, and the second were the same.
    let sql = "UPDATE blobs SET sha256 = CASE WHEN blob_id = $1 THEN 'same' END";
    change(&context.catalog, sql, vec![to.as_str().into()]).await;
    let merged = context
        .catalog
        .write(move |tx| Box::pin(async move { blobs::merge(tx, TENANT, &from, &to).await }));
    assert!(merged.await.unwrap());
    let (old, fresh) = (
        ObjectKey::parse(&first.1).unwrap(),
        ObjectKey::parse(&second.1).unwrap(),
    );
    // What came again is in the other bucket, and not here.
    store.delete(&fresh).await.unwrap();
    service.clock.advance(DAY);
    for _ in 0..2 {
        assert!(work_by_rows(context, &first.0).await);
        assert!(store.head(&old).await.unwrap().is_some());
    }
    put(store, &fresh, None).await;
    assert!(!work_by_rows(context, &first.0).await);
    assert!(store.head(&old).await.unwrap().is_none());
}
