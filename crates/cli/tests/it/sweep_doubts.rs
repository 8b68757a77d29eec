//! Nothing is removed by a catalog that is not the only one, nor by one that was restored or copied: the mark that catalog and
//! store keep.

use bytes::Bytes;
use safelight_catalog::catalog_mark::{self as rows_of_mark, CatalogMark};
use safelight_catalog::sweeps::FindingKind;
use safelight_model::limits;
use safelight_objects::{Capabilities, ObjectKey, Objects, ownership};
use safelight_service::context::Context;
use safelight_service::retention::catalog_mark::{self, EVERY};
use safelight_service::retention::sweep;
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::http_rig::{
    Database, PATIENCE, Rig, change, number, objects, on_both_databases, open_catalog, options,
    photo, text,
};
use crate::in_process::{InProcess, TENANT};
use crate::odd_store::{OddStore, Oddities};
use crate::sweep::{DAY, doctor, ended, found, long_ago, put, swept};

on_both_databases!(
    a_store_that_is_ahead_tells_of_a_restored_catalog,
    two_catalogs_in_one_bucket_both_stop,
    a_copy_beside_the_running_one_stops_both,
    many_raise_at_once_and_none_doubts,
    whoever_removes_has_left_a_mark,
    a_crash_at_any_moment_makes_no_doubt,
    a_mark_of_an_earlier_version_is_taken_over,
    a_mark_that_no_catalog_leaves_is_mended,
    a_store_without_conditions_tells_too,
);

pub async fn doubt(context: &Context) -> Option<String> {
    catalog_mark::doubt(context).await.unwrap()
}

/// A process's next round.
pub async fn round(context: &Context) {
    let before = context.now();
    catalog_mark::raise(context, before).await.unwrap();
}

pub async fn mark(context: &Context) -> CatalogMark {
    let mut reader = context.catalog.reader().await.unwrap();
    let mark = rows_of_mark::find(&mut reader.tx()).await.unwrap();
    mark.unwrap()
}

pub async fn in_store(store: &Objects) -> Value {
    let read = store.get(&ObjectKey::mark(), None, None).await.unwrap();
    serde_json::from_slice(&read.unwrap().bytes().await.unwrap()).unwrap()
}

pub async fn leave(store: &Objects, mark: &Value) {
    let bytes = Bytes::from(mark.to_string());
    let key = ObjectKey::mark();
    store.put(&key, bytes, Default::default()).await.unwrap();
}

/// Removes all that may be removed, as after weeks.
pub async fn sweep_for_weeks(contexts: &[&Context], service: &InProcess) {
    for _ in 0..3 {
        service.clock.advance(limits::ORPHAN_GRACE + DAY);
        for context in contexts {
            round(context).await;
            sweep::sweep_all(context, true).await.unwrap();
        }
    }
}

async fn a_store_that_is_ahead_tells_of_a_restored_catalog(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let mut copies = Vec::new();
    for _ in 0..3 {
        round(context).await;
        copies.push(mark(context).await);
        service.clock.advance(DAY);
        assert_eq!(doubt(context).await, None);
    }
    // The last copy knows all. An older one does not, also if it is younger than ten minutes.
    put_back(context, &copies[2]).await;
    assert_eq!(doubt(context).await, None);
    put_back(context, &copies[1]).await;
    let said = doubt(context).await.unwrap();
    assert!(said.contains("restored from an older copy"), "{said}");
    round(context).await;
    assert_eq!(doubt(context).await, Some(said), "it is not forgotten");
    catalog_mark::trust(context).await.unwrap();
    assert_eq!(doubt(context).await, None);
    store.delete(&ObjectKey::mark()).await.unwrap();
    let said = doubt(context).await.unwrap();
    assert!(said.contains("lost this catalog's mark"), "{said}");
    catalog_mark::trust(context).await.unwrap();
    assert_eq!(doubt(context).await, None);
}

/// As whoever restores a copy does.
pub async fn put_back(context: &Context, copy: &CatalogMark) {
    change(
        &context.catalog,
        "UPDATE catalog_mark SET mark = $1, nonce = $2, pending_nonce = $3, nonce_mark = $4, doubt = NULL, marked_at = $5,
                catalog_id = $6",
        vec![
            copy.mark.into(),
            copy.nonce.as_deref().into(),
            copy.pending_nonce.as_deref().into(),
            copy.nonce_mark.into(),
            copy.marked_at.into(),
            copy.catalog_id.as_str().into(),
        ],
    )
    .await;
}

async fn two_catalogs_in_one_bucket_both_stop(database: Database) {
    for later_is_first in [false, true] {
        let one = InProcess::start(database).await;
        let two = one.beside(database).await;
        let (a, b, store) = (&one.context, &two.context, &one.context.objects);
        assert_ne!(a.catalog_id, b.catalog_id);
        round(a).await;
        for (service, n) in [(&one, 1), (&two, 2)] {
            service.owner("ann").upload(&photo(n)).await;
        }
        // An orphan of each, which is removed when nothing speaks against it.
        let mut orphans = Vec::new();
        for context in [a, b] {
            let key = ObjectKey::original(TENANT, context.now(), context.entropy.as_ref());
            let key = key.unwrap();
            let own = ownership(&context.catalog_id, TENANT, "ast_1");
            put(store, &key, Some(&own)).await;
            ended(context, &key).await;
            orphans.push(key);
        }
        // Also what carries no catalog's name yet, as of an earlier version.
        let old = ObjectKey::original(TENANT, a.now(), a.entropy.as_ref()).unwrap();
        put(store, &old, Some(&ownership("", TENANT, "ast_1"))).await;
        ended(a, &old).await;
        let all = objects(store, "").await;
        one.clock.advance(EVERY);
        let order = if later_is_first { [b, a] } else { [a, b] };
        // Two rounds of each at most: the one that reads the other's says so, and the other reads that.
        for context in order.into_iter().chain(order) {
            round(context).await;
        }
        for context in [a, b] {
            assert!(doubt(context).await.is_some(), "{later_is_first}");
        }
        let contested = in_store(store).await;
        assert_eq!(contested["catalog_id"], json!(*a.catalog_id), "{contested}");
        assert_eq!(contested["contested"]["by"], json!(*b.catalog_id));
        sweep_for_weeks(&order, &one).await;
        assert_eq!(objects(store, "").await, all, "nothing was removed");
        for context in [a, b] {
            let found = found(context).await;
            let foreign = found
                .iter()
                .filter(|f| f.kind == FindingKind::ForeignObject);
            assert_eq!(foreign.count(), 2, "{found:?}");
        }
        // One is confirmed, and the other runs on: both stop again.
        catalog_mark::trust(a).await.unwrap();
        assert_eq!(doubt(a).await, None);
        one.clock.advance(EVERY);
        round(b).await;
        assert!(doubt(a).await.unwrap().contains(&*b.catalog_id));
        // The other is stopped: what is its own stays all the same, and what is nobody's goes.
        catalog_mark::trust(a).await.unwrap();
        sweep_for_weeks(&[a], &one).await;
        let mut left = all.clone();
        left.retain(|key| *key != orphans[0].as_str() && *key != old.as_str());
        assert_eq!(objects(store, "").await, left);
    }
}

async fn a_copy_beside_the_running_one_stops_both(database: Database) {
    for copy_is_first in [false, true] {
        let one = InProcess::start(database).await;
        let two = one.beside(database).await;
        let (running, store) = (&one.context, &one.context.objects);
        round(running).await;
        // Just now, so that nothing was raised since.
        let copy = Context {
            catalog_id: running.catalog_id.clone(),
            ..two.context.clone()
        };
        put_back(&copy, &mark(running).await).await;
        assert_eq!((doubt(running).await, doubt(&copy).await), (None, None));
        one.owner("ann").upload(&photo(1)).await;
        let own = ownership(&running.catalog_id, TENANT, "ast_1");
        let key = ObjectKey::original(TENANT, copy.now(), copy.entropy.as_ref()).unwrap();
        put(store, &key, Some(&own)).await;
        for context in [running, &copy] {
            ended(context, &key).await;
        }
        let all = objects(store, "").await;
        one.clock.advance(EVERY);
        let order = if copy_is_first {
            [&copy, running]
        } else {
            [running, &copy]
        };
        round(order[0]).await;
        assert_eq!(doubt(order[0]).await, None, "it knows of no other yet");
        round(order[1]).await;
        for context in order {
            assert!(doubt(context).await.is_some(), "{copy_is_first}");
        }
        sweep_for_weeks(&order, &one).await;
        assert_eq!(objects(store, "").await, all, "nothing was removed");
        // As long as it does not stand there, it is said again.
        let mut cleared = in_store(store).await;
        cleared.as_object_mut().unwrap().remove("contested");
        leave(store, &cleared).await;
        one.clock.advance(EVERY);
        round(order[1]).await;
        assert!(in_store(store).await["contested"]["by"].is_string());
        // The running one is confirmed; the copy goes on doubting, and says so as long as it runs.
        catalog_mark::trust(running).await.unwrap();
        assert_eq!(doubt(running).await, None);
        assert!(in_store(store).await["contested"].is_null());
        one.clock.advance(EVERY);
        round(&copy).await;
        assert!(doubt(&copy).await.is_some());
        assert!(doubt(running).await.is_some());
        catalog_mark::trust(running).await.unwrap();
        sweep_for_weeks(&[running], &one).await;
        assert!(store.head(&key).await.unwrap().is_none());
        assert_eq!(objects(store, "").await.len(), all.len() - 1);
    }
}

async fn many_raise_at_once_and_none_doubts(database: Database) {
    const NODES: usize = 6;
    let service = InProcess::start(database).await;
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(service.second().await);
    }
    for n in 1..=12 {
        // At a start whatever the time, and in their rounds.
        let mut raised = JoinSet::new();
        for node in nodes.clone() {
            raised.spawn(async move {
                for _ in 0..3 {
                    round(&node).await;
                    assert_eq!(doubt(&node).await, None);
                }
            });
        }
        raised.join_all().await;
        let mark = mark(&service.context).await;
        assert_eq!((mark.doubt, mark.pending_nonce), (None, None));
        assert!(mark.mark >= n);
        let stands = in_store(&service.context.objects).await;
        assert_eq!(stands["nonce"], json!(mark.nonce), "{stands}");
        assert!(stands["contested"].is_null());
        service.clock.advance(EVERY);
    }
}

/// Also where no janitor runs.
async fn whoever_removes_has_left_a_mark(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let own = ownership(&context.catalog_id, TENANT, "ast_1");
    let key = ObjectKey::original(TENANT, context.now(), context.entropy.as_ref()).unwrap();
    put(store, &key, Some(&own)).await;
    ended(context, &key).await;
    sweep::sweep_all(context, false).await.unwrap();
    assert!(store.head(&ObjectKey::mark()).await.unwrap().is_none());
    for _ in 0..2 {
        service.clock.advance(limits::ORPHAN_GRACE + DAY);
        sweep::sweep_all(context, true).await.unwrap();
    }
    assert!(store.head(&key).await.unwrap().is_none());
    let stands = in_store(store).await;
    assert_eq!(stands["nonce"], json!(mark(context).await.nonce));
}

async fn a_crash_at_any_moment_makes_no_doubt(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let sql = async |sql: &'static str| {
        change(&context.catalog, sql, vec![]).await;
    };
    // Before the very first one is stored.
    sql("UPDATE catalog_mark SET mark = 1, nonce_mark = 1, pending_nonce = 'first', marked_at = 1")
        .await;
    assert_eq!(doubt(context).await, None);
    round(context).await;
    assert_eq!(in_store(store).await["nonce"], "first", "another stores it");
    // Stored, and not recorded.
    sql("UPDATE catalog_mark SET pending_nonce = nonce, nonce = 'before'").await;
    assert_eq!(doubt(context).await, None);
    let row = mark(context).await;
    assert_eq!(
        (row.nonce.as_deref(), row.pending_nonce),
        (Some("first"), None)
    );
    // Committed, and not stored; then another does, later.
    sql("UPDATE catalog_mark SET mark = mark + 1, nonce_mark = mark + 1, pending_nonce = 'late'")
        .await;
    assert_eq!(doubt(context).await, None);
    service.clock.advance(EVERY);
    round(context).await;
    assert_eq!(doubt(context).await, None);
    assert_eq!(in_store(store).await["nonce"], "late");
    service.clock.advance(EVERY);
    round(context).await;
    assert_eq!(doubt(context).await, None);
    // An operator's confirmation that broke off changes nothing, and the next one settles it.
    let other = json!({"catalog_id": "cat_other", "mark": 3, "nonce": "theirs"});
    leave(store, &other).await;
    assert!(doubt(context).await.is_some());
    sql("UPDATE catalog_mark SET pending_nonce = 'unfinished'").await;
    assert!(doubt(context).await.is_some());
    catalog_mark::trust(context).await.unwrap();
    assert_eq!(doubt(context).await, None);
}

async fn a_mark_of_an_earlier_version_is_taken_over(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let id = context.catalog_id.as_ref();
    change(
        &context.catalog,
        "UPDATE catalog_mark SET mark = 7, marked_at = 1",
        vec![],
    )
    .await;
    leave(store, &json!({"catalog_id": id, "mark": 7})).await;
    assert_eq!(doubt(context).await, None);
    round(context).await;
    let stands = in_store(store).await;
    assert_eq!(stands["mark"], 8);
    assert_eq!(stands["nonce"], json!(mark(context).await.nonce));
    // A process of the earlier version runs beside this one, on the same catalog.
    change(
        &context.catalog,
        "UPDATE catalog_mark SET mark = mark + 1",
        vec![],
    )
    .await;
    leave(store, &json!({"catalog_id": id, "mark": 9})).await;
    assert_eq!(doubt(context).await, None);
    service.clock.advance(EVERY);
    round(context).await;
    assert_eq!(doubt(context).await, None);
    // Once, and not for one that runs on a copy.
    leave(store, &json!({"catalog_id": id, "mark": 10})).await;
    assert!(doubt(context).await.is_some());
}

async fn a_mark_that_no_catalog_leaves_is_mended(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    round(context).await;
    let id = context.catalog_id.to_string();
    for nonsense in [
        json!("nobody's"),
        json!({"catalog_id": id, "mark": i64::MAX}),
        json!({"catalog_id": id, "mark": -1, "nonce": "a"}),
    ] {
        leave(store, &nonsense).await;
        assert!(doubt(context).await.unwrap().contains("is no mark"));
        // Whoever reads it stops too: it is left as it is.
        assert_eq!(in_store(store).await, nonsense);
        catalog_mark::trust(context).await.unwrap();
        for _ in 0..3 {
            assert_eq!(doubt(context).await, None);
            service.clock.advance(EVERY);
            round(context).await;
        }
    }
    // Also where a version before took it over.
    change(
        &context.catalog,
        "UPDATE catalog_mark SET mark = 9223372036854775807",
        vec![],
    )
    .await;
    round(context).await;
    assert!(doubt(context).await.is_some());
    catalog_mark::trust(context).await.unwrap();
    for _ in 0..3 {
        service.clock.advance(EVERY);
        round(context).await;
        assert_eq!(doubt(context).await, None);
    }
    assert!(mark(context).await.mark < 100);
}

/// Without conditions whoever comes last wins, and is found out in the next rounds.
async fn a_store_without_conditions_tells_too(database: Database) {
    let odd = OddStore::start(Oddities::default()).await;
    let one = InProcess::around(odd.objects(Capabilities::unprobed()), database).await;
    let two = one.beside(database).await;
    let (a, b, store) = (&one.context, &two.context, &one.context.objects);
    round(a).await;
    let before = in_store(store).await;
    one.clock.advance(EVERY);
    round(b).await;
    // What was said is overwritten in the same moment.
    leave(store, &before).await;
    one.clock.advance(EVERY);
    round(a).await;
    for context in [b, a, b] {
        one.clock.advance(EVERY);
        round(context).await;
    }
    for context in [a, b] {
        assert!(doubt(context).await.is_some());
    }
}

/// A second server on a copy of the first one's catalog, made while that runs, and on its store.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_a_copy_stops_both_and_removes_nothing() {
    let rig = Rig::start(Database::Sqlite, &["--sweep-hours", "0"]).await;
    let ann = rig.owner("ann");
    let before = ann.upload(&photo(1)).await;
    ann.ready(&before).await;
    let catalog = rig.catalog().await;
    let raised = wait::until(PATIENCE, async || {
        let stored = "SELECT COUNT(*) FROM catalog_mark WHERE nonce IS NOT NULL";
        number(&catalog, stored).await == 1
    });
    raised.await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join("copy");
    std::fs::create_dir(&there).unwrap();
    for name in ["catalog.db", "catalog.db-wal"] {
        let from = rig.server.data_dir().join(name);
        if from.exists() {
            std::fs::copy(from, there.join(name)).unwrap();
        }
    }
    // What only the first knows, and what is nobody's.
    let after = ann.upload(&photo(2)).await;
    ann.ready(&after).await;
    let store = rig.store();
    let id = crate::http_rig::rows(&catalog, "SELECT catalog_id FROM catalog_mark").await;
    let id = id[0].text(0).unwrap();
    let entropy = safelight_service::system_entropy::SystemEntropy;
    let mut keys = Vec::new();
    for metadata in [
        Some(ownership("cat_other", TENANT, "ast_1")),
        Some(ownership(&id, TENANT, "ast_1")),
        None,
    ] {
        let key = ObjectKey::original(TENANT, safelight_model::clock::Micros(1), &entropy);
        let key = key.unwrap();
        put(&store, &key, metadata.as_ref()).await;
        keys.push(key);
    }
    let all = objects(&store, "").await;
    let key = std::fs::read_to_string(rig.server.data_dir().join("keys/store.key")).unwrap();
    let (access, secret) = key.trim().split_once(':').unwrap();
    let url = format!("s3://safelight?endpoint={}", rig.server.store_url());
    let args = [
        "--sweep-hours",
        "0",
        "--roles",
        "api,delivery,worker,janitor",
        "--store-url",
        &url,
        "--store-access-key",
        access,
        "--store-secret-key",
        secret,
    ];
    let mut copy = Server::start(options(there, None, &args)).await.unwrap();
    // It raises the mark at its start, or finds that it was raised since; the first one finds out in its next round.
    let next_round = async |server: &Server| {
        let catalog = open_catalog(server).await;
        change(&catalog, "UPDATE catalog_mark SET marked_at = 1", vec![]).await;
    };
    let both = wait::until(PATIENCE, async || {
        for server in [&rig.server, &copy] {
            if !server.log().contains("nothing that seems to be nobody's") {
                next_round(server).await;
                return false;
            }
        }
        true
    });
    both.await.unwrap();
    for server in [&rig.server, &copy] {
        assert_eq!(doctor(server).await["verdict"], "wrong");
    }
    long_ago(&catalog).await;
    let (code, table) = swept(&rig.server, &["sweep", "--remove"]).await;
    assert_eq!(code, Some(1), "{table}");
    long_ago(&catalog).await;
    swept(&rig.server, &["sweep", "--remove"]).await;
    assert_eq!(objects(&store, "").await, all, "nothing was removed");
    // The copy is stopped, and the first one confirmed: it says what becomes of what.
    assert!(copy.terminate().await.unwrap().success());
    let (code, table) = swept(&rig.server, &["sweep", "--confirm-restored"]).await;
    assert_eq!(code, Some(0), "{table}");
    let line = |key: &ObjectKey| {
        let mut lines = table.lines();
        lines.find(|l| l.contains(key.as_str())).unwrap().to_owned()
    };
    assert!(line(&keys[0]).contains("foreign object"), "{table}");
    assert!(line(&keys[0]).contains("kept: it says that it is another catalog's, cat_other"));
    assert!(
        line(&keys[1]).contains("kept: this catalog has lost its row"),
        "{table}"
    );
    assert!(line(&keys[2]).contains("kept: it does not say whose it is"));
    let asset = ann.ready(&after).await;
    assert_eq!(text(&asset["state"]), "ready");
    assert_eq!(ann.original(&after).await, photo(2));
}
