//! Sweeps among faults: cut off at any moment, two at once, lists that are out of date, clocks that differ. None of that makes
//! anything nobody's that is somebody's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use safelight_catalog::sweeps::{self, FindingKind};
use safelight_model::clock::ManualClock;
use safelight_model::{limits, preset};
use safelight_objects::{ObjectKey, Objects, ownership};
use safelight_service::context::{Context, ServiceSettings};
use safelight_service::retention::{catalog_mark, sweep};
use tokio::task::JoinSet;

use crate::http_rig::{
    Database, PART_BYTES, change, large_photo, number, objects, on_both_databases, photo, rows,
    text,
};
use crate::in_process::{InProcess, TENANT};
use crate::stale_lists::StaleLists;
use crate::sweep::{DAY, ended, found, put};
use crate::sweep_doubts::{mark, round};

on_both_databases!(
    a_sweep_that_is_cut_off_anywhere_harms_nothing,
    two_sweeps_at_once_among_uploads_remove_what_is_nobodys_only,
    parts_of_an_upload_that_is_unknown_or_open_are_kept,
    what_an_append_keeps_is_kept_for_an_uploads_life,
    a_tenant_that_is_gone_keeps_its_objects,
    nodes_whose_clocks_differ_go_by_the_number_of_the_sweep,
    who_only_looks_changes_nothing,
    doubt_that_comes_in_the_midst_of_removals_stops_them,
    lists_that_are_out_of_date_make_nothing_nobodys,
);

/// An orphan that is removed when its grace is over.
async fn orphan(context: &Context) -> ObjectKey {
    let key = ObjectKey::original(TENANT, context.now(), context.entropy.as_ref()).unwrap();
    let own = ownership(&context.catalog_id, TENANT, "ast_1");
    put(&context.objects, &key, Some(&own)).await;
    ended(context, &key).await;
    key
}

async fn is_there(store: &Objects, key: &ObjectKey) -> bool {
    store.head(key).await.unwrap().is_some()
}

/// Polls a future so many times at most, and drops it then, as a process that dies does. Whether it came to its end.
async fn cut_off<F: Future>(work: F, polls: usize) -> bool {
    let mut work: Pin<Box<F>> = Box::pin(work);
    let mut left = polls;
    std::future::poll_fn(move |waker| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        work.as_mut().poll(waker).map(|_| true)
    })
    .await
}

async fn a_sweep_that_is_cut_off_anywhere_harms_nothing(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let ann = service.owner("ann");
    ann.upload(&photo(1)).await;
    let open = ann.initiate(&[&photo(2)]).await.remove(0);
    ann.send(&open, &photo(2)).await;
    let kept = objects(store, "").await;
    let mut orphans = Vec::new();
    for _ in 0..4 {
        orphans.push(orphan(context).await);
    }
    round(context).await;
    let (mut whole, mut cuts) = (0, 0);
    for polls in (1..).step_by(3) {
        // Old enough from the third week on.
        if polls % 2 == 0 {
            service.clock.advance(DAY);
        }
        match cut_off(sweep::sweep_all(context, true), polls).await {
            true => whole += 1,
            false => cuts += 1,
        }
        for key in &kept {
            assert!(
                is_there(store, &ObjectKey::parse(key).unwrap()).await,
                "{key}"
            );
        }
        if whole >= 3 {
            break;
        }
        assert!(polls < 5000);
    }
    assert!(cuts > 10, "{cuts}");
    for _ in 0..2 {
        service.clock.advance(limits::ORPHAN_GRACE + DAY);
        sweep::sweep_all(context, true).await.unwrap();
    }
    for key in &orphans {
        assert!(!is_there(store, key).await);
    }
    let left = found(context).await;
    assert_eq!(left, [], "nothing is left over");
}

async fn two_sweeps_at_once_among_uploads_remove_what_is_nobodys_only(database: Database) {
    let service = InProcess::start(database).await;
    let store = &service.context.objects;
    let settings = Arc::new(ServiceSettings {
        orphan_grace: DAY,
        ..service.context.settings.as_ref().clone()
    });
    let nodes = [service.context.clone(), service.second().await].map(|node| Context {
        settings: settings.clone(),
        ..node
    });
    let context = &nodes[0].clone();
    round(context).await;
    let (ann, mut sent) = (service.owner("ann"), Vec::new());
    for n in 0..6 {
        let asset = ann.initiate(&[&photo(n)]).await.remove(0);
        ann.send(&asset, &photo(n)).await;
        sent.push(text(&asset["uploads"][0]["upload_id"]).to_owned());
    }
    let mut orphans = Vec::new();
    for _ in 0..30 {
        orphans.push(orphan(context).await);
    }
    sweep::sweep_all(context, true).await.unwrap();
    service.clock.advance(2 * DAY);
    let mut at_once = JoinSet::new();
    for node in nodes {
        at_once.spawn(async move {
            for _ in 0..3 {
                sweep::sweep_all(&node, true).await.unwrap();
            }
        });
    }
    for upload_id in sent {
        let ann = ann.clone();
        at_once.spawn(async move {
            ann.complete(&upload_id).await.expect(200);
        });
    }
    at_once.join_all().await;
    for key in &orphans {
        assert!(!is_there(store, key).await);
    }
    let mut whole = Vec::new();
    for row in rows(
        &context.catalog,
        "SELECT object_key FROM blobs ORDER BY object_key",
    )
    .await
    {
        whole.push(row.text(0).unwrap());
    }
    assert_eq!((whole.len(), objects(store, "o/").await), (6, whole));
    assert_eq!(found(context).await, []);
    assert_eq!(mark(context).await.doubt, None);
}

/// An upload shows no metadata: only a catalog that knows its key may say that it is over.
async fn parts_of_an_upload_that_is_unknown_or_open_are_kept(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store, ann) = (
        &service.context,
        &service.context.objects,
        service.owner("ann"),
    );
    round(context).await;
    let own = ownership(&context.catalog_id, TENANT, "ast_1");
    // As a catalog that was restored does not know it; or another one, whose first tenant has the same id.
    let key = ObjectKey::original(TENANT, context.now(), context.entropy.as_ref()).unwrap();
    let unknown = store
        .create_multipart(&key, None, &own, false)
        .await
        .unwrap();
    // The key of an open upload, whose row names another one, or none.
    let large = large_photo(1, PART_BYTES + 1000);
    let asset = ann.initiate(&[&large]).await.remove(0);
    let row = &rows(&context.catalog, "SELECT object_key FROM uploads").await[0];
    let open = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
    let second = store
        .create_multipart(&open, None, &own, false)
        .await
        .unwrap();
    let there = async || {
        let mut there = Vec::new();
        for (key, id) in [(&key, &unknown), (&open, &second)] {
            there.push(store.list_parts(key, id).await.unwrap().is_some());
        }
        there
    };
    let weeks = async || {
        for _ in 0..3 {
            service.clock.advance(limits::ORPHAN_GRACE + DAY);
            sweep::sweep_all(context, true).await.unwrap();
        }
    };
    weeks().await;
    assert_eq!(there().await, [true, true]);
    let findings = found(context).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].kind, FindingKind::OrphanUpload);
    let why = findings[0].kept_because.as_deref().unwrap_or_default();
    assert!(why.contains("lost its row"), "{why}");
    // Given up, and cleared: what is left over at its key is nobody's.
    let path = format!("/v1/uploads/{}", text(&asset["uploads"][0]["upload_id"]));
    ann.delete(&path).await.expect(200);
    service.pass(DAY).await;
    service.pass(DAY).await;
    weeks().await;
    assert_eq!(there().await, [true, false]);
}

async fn what_an_append_keeps_is_kept_for_an_uploads_life(database: Database) {
    let service = InProcess::start(database).await;
    let store = &service.context.objects;
    // An operator who wants it gone quickly.
    let context = &Context {
        settings: Arc::new(ServiceSettings {
            orphan_grace: DAY,
            ..service.context.settings.as_ref().clone()
        }),
        ..service.context.clone()
    };
    round(context).await;
    let own = ownership(&context.catalog_id, TENANT, "ast_1");
    let key = ObjectKey::temporary(TENANT, context.entropy.as_ref()).unwrap();
    put(store, &key, Some(&own)).await;
    let other = orphan(context).await;
    for day in 0..=7 {
        sweep::sweep_all(context, true).await.unwrap();
        assert!(is_there(store, &key).await, "{day}");
        service.clock.advance(DAY);
    }
    assert!(!is_there(store, &other).await, "its grace was shorter");
    sweep::sweep_all(context, true).await.unwrap();
    assert!(!is_there(store, &key).await);
}

async fn a_tenant_that_is_gone_keeps_its_objects(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    round(context).await;
    let key = orphan(context).await;
    sweep::sweep_all(context, true).await.unwrap();
    service.clock.advance(limits::ORPHAN_GRACE + DAY);
    // In the midst: it was found while its tenant was there.
    let gone = "UPDATE tenants SET tenant_id = 'ten_other'";
    assert_eq!(change(&context.catalog, gone, vec![]).await, 1);
    for _ in 0..3 {
        sweep::sweep_all(context, true).await.unwrap();
        service.clock.advance(limits::ORPHAN_GRACE + DAY);
    }
    assert!(is_there(store, &key).await);
    let why = found(context).await[0].kept_because.clone().unwrap();
    assert!(why.contains("no tenant"), "{why}");
}

/// One node begins a sweep, another finds, a third removes; each has its own time.
async fn nodes_whose_clocks_differ_go_by_the_number_of_the_sweep(database: Database) {
    for apart in [Duration::from_secs(2 * 3600), 2 * DAY] {
        let service = InProcess::start(database).await;
        let (context, store) = (&service.context, &service.context.objects);
        let clocks = [
            Arc::new(ManualClock::at(context.now().plus(apart))),
            Arc::new(ManualClock::at(context.now())),
            Arc::new(ManualClock::at(context.now().minus(apart))),
        ];
        let nodes = clocks.clone().map(|clock| Context {
            clock,
            ..context.clone()
        });
        round(context).await;
        let key = orphan(context).await;
        let mut sweeps_done = 0;
        let mut removed_in = None;
        for week in 0..4 {
            let mut turn = 0;
            // By all of them in turn, and a different one first each time.
            while sweep::step(&nodes[(turn + week) % 3], true).await.unwrap()
                == sweep::Progress::More
            {
                turn += 1;
            }
            sweeps_done += 1;
            let last = sweeps::find(&mut context.catalog.reader().await.unwrap().tx()).await;
            assert_eq!(last.unwrap().unwrap().number, sweeps_done);
            if removed_in.is_none() && !is_there(store, &key).await {
                removed_in = Some(week);
            }
            if week == 0 {
                assert!(removed_in.is_none(), "its grace is not over");
            }
            let step = limits::ORPHAN_GRACE + 3 * apart;
            service.clock.advance(step);
            clocks.iter().for_each(|clock| clock.advance(step));
        }
        assert!(removed_in.is_some(), "one whose clock ran ahead began it");
        assert_eq!(found(context).await, []);
    }
}

async fn who_only_looks_changes_nothing(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    service.owner("ann").upload(&photo(1)).await;
    let key = orphan(context).await;
    let blob = &rows(&context.catalog, "SELECT blob_id FROM blobs").await[0];
    // A rendition that the store has lost.
    let lost =
        ObjectKey::rendition(TENANT, &blob.text(0).unwrap(), &preset::COVER.label()).unwrap();
    let insert = "INSERT INTO renditions (tenant_id, blob_id, preset, version, state, format, updated_at, object_key)
         SELECT tenant_id, blob_id, 'cover', 1, 'ready', 'webp', 0, $1 FROM blobs";
    change(&context.catalog, insert, vec![lost.as_str().into()]).await;
    let before = (objects(store, "").await, mark(context).await);
    let jobs = "SELECT COUNT(*) FROM jobs";
    let jobs_before = number(&context.catalog, jobs).await;
    service.clock.advance(DAY);
    assert_eq!(catalog_mark::suspicion(context).await.unwrap(), None);
    let (examined, first) = sweep::look_only(context).await.unwrap();
    assert_eq!((examined, first.len()), (4, 2), "{first:?}");
    for nothing in [
        "SELECT COUNT(*) FROM sweeps",
        "SELECT COUNT(*) FROM sweep_findings",
    ] {
        assert_eq!(number(&context.catalog, nothing).await, 0, "{nothing}");
    }
    assert_eq!((objects(store, "").await, mark(context).await), before);
    assert_eq!(number(&context.catalog, jobs).await, jobs_before);
    let pending = "SELECT COUNT(*) FROM renditions WHERE state <> 'ready'";
    assert_eq!(number(&context.catalog, pending).await, 0);
    // What sweeps have found is shown since when.
    sweep::sweep_all(context, false).await.unwrap();
    let since = found(context).await[0].first_seen_at;
    service.clock.advance(DAY);
    let (_, again) = sweep::look_only(context).await.unwrap();
    let orphan = again.iter().find(|f| f.object_key == key.as_str());
    assert_eq!(orphan.unwrap().first_seen_at, since);
}

/// Another catalog appears while a page of removals is under way.
async fn doubt_that_comes_in_the_midst_of_removals_stops_them(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    round(context).await;
    for _ in 0..150 {
        orphan(context).await;
    }
    sweep::sweep_all(context, true).await.unwrap();
    service.clock.advance(limits::ORPHAN_GRACE + DAY);
    let theirs = serde_json::json!({"catalog_id": "cat_other", "mark": 3, "nonce": "theirs"});
    let watched = async {
        loop {
            let left = objects(store, "o/").await.len();
            if left < 150 {
                crate::sweep_doubts::leave(store, &theirs).await;
                return left;
            }
            tokio::task::yield_now().await;
        }
    };
    let (swept, _) = tokio::join!(sweep::sweep_all(context, true), watched);
    swept.unwrap();
    let left = objects(store, "o/").await.len();
    assert!(left > 0, "a clock that stands still does not make it go on");
    assert!(mark(context).await.doubt.is_some());
    sweep::sweep_all(context, true).await.unwrap();
    assert_eq!(objects(store, "o/").await.len(), left);
}

/// A store whose lists are weeks behind, both ways.
async fn lists_that_are_out_of_date_make_nothing_nobodys(database: Database) {
    let lists = StaleLists::default();
    let service = InProcess::behind(database, async |to| lists.lead_to(to).await).await;
    let (context, store, ann) = (
        &service.context,
        &service.context.objects,
        service.owner("ann"),
    );
    round(context).await;
    // Lists as they are before anything is there, and then with what is under way, and an orphan.
    sweep::sweep_all(context, true).await.unwrap();
    lists.stale(true);
    ann.upload(&photo(1)).await;
    for _ in 0..3 {
        sweep::sweep_all(context, true).await.unwrap();
        assert_eq!(
            found(context).await,
            [],
            "what is not listed is asked for by itself"
        );
    }
    lists.stale(false);
    let large = large_photo(2, PART_BYTES + 1000);
    let open = ann.initiate(&[&photo(3), &large]).await;
    ann.send(&open[0], &photo(3)).await;
    let id = text(&open[1]["uploads"][0]["upload_id"]).to_owned();
    ann.send_parts(&id, &large, &[1]).await;
    let removed = orphan(context).await;
    sweep::sweep_all(context, true).await.unwrap();
    lists.stale(true);
    // All of it is whole since, and the orphan has gone; the lists do not know.
    ann.send_parts(&id, &large, &[2]).await;
    ann.complete(&id).await.expect(200);
    ann.complete(text(&open[0]["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    store.delete(&removed).await.unwrap();
    let all = {
        lists.stale(false);
        let all = objects(store, "o/").await;
        lists.stale(true);
        all
    };
    assert_eq!(all.len(), 3);
    for _ in 0..3 {
        service.clock.advance(limits::ORPHAN_GRACE + DAY);
        sweep::sweep_all(context, true).await.unwrap();
    }
    assert_eq!(found(context).await, []);
    assert!(lists.replayed() > 20, "{}", lists.replayed());
    for key in &all {
        assert!(
            is_there(store, &ObjectKey::parse(key).unwrap()).await,
            "{key}"
        );
    }
}
