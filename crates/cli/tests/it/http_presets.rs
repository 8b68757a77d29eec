//! Presets with an operator's numbers, by tenant: what is made by them, what becomes of what was made by others before, and how all of
//! it goes.

use safelight_testkit::camera::{self, Scene};
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::Value;

use crate::http_deletion::{all_gone, stored};
use crate::http_owners::stranger;
use crate::http_rig::{
    Answer, Caller, Database, PATIENCE, Rig, answer, fetch, number, on_both_databases, options,
    text,
};
use crate::sweep::swept;

on_both_databases!(
    each_tenant_has_its_own,
    a_later_version_is_made_when_it_is_asked_for,
    all_are_made_anew_on_demand,
    every_version_goes_with_its_asset,
    a_version_keeps_its_meaning,
    what_the_store_has_lost_is_made_by_the_present_version,
    who_saves_is_sent_a_lower_quality_or_a_smaller_size,
);

/// The second tenant, that of [`stranger`].
const OTHER: &str = "ten_00000000000000000000000002";
const CHROME: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
const WEBP: &str = "image/webp,*/*";
const OLD: &str = "image/png,image/*;q=0.8,*/*;q=0.5";

fn scene(seed: u64) -> Vec<u8> {
    camera::photo(&Scene {
        seed,
        width: 1600,
        height: 1200,
        ..Scene::default()
    })
}

/// What stands in the server's settings file from its next start on.
fn set(server: &Server, presets: &str) {
    let file = server.data_dir().join("safelight.toml");
    std::fs::write(file, format!("presets = \"{presets}\"\n")).unwrap();
}

async fn start(database: Database, presets: &str, args: &[&str]) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("server");
    std::fs::create_dir_all(&data_dir).unwrap();
    let settings = format!("presets = \"{presets}\"\n");
    std::fs::write(data_dir.join("safelight.toml"), settings).unwrap();
    let options = options(data_dir, database.fresh(), args);
    Rig::around(Server::start(options).await.unwrap(), dir)
}

/// Starts the server anew with these presets.
async fn restart(rig: &mut Rig, presets: &str) {
    restart_with(rig, &format!("presets = \"{presets}\"\n")).await;
}

/// Starts the server anew with this settings file.
pub async fn restart_with(rig: &mut Rig, settings: &str) {
    assert!(rig.server.terminate().await.unwrap().success());
    let file = rig.server.data_dir().join("safelight.toml");
    std::fs::write(file, settings).unwrap();
    rig.server.restart().await.unwrap();
}

async fn get(rig: &Rig, url: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = rig.http.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request).await
}

/// A picture's longer edge: some of the camera's photos are upright.
fn edge(picture: &[u8]) -> u32 {
    let limits = safelight_imaging::Limits::default();
    let header = safelight_imaging::header(picture, &limits).unwrap();
    header.width.max(header.height)
}

fn url<'a>(asset: &'a Value, preset: &str) -> &'a str {
    text(&asset["renditions"][preset]["url"])
}

fn auto<'a>(asset: &'a Value, preset: &str) -> &'a str {
    text(&asset["renditions"][preset]["auto_url"])
}

async fn no_jobs_left(rig: &Rig) {
    let catalog = rig.catalog().await;
    let left = "SELECT COUNT(*) FROM jobs WHERE kind <> 'sweep'";
    let done = wait::until(PATIENCE, async || number(&catalog, left).await == 0);
    done.await.unwrap();
}

async fn count(rig: &Rig, which: &str) -> i64 {
    let catalog = rig.catalog().await;
    let sql = format!("SELECT COUNT(*) FROM renditions WHERE {which}");
    number(&catalog, &sql).await
}

/// Waits until this asset's `display` is of a version.
async fn has_display(ann: &Caller, asset_id: &str, version: u32) -> Value {
    let of = format!("/display@{version}.webp");
    let there = wait::until_some(PATIENCE, async || {
        let asset = ann.asset(asset_id).await;
        url(&asset, "display").contains(&of).then_some(asset)
    });
    there.await.unwrap()
}

async fn each_tenant_has_its_own(database: Database) {
    let presets = format!("display@2:1440/78,{OTHER}=display@3:800/60,{OTHER}=large@9:1280/50");
    let rig = start(database, &presets, &["--avif", "yes"]).await;
    for (caller, display, large, [display_edge, large_edge]) in [
        (rig.owner("ann"), "display@2", "large@1", [1440, 1600]),
        (
            stranger(&rig, "ann").await,
            "display@3",
            "large@9",
            [800, 1280],
        ),
    ] {
        let asset_id = caller.upload(&scene(1)).await;
        let asset = caller.ready(&asset_id).await;
        no_jobs_left(&rig).await;
        assert_eq!(asset["progress"]["renditions_ready"], 3, "{asset}");
        assert!(text(&asset["cover_url"]).contains("/cover@1.webp"));
        assert!(url(&asset, "display").contains(&format!("/{display}.webp?")));
        assert!(auto(&asset, "display").contains(&format!("/{display}?")));
        assert!(url(&asset, "large").contains(&format!("/{large}.jpg?")));
        for (url, accept, mime, wanted) in [
            (url(&asset, "display"), WEBP, "image/webp", display_edge),
            (auto(&asset, "display"), WEBP, "image/webp", display_edge),
            (auto(&asset, "display"), CHROME, "image/avif", display_edge),
            (url(&asset, "large"), WEBP, "image/jpeg", large_edge),
        ] {
            let got = get(&rig, url, &[("accept", accept)]).await;
            assert_eq!((got.status, got.header("content-type")), (200, mime));
            let have = edge(&got.body);
            assert!(
                have <= wanted && have * 100 >= wanted * 95,
                "{have} of {wanted}"
            );
        }
    }
    let keys = stored(&rig).await;
    for file in [
        "/display@2.webp",
        "/display@2.avif",
        "/display@3.webp",
        "/display@3.avif",
        "/large@9.jpg",
        "/large@1.jpg",
    ] {
        let of = keys.iter().filter(|key| key.ends_with(file));
        assert_eq!(of.count(), 1, "{file} in {keys:?}");
    }
}

async fn a_later_version_is_made_when_it_is_asked_for(database: Database) {
    let mut rig = start(database, "", &["--avif", "yes"]).await;
    let asset_id = rig.owner("ann").upload(&scene(2)).await;
    rig.owner("ann").ready(&asset_id).await;
    no_jobs_left(&rig).await;
    let before = rig.owner("ann").asset(&asset_id).await;
    assert!(auto(&before, "display").contains("/display@1?"));
    let old = fetch(&rig.http, url(&before, "display")).await;

    restart(&mut rig, "display@2:1440/75").await;
    let ann = rig.owner("ann");
    let asset = ann.asset(&asset_id).await;
    // Nothing is made unasked, and what there is is shown, as complete as it was.
    assert!(
        url(&asset, "display").contains("/display@1.webp?"),
        "{asset}"
    );
    assert_eq!(asset["progress"]["renditions_ready"], 3);
    assert!(auto(&asset, "display").contains("/display@2?"));
    assert_eq!(count(&rig, "version <> 1").await, 0);
    let first = get(&rig, auto(&asset, "display"), &[("accept", WEBP)]).await;
    assert_eq!(first.status, 200);
    // It need not be ready when it is sent; where it was not, caches do not keep what stands for it.
    if first.body == old.body {
        assert_eq!(first.header("cache-control"), "public, max-age=10");
    }
    let after = has_display(&ann, &asset_id, 2).await;
    no_jobs_left(&rig).await;
    let new = get(&rig, auto(&after, "display"), &[("accept", WEBP)]).await;
    assert_eq!(
        new.body,
        fetch(&rig.http, url(&after, "display")).await.body
    );
    assert!(edge(&new.body) > edge(&old.body));
    assert_ne!(new.header("etag"), old.header("etag"));
    assert_ne!(new.header("cache-control"), "public, max-age=10");
    // What was made anew is there in the other formats too, and is no other size than it says.
    let avif = get(&rig, auto(&after, "display"), &[("accept", CHROME)]).await;
    assert_eq!(avif.header("content-type"), "image/avif");
    assert_eq!(edge(&avif.body), edge(&new.body));
    get(&rig, auto(&after, "display"), &[("accept", OLD)]).await;
    let jpegs = "preset = 'display.jpg' AND version = 2 AND state = 'ready'";
    let made = wait::until(PATIENCE, async || count(&rig, jpegs).await == 1);
    made.await.unwrap();
    // Who has links from before is sent what they were to.
    let link = fetch(&rig.http, url(&before, "display")).await;
    assert_eq!((link.status, &link.body), (200, &old.body));
    let link = get(&rig, auto(&before, "display"), &[("accept", WEBP)]).await;
    assert_eq!((link.status, &link.body), (200, &old.body));
    // Of what has no version of its own nothing was made.
    assert_eq!(count(&rig, "preset = 'large'").await, 1);
    assert_eq!(
        count(&rig, "preset = 'display' AND state = 'ready'").await,
        2
    );
    assert_eq!(
        ann.asset(&asset_id).await["progress"]["renditions_ready"],
        3
    );

    // Back again: it is all there.
    restart(&mut rig, "").await;
    let ann = rig.owner("ann");
    let back = ann.asset(&asset_id).await;
    assert!(url(&back, "display").contains("/display@1.webp?"), "{back}");
    assert_eq!(fetch(&rig.http, url(&back, "display")).await.body, old.body);
}

async fn all_are_made_anew_on_demand(database: Database) {
    let mut rig = start(database, "", &[]).await;
    let (ann, eve) = (rig.owner("ann"), stranger(&rig, "eve").await);
    let mut assets = Vec::new();
    for (seed, caller) in [(1, &ann), (2, &ann), (3, &eve)] {
        assets.push((caller.clone(), caller.upload(&scene(seed)).await));
    }
    for (caller, asset_id) in &assets {
        caller.ready(asset_id).await;
    }
    no_jobs_left(&rig).await;
    restart(
        &mut rig,
        &format!("large@2:1280/70,{OTHER}=display@2:900/60"),
    )
    .await;
    let found = async |rig: &Rig, more: &[&str]| {
        let args = [&["--json", "rederive"], more].concat();
        let (status, said) = swept(&rig.server, &args).await;
        assert_eq!(status, Some(0), "{said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        ["pictures", "ready", "asked", "failed"].map(|key| said[key].as_i64().unwrap())
    };
    let of_nobody = ["rederive", "--tenant", "ten_nobody"];
    let (status, said) = swept(&rig.server, &of_nobody).await;
    assert_eq!(status, Some(1), "{said}");
    let of_one = ["--preset", "display", "--tenant", OTHER];
    assert_eq!(found(&rig, &of_one).await, [1, 0, 1, 0]);
    no_jobs_left(&rig).await;
    // What else that one lacked came with it; of the others none was asked for.
    assert_eq!(count(&rig, "version = 2 AND state = 'ready'").await, 2);
    assert_eq!(found(&rig, &["--preset", "display"]).await, [3, 3, 0, 0]);
    assert_eq!(found(&rig, &[]).await, [3, 1, 2, 0]);
    no_jobs_left(&rig).await;
    assert_eq!(found(&rig, &[]).await, [3, 3, 0, 0]);
    for (caller, asset_id) in &assets {
        let asset = caller.asset(asset_id).await;
        assert!(url(&asset, "large").contains("/large@2.jpg?"), "{asset}");
        let large = fetch(&rig.http, url(&asset, "large")).await;
        assert!(edge(&large.body) <= 1280);
        assert_eq!(asset["progress"]["renditions_ready"], 3);
    }
    let (status, _) = swept(&rig.server, &["rederive", "--preset", "cover"]).await;
    assert_ne!(status, Some(0));
    // What no server has is not asked for, and stays free for other numbers.
    let typo = ["rederive", "--presets", "display@9:1000/70"];
    let (status, said) = swept(&rig.server, &typo).await;
    assert_eq!(status, Some(1), "{said}");
    let catalog = rig.catalog().await;
    let written = "SELECT COUNT(*) FROM preset_versions WHERE version = 9";
    assert_eq!(number(&catalog, written).await, 0);
    // What took too long is made once more.
    let sql =
        "UPDATE renditions SET state = 'failed', reason_code = 'decode_timeout', object_key = NULL
                WHERE preset = 'large' AND version = 2";
    crate::http_rig::change(&catalog, sql, vec![]).await;
    assert_eq!(found(&rig, &[]).await, [3, 0, 3, 0]);
    no_jobs_left(&rig).await;
    assert_eq!(found(&rig, &[]).await, [3, 3, 0, 0]);
    // What cannot be made is not asked for again and again, and is shown as it was.
    let sql =
        "UPDATE renditions SET state = 'failed', reason_code = 'media_corrupt', object_key = NULL
                WHERE preset = 'large' AND version = 2";
    crate::http_rig::change(&catalog, sql, vec![]).await;
    assert_eq!(found(&rig, &[]).await, [3, 0, 0, 3]);
    for (caller, asset_id) in &assets {
        let asset = caller.asset(asset_id).await;
        assert!(url(&asset, "large").contains("/large@1.jpg?"), "{asset}");
        let got = fetch(&rig.http, auto(&asset, "large")).await;
        assert_eq!(got.status, 200);
        assert_ne!(got.header("cache-control"), "public, max-age=10");
    }
    assert_eq!(
        number(&catalog, "SELECT COUNT(*) FROM jobs WHERE kind = 'derive'").await,
        0
    );
}

async fn every_version_goes_with_its_asset(database: Database) {
    let mut rig = start(database, "large@2:3000/70", &["--avif", "yes"]).await;
    let asset_id = rig.owner("ann").upload(&scene(4)).await;
    rig.owner("ann").ready(&asset_id).await;
    no_jobs_left(&rig).await;
    restart(&mut rig, "display@5:1200/70,large@3:2900/70").await;
    let ann = rig.owner("ann");
    let asset = ann.asset(&asset_id).await;
    get(&rig, auto(&asset, "display"), &[("accept", OLD)]).await;
    has_display(&ann, &asset_id, 5).await;
    no_jobs_left(&rig).await;
    // The settings that some of it was made by are gone.
    restart(&mut rig, "").await;
    let ann = rig.owner("ann");
    let there = stored(&rig).await;
    for file in [
        "/display@1.webp",
        "/display@1.avif",
        "/display@5.webp",
        "/display@5.avif",
        "/large@2.jpg",
        "/large@3.jpg",
    ] {
        assert!(
            there.iter().any(|key| key.ends_with(file)),
            "{file} in {there:?}"
        );
    }
    ann.delete(&format!("/v1/assets/{asset_id}"))
        .await
        .expect(202);
    all_gone(&rig.catalog().await).await;
    assert_eq!(stored(&rig).await, Vec::<String>::new());
    let gone = get(&rig, auto(&asset, "display"), &[("accept", WEBP)]).await;
    assert!([404, 410].contains(&gone.status), "{gone:?}");
}

async fn a_version_keeps_its_meaning(database: Database) {
    let mut rig = start(database, "display@2:1440/78", &[]).await;
    assert!(rig.server.terminate().await.unwrap().success());
    for (presets, why) in [
        (
            "display@2:1440/79",
            "display@2 cannot be 1440/79, since it was 1440/78",
        ),
        ("display@1:1440/79", "display@1 is the built-in one"),
    ] {
        set(&rig.server, presets);
        let refused = rig.server.restart().await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        let _ = rig.server.stopped().await;
    }
    for presets in ["", "display@3:1440/79,ten_a=display@2:1440/78"] {
        set(&rig.server, presets);
        rig.server.restart().await.unwrap();
        assert!(rig.server.terminate().await.unwrap().success());
    }
}

async fn what_the_store_has_lost_is_made_by_the_present_version(database: Database) {
    let mut rig = start(database, "display@2:1440/78", &[]).await;
    let asset_id = rig.owner("ann").upload(&scene(5)).await;
    rig.owner("ann").ready(&asset_id).await;
    no_jobs_left(&rig).await;
    restart(&mut rig, "display@3:1200/78").await;
    let lost = stored(&rig).await;
    let lost = lost.iter().find(|key| key.ends_with("/display@2.webp"));
    let lost = safelight_objects::ObjectKey::parse(lost.unwrap()).unwrap();
    rig.store().delete(&lost).await.unwrap();
    swept(&rig.server, &["sweep", "--remove"]).await;
    let ann = rig.owner("ann");
    has_display(&ann, &asset_id, 3).await;
    no_jobs_left(&rig).await;
    assert_eq!(count(&rig, "state = 'pending'").await, 0);
    assert_eq!(count(&rig, "preset = 'display'").await, 1);
}

async fn who_saves_is_sent_a_lower_quality_or_a_smaller_size(database: Database) {
    let mut rig = start(database, "display@2:1300/78", &[]).await;
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&scene(6)).await;
    let asset = ann.ready(&asset_id).await;
    no_jobs_left(&rig).await;
    let (accept, saves) = (("accept", WEBP), ("save-data", "on"));
    // The first who asks for it is sent the next smaller size, for a moment.
    let first = get(&rig, auto(&asset, "display"), &[accept, saves]).await;
    let cover = fetch(&rig.http, url(&asset, "cover")).await;
    assert_eq!(first.body, cover.body);
    assert_eq!(first.header("cache-control"), "public, max-age=10");
    no_jobs_left(&rig).await;
    let display = fetch(&rig.http, url(&asset, "display")).await;
    let lean = get(&rig, auto(&asset, "display"), &[accept, saves]).await;
    assert_eq!(lean.header("content-type"), "image/webp");
    let (fewer, usual) = (lean.body.len(), display.body.len());
    assert!(fewer * 10 < usual * 9, "{fewer} of {usual}");
    let size = |webp: &[u8]| {
        let header =
            safelight_imaging::header(webp, &safelight_imaging::Limits::default()).unwrap();
        (header.width, header.height)
    };
    assert_eq!(size(&lean.body), size(&display.body));
    assert_ne!(lean.header("etag"), display.header("etag"));
    let shown = ann.ready(&asset_id).await;
    assert_eq!(shown["renditions"].as_object().unwrap().len(), 3, "{shown}");
    let no_size = get(&rig, text(&asset["auto_url"]), &[accept, saves]).await;
    assert_eq!(no_size.body, lean.body);
    for (preset, sent, vary) in [
        ("large", &display, "Accept, Save-Data"),
        ("display", &lean, "Accept, Save-Data"),
        ("cover", &cover, "Accept"),
    ] {
        let saving = get(&rig, auto(&asset, preset), &[accept, saves]).await;
        assert_eq!(saving.body, sent.body, "{preset}");
        let usual = get(&rig, auto(&asset, preset), &[accept]).await;
        assert_eq!(usual.body, fetch(&rig.http, url(&asset, preset)).await.body);
        for got in [saving, usual] {
            assert_eq!(got.header("vary"), vary, "{preset}");
        }
        // A link that names a file leads to that file.
        let named = get(&rig, url(&asset, preset), &[saves]).await;
        assert_eq!(named.body, fetch(&rig.http, url(&asset, preset)).await.body);
        assert_eq!(named.header("vary"), "");
    }
    // By a version that comes later it is made anew, and the one before is not sent for it.
    restart(&mut rig, "display@3:1200/78").await;
    let asset = rig.owner("ann").ready(&asset_id).await;
    get(&rig, auto(&asset, "display"), &[accept]).await;
    let asset = has_display(&rig.owner("ann"), &asset_id, 3).await;
    let again = get(&rig, auto(&asset, "display"), &[accept, saves]).await;
    assert_eq!(again.body, cover.body);
    no_jobs_left(&rig).await;
    let again = get(&rig, auto(&asset, "display"), &[accept, saves]).await;
    assert_eq!(size(&again.body).0.max(size(&again.body).1), 1200);
}
