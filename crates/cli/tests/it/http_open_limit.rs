//! An owner who has too much open is refused more, by the API and by the gateway, until some of it has ended.

use serde_json::json;

use crate::http_rig::{
    Caller, Database, Rig, capture, fresh_key, number, on_both_databases, photo, text,
};
use crate::wire::{Got, ask};

on_both_databases!(
    what_has_no_room_is_refused_until_something_ends,
    the_gateway_refuses_it_too,
    bytes_are_counted_as_well,
);

async fn what_has_no_room_is_refused_until_something_ends(database: Database) {
    let rig = Rig::start(database, &["--open-uploads", "2"]).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    let photos: Vec<Vec<u8>> = (1..5).map(photo).collect();
    let first = capture(&[&photos[0], &photos[1]]);
    let key = fresh_key();
    let made = ann.post_as("/v1/captures", &key, &first).await.expect(201);

    let (second, second_key) = (capture(&[&photos[2]]), fresh_key());
    let refused = ann.post_as("/v1/captures", &second_key, &second).await;
    let problem = refused.problem(403, "quota_exceeded");
    let detail = text(&problem["detail"]);
    assert!(
        detail.contains("2 uploads") && detail.contains("abort"),
        "{detail}"
    );
    let catalog = rig.catalog().await;
    assert_eq!(number(&catalog, "SELECT COUNT(*) FROM captures").await, 1);

    // Others have room, and what was initiated is answered as ever: by its key, and by its reference.
    ben.initiate(&[&photos[2]]).await;
    let again = ann.post_as("/v1/captures", &key, &first).await.expect(201);
    assert_eq!(again["capture_id"], made["capture_id"]);
    let again = ann.post("/v1/captures", &first).await.expect(201);
    assert_eq!(again["capture_id"], made["capture_id"]);

    // One arrives: the same request goes through.
    let asset = &made["assets"][0];
    ann.send(asset, &photos[0]).await;
    ann.complete(text(&asset["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    ann.post_as("/v1/captures", &second_key, &second)
        .await
        .expect(201);
    // What the owner has needs no room; the next upload does, until another is given up.
    ann.ready(text(&asset["asset_id"])).await;
    ann.initiate(&[&photos[0]]).await;
    let third = capture(&[&photos[3]]);
    ann.post("/v1/captures", &third)
        .await
        .problem(403, "quota_exceeded");
    let upload_id = text(&made["assets"][1]["uploads"][0]["upload_id"]);
    let given_up = format!("/v1/uploads/{upload_id}");
    assert_eq!(ann.delete(&given_up).await.status, 200);
    ann.post("/v1/captures", &third).await.expect(201);
}

fn begin(ann: &Caller, at: &str, more: &[(&str, &str)]) -> Got {
    let bearer = format!("Bearer {}", ann.token.as_deref().unwrap());
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("safelight-owner", "ann"),
    ];
    headers.extend(more);
    ask("POST", &format!("{}{at}", ann.base), &headers, Some(b""))
}

async fn the_gateway_refuses_it_too(database: Database) {
    let rig = Rig::start(database, &["--open-uploads", "1"]).await;
    let ann = rig.owner("ann");
    let tus = [
        ("tus-resumable", "1.0.0"),
        ("upload-length", "10"),
        ("upload-metadata", "client_ref YQ=="),
    ];
    let rufh = [
        ("upload-draft-interop-version", "8"),
        ("upload-complete", "?0"),
    ];
    let made = begin(&ann, "/u/tus", &tus).expect(201);
    let others = [("tus-resumable", "1.0.0"), ("upload-length", "10")];
    for (at, headers) in [("/u/tus", &others[..]), ("/u/rufh", &rufh[..])] {
        let refused = begin(&ann, at, headers).expect(403);
        let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(problem["code"], "quota_exceeded", "{problem}");
    }
    // The reference that is open gives the upload of then.
    let again = begin(&ann, "/u/tus", &tus).expect(201);
    let id = |got: &Got| got.header("location").split('?').next().unwrap().to_owned();
    assert_eq!(id(&again), id(&made));
    let location = made.header("location");
    ask("DELETE", location, &[("tus-resumable", "1.0.0")], None).expect(204);
    begin(&ann, "/u/rufh", &rufh).expect(201);
}

async fn bytes_are_counted_as_well(database: Database) {
    let args = ["--open-uploads", "0", "--open-uploads-bytes", "1000"];
    let rig = Rig::start(database, &args).await;
    let ann = rig.owner("ann");
    let of = |size_bytes: i64| {
        json!({ "client_ref": fresh_key(), "mode": "single", "assets": [{ "client_ref": "a", "resources": [{
            "filename": "a.jpg", "mime": "image/jpeg", "size_bytes": size_bytes }] }] })
    };
    ann.post("/v1/captures", &of(600)).await.expect(201);
    ann.post("/v1/captures", &of(401))
        .await
        .problem(403, "quota_exceeded");
    ann.post("/v1/captures", &of(400)).await.expect(201);
}
