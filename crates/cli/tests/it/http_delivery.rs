//! Links: what they open, for how long, and what caches are told.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use safelight_objects::{ObjectKey, PutOptions};
use safelight_service::governance::keyring::Keyring;
use safelight_testkit::wait;
use serde_json::json;

use crate::http_rig::{
    Database, PATIENCE, Rig, answer, change, fetch, number, on_both_databases, photo, rows, text,
};

use crate::sweep::swept;

on_both_databases!(
    a_link_opens_one_picture_for_a_time,
    parts_conditions_and_heads_are_answered,
    nothing_is_shown_before_its_time,
    an_original_needs_a_grant,
    what_is_not_what_was_stored_is_made_again_when_it_is_asked_for,
);

/// Signs links as the server does.
struct Signer {
    keyring: Keyring,
    base: String,
}

impl Signer {
    fn of(rig: &Rig) -> Self {
        let secret = |name: &str| -> [u8; 32] {
            let path = rig.server.data_dir().join("keys").join(name);
            let text = std::fs::read_to_string(path).unwrap();
            hex::decode(text.trim()).unwrap().try_into().unwrap()
        };
        Self {
            keyring: Keyring::of(&secret("token.key"), secret("link.key")),
            base: rig.server.url(),
        }
    }

    fn link(&self, path: &str, expiry: i64) -> String {
        let signature = self.keyring.sign_link(path, expiry);
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        let key = &self.keyring.link_key_id;
        format!("{}{path}?e={expiry}&k={key}&s={signature}", self.base)
    }
}

const LATER: i64 = 4_000_000_000;

async fn a_link_opens_one_picture_for_a_time(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&photo(1)).await;
    let asset = ann.ready(&asset_id).await;
    let cover = text(&asset["cover_url"]);
    assert_eq!(cover, text(&asset["renditions"]["cover"]["url"]));
    let again = ann.asset(&asset_id).await;
    assert_eq!(again["cover_url"], cover, "the same within its window");

    for (preset, mime) in [
        ("cover", "image/webp"),
        ("display", "image/webp"),
        ("large", "image/jpeg"),
    ] {
        let rendition = &asset["renditions"][preset];
        let got = fetch(&rig.http, text(&rendition["url"])).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(got.header("content-type"), mime);
        assert_eq!(got.body.len() as u64, rendition["size_bytes"]);
        assert_eq!(
            (&rendition["width"], &rendition["height"]),
            (&json!(240), &json!(320))
        );
        let caching = got.header("cache-control");
        let age = caching.strip_prefix("public, max-age=").unwrap();
        let age: i64 = age.strip_suffix(", immutable").unwrap().parse().unwrap();
        assert!((3_600..=7_200).contains(&age), "{caching}");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("accept-ranges"), "bytes");
        assert!(got.header("etag").starts_with('"'));
        assert!(got.header("request-id").starts_with("req_"));
        assert!(got.header("content-disposition").is_empty());
    }

    let (path, query) = cover.split_once('?').unwrap();
    let signature = query.rsplit_once("s=").unwrap().1;
    let flipped = match signature.strip_prefix('A') {
        Some(rest) => format!("B{rest}"),
        None => format!("A{}", &signature[1..]),
    };
    let large = text(&asset["renditions"]["large"]["url"]);
    let large = large.split_once('?').unwrap().0;
    let original = path.replace("cover@1.webp", "original");
    for wrong in [
        cover.replace(signature, &flipped),
        cover.replace("?e=", "?e=1"),
        cover.replace("&k=", "&k=0"),
        format!("{path}?{}", query.replace(signature, "")),
        format!("{path}?{}", query.replace(signature, "%%%")),
        format!("{large}?{query}"),
        format!("{original}?{query}"),
    ] {
        let refused = fetch(&rig.http, &wrong).await;
        assert!([403, 422].contains(&refused.status), "{wrong}: {refused:?}");
        refused.problem(
            refused.status,
            if refused.status == 403 {
                "forbidden"
            } else {
                "validation_failed"
            },
        );
    }
    fetch(&rig.http, path)
        .await
        .problem(422, "validation_failed");

    let signer = Signer::of(&rig);
    let public = path.rsplit('/').nth(1).unwrap();
    let link = |file: &str, expiry| signer.link(&format!("/m/{public}/{file}"), expiry);
    let past = fetch(&rig.http, &link("cover@1.webp", 1_000)).await;
    let problem = past.problem(403, "forbidden");
    assert!(text(&problem["detail"]).contains("expired"), "{problem}");
    for nothing in ["cover@2.webp", "cover@1.jpg", "secret", "cover"] {
        let refused = fetch(&rig.http, &link(nothing, LATER)).await;
        refused.problem(404, "not_found");
    }
    assert_eq!(
        fetch(&rig.http, &link("cover@1.webp", LATER)).await.status,
        200
    );
    let stranger = signer.link("/m/0000000000000000/cover@1.webp", LATER);
    fetch(&rig.http, &stranger).await.problem(404, "not_found");
}

async fn parts_conditions_and_heads_are_answered(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&photo(1)).await;
    let asset = ann.ready(&asset_id).await;
    let url = text(&asset["renditions"]["large"]["url"]);
    let whole = fetch(&rig.http, url).await;
    let (etag, size) = (whole.header("etag"), whole.body.len());
    let with = async |method: Method, headers: &[(&str, &str)]| {
        let mut request = rig.http.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    };

    for tag in [etag, "*", &format!("\"x\", W/{etag}")] {
        let fresh = with(Method::GET, &[("if-none-match", tag)]).await;
        assert_eq!((fresh.status, fresh.body.len()), (304, 0));
        assert_eq!(fresh.header("etag"), etag);
        assert!(fresh.header("cache-control").starts_with("public"));
    }
    let stale = with(Method::GET, &[("if-none-match", "\"x\"")]).await;
    assert_eq!(stale.status, 200);

    for (range, first, last) in [
        ("bytes=0-9".to_owned(), 0, 9),
        ("bytes=100-".to_owned(), 100, size - 1),
        ("bytes=-7".to_owned(), size - 7, size - 1),
        (format!("bytes=5-{}", size * 2), 5, size - 1),
    ] {
        let part = with(Method::GET, &[("range", &range)]).await;
        assert_eq!(part.status, 206, "{range}: {part:?}");
        assert_eq!(
            part.header("content-range"),
            format!("bytes {first}-{last}/{size}")
        );
        assert_eq!(part.body, whole.body[first..=last], "{range}");
        let head = with(Method::HEAD, &[("range", &range)]).await;
        assert_eq!(head.status, 206);
        assert_eq!(
            head.header("content-length"),
            (last - first + 1).to_string()
        );
    }
    let beyond = format!("bytes={size}-");
    let none = with(Method::GET, &[("range", &beyond)]).await;
    assert_eq!((none.status, none.body.len()), (416, 0));
    assert_eq!(none.header("content-range"), format!("bytes */{size}"));
    let several = with(Method::GET, &[("range", "bytes=0-1,4-5")]).await;
    assert_eq!(several.status, 200, "one range at a time");
    let changed = [("range", "bytes=0-9"), ("if-range", "\"x\"")];
    assert_eq!(with(Method::GET, &changed).await.status, 200);
    let same = [("range", "bytes=0-9"), ("if-range", etag)];
    assert_eq!(with(Method::GET, &same).await.status, 206);

    let head = with(Method::HEAD, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), size.to_string());
    for name in ["etag", "content-type", "cache-control"] {
        let (of_head, of_get) = (head.header(name), whole.header(name));
        // A second may have passed between the two.
        assert!(of_head == of_get || name == "cache-control", "{name}");
        assert!(!of_head.is_empty(), "{name}");
    }
}

async fn nothing_is_shown_before_its_time(database: Database) {
    let rig = Rig::start(database, &["--roles", "api,store,delivery,janitor"]).await;
    let ann = rig.owner("ann");
    let (begun, sent) = (photo(1), photo(2));
    let begun = ann.initiate(&[&begun]).await.remove(0);
    let sent = ann.upload(&sent).await;
    let signer = Signer::of(&rig);
    let catalog = rig.catalog().await;
    for asset_id in [text(&begun["asset_id"]), sent.as_str()] {
        let asset = ann.asset(asset_id).await;
        assert!(asset["cover_url"].is_null(), "{asset}");
        assert!(!asset.to_string().contains("/m/"), "{asset}");
        let grant = format!("/v1/assets/{asset_id}/grants");
        let refused = ann.post(&grant, &json!({})).await;
        refused.problem(404, "not_found");
        // Not even with a signature that should not exist yet.
        let query = format!("SELECT public_id FROM assets WHERE asset_id = '{asset_id}'");
        let public = rows(&catalog, &query).await[0].text(0).unwrap();
        for file in ["cover@1.webp", "display@1.webp", "large@1.jpg", "original"] {
            let link = signer.link(&format!("/m/{public}/{file}"), LATER);
            fetch(&rig.http, &link).await.problem(404, "not_found");
        }
    }
}

async fn an_original_needs_a_grant(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset_id = ann.upload(&file).await;
    let asset = ann.ready(&asset_id).await;
    assert!(!asset.to_string().contains("original?"), "{asset}");
    let path = format!("/v1/assets/{asset_id}/grants");
    for ttl_s in [0, 86_401] {
        let refused = ann.post(&path, &json!({ "ttl_s": ttl_s })).await;
        refused.problem(422, "validation_failed");
    }
    let granted = ann.post_as(&path, "g", &json!({ "ttl_s": 60 })).await;
    let granted = granted.expect(201);
    let got = fetch(&rig.http, text(&granted["url"])).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.body, file);
    assert_eq!(got.header("content-type"), "image/jpeg");
    assert!(got.header("content-disposition").starts_with("attachment;"));
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert!(got.header("content-security-policy").contains("sandbox"));
    let age = got.header("cache-control");
    let age: u32 = age
        .strip_prefix("private, max-age=")
        .unwrap()
        .parse()
        .unwrap();
    assert!(age <= 60, "{age}");
    let part = rig
        .http
        .get(text(&granted["url"]))
        .header("range", "bytes=2-5");
    let part = answer(part).await;
    assert_eq!((part.status, &part.body[..]), (206, &file[2..6]));
    // It opens the original and nothing else.
    let cover = text(&granted["url"]).replace("/original?", "/cover@1.webp?");
    fetch(&rig.http, &cover).await.problem(403, "forbidden");
    let again = ann.post_as(&path, "g", &json!({ "ttl_s": 60 })).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    again.expect(201);
}

/// A PUT of an attempt that was given up arrives behind the one that counted; or the store has lost an object.
async fn what_is_not_what_was_stored_is_made_again_when_it_is_asked_for(database: Database) {
    let rig = Rig::start(database, &["--avif", "no"]).await;
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&photo(4)).await;
    let before = ann.ready(&asset_id).await;
    let catalog = rig.catalog().await;
    let store = rig.store();
    for (name, is_lost) in [("cover", false), ("display", false), ("display", true)] {
        let url = text(&before["renditions"][name]["url"]);
        assert_eq!(fetch(&rig.http, url).await.status, 200);
        let sql = format!("SELECT object_key FROM renditions WHERE preset = '{name}'");
        let key = rows(&catalog, &sql).await[0].text(0).unwrap();
        let key = ObjectKey::parse(&key).unwrap();
        match is_lost {
            true => store.delete(&key).await.unwrap(),
            false => {
                let others = bytes::Bytes::from_static(b"what came late");
                let options = PutOptions::default();
                store.put(&key, others, options).await.unwrap();
            }
        }
        // Who leaves the size open is sent another at once; who does not waits a moment.
        let auto = fetch(&rig.http, text(&before["auto_url"])).await;
        assert_eq!(auto.status, 200, "{name}: {auto:?}");
        let first = fetch(&rig.http, url).await;
        assert!([404, 200].contains(&first.status), "{name}: {first:?}");
        let again = wait::until(PATIENCE, async || {
            let got = fetch(&rig.http, url).await;
            got.status == 200 && got.body.len() as u64 == before["renditions"][name]["size_bytes"]
        });
        again.await.unwrap();
    }
    // While a worker makes others of it nothing is given up, since nobody would make it; and it is made once that is done.
    let url = text(&before["renditions"]["cover"]["url"]);
    let sql = "SELECT object_key FROM renditions WHERE preset = 'cover'";
    let key = rows(&catalog, sql).await[0].text(0).unwrap();
    let cover = ObjectKey::parse(&key).unwrap();
    store.delete(&cover).await.unwrap();
    let leased = "INSERT INTO jobs (tenant_id, job_id, kind, lane, owner_id, subject_id, unique_key, state, turn, run_at, attempts, fence,
                                    enqueued_at, updated_at, worker_id, lease_until)
                  SELECT tenant_id, 'job_busy', 'derive', 'standard', 'ann', blob_id, 'derive:' || blob_id, 'leased', 1000, 0, 1, 1, 0, 0,
                         'wrk_busy', 9000000000000000 FROM blobs";
    change(&catalog, leased, Vec::new()).await;
    assert_eq!(fetch(&rig.http, url).await.status, 404);
    let auto = fetch(&rig.http, text(&before["auto_url"])).await;
    assert_eq!(auto.status, 200, "{auto:?}");
    let pending = "SELECT COUNT(*) FROM renditions WHERE state = 'pending'";
    assert_eq!(number(&catalog, pending).await, 0);
    let done = "DELETE FROM jobs WHERE job_id = 'job_busy'";
    change(&catalog, done, Vec::new()).await;
    let again = wait::until(PATIENCE, async || fetch(&rig.http, url).await.status == 200);
    again.await.unwrap();
    // One that was given up, and for which there is no job for whatever reason, is made by the next sweep.
    let given_up = "UPDATE renditions SET state = 'pending' WHERE preset = 'cover'";
    change(&catalog, given_up, Vec::new()).await;
    store.delete(&cover).await.unwrap();
    swept(&rig.server, &["sweep", "--remove"]).await;
    let again = wait::until(PATIENCE, async || fetch(&rig.http, url).await.status == 200);
    again.await.unwrap();
    // An original is not ours to make; and where it is gone nothing else is given up, since it may be the wrong store that answers.
    let sql = "SELECT object_key FROM blobs";
    let key = rows(&catalog, sql).await[0].text(0).unwrap();
    store
        .delete(&ObjectKey::parse(&key).unwrap())
        .await
        .unwrap();
    let path = format!("/v1/assets/{asset_id}/grants");
    let granted = ann.post_as(&path, "g", &json!({ "ttl_s": 60 })).await;
    let granted = granted.expect(201);
    let got = fetch(&rig.http, text(&granted["url"])).await;
    assert_eq!(got.status, 500, "{got:?}");
    store.delete(&cover).await.unwrap();
    assert_eq!(fetch(&rig.http, url).await.status, 500);
    assert_eq!(number(&catalog, pending).await, 0);
}
