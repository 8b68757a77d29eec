//! What files tell of how they were taken: read on arrival, and kept and shown as the tenant's policy has it.

use safelight_testkit::camera::{self, Scene};
use safelight_testkit::{media, wait};
use serde_json::{Value, json};

use crate::http_clips::rendition;
use crate::http_rig::{
    Caller, Database, PATIENCE, Rig, change, fetch, number, on_both_databases, photo, rows, text,
};
use crate::media::tool;

on_both_databases!(
    what_is_shown_goes_by_the_policy,
    a_tenant_may_have_a_policy_of_its_own,
    a_policy_that_keeps_less_forgets,
    renditions_name_the_copyright_where_a_tenant_wants_it,
    what_the_owner_says_stands_before_what_the_file_tells,
    files_from_before_are_read_later,
    what_is_told_goes_with_the_asset,
);

/// The tenant that every server has.
const TENANT: &str = "ten_00000000000000000000000000";

/// A photo of a burst with a place in it.
fn told_photo(seed: u64) -> Vec<u8> {
    camera::photo(&Scene {
        seed,
        width: 320,
        height: 240,
        burst_id: Some(format!("burst-{seed}")),
        ..Scene::default()
    })
}

/// The owner himself, by a device token.
async fn himself(rig: &Rig, owner: &str) -> Caller {
    let token = json!({ "owner": owner, "device": "phone" });
    let minted = rig
        .owner(owner)
        .post("/v1/tokens", &token)
        .await
        .expect(201);
    rig.caller(Some(text(&minted["token"])), None)
}

/// What is shown of an asset's file.
async fn told(caller: &Caller, asset_id: &str) -> Value {
    let path = format!("/v1/assets/{asset_id}?fields=metadata");
    caller.get(&path).await.expect(200)["metadata"].clone()
}

/// Checks that what is harmless is there, and that what is private is or is not.
fn check(shown: &Value, burst_id: Option<&str>) {
    for (name, expected) in [
        ("make", json!("Safelight")),
        ("model", json!("Fake Camera 1")),
        ("lens", json!("Fake Camera 1 back camera 5.68mm f/1.8")),
        ("captured_at", json!("2026-11-23T08:00:00+01:00")),
        ("f_number", json!(1.8)),
        ("iso", json!(64)),
        ("focal_length_mm", json!(5.68)),
        ("orientation", json!(6)),
    ] {
        assert_eq!(shown[name], expected, "{name}: {shown}");
    }
    let exposure = shown["exposure_s"].as_f64().unwrap();
    assert!((exposure - 1.0 / 240.0).abs() < 1e-9, "{shown}");
    assert_eq!(shown["burst_id"].as_str(), burst_id, "{shown}");
    match burst_id {
        None => assert!(shown["location"].is_null(), "{shown}"),
        Some(_) => {
            let place = &shown["location"];
            let north = place["latitude"].as_f64().unwrap();
            let east = place["longitude"].as_f64().unwrap();
            assert!(
                (46.0..47.0).contains(&north) && (7.0..8.0).contains(&east),
                "{shown}"
            );
            assert_eq!(place["altitude_m"], 1234.5);
        }
    }
}

async fn what_is_shown_goes_by_the_policy(database: Database) {
    for (policy, to_tenant, to_owner) in [
        (None, false, false),
        (Some("strip"), false, false),
        (Some("keep"), true, true),
        (Some("owner-only"), false, true),
    ] {
        let args: Vec<&str> = policy.map_or(vec![], |p| vec!["--metadata-policy", p]);
        let rig = Rig::start(database, &args).await;
        let tenant = rig.owner("ann");
        let id = tenant.upload(&told_photo(1)).await;
        tenant.ready(&id).await;
        let owner = himself(&rig, "ann").await;
        for (caller, is_shown) in [(&tenant, to_tenant), (&owner, to_owner)] {
            let burst_id = is_shown.then_some("burst-1");
            check(&told(caller, &id).await, burst_id);
            let list = caller.get("/v1/assets?fields=metadata").await.expect(200);
            check(&list["items"][0]["metadata"], burst_id);
            let plain = caller.get(&format!("/v1/assets/{id}")).await.expect(200);
            assert!(plain["metadata"].is_null());
        }
        // What is not shown to anybody is not there either.
        let catalog = rig.catalog().await;
        let kept = rows(&catalog, "SELECT harmless, private FROM blob_metadata").await;
        let harmless = kept[0].text(0).unwrap();
        for word in ["burst-1", "latitude", "SLFC1"] {
            assert!(!harmless.contains(word), "{harmless}");
        }
        let private = kept[0].maybe_text(1).unwrap();
        assert_eq!(private.is_some(), to_owner, "{private:?}");
        // Nobody else is shown anything.
        let bob = himself(&rig, "bob").await;
        let path = format!("/v1/assets/{id}?fields=metadata");
        bob.get(&path).await.problem(404, "not_found");
    }
}

async fn a_tenant_may_have_a_policy_of_its_own(database: Database) {
    for (policy, is_shown) in [
        (format!("strip,{TENANT}=keep"), true),
        (format!("keep,{TENANT}=strip"), false),
        ("ten_other=keep".to_owned(), false),
    ] {
        let rig = Rig::start(database, &["--metadata-policy", &policy]).await;
        let ann = rig.owner("ann");
        let id = ann.upload(&told_photo(2)).await;
        ann.ready(&id).await;
        check(&told(&ann, &id).await, is_shown.then_some("burst-2"));
    }
}

async fn renditions_name_the_copyright_where_a_tenant_wants_it(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photo.jpg");
    std::fs::write(&path, told_photo(4)).unwrap();
    let file = path.to_str().unwrap();
    exiftool(&["-q", "-overwrite_original", "-Copyright=Ann 2026", file]);
    let photo = std::fs::read(&path).unwrap();
    for (setting, expected) in [
        (format!("no,{TENANT}=yes"), json!("Ann 2026")),
        (format!("yes,{TENANT}=no"), Value::Null),
    ] {
        let rig = Rig::start(database, &["--rendition-copyright", &setting]).await;
        let ann = rig.owner("ann");
        let id = ann.upload(&photo).await;
        ann.ready(&id).await;
        let shown = rendition(&ann, &id, "large").await;
        for preset in ["cover", "display", "large"] {
            let url = text(&shown["renditions"][preset]["url"]);
            std::fs::write(&path, fetch(&rig.http, url).await.body).unwrap();
            let told: Value = serde_json::from_str(&exiftool(&["-j", file])).unwrap();
            let told = &told[0];
            assert_eq!(told["Copyright"], expected, "{setting} {preset}: {told}");
            for name in ["Make", "Model", "GPSLatitude", "DateTimeOriginal"] {
                assert!(told[name].is_null(), "{setting} {preset} {name}: {told}");
            }
        }
    }
}

fn exiftool(args: &[&str]) -> String {
    let args: Vec<_> = args.iter().map(std::ffi::OsStr::new).collect();
    String::from_utf8(tool("exiftool", &args)).unwrap()
}

async fn a_policy_that_keeps_less_forgets(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("safelight.toml");
    std::fs::write(&file, "metadata_policy = \"keep\"").unwrap();
    let args = ["--config", file.to_str().unwrap()];
    let mut rig = Rig::start(database, &args).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&told_photo(3)).await;
    ann.ready(&id).await;
    check(&told(&ann, &id).await, Some("burst-3"));
    rig.server.terminate().await.unwrap();
    std::fs::write(&file, "metadata_policy = [\"strip\", \"ten_other=keep\"]").unwrap();
    rig.server.restart().await.unwrap();
    let ann = rig.owner("ann");
    check(&told(&ann, &id).await, None);
    let catalog = rig.catalog().await;
    let left = "SELECT COUNT(*) FROM blob_metadata WHERE private IS NOT NULL";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
}

async fn what_the_owner_says_stands_before_what_the_file_tells(database: Database) {
    for policy in ["strip", "keep"] {
        let rig = Rig::start(database, &["--metadata-policy", policy]).await;
        let ann = rig.owner("ann");
        let id = ann.upload(&told_photo(4)).await;
        ann.ready(&id).await;
        let said = json!({
            "captured_at": "2001-02-03T04:05:06-03:30",
            "location": { "latitude": -1.5, "longitude": 2.5 },
        });
        let path = format!("/v1/assets/{id}");
        ann.patch(&path, &[], &said).await.expect(200);
        let shown = told(&ann, &id).await;
        assert_eq!(shown["captured_at"], said["captured_at"]);
        assert_eq!(shown["location"], said["location"]);
        assert_eq!(shown["make"], "Safelight");
        // What he takes back leaves what the file tells, as far as the policy has it.
        let none = json!({ "captured_at": null, "location": null });
        ann.patch(&path, &[], &none).await.expect(200);
        let is_shown = policy == "keep";
        check(&told(&ann, &id).await, is_shown.then_some("burst-4"));
    }
}

async fn files_from_before_are_read_later(database: Database) {
    let rig = Rig::start(database, &["--metadata-policy", "keep"]).await;
    let ann = rig.owner("ann");
    let (old, new) = (
        ann.upload(&told_photo(5)).await,
        ann.upload(&told_photo(6)).await,
    );
    let odd = ann.upload(b"this is no picture at all").await;
    for id in [&old, &new] {
        ann.ready(id).await;
    }
    ann.settled(&odd).await;
    // As an older version left them.
    let catalog = rig.catalog().await;
    let forget = "DELETE FROM blob_metadata WHERE blob_id = (SELECT blob_id FROM resources WHERE asset_id = $1)";
    assert_eq!(change(&catalog, forget, vec![old.as_str().into()]).await, 1);
    let unread = "UPDATE blobs SET metadata_sought_at = NULL WHERE blob_id = (SELECT blob_id FROM resources WHERE asset_id = $1)";
    assert_eq!(change(&catalog, unread, vec![old.as_str().into()]).await, 1);
    assert!(told(&ann, &old).await.is_null());
    // The janitor asks for it by itself.
    wait::until(PATIENCE, async || !told(&ann, &old).await.is_null())
        .await
        .unwrap();
    check(&told(&ann, &old).await, Some("burst-5"));
    check(&told(&ann, &new).await, Some("burst-6"));
    // What is no file that tells anything has been looked at too.
    assert!(told(&ann, &odd).await.is_null());
    let left = "SELECT COUNT(*) FROM blobs WHERE metadata_sought_at IS NULL";
    assert_eq!(number(&catalog, left).await, 0);
}

async fn what_is_told_goes_with_the_asset(database: Database) {
    let rig = Rig::start(database, &["--metadata-policy", "keep"]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&photo(7)).await;
    ann.ready(&id).await;
    let catalog = rig.catalog().await;
    let left = "SELECT COUNT(*) FROM blob_metadata";
    assert_eq!(number(&catalog, left).await, 1);
    let deleted = ann.delete(&format!("/v1/assets/{id}")).await;
    deleted.expect(202);
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_phones_wrote() {
    let Some(folder) = media::require("photos") else {
        return;
    };
    let root = folder.parent().unwrap();
    let rig = Rig::start(Database::Sqlite, &["--metadata-policy", "keep"]).await;
    let ann = rig.owner("ann");
    for (name, state, model, captured_at, captured_local, has_place) in [
        (
            "photos/samsung_galaxy_s7edge_12mp_gps.jpg",
            "ready",
            json!("SM-G935L"),
            Value::Null,
            json!("2017-02-09T19:51:38.0887"),
            true,
        ),
        (
            "heic/iphone11pro_live_still_gps.heic",
            "ready",
            json!("iPhone 11 Pro"),
            json!("2020-05-04T18:39:11.644-04:00"),
            Value::Null,
            false,
        ),
        (
            "formats/iphone_exif_small.avif",
            "ready",
            json!("iPhone 12 Pro"),
            Value::Null,
            Value::Null,
            true,
        ),
        (
            "video/iphonex_720x1280_gps.mov",
            "ready",
            json!("iPhone X"),
            json!("2019-02-12T15:27:12+08:00"),
            Value::Null,
            true,
        ),
        (
            "formats/nikon_z9_he_small.dng",
            "ready",
            json!("NIKON Z 9"),
            json!("2025-08-10T19:02:53.27+03:00"),
            Value::Null,
            false,
        ),
        (
            "photos/motog9plus_empty_gps.jpg",
            "ready",
            json!("moto g(9) plus"),
            Value::Null,
            Value::Null,
            false,
        ),
    ] {
        let id = ann.upload(&std::fs::read(root.join(name)).unwrap()).await;
        assert_eq!(ann.settled(&id).await["state"], state, "{name}");
        let shown = told(&ann, &id).await;
        println!("{name}: {shown}");
        assert_eq!(shown["model"], model, "{name}: {shown}");
        for (field, expected) in [
            ("captured_at", captured_at),
            ("captured_local", captured_local),
        ] {
            if !expected.is_null() {
                assert_eq!(shown[field], expected, "{name}: {shown}");
            }
        }
        let times = ["captured_at", "captured_local"].map(|f| shown[f].is_string());
        assert_eq!(times.iter().filter(|t| **t).count(), 1, "{name}: {shown}");
        assert_eq!(shown["location"].is_object(), has_place, "{name}: {shown}");
    }
    // All of them are read later, too, as those that an older version left.
    let catalog = rig.catalog().await;
    let told = "SELECT COUNT(*) FROM blob_metadata";
    let all = number(&catalog, told).await;
    change(&catalog, "DELETE FROM blob_metadata", Vec::new()).await;
    let unread = "UPDATE blobs SET metadata_sought_at = NULL";
    change(&catalog, unread, Vec::new()).await;
    wait::until(PATIENCE, async || number(&catalog, told).await == all)
        .await
        .unwrap();
}
