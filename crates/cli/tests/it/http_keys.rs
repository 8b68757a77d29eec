//! API keys and device tokens.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use safelight_testkit::wait;
use serde_json::json;

use crate::http_rig::{Database, PATIENCE, Rig, on_both_databases, photo, text};

on_both_databases!(
    without_a_credential_nothing_is_told,
    keys_are_made_shown_once_and_revoked,
    a_device_token_is_for_one_owner_and_for_a_time,
);

async fn without_a_credential_nothing_is_told(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let unsigned = {
        let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
        let claims = r#"{"tid":"ten_00000000000000000000000000","sub":"ann","did":"x","scp":"admin","exp":9999999999}"#;
        format!(
            "{}.{}.",
            part(r#"{"alg":"none","typ":"JWT"}"#),
            part(claims)
        )
    };
    for token in [
        None,
        Some("sk_00000000000000000000000000000000"),
        Some("x"),
        Some(unsigned.as_str()),
    ] {
        let caller = rig.caller(token, Some("ann"));
        for path in ["/v1/assets", "/v1/keys", "/v1/uploads/upl_x"] {
            let refused = caller.get(path).await;
            refused.problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), "Bearer");
        }
        let refused = caller.post("/v1/captures", &json!({})).await;
        refused.problem(401, "unauthorized");
    }
    let nobody = rig.caller(Some(&rig.server.admin_key().unwrap()), None);
    let refused = nobody.get("/v1/assets").await;
    let problem = refused.problem(422, "validation_failed");
    assert!(text(&problem["detail"]).contains("Safelight-Owner"));
}

async fn keys_are_made_shown_once_and_revoked(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let admin = rig.owner("ann");
    let wanted = json!({ "label": "the app", "scopes": ["media"] });
    let made = admin.post_as("/v1/keys", "k1", &wanted).await.expect(201);
    let (key_id, secret) = (text(&made["key_id"]), text(&made["secret"]));
    assert!(secret.starts_with("sk_") && secret.len() == 35, "{made}");
    let again = admin.post_as("/v1/keys", "k1", &wanted).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), json!({ "key_id": key_id }));
    for wrong in [
        json!({ "label": "", "scopes": ["media"] }),
        json!({ "label": "x", "scopes": [] }),
        json!({ "label": "x", "scopes": ["root"] }),
        json!({ "label": "x" }),
    ] {
        let refused = admin.post("/v1/keys", &wrong).await;
        refused.problem(422, "validation_failed");
    }

    let app = rig.caller(Some(secret), Some("ann"));
    app.get("/v1/assets").await.expect(200);
    app.get("/v1/keys").await.problem(403, "forbidden");
    app.post("/v1/keys", &wanted)
        .await
        .problem(403, "forbidden");
    let token = json!({ "owner": "ann", "device": "phone" });
    app.post("/v1/tokens", &token)
        .await
        .problem(403, "forbidden");
    let minter = json!({ "label": "the app's server", "scopes": ["tokens"] });
    let minter = admin.post("/v1/keys", &minter).await.expect(201);
    let minter = rig.caller(Some(text(&minter["secret"])), Some("ann"));
    minter.post("/v1/tokens", &token).await.expect(201);
    minter.get("/v1/assets").await.problem(403, "forbidden");

    let list = admin.get("/v1/keys").await.expect(200);
    let list = list["items"].as_array().unwrap();
    assert_eq!(list.len(), 3, "the administrator's, and two");
    assert!(
        list.iter()
            .all(|k| k["secret"].is_null() && k["revoked_at"].is_null())
    );

    let path = format!("/v1/keys/{key_id}");
    for _ in 0..2 {
        assert_eq!(admin.delete(&path).await.status, 204);
    }
    // At once, where it was revoked.
    app.get("/v1/assets").await.problem(401, "unauthorized");
    let administrator = list.iter().find(|k| k["label"] == "administrator").unwrap();
    let path = format!("/v1/keys/{}", text(&administrator["key_id"]));
    admin.delete(&path).await.problem(403, "forbidden");
    let heir = json!({ "label": "heir", "scopes": ["admin"] });
    let heir = admin.post("/v1/keys", &heir).await.expect(201);
    let heir = rig.caller(Some(text(&heir["secret"])), Some("ann"));
    assert_eq!(heir.delete(&path).await.status, 204);
    admin.get("/v1/keys").await.problem(401, "unauthorized");
    let admin = heir;
    let refused = admin.delete("/v1/keys/key_0").await;
    refused.problem(404, "not_found");
    let list = admin.get("/v1/keys").await.expect(200);
    let revoked = list["items"].as_array().unwrap();
    let revoked = revoked.iter().find(|k| k["key_id"] == key_id).unwrap();
    assert!(revoked["revoked_at"].is_string(), "{revoked}");
}

async fn a_device_token_is_for_one_owner_and_for_a_time(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let admin = rig.owner("ignored");
    let mint = |ttl_s: i64| json!({ "owner": "ann", "device": "phone 1", "ttl_s": ttl_s });
    for wrong in [
        mint(0),
        mint(86_401),
        json!({ "owner": "", "device": "x" }),
        json!({ "owner": "ann", "device": "a\nb" }),
    ] {
        let refused = admin.post("/v1/tokens", &wrong).await;
        refused.problem(422, "validation_failed");
    }
    let minted = admin.post("/v1/tokens", &mint(3600)).await.expect(201);
    let token = text(&minted["token"]);
    // Whatever owner it names besides, the token's is the one.
    let phone = rig.caller(Some(token), Some("bob"));
    let asset_id = phone.upload(&photo(1)).await;
    phone.ready(&asset_id).await;
    rig.owner("ann").asset(&asset_id).await;
    let path = format!("/v1/assets/{asset_id}");
    let theirs = rig.owner("bob").get(&path).await;
    theirs.problem(404, "not_found");
    phone.get("/v1/keys").await.problem(403, "forbidden");
    phone
        .post("/v1/tokens", &mint(60))
        .await
        .problem(403, "forbidden");
    // A token with another claim is not one that was signed.
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims = String::from_utf8(claims).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.replace("\"ann\"", "\"bob\""));
    let forged = format!("{head}.{claims}.{signature}");
    let refused = rig.caller(Some(&forged), None).get("/v1/assets").await;
    refused.problem(401, "unauthorized");

    let short = admin.post("/v1/tokens", &mint(2)).await.expect(201);
    let short = rig.caller(Some(text(&short["token"])), None);
    let ended = wait::until(PATIENCE, async || {
        short.get("/v1/assets").await.status != 200
    });
    ended.await.unwrap();
    let refused = short.get("/v1/assets").await;
    let problem = refused.problem(401, "unauthorized");
    assert!(text(&problem["detail"]).contains("expired"), "{problem}");
}
