//! Albums.

use reqwest::Method;
use serde_json::{Value, json};

use crate::http_metadata::one;
use crate::http_owners::stranger;
use crate::http_rig::{
    Answer, Caller, Database, Rig, answer, change, fresh_key, number, on_both_databases, text,
};

on_both_databases!(
    an_album_has_a_life,
    an_album_is_its_owners,
    assets_go_in_and_out,
    many_go_in_at_once,
    one_that_is_added_from_two_sides_is_there_once,
    writes_to_albums_happen_once,
    an_album_has_room_for_so_many,
);

pub async fn album(ann: &Caller, title: &str) -> String {
    let made = ann.post("/v1/albums", &json!({ "title": title })).await;
    text(&made.expect(201)["album_id"]).to_owned()
}

async fn put(ann: &Caller, album: &str, asset: &str) -> Answer {
    let path = format!("/v1/albums/{album}/assets/{asset}");
    answer(ann.request(Method::PUT, &path)).await
}

async fn within(ann: &Caller, album: &str) -> Vec<String> {
    let list = ann
        .get(&format!("/v1/assets?order=captured&album={album}"))
        .await;
    let list = list.expect(200);
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|a| text(&a["asset_id"]).to_owned())
        .collect()
}

fn nothing(answer: &Answer) {
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(answer.body.is_empty());
}

/// The kinds of events that name this album, with what they name of the rest.
async fn told(rig: &Rig, album: &str) -> Vec<(String, Value)> {
    let catalog = rig.catalog().await;
    let sql =
        format!("SELECT kind, detail FROM events WHERE detail LIKE '%{album}%' ORDER BY arrival");
    let rows = crate::http_rig::rows(&catalog, &sql).await;
    let read = |r: &safelight_catalog::Row| {
        let detail = serde_json::from_str(&r.text(1).unwrap()).unwrap();
        (r.text(0).unwrap(), detail)
    };
    rows.iter().map(read).collect()
}

async fn an_album_has_a_life(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let made = ann.post("/v1/albums", &json!({ "title": "Summer" })).await;
    assert_eq!(made.header("etag"), "\"1\"");
    let made = made.expect(201);
    let id = text(&made["album_id"]).to_owned();
    let path = format!("/v1/albums/{id}");
    let read = ann.get(&path).await;
    let etag = read.header("etag").to_owned();
    let read = read.expect(200);
    assert_eq!(read, made);
    assert_eq!(
        (&read["title"], &read["asset_count"], &read["revision"]),
        (&json!("Summer"), &json!(0), &json!(1))
    );
    let renamed = ann
        .patch(&path, &[("if-match", &etag)], &json!({ "title": "Autumn" }))
        .await;
    assert_eq!(renamed.header("etag"), "\"2\"");
    assert_eq!(renamed.expect(200)["title"], "Autumn");
    let late = ann
        .patch(&path, &[("if-match", &etag)], &json!({ "title": "Winter" }))
        .await;
    late.problem(412, "revision_mismatch");
    assert_eq!(
        ann.patch(&path, &[], &json!({})).await.expect(200)["revision"],
        2
    );
    for body in [
        json!({ "title": null }),
        json!({ "title": "" }),
        json!({ "title": "x".repeat(257) }),
    ] {
        let problem = ann
            .patch(&path, &[], &body)
            .await
            .problem(422, "validation_failed");
        assert_eq!(problem["field"], "title");
    }
    for body in [json!({}), json!({ "title": "a\nb" })] {
        ann.post("/v1/albums", &body)
            .await
            .problem(422, "validation_failed");
    }
    let mut made = vec![id.clone()];
    for n in 0..4 {
        made.insert(0, album(&ann, &format!("{n}")).await);
    }
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ann
            .get(&format!("/v1/albums?limit=2{cursor}"))
            .await
            .expect(200);
        let items = page["items"].as_array().unwrap();
        listed.extend(items.iter().map(|a| text(&a["album_id"]).to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    // Those of one millisecond are in the order of their ids.
    made.sort_by(|a, b| b.cmp(a));
    assert_eq!(listed, made);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
    ] {
        let refused = ann.get(&format!("/v1/albums?{query}")).await;
        assert_eq!(refused.problem(422, "validation_failed")["field"], field);
    }
    let asset = one(&ann, 1).await;
    nothing(&put(&ann, &id, &asset).await);
    nothing(&ann.delete(&path).await);
    ann.delete(&path).await.problem(404, "not_found");
    ann.get(&path).await.problem(404, "not_found");
    ann.get(&format!("/v1/assets/{asset}")).await.expect(200);
    let told = told(&rig, &id).await;
    let expected = [
        ("album.created", json!({ "album_id": id })),
        (
            "album.updated",
            json!({ "album_id": id, "changed": ["title"] }),
        ),
        (
            "asset.updated",
            json!({ "album_id": id, "changed": ["albums"] }),
        ),
        ("album.deleted", json!({ "album_id": id })),
    ];
    assert_eq!(
        told,
        expected.map(|(kind, detail)| (kind.to_owned(), detail))
    );
}

async fn an_album_is_its_owners(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (id, mine) = (album(&ann, "Summer").await, one(&ann, 1).await);
    nothing(&put(&ann, &id, &mine).await);
    for other in [rig.owner("bob"), stranger(&rig, "ann").await] {
        let path = format!("/v1/albums/{id}");
        let (own, theirs) = (album(&other, "Own").await, one(&other, 2).await);
        other.get(&path).await.problem(404, "not_found");
        let refused = other.patch(&path, &[], &json!({ "title": "x" })).await;
        refused.problem(404, "not_found");
        other.delete(&path).await.problem(404, "not_found");
        put(&other, &id, &theirs).await.problem(404, "not_found");
        put(&other, &own, &mine).await.problem(404, "not_found");
        put(&ann, &id, &theirs).await.problem(404, "not_found");
        let refused = other.delete(&format!("{path}/assets/{mine}")).await;
        refused.problem(404, "not_found");
        let refused = other
            .delete(&format!("/v1/albums/{own}/assets/{mine}"))
            .await;
        refused.problem(404, "not_found");
        let refused = other
            .post(&format!("{path}/assets"), &json!({ "asset_ids": [theirs] }))
            .await;
        refused.problem(404, "not_found");
        let body = json!({ "asset_ids": [mine] });
        let added = other
            .post(&format!("/v1/albums/{own}/assets"), &body)
            .await
            .expect(200);
        assert_eq!(added["items"][0]["outcome"], "not_found");
        other
            .get(&format!("/v1/assets?album={id}"))
            .await
            .problem(404, "not_found");
        let list = other.get("/v1/albums").await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        assert_eq!(list["items"][0]["asset_count"], 0);
    }
    assert_eq!(within(&ann, &id).await, [mine]);
}

async fn assets_go_in_and_out(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = album(&ann, "Summer").await;
    let mut made = Vec::new();
    for (seed, at) in [
        (1, "2026-02-01T00:00:00Z"),
        (2, "2026-03-01T00:00:00Z"),
        (3, "2026-01-01T00:00:00Z"),
    ] {
        let asset = one(&ann, seed).await;
        nothing(&put(&ann, &id, &asset).await);
        let path = format!("/v1/assets/{asset}");
        ann.patch(&path, &[], &json!({ "captured_at": at }))
            .await
            .expect(200);
        made.push(asset);
    }
    let newest_first = [made[1].clone(), made[0].clone(), made[2].clone()];
    assert_eq!(within(&ann, &id).await, newest_first);
    let page = ann
        .get(&format!("/v1/assets?limit=2&fields=albums&album={id}"))
        .await
        .expect(200);
    assert_eq!(
        page["items"][0]["asset_id"], made[2],
        "by creation, where nothing else is asked"
    );
    assert_eq!(page["items"][0]["albums"], json!([id]));
    assert_eq!(
        ann.get(&format!("/v1/albums/{id}")).await.expect(200)["asset_count"],
        3
    );
    let out = format!("/v1/albums/{id}/assets/{}", made[1]);
    for _ in 0..2 {
        nothing(&ann.delete(&out).await);
    }
    nothing(&put(&ann, &id, &made[0]).await);
    assert_eq!(within(&ann, &id).await, newest_first[1..]);
    for nowhere in ["ast_0", &made[0][1..]] {
        put(&ann, &id, nowhere).await.problem(404, "not_found");
        let refused = ann
            .delete(&format!("/v1/albums/{id}/assets/{nowhere}"))
            .await;
        refused.problem(404, "not_found");
    }
    put(&ann, "alb_0", &made[0]).await.problem(404, "not_found");
    // Three went in and one went out; what changed nothing is not told.
    let told = told(&rig, &id).await;
    assert_eq!(
        told.iter()
            .filter(|(kind, _)| kind == "asset.updated")
            .count(),
        4
    );
}

async fn many_go_in_at_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = album(&ann, "Summer").await;
    let mut made = Vec::new();
    for seed in 0..4 {
        made.push(one(&ann, seed).await);
    }
    nothing(&put(&ann, &id, &made[0]).await);
    let path = format!("/v1/albums/{id}/assets");
    let body = json!({ "asset_ids": [made[1], made[0], "ast_0", made[3], made[1]] });
    let added = ann.post(&path, &body).await.expect(200);
    let outcomes: Vec<(&str, &str)> = added["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (text(&i["asset_id"]), text(&i["outcome"])))
        .collect();
    let expected = [
        (made[1].as_str(), "in_album"),
        (&made[0], "in_album"),
        ("ast_0", "not_found"),
        (&made[3], "in_album"),
        (&made[1], "in_album"),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(
        within(&ann, &id).await,
        [made[3].clone(), made[1].clone(), made[0].clone()]
    );
    let many: Vec<String> = (0..101).map(|n| format!("ast_{n}")).collect();
    for wrong in [json!([]), json!(many)] {
        let refused = ann.post(&path, &json!({ "asset_ids": wrong })).await;
        assert_eq!(
            refused.problem(422, "validation_failed")["field"],
            "asset_ids"
        );
    }
    let all = ann
        .post(&path, &json!({ "asset_ids": many[..100] }))
        .await
        .expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 100);
    let missing = answer(ann.request(Method::POST, &path).json(&body)).await;
    missing.problem(400, "idempotency_key_missing");
}

async fn one_that_is_added_from_two_sides_is_there_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = album(&ann, "Summer").await;
    let mut made = Vec::new();
    for seed in 0..6 {
        made.push(one(&ann, seed).await);
    }
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..12 {
        let (ann, id, asset) = (ann.clone(), id.clone(), made[n % 6].clone());
        let mut all = made.clone();
        all.rotate_left(n % 6);
        asked.spawn(async move {
            if n % 2 == 0 {
                put(&ann, &id, &asset).await.status
            } else {
                let path = format!("/v1/albums/{id}/assets");
                ann.post(&path, &json!({ "asset_ids": all })).await.status
            }
        });
    }
    let answers = asked.join_all().await;
    assert!(
        answers.iter().all(|s| [200, 204].contains(s)),
        "{answers:?}"
    );
    let catalog = rig.catalog().await;
    assert_eq!(
        number(&catalog, "SELECT COUNT(*) FROM album_assets").await,
        6
    );
    let told = told(&rig, &id).await;
    assert_eq!(
        told.iter()
            .filter(|(kind, _)| kind == "asset.updated")
            .count(),
        6
    );
}

async fn writes_to_albums_happen_once(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (key, body) = (fresh_key(), json!({ "title": "Summer" }));
    let made = ann.post_as("/v1/albums", &key, &body).await.expect(201);
    let again = ann.post_as("/v1/albums", &key, &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), made);
    let id = text(&made["album_id"]).to_owned();
    let missing = answer(ann.request(Method::POST, "/v1/albums").json(&body)).await;
    missing.problem(400, "idempotency_key_missing");
    let asset = one(&ann, 1).await;
    let member = format!("/v1/albums/{id}/assets/{asset}");
    let with = async |method: Method, path: &str, key: &str| {
        let request = ann.request(method, path).header("idempotency-key", key);
        answer(request).await
    };
    // A repetition that comes late does not undo what came in between.
    let key = fresh_key();
    nothing(&with(Method::PUT, &member, &key).await);
    nothing(&ann.delete(&member).await);
    let again = with(Method::PUT, &member, &key).await;
    nothing(&again);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert!(within(&ann, &id).await.is_empty());
    let other = with(Method::DELETE, &member, &key).await;
    other.problem(422, "idempotency_key_mismatch");
    let (path, key) = (
        format!("{}/assets", member.rsplit_once("/assets").unwrap().0),
        fresh_key(),
    );
    let many = json!({ "asset_ids": [asset] });
    ann.post_as(&path, &key, &many).await.expect(200);
    nothing(&ann.delete(&member).await);
    let again = ann.post_as(&path, &key, &many).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    again.expect(200);
    assert!(within(&ann, &id).await.is_empty());
    let (path, key) = (format!("/v1/albums/{id}"), fresh_key());
    let late = ann
        .request(Method::DELETE, &path)
        .header("if-match", "\"9\"");
    answer(late).await.problem(412, "revision_mismatch");
    for _ in 0..2 {
        nothing(&with(Method::DELETE, &path, &key).await);
    }
    with(Method::DELETE, &path, &fresh_key())
        .await
        .problem(404, "not_found");
}

async fn an_album_has_room_for_so_many(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = album(&ann, "Summer").await;
    let assets = [one(&ann, 1).await, one(&ann, 2).await];
    let catalog = rig.catalog().await;
    let fill = "INSERT INTO album_assets (tenant_id, album_id, asset_id, taken_at)
                SELECT g.tenant_id, g.album_id, 'x' || n, 0 FROM albums g,
                       (WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 9999)
                        SELECT n FROM seq) AS numbers";
    assert_eq!(change(&catalog, fill, Vec::new()).await, 9_999);
    nothing(&put(&ann, &id, &assets[0]).await);
    let refused = put(&ann, &id, &assets[1]).await;
    refused.problem(422, "validation_failed");
    nothing(&put(&ann, &id, &assets[0]).await);
    assert_eq!(
        ann.get(&format!("/v1/albums/{id}")).await.expect(200)["asset_count"],
        10_000
    );
}
