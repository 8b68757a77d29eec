//! Links that leave the format, or the size too, to who asks.

use reqwest::Method;
use safelight_testkit::camera::{self, Scene};
use safelight_testkit::wait;
use serde_json::Value;

use crate::http_deletion::{all_gone, stored};
use crate::http_rig::{
    Answer, Caller, Database, PATIENCE, Rig, answer, change, number, on_both_databases, text,
};

on_both_databases!(
    a_link_without_a_format_goes_by_accept,
    jpeg_is_made_when_it_is_first_asked_for,
    a_link_to_any_size_goes_by_hints,
    every_format_goes_with_its_asset,
    old_pictures_are_given_avif_too,
    none_is_made_where_it_is_switched_off,
);

const CHROME: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
const WEBP: &str = "image/webp,*/*";
const OLD: &str = "image/png,image/*;q=0.8,*/*;q=0.5";

/// A photo that is large enough for every preset to be a size of its own.
fn scene(seed: u64) -> Vec<u8> {
    camera::photo(&Scene {
        seed,
        width: 1600,
        height: 1200,
        ..Scene::default()
    })
}

async fn get(rig: &Rig, url: &str, headers: &[(&str, &str)]) -> Answer {
    send(rig, Method::GET, url, headers).await
}

async fn send(rig: &Rig, method: Method, url: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = rig.http.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request).await
}

/// An asset of which all is made that is made unasked.
async fn made(rig: &Rig, ann: &Caller, seed: u64) -> Value {
    let asset_id = ann.upload(&scene(seed)).await;
    ann.ready(&asset_id).await;
    no_avif_left(rig).await;
    ann.asset(&asset_id).await
}

async fn no_avif_left(rig: &Rig) {
    let catalog = rig.catalog().await;
    let left = "SELECT COUNT(*) FROM blobs WHERE avif_sought_at IS NULL AND state = 'live'";
    wait::until(PATIENCE, async || number(&catalog, left).await == 0)
        .await
        .unwrap();
}

fn auto<'a>(asset: &'a Value, preset: &str) -> &'a str {
    text(&asset["renditions"][preset]["auto_url"])
}

async fn a_link_without_a_format_goes_by_accept(database: Database) {
    let rig = Rig::start(database, &["--avif", "yes"]).await;
    let ann = rig.owner("ann");
    let asset = made(&rig, &ann, 1).await;
    // One entry for each preset, whatever its formats.
    let names: Vec<&String> = asset["renditions"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["cover", "display", "large"]);
    assert_eq!(asset["progress"]["renditions_ready"], 3, "{asset}");

    let mut tags = Vec::new();
    for (preset, accept, mime) in [
        ("display", CHROME, "image/avif"),
        ("display", "image/avif;q=0.5,image/webp", "image/webp"),
        ("display", WEBP, "image/webp"),
        ("cover", CHROME, "image/webp"),
        ("large", CHROME, "image/jpeg"),
        ("large", OLD, "image/jpeg"),
    ] {
        let url = auto(&asset, preset);
        let got = get(&rig, url, &[("accept", accept)]).await;
        assert_eq!(
            (got.status, got.header("content-type")),
            (200, mime),
            "{preset} {accept}"
        );
        let vary = match preset {
            "cover" => "Accept",
            _ => "Accept, Save-Data",
        };
        assert_eq!(got.header("vary"), vary);
        let caching = got.header("cache-control");
        assert!(caching.starts_with("public, max-age=") && !caching.contains("immutable"));
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        // It has the tag of these bytes, and no other format's.
        let tag = got.header("etag").to_owned();
        let fresh = get(&rig, url, &[("accept", accept), ("if-none-match", &tag)]).await;
        assert_eq!((fresh.status, fresh.header("vary")), (304, vary));
        let head = send(&rig, Method::HEAD, url, &[("accept", accept)]).await;
        assert_eq!(head.header("content-length"), got.body.len().to_string());
        let part = get(&rig, url, &[("accept", accept), ("range", "bytes=3-9")]).await;
        assert_eq!((part.status, &part.body[..]), (206, &got.body[3..10]));
        if preset == "display" {
            tags.push((accept, tag));
        }
    }
    let (_, of_avif) = tags[0].clone();
    let other = [("accept", WEBP), ("if-none-match", of_avif.as_str())];
    assert_eq!(get(&rig, auto(&asset, "display"), &other).await.status, 200);

    // The AVIF is of the same size as the WebP, in fewer bytes, and tells nothing else.
    let avif = get(&rig, auto(&asset, "display"), &[("accept", CHROME)])
        .await
        .body;
    let webp = get(&rig, auto(&asset, "display"), &[("accept", WEBP)])
        .await
        .body;
    assert!(avif.len() < webp.len(), "{} {}", avif.len(), webp.len());
    let header = safelight_imaging::header(&avif, &safelight_imaging::Limits::default()).unwrap();
    assert_eq!(asset["renditions"]["display"]["width"], header.width);
    assert_eq!(asset["renditions"]["display"]["height"], header.height);

    // What opens one opens no other.
    let (path, query) = auto(&asset, "display").split_once('?').unwrap();
    for other in [
        "display@1.avif",
        "display@1.webp",
        "large@1",
        "auto@1",
        "original",
    ] {
        let forged = format!("{}?{query}", path.replace("display@1", other));
        get(&rig, &forged, &[]).await.problem(403, "forbidden");
    }
}

async fn jpeg_is_made_when_it_is_first_asked_for(database: Database) {
    let rig = Rig::start(database, &["--avif", "yes"]).await;
    let ann = rig.owner("ann");
    let asset = made(&rig, &ann, 2).await;
    let catalog = rig.catalog().await;
    let jpegs = "SELECT COUNT(*) FROM renditions WHERE preset IN ('cover.jpg', 'display.jpg') AND state = 'ready'";
    for accept in [CHROME, WEBP] {
        get(&rig, auto(&asset, "cover"), &[("accept", accept)]).await;
    }
    assert_eq!(number(&catalog, jpegs).await, 0, "nobody asked");
    let large = get(&rig, auto(&asset, "large"), &[]).await;
    let first = get(&rig, auto(&asset, "cover"), &[("accept", OLD)]).await;
    assert_eq!(
        (first.status, first.header("content-type")),
        (200, "image/jpeg")
    );
    if first.header("cache-control") == "public, max-age=10" {
        assert_eq!(first.body, large.body, "what is there meanwhile");
    }
    wait::until(PATIENCE, async || number(&catalog, jpegs).await == 2)
        .await
        .unwrap();
    for preset in ["cover", "display"] {
        let got = get(&rig, auto(&asset, preset), &[]).await;
        assert_eq!(got.header("content-type"), "image/jpeg");
        assert_ne!(got.header("cache-control"), "public, max-age=10");
        let header =
            safelight_imaging::header(&got.body, &safelight_imaging::Limits::default()).unwrap();
        assert_eq!(asset["renditions"][preset]["width"], header.width);
    }
    let asked = "SELECT COUNT(*) FROM jobs WHERE kind = 'derive_jpeg'";
    assert_eq!(number(&catalog, asked).await, 0, "once");
}

async fn a_link_to_any_size_goes_by_hints(database: Database) {
    let rig = Rig::start(database, &["--avif", "yes"]).await;
    let ann = rig.owner("ann");
    let asset = made(&rig, &ann, 3).await;
    let url = text(&asset["auto_url"]);
    let width = |preset: &str| asset["renditions"][preset]["width"].as_u64().unwrap();
    let (cover, display) = (width("cover"), width("display"));
    assert!(cover < display, "{asset}");
    for (query, hints, preset) in [
        ("", &[][..], "display"),
        ("&w=100", &[], "cover"),
        ("&w=700", &[("sec-ch-width", "100")], "display"),
        ("&w=99999", &[], "large"),
        ("", &[("sec-ch-width", "100")], "cover"),
        (
            "",
            &[("sec-ch-viewport-width", "100"), ("sec-ch-dpr", "2")],
            "cover",
        ),
    ] {
        let mut headers = vec![("accept", WEBP)];
        headers.extend_from_slice(hints);
        let got = get(&rig, &format!("{url}{query}"), &headers).await;
        let expected = get(&rig, auto(&asset, preset), &[("accept", WEBP)]).await;
        assert_eq!(got.status, 200);
        assert_eq!(
            got.header("etag"),
            expected.header("etag"),
            "{query} {hints:?}"
        );
        let vary = got.header("vary").to_lowercase();
        assert!(vary.starts_with("accept, save-data"), "{vary}");
        assert_eq!(vary.contains("sec-ch-width"), query.is_empty(), "{vary}");
        assert!(got.header("accept-ch").contains("Sec-CH-Width"));
    }
    get(&rig, &format!("{url}&w=wide"), &[])
        .await
        .problem(422, "validation_failed");
}

async fn every_format_goes_with_its_asset(database: Database) {
    let rig = Rig::start(database, &["--avif", "yes"]).await;
    let ann = rig.owner("ann");
    let asset = made(&rig, &ann, 4).await;
    get(&rig, auto(&asset, "cover"), &[]).await;
    let saving = [("accept", WEBP), ("save-data", "on")];
    get(&rig, auto(&asset, "display"), &saving).await;
    let catalog = rig.catalog().await;
    let ready = "SELECT COUNT(*) FROM renditions WHERE state = 'ready'";
    wait::until(PATIENCE, async || number(&catalog, ready).await == 7)
        .await
        .unwrap();
    let there = stored(&rig).await;
    for file in [
        "cover@1.jpg",
        "display@1.jpg",
        "display@1.avif",
        "lean@1.webp",
    ] {
        assert!(there.iter().any(|key| key.ends_with(file)), "{there:?}");
    }
    let path = format!("/v1/assets/{}", text(&asset["asset_id"]));
    ann.delete(&path).await.expect(202);
    all_gone(&catalog).await;
    assert_eq!(stored(&rig).await, Vec::<String>::new());
    for accept in [CHROME, WEBP, OLD] {
        let gone = get(&rig, auto(&asset, "display"), &[("accept", accept)]).await;
        assert!([404, 410].contains(&gone.status), "{gone:?}");
    }
}

async fn old_pictures_are_given_avif_too(database: Database) {
    let rig = Rig::start(database, &["--avif", "yes"]).await;
    let ann = rig.owner("ann");
    let asset = made(&rig, &ann, 5).await;
    let catalog = rig.catalog().await;
    // As a version left them that knew no AVIF.
    for sql in [
        "DELETE FROM renditions WHERE preset = 'display.avif'",
        "UPDATE blobs SET avif_sought_at = NULL",
    ] {
        assert_eq!(change(&catalog, sql, vec![]).await, 1, "{sql}");
    }
    let got = get(&rig, auto(&asset, "display"), &[("accept", CHROME)]).await;
    assert_eq!(got.header("content-type"), "image/webp");
    no_avif_left(&rig).await;
    let got = get(&rig, auto(&asset, "display"), &[("accept", CHROME)]).await;
    assert_eq!(got.header("content-type"), "image/avif");
}

async fn none_is_made_where_it_is_switched_off(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&scene(6)).await;
    let asset = ann.ready(&asset_id).await;
    let catalog = rig.catalog().await;
    let jobs = "SELECT COUNT(*) FROM jobs";
    wait::until(PATIENCE, async || number(&catalog, jobs).await == 0)
        .await
        .unwrap();
    let got = get(&rig, auto(&asset, "display"), &[("accept", CHROME)]).await;
    assert_eq!(got.header("content-type"), "image/webp");
}
