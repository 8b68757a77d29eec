//! Store and catalog compared: what is on one side only is reported, and what has long been nobody's removed; nothing is that
//! a restored catalog only does not know.

use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use safelight_catalog::sweeps::{self, Finding, FindingKind};
use safelight_model::{ids, limits, preset};
use safelight_objects::{Metadata, ObjectKey, Objects, PutOptions, ownership};
use safelight_service::context::Context;
use safelight_service::retention::{catalog_mark, sweep};
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::Value;

use crate::http_rig::{
    Database, PART_BYTES, PATIENCE, Rig, change, fetch, large_photo, number, objects,
    on_both_databases, open_store, photo, text,
};
use crate::in_process::{InProcess, TENANT};

on_both_databases!(
    orphans_are_reported_and_removed_after_their_grace,
    what_is_somebodys_is_no_orphan,
    an_orphan_that_was_none_in_between_begins_anew,
    a_sweep_goes_on_where_it_stopped,
    what_the_store_lost_is_told_and_made_again,
    a_removal_that_was_given_up_is_shown_and_tried_again,
);

pub const DAY: Duration = Duration::from_secs(24 * 3600);

pub async fn put(store: &Objects, key: &ObjectKey, metadata: Option<&Metadata>) {
    let options = PutOptions {
        metadata,
        ..PutOptions::default()
    };
    let bytes = Bytes::from_static(b"nobody's");
    store.put(key, bytes, options).await.unwrap();
}

/// The upload whose bytes would stand there has ended, and what it left was removed.
pub async fn ended(context: &Context, key: &ObjectKey) {
    change(
        &context.catalog,
        "INSERT INTO uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, transport, part_size_bytes,
                concurrency, send_order, size_bytes, state, version, signed_until, expires_at, cleared_at, created_at)
         VALUES ($1, $2, 'ann', 'ast_ended', 'res_ended', $2, 'single', 1, 1, 0, 1, 'expired', 1, 1, 1, 1, 1)",
        vec![TENANT.into(), key.as_str().into()],
    )
    .await;
}

pub async fn found(context: &Context) -> Vec<Finding> {
    let mut reader = context.catalog.reader().await.unwrap();
    sweeps::findings(&mut reader.tx(), None, 1000)
        .await
        .unwrap()
}

/// One orphan of each kind, by hand: an original, a rendition of a blob that is gone and one of a blob that is there, something
/// temporary, an upload in parts.
struct Orphans {
    keys: Vec<ObjectKey>,
    upload: (ObjectKey, String),
}

impl Orphans {
    async fn make(service: &InProcess, blob_id: &str) -> Self {
        let (context, store) = (&service.context, &service.context.objects);
        let entropy = context.entropy.as_ref();
        let own = ownership(&context.catalog_id, TENANT, "ast_nobody");
        let unmade = preset::Preset {
            version: 99,
            ..preset::COVER
        };
        let keys = vec![
            ObjectKey::original(TENANT, context.now(), entropy).unwrap(),
            ObjectKey::rendition(TENANT, "blb_gone", &preset::COVER.label()).unwrap(),
            ObjectKey::rendition(TENANT, blob_id, &unmade.label()).unwrap(),
            ObjectKey::temporary(TENANT, entropy).unwrap(),
        ];
        for key in &keys {
            put(store, key, Some(&own)).await;
        }
        ended(context, &keys[0]).await;
        change(
            &context.catalog,
            "INSERT INTO blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, state, verdict, created_at)
             VALUES ($1, 'blb_gone', 'ann', 'o/gone', '', 1, 'gone', 'clean', 1)",
            vec![TENANT.into()],
        )
        .await;
        let key = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
        let id = store.create_multipart(&key, None, &own, false).await;
        ended(context, &key).await;
        Self {
            keys,
            upload: (key, id.unwrap()),
        }
    }

    async fn there(&self, store: &Objects) -> usize {
        let mut there = 0;
        for key in &self.keys {
            there += usize::from(store.head(key).await.unwrap().is_some());
        }
        let (key, id) = &self.upload;
        there + usize::from(store.list_parts(key, id).await.unwrap().is_some())
    }
}

/// An original with its rows, and its blob.
async fn one_whole(service: &InProcess) -> String {
    service.owner("ann").upload(&photo(1)).await;
    let rows = crate::http_rig::rows(&service.context.catalog, "SELECT blob_id FROM blobs").await;
    rows[0].text(0).unwrap()
}

async fn orphans_are_reported_and_removed_after_their_grace(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let orphans = Orphans::make(&service, &one_whole(&service).await).await;
    catalog_mark::raise(context, context.now()).await.unwrap();
    // What cannot be told to belong here is shown, and left alone for ever.
    let entropy = context.entropy.as_ref();
    let stranger = ids::fresh(ids::TENANT, context.now(), entropy);
    let mute = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
    let lying = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
    let strange = ObjectKey::original(&stranger, context.now(), entropy).unwrap();
    let foreign = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
    let foreign_made = ObjectKey::rendition(TENANT, "blb_other", &preset::COVER.label()).unwrap();
    let foreign_bit = ObjectKey::temporary(TENANT, entropy).unwrap();
    put(store, &mute, None).await;
    let id = context.catalog_id.as_ref();
    for key in [&lying, &strange] {
        put(store, key, Some(&ownership(id, &stranger, "ast_1"))).await;
    }
    for key in [&foreign, &foreign_made, &foreign_bit] {
        put(store, key, Some(&ownership("cat_other", TENANT, "ast_1"))).await;
    }
    // An earlier version named no catalog.
    let old = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
    put(store, &old, Some(&ownership("", TENANT, "ast_1"))).await;
    ended(context, &old).await;
    // Rows of ours are never removed: what has none was lost by the catalog, doubt or not.
    let lost = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
    let lost_made = ObjectKey::rendition(TENANT, "blb_lost", &preset::COVER.label()).unwrap();
    for key in [&lost, &lost_made] {
        put(store, key, Some(&ownership(id, TENANT, "ast_1"))).await;
    }
    let left_alone = [
        &lost,
        &lost_made,
        &mute,
        &lying,
        &strange,
        &foreign,
        &foreign_made,
        &foreign_bit,
    ];

    // Nothing that may still get its row is shown yet.
    sweep::sweep_all(context, true).await.unwrap();
    let early = found(context).await;
    assert!(!early.is_empty() && early.len() < 14, "{early:?}");
    service.clock.advance(DAY);
    sweep::sweep_all(context, true).await.unwrap();
    let all = found(context).await;
    assert_eq!(all.len(), 14, "{all:?}");
    // What becomes of each is known from the first on.
    let kept = |of: &[Finding]| of.iter().filter(|f| f.kept_because.is_some()).count();
    let foreign = |of: &[Finding]| {
        let kind = FindingKind::ForeignObject;
        of.iter().filter(|f| f.kind == kind).count()
    };
    assert_eq!((kept(&all), foreign(&all)), (8, 3), "{all:?}");
    let uploads = all.iter().filter(|f| f.kind == FindingKind::OrphanUpload);
    assert_eq!(uploads.count(), 1);
    assert_eq!(orphans.there(store).await, 5);

    // Six days and a sweep each: reported, and there. Those that were shown later stay for longer.
    for _ in 0..6 {
        service.clock.advance(DAY - Duration::from_secs(1));
        sweep::sweep_all(context, true).await.unwrap();
    }
    assert_eq!(orphans.there(store).await, 5);
    assert_eq!(found(context).await.len(), 14);
    service.clock.advance(2 * DAY);
    // Only who may remove does.
    sweep::sweep_all(context, false).await.unwrap();
    assert_eq!(orphans.there(store).await, 5);
    sweep::sweep_all(context, true).await.unwrap();
    assert_eq!(orphans.there(store).await, 0);
    let left = found(context).await;
    assert_eq!(
        (left.len(), kept(&left), foreign(&left)),
        (8, 8, 3),
        "{left:?}"
    );
    assert!(store.head(&old).await.unwrap().is_none());
    for key in left_alone {
        assert!(store.head(key).await.unwrap().is_some(), "{key}");
    }
    // What is somebody's is there.
    assert_eq!(objects(store, &format!("o/{TENANT}/")).await.len(), 5);
    assert!(store.head(&ObjectKey::mark()).await.unwrap().is_some());
}

async fn what_is_somebodys_is_no_orphan(database: Database) {
    let service = InProcess::start(database).await;
    let (context, ann) = (&service.context, service.owner("ann"));
    catalog_mark::raise(context, context.now()).await.unwrap();
    one_whole(&service).await;
    // Sent and not completed; in parts; given up.
    let large = large_photo(5, PART_BYTES + 1000);
    let files = [&photo(2)[..], &large, &photo(3)];
    let assets = ann.initiate(&files).await;
    ann.send(&assets[0], files[0]).await;
    ann.send_parts(text(&assets[1]["uploads"][0]["upload_id"]), &large, &[1])
        .await;
    ann.send(&assets[2], files[2]).await;
    let path = format!(
        "/v1/uploads/{}",
        text(&assets[2]["uploads"][0]["upload_id"])
    );
    ann.delete(&path).await.expect(200);
    let before = objects(&context.objects, "").await;
    for _ in 0..4 {
        service.clock.advance(limits::ORPHAN_GRACE);
        sweep::sweep_all(context, true).await.unwrap();
        assert_eq!(found(context).await, []);
    }
    assert_eq!(objects(&context.objects, "").await, before);
    let examined = {
        let mut reader = context.catalog.reader().await.unwrap();
        sweeps::find(&mut reader.tx()).await.unwrap().unwrap()
    };
    assert_eq!((examined.number, examined.examined), (4, 5), "{examined:?}");
}

async fn an_orphan_that_was_none_in_between_begins_anew(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    catalog_mark::raise(context, context.now()).await.unwrap();
    let entropy = context.entropy.as_ref();
    let key = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
    let own = ownership(&context.catalog_id, TENANT, "ast_1");
    put(store, &key, Some(&own)).await;
    sweep::sweep_all(context, true).await.unwrap();
    let first = found(context).await[0].first_seen_at;
    store.delete(&key).await.unwrap();
    service.clock.advance(limits::ORPHAN_GRACE);
    sweep::sweep_all(context, true).await.unwrap();
    assert_eq!(found(context).await, []);
    put(store, &key, Some(&own)).await;
    service.clock.advance(DAY);
    sweep::sweep_all(context, true).await.unwrap();
    assert!(found(context).await[0].first_seen_at > first);
    assert!(store.head(&key).await.unwrap().is_some());
}

async fn a_sweep_goes_on_where_it_stopped(database: Database) {
    let service = InProcess::start(database).await;
    let context = &service.context;
    let entropy = context.entropy.as_ref();
    for _ in 0..3 {
        let key = ObjectKey::original(TENANT, context.now(), entropy).unwrap();
        put(&context.objects, &key, None).await;
    }
    // A step each by one who then dies, and by two at once.
    let first = {
        sweep::step(context, true).await.unwrap();
        let mut reader = context.catalog.reader().await.unwrap();
        sweeps::find(&mut reader.tx()).await.unwrap().unwrap()
    };
    assert_eq!((first.number, first.phase.as_str()), (1, "renditions"));
    let (a, b) = tokio::join!(sweep::step(context, true), sweep::step(context, true));
    assert_eq!(
        (a.unwrap(), b.unwrap()),
        (sweep::Progress::More, sweep::Progress::More)
    );
    let mut steps = 0;
    while sweep::step(context, true).await.unwrap() == sweep::Progress::More {
        steps += 1;
        assert!(steps < 10);
    }
    let mut reader = context.catalog.reader().await.unwrap();
    let ended = sweeps::find(&mut reader.tx()).await.unwrap().unwrap();
    assert_eq!((ended.number, ended.ended_at.is_some()), (1, true));
    assert_eq!(found(context).await.len(), 3);
    // Asked for when it is time, and once.
    drop(reader);
    let daily = Context {
        settings: std::sync::Arc::new(safelight_service::context::ServiceSettings {
            sweep_every: Some(DAY),
            ..context.settings.as_ref().clone()
        }),
        ..context.clone()
    };
    assert!(!sweep::schedule(context).await.unwrap());
    assert!(!sweep::schedule(&daily).await.unwrap());
    service.clock.advance(DAY);
    assert!(sweep::schedule(&daily).await.unwrap());
    assert!(!sweep::schedule(&daily).await.unwrap());
}

async fn what_the_store_lost_is_told_and_made_again(database: Database) {
    let rig = Rig::start(database, &["--sweep-hours", "0"]).await;
    let ann = rig.owner("ann");
    let (kept, lost) = (ann.upload(&photo(1)).await, ann.upload(&photo(2)).await);
    for asset_id in [&kept, &lost] {
        ann.ready(asset_id).await;
    }
    let (catalog, store) = (rig.catalog().await, rig.store());
    let key_of = async |sql: String| {
        let rows = crate::http_rig::rows(&catalog, &sql).await;
        ObjectKey::parse(&rows[0].text(0).unwrap()).unwrap()
    };
    let blob =
        |asset_id: &str| format!("(SELECT blob_id FROM resources WHERE asset_id = '{asset_id}')");
    for name in ["cover", "large"] {
        let of = blob(&kept);
        let sql =
            format!("SELECT object_key FROM renditions WHERE preset = '{name}' AND blob_id = {of}");
        store.delete(&key_of(sql).await).await.unwrap();
    }
    let sql = format!(
        "SELECT object_key FROM blobs WHERE blob_id = {}",
        blob(&lost)
    );
    store.delete(&key_of(sql).await).await.unwrap();

    // Who only looks is told, and changes nothing.
    let report = what_is_missing(&rig.server, &["sweep", "--json"]).await;
    for nothing in [
        "SELECT COUNT(*) FROM sweeps",
        "SELECT COUNT(*) FROM sweep_findings",
        "SELECT COUNT(*) FROM renditions WHERE state <> 'ready'",
    ] {
        assert_eq!(number(&catalog, nothing).await, 0, "{nothing}");
    }
    let again = what_is_missing(&rig.server, &["sweep", "--json", "--remove"]).await;
    assert_eq!(report, again);
    // Renditions are made again; the asset whose original is lost is not hidden.
    let again = wait::until(PATIENCE, async || {
        let asset = ann.ready(&kept).await;
        let made = asset["renditions"].as_object().unwrap();
        let mut there = 0;
        for rendition in made.values().filter(|r| r["state"] == "ready") {
            there += usize::from(fetch(&ann.http, text(&rendition["url"])).await.status == 200);
        }
        there == 3
    });
    again.await.unwrap();
    assert_eq!(ann.ready(&lost).await["state"], "ready");
    let findings = doctor(&rig.server).await;
    assert_eq!(findings["verdict"], "wrong", "{findings}");
    assert!(
        text(&findings["found"]).contains("1 missing original"),
        "{findings}"
    );
    let (_, table) = swept(&rig.server, &["sweep"]).await;
    assert_eq!(table.matches("missing").count(), 1, "{table}");
    assert!(table.contains("restore it from a backup"), "{table}");
}

/// What a sweep says is missing: an original and two renditions.
async fn what_is_missing(server: &Server, args: &[&str]) -> Vec<(String, String)> {
    let output = run(server, args).await;
    assert_eq!(output.status.code(), Some(1), "an original is missing");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let mut all: Vec<(String, String)> = findings
        .map(|f| {
            (
                text(&f["kind"]).to_owned(),
                text(&f["object_key"]).to_owned(),
            )
        })
        .collect();
    all.sort();
    let kinds: Vec<&str> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["missing_original", "missing_rendition", "missing_rendition"]
    );
    all
}

async fn run(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .args(args)
        .arg("--data-dir")
        .arg(server.data_dir())
        .args(["--store-listen", &server.store_url().replace("http://", "")])
        .args(["--catalog-url", &server.catalog_url()])
        // Where a test has put a settings file.
        .current_dir(server.data_dir())
        .env_clear();
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// What the doctor says of sweeps.
pub async fn doctor(server: &Server) -> Value {
    let output = run(server, &["doctor", "--json"]).await;
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = findings.as_array().unwrap().iter();
    all.clone().find(|f| f["check"] == "sweep").unwrap().clone()
}

/// Copies the catalog, goes on, and puts the copy back; as whoever restores a backup does.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_of_what_a_restored_catalog_does_not_know() {
    let mut rig = Rig::start(Database::Sqlite, &["--sweep-hours", "0"]).await;
    let before = rig.owner("ann").upload(&photo(1)).await;
    rig.owner("ann").ready(&before).await;
    // Open when the copy is made, and whole behind it.
    let ann = rig.owner("ann");
    let large = large_photo(7, PART_BYTES + 1000);
    let open = ann.initiate(&[&large]).await.remove(0);
    let open_id = text(&open["uploads"][0]["upload_id"]);
    ann.send_parts(open_id, &large, &[1]).await;
    assert!(rig.server.terminate().await.unwrap().success());
    let data_dir = rig.server.data_dir().to_owned();
    let files = ["catalog.db", "catalog.db-wal", "catalog.db-shm"];
    for name in files {
        let _ = std::fs::copy(data_dir.join(name), data_dir.join(format!("{name}.backup")));
    }
    rig.server.restart().await.unwrap();
    let after = rig.owner("ann").upload(&photo(2)).await;
    rig.owner("ann").ready(&after).await;
    ann.send_parts(open_id, &large, &[2]).await;
    ann.complete(open_id).await.expect(200);
    ann.ready(text(&open["asset_id"])).await;
    assert!(rig.server.terminate().await.unwrap().success());
    let output = run(&rig.server, &["sweep", "--remove"]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && table.contains("; 0 are"),
        "{table}"
    );

    for name in files {
        let _ = std::fs::remove_file(data_dir.join(name));
        let _ = std::fs::rename(data_dir.join(format!("{name}.backup")), data_dir.join(name));
    }
    rig.server.restart().await.unwrap();
    let store = open_store(&rig.server);
    let all = objects(&store, "").await;
    let doubted = wait::until(PATIENCE, async || {
        rig.server.log().contains("restored from an older copy")
    });
    doubted.await.unwrap();
    // Found, and long ago, as it were; also by the store's clock.
    let (code, table) = swept(&rig.server, &["sweep", "--remove"]).await;
    assert_eq!(code, Some(1), "{table}");
    assert!(
        table.contains("Nothing is removed") && table.contains("orphan object"),
        "{table}"
    );
    assert_eq!(doctor(&rig.server).await["verdict"], "wrong");
    let catalog = rig.catalog().await;
    let orphans = "SELECT COUNT(*) FROM sweep_findings WHERE kind = 'orphan_object'";
    assert!(number(&catalog, orphans).await >= 1);
    long_ago(&catalog).await;
    swept(&rig.server, &["sweep", "--remove"]).await;
    assert_eq!(objects(&store, "").await, all, "nothing was removed");
    // Also by the server that is started again.
    assert!(rig.server.terminate().await.unwrap().success());
    rig.server.restart().await.unwrap();
    swept(&rig.server, &["sweep", "--remove"]).await;
    assert_eq!(objects(&store, "").await, all);

    // The restored catalog takes it for open, and the store knows no such upload any more: the object speaks for itself.
    change(
        &catalog,
        "UPDATE uploads SET look_at = 0, expires_at = 0 WHERE state = 'open'",
        vec![],
    )
    .await;
    rig.owner("ann").ready(text(&open["asset_id"])).await;
    assert_eq!(
        rig.owner("ann").original(text(&open["asset_id"])).await,
        large
    );
    let all = objects(&store, "").await;

    // Confirmed: the grace begins then, and not before.
    let (code, table) = swept(&rig.server, &["sweep", "--confirm-restored"]).await;
    assert_eq!(code, Some(0), "{table}");
    let lost = table.matches("kept: this catalog has lost its row").count();
    assert!(lost >= 2, "an original and its cover\n{table}");
    let recent = "SELECT COUNT(*) FROM sweep_findings WHERE first_seen_at = 0";
    assert_eq!(number(&catalog, recent).await, 0);
    swept(&rig.server, &["sweep", "--remove"]).await;
    assert_eq!(objects(&store, "").await, all);
    // Nor ever: it is not for a sweep to say that a photo is nobody's which this catalog only does not know any more.
    long_ago(&catalog).await;
    swept(&rig.server, &["sweep", "--remove"]).await;
    assert_eq!(objects(&store, "").await, all);
    assert_eq!(doctor(&rig.server).await["verdict"], "warning");
}

pub async fn swept(server: &Server, args: &[&str]) -> (Option<i32>, String) {
    let output = run(server, args).await;
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

pub async fn long_ago(catalog: &safelight_catalog::Catalog) {
    change(
        catalog,
        "UPDATE sweep_findings SET first_seen_at = 0",
        vec![],
    )
    .await;
}

#[test]
fn a_wrong_path_is_said_to_be_one_and_nothing_is_made_there() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("elsewhere");
    for command in ["sweep", "rederive"] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_safelight"));
        let run = run.arg(command).arg("--data-dir").arg(&wrong).env_clear();
        let output = run.current_dir(dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("there is no catalog at"), "{said}");
        assert!(!wrong.exists(), "{command}");
    }
}

/// Also of doubt: a copy that is never to be served can be looked at beside the running one.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_looks_leaves_no_trace() {
    let mut rig = Rig::start(Database::Sqlite, &["--sweep-hours", "0"]).await;
    rig.owner("ann").upload(&photo(1)).await;
    assert!(rig.server.terminate().await.unwrap().success());
    rig.server.restart().await.unwrap();
    let theirs = serde_json::json!({"catalog_id": "cat_other", "mark": 3, "nonce": "theirs"});
    let store = open_store(&rig.server);
    crate::sweep_doubts::leave(&store, &theirs).await;
    rig.server.kill().await.unwrap();
    let catalog = rig.catalog().await;
    change(&catalog, "UPDATE catalog_mark SET doubt = NULL", vec![]).await;
    let all = "SELECT mark, marked_at, COALESCE(nonce, '') || COALESCE(pending_nonce, '') || COALESCE(doubt, '') FROM catalog_mark";
    let as_text = async || {
        let row = &crate::http_rig::rows(&catalog, all).await[0];
        (
            row.int(0).unwrap(),
            row.int(1).unwrap(),
            row.text(2).unwrap(),
        )
    };
    let before = as_text().await;
    let (code, table) = swept(&rig.server, &["sweep"]).await;
    assert_eq!(code, Some(1), "{table}");
    assert!(
        table.contains("the mark of another catalog, cat_other"),
        "{table}"
    );
    assert_eq!(as_text().await, before);
    for nothing in [
        "SELECT COUNT(*) FROM sweeps",
        "SELECT COUNT(*) FROM sweep_findings",
    ] {
        assert_eq!(number(&catalog, nothing).await, 0, "{nothing}");
    }
    rig.server.restart().await.unwrap();
    let stands = crate::sweep_doubts::in_store(&open_store(&rig.server)).await;
    assert_eq!(stands["nonce"], "theirs");
}

/// The store refuses the removal until its attempts are spent.
async fn a_removal_that_was_given_up_is_shown_and_tried_again(database: Database) {
    let rig = Rig::start(database, &["--sweep-hours", "0"]).await;
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&photo(1)).await;
    ann.ready(&asset_id).await;
    let (catalog, store) = (rig.catalog().await, rig.store());
    let key = &crate::http_rig::rows(&catalog, "SELECT object_key FROM blobs").await[0];
    let key = ObjectKey::parse(&key.text(0).unwrap()).unwrap();
    // Nobody's any more, and its purge dead, as after so many refusals.
    for sql in [
        "UPDATE resources SET blob_id = NULL",
        "UPDATE blobs SET state = 'doomed'",
        "UPDATE uploads SET signed_until = 1",
        "DELETE FROM jobs",
        "INSERT INTO jobs (tenant_id, job_id, kind, lane, owner_id, subject_id, unique_key, state, turn, run_at, attempts, fence,
                           error_code, error_detail, enqueued_at, updated_at)
         SELECT tenant_id, 'job_dead', 'purge', 'bulk', 'ann', blob_id, 'purge:' || blob_id, 'dead', 1, 1, 10, 10,
                'store_unavailable', 'AccessDenied', 1, 1 FROM blobs",
    ] {
        change(&catalog, sql, vec![]).await;
    }
    let (code, table) = swept(&rig.server, &["sweep"]).await;
    assert_eq!(code, Some(1), "{table}");
    let line = table.lines().find(|l| l.contains(key.as_str())).unwrap();
    assert!(line.contains("store_unavailable: AccessDenied"), "{table}");
    assert!(
        table.contains("safelight sweep --retry-removals"),
        "{table}"
    );
    let output = run(&rig.server, &["doctor", "--json"]).await;
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = findings.as_array().unwrap().iter();
    let said = all.clone().find(|f| f["check"] == "removals").unwrap();
    assert_eq!(said["verdict"], "wrong", "{said}");
    assert!(store.head(&key).await.unwrap().is_some());
    // Mended.
    let (code, report) = swept(&rig.server, &["sweep", "--retry-removals", "--json"]).await;
    assert_eq!(code, Some(0), "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["retried_removals"], 1);
    assert_eq!(report["failed_removals"], serde_json::json!([]));
    let gone = wait::until(PATIENCE, async || {
        let gone = "SELECT COUNT(*) FROM blobs WHERE state = 'gone'";
        number(&catalog, gone).await == 1
    });
    gone.await.unwrap();
    assert!(store.head(&key).await.unwrap().is_none());
    assert_eq!(number(&catalog, "SELECT COUNT(*) FROM jobs").await, 0);
}
