//! The mark is raised behind what is committed: a catalog that lacks something of that is known by it.

use safelight_catalog::catalog_mark::TO_STORE;
use safelight_objects::{Capabilities, ObjectKey};
use safelight_service::context::Context;
use safelight_service::retention::catalog_mark::{self, EVERY};
use safelight_service::retention::keep_mark::{self, AT_MOST_EVERY, KeptMark, Watch};
use safelight_testkit::wait;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::http_rig::{
    Database, PART_BYTES, PATIENCE, Rig, change, large_photo, number, on_both_databases, options,
    photo, text,
};
use crate::in_process::InProcess;
use crate::odd_store::{OddStore, Oddities};
use crate::stale_lists::StaleLists;
use crate::sweep_doubts::{doubt, in_store, mark, put_back, round};

on_both_databases!(
    a_commit_raises_the_mark_once,
    every_copy_that_lacks_something_is_noticed,
    a_mark_that_was_on_its_way_stands_for_nothing_later,
    a_start_raises_the_mark_though_the_last_one_died_raising_it,
    who_only_stores_bytes_raises_no_mark,
    what_a_store_shows_once_makes_no_doubt,
    a_store_that_is_away_has_the_mark_raised_later,
    a_process_raises_it_whatever_its_roles_and_at_its_end,
);

async fn kept(mark: &mut KeptMark, context: &Context) -> bool {
    mark.keep_up(context, AT_MOST_EVERY).await.unwrap()
}

async fn a_commit_raises_the_mark_once(database: Database) {
    let service = InProcess::start(database).await;
    let (context, store) = (&service.context, &service.context.objects);
    let mut here = KeptMark::default();
    assert!(store.head(&ObjectKey::mark()).await.unwrap().is_none());
    assert!(kept(&mut here, context).await, "at a start");
    service.owner("ann").upload(&photo(1)).await;
    service.clock.advance(AT_MOST_EVERY);
    assert!(kept(&mut here, context).await);
    let first = in_store(store).await;
    assert_eq!(first["nonce"], json!(mark(context).await.nonce));
    // Where nothing is committed nothing is written, however long.
    let row = mark(context).await;
    service.clock.advance(10 * AT_MOST_EVERY);
    assert!(kept(&mut here, context).await);
    assert_eq!(mark(context).await, row);
    // At most every so often, and not forgotten.
    service.owner("ann").upload(&photo(2)).await;
    assert!(kept(&mut here, context).await);
    service.owner("ann").upload(&photo(3)).await;
    service.clock.advance(AT_MOST_EVERY / 2);
    let row = mark(context).await;
    assert!(!kept(&mut here, context).await, "a moment ago");
    assert_eq!(mark(context).await, row);
    service.clock.advance(AT_MOST_EVERY / 2);
    assert!(kept(&mut here, context).await);
    assert_ne!(mark(context).await.nonce, row.nonce);
    // Another process has raised it: that stands for what it had seen committed, and only for that.
    let there = service.second().await;
    service.owner("ann").upload(&photo(4)).await;
    assert!(!kept(&mut here, context).await, "a moment ago");
    service.clock.advance(AT_MOST_EVERY);
    round(&there).await;
    let row = mark(context).await;
    assert!(kept(&mut here, context).await);
    assert_eq!(mark(context).await, row);
    assert_eq!(doubt(context).await, None);
}

/// A backup at any moment, put back in place of the catalog.
async fn every_copy_that_lacks_something_is_noticed(database: Database) {
    let service = InProcess::start(database).await;
    let (context, ann) = (&service.context, service.owner("ann"));
    let mut here = KeptMark::default();
    let large = large_photo(1, PART_BYTES + 1000);
    let open = ann.initiate(&[&large]).await.remove(0);
    assert!(kept(&mut here, context).await);
    let id = text(&open["uploads"][0]["upload_id"]).to_owned();
    for step in 0..6 {
        let copy = mark(context).await;
        assert_eq!(doubt(context).await, None);
        match step {
            0 => drop(ann.initiate(&[&photo(9)]).await),
            1 => ann.send_parts(&id, &large, &[1]).await,
            2 => ann.send_parts(&id, &large, &[2]).await,
            3 => drop(ann.complete(&id).await.expect(200)),
            4 => drop(ann.upload(&photo(2)).await),
            _ => {
                let other = ann.initiate(&[&photo(3)]).await.remove(0);
                let path = format!("/v1/uploads/{}", text(&other["uploads"][0]["upload_id"]));
                ann.delete(&path).await.expect(200);
            }
        }
        service.clock.advance(AT_MOST_EVERY);
        assert!(kept(&mut here, context).await, "step {step}");
        let now = mark(context).await;
        put_back(context, &copy).await;
        let said = doubt(context).await.expect("a copy that lacks a step");
        assert!(said.contains("restored from an older copy"), "{said}");
        // As it was, and uncontested.
        put_back(context, &now).await;
        let store = &context.objects;
        let mut stands = in_store(store).await;
        stands.as_object_mut().unwrap().remove("contested");
        crate::sweep_doubts::leave(store, &stands).await;
    }
}

/// Somebody died between raising the mark in the catalog and leaving it in the store. A copy may know that nonce.
async fn a_mark_that_was_on_its_way_stands_for_nothing_later(database: Database) {
    let service = InProcess::start(database).await;
    let context = &service.context;
    let mut here = KeptMark::default();
    round(context).await;
    service.clock.advance(AT_MOST_EVERY);
    let now = context.now();
    let died = "UPDATE catalog_mark SET pending_nonce = 'died', mark = mark + 1, nonce_mark = mark + 1, marked_at = $1";
    change(&context.catalog, died, vec![now.into()]).await;
    let copy = mark(context).await;
    service.owner("ann").upload(&photo(1)).await;
    service.clock.advance(AT_MOST_EVERY);
    assert!(
        !kept(&mut here, context).await,
        "it may still be on its way"
    );
    service.clock.advance(TO_STORE);
    assert!(!kept(&mut here, context).await);
    assert_eq!(in_store(&context.objects).await["nonce"], "died");
    service.clock.advance(AT_MOST_EVERY);
    assert!(kept(&mut here, context).await);
    put_back(context, &copy).await;
    assert!(doubt(context).await.is_some());
}

/// What the process before had committed is not known: the next one does not rely on that it was told of.
async fn a_start_raises_the_mark_though_the_last_one_died_raising_it(database: Database) {
    let service = InProcess::start(database).await;
    round(&service.context).await;
    service.clock.advance(AT_MOST_EVERY);
    let died = "UPDATE catalog_mark SET pending_nonce = 'died', mark = mark + 1, nonce_mark = mark + 1, marked_at = $1";
    let now = service.context.now();
    change(&service.context.catalog, died, vec![now.into()]).await;
    // It commits nothing.
    let (context, mut next) = (&service.second().await, KeptMark::default());
    assert!(!kept(&mut next, context).await, "the other may live");
    service.clock.advance(TO_STORE);
    assert!(!kept(&mut next, context).await);
    assert_eq!(in_store(&context.objects).await["nonce"], "died");
    service.clock.advance(AT_MOST_EVERY);
    assert!(kept(&mut next, context).await);
    let stands = in_store(&context.objects).await;
    assert_ne!(stands["nonce"], "died");
    assert_eq!(stands["nonce"], json!(mark(context).await.nonce));
    assert_eq!(doubt(context).await, None);
    // Once: where nothing is committed nothing is written.
    let row = mark(context).await;
    service.clock.advance(10 * AT_MOST_EVERY);
    assert!(kept(&mut next, context).await);
    assert_eq!(mark(context).await, row);
}

async fn who_only_stores_bytes_raises_no_mark(database: Database) {
    let service = InProcess::start(database).await;
    for (watch, raised) in [(Watch::NotKept, 0), (Watch::Kept, 1), (Watch::Kept, 2)] {
        let context = service.second().await;
        let stop = CancellationToken::new();
        stop.cancel();
        keep_mark::run(context.clone(), watch, stop).await;
        assert_eq!(mark(&context).await.mark, raised, "{watch:?}");
        let stands = context.objects.head(&ObjectKey::mark()).await.unwrap();
        assert_eq!(stands.is_some(), watch == Watch::Kept);
        service.clock.advance(AT_MOST_EVERY);
    }
}

/// What stood there before, or nothing: what is still there at a second look is believed.
async fn what_a_store_shows_once_makes_no_doubt(database: Database) {
    let way = StaleLists::default();
    let service = InProcess::behind(database, async |to| way.lead_to(to).await).await;
    let context = &service.context;
    for said in ["has lost", "a copy of it"] {
        // Whoever raises it has read it before.
        round(context).await;
        way.stale_marks(1);
        assert_eq!(doubt(context).await, None);
        way.stale_marks(1);
        assert_eq!(catalog_mark::suspicion(context).await.unwrap(), None);
        service.clock.advance(EVERY);
        let row = mark(context).await;
        way.stale_marks(2);
        let why = doubt(context).await.unwrap();
        assert!(why.contains(said), "{why}");
        put_back(context, &row).await;
        assert_eq!(doubt(context).await, None, "it was not contested");
    }
    // Those who raise it get over that too.
    round(context).await;
    service.clock.advance(EVERY);
    way.stale_marks(1);
    round(context).await;
    assert_eq!(mark(context).await.doubt, None);
    let stands = in_store(&context.objects).await;
    assert_eq!(stands["nonce"], json!(mark(context).await.nonce));
}

/// When the mark is to be looked at, and when it is to be stored.
async fn a_store_that_is_away_has_the_mark_raised_later(database: Database) {
    for looked_at in [false, true] {
        let odd = OddStore::start(Oddities {
            fails_after: 1,
            recovers_after: 12,
            ..Oddities::default()
        })
        .await;
        let service = InProcess::around(odd.objects(Capabilities::unprobed()), database).await;
        let (context, store) = (&service.context, &service.context.objects);
        let mut here = KeptMark::default();
        service.owner("ann").initiate(&[&photo(1)]).await;
        if looked_at {
            // The one answer that comes before the store is away is spent on this, whatever becomes of it.
            let _ = store.head(&ObjectKey::mark()).await;
        }
        let mut tries = 0;
        // Errors are told, and the next round tries again.
        while !matches!(here.keep_up(context, AT_MOST_EVERY).await, Ok(true)) {
            tries += 1;
            assert!(tries < 100, "{looked_at}");
            service.clock.advance(AT_MOST_EVERY + TO_STORE / 10);
        }
        assert!(tries > 0 && odd.requests() > 13, "it was away");
        let stands = in_store(store).await;
        assert_eq!(stands["nonce"], json!(mark(context).await.nonce));
        assert_eq!(doubt(context).await, None, "{looked_at}");
    }
}

/// One that is no janitor: it raises the mark soon behind a commit, and once more before it ends.
async fn a_process_raises_it_whatever_its_roles_and_at_its_end(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let roles = ["--roles", "api,store"];
    let server = options(dir.path().join("server"), database.fresh(), &roles);
    let server = safelight_testkit::server::Server::start(server)
        .await
        .unwrap();
    let mut rig = Rig::around(server, dir);
    let catalog = rig.catalog().await;
    let raised = "SELECT mark FROM catalog_mark";
    let first = wait::until(PATIENCE, async || number(&catalog, raised).await >= 1);
    first.await.unwrap();
    rig.owner("ann").upload(&photo(1)).await;
    let more = wait::until(PATIENCE, async || number(&catalog, raised).await >= 2);
    more.await.unwrap();
    let before = number(&catalog, raised).await;
    rig.owner("ann").upload(&photo(2)).await;
    assert!(rig.server.terminate().await.unwrap().success());
    assert!(number(&catalog, raised).await > before);
    let pending =
        "SELECT COUNT(*) FROM catalog_mark WHERE nonce IS NULL OR pending_nonce IS NOT NULL";
    assert_eq!(number(&catalog, pending).await, 0);
}
