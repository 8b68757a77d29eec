//! Web pages of other origins: what browsers are told that they may do.

use reqwest::Method;

use crate::http_rig::{Answer, Database, Rig, answer, fetch, on_both_databases, photo, text};

on_both_databases!(pages_may_use_the_api_and_see_pictures);

const ORIGIN: &str = "https://app.example";

fn may_be_read(answer: &Answer) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "*",
        "{answer:?}"
    );
    let exposed = answer.header("access-control-expose-headers");
    for name in ["etag", "retry-after", "request-id", "idempotency-replayed"] {
        assert!(exposed.split(", ").any(|n| n == name), "{name}: {exposed}");
    }
}

async fn pages_may_use_the_api_and_see_pictures(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (nobody, wanted) = (rig.caller(None, None), "authorization,idempotency-key");
    // A browser asks without the credential that the request itself will have.
    for (method, path) in [
        ("POST", "/v1/captures"),
        ("DELETE", "/v1/uploads/upl_x"),
        ("PATCH", "/v1/assets/ast_x"),
        ("PUT", "/v1/albums/alb_x/assets/ast_x"),
    ] {
        let asked = nobody
            .request(Method::OPTIONS, path)
            .header("origin", ORIGIN)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", wanted);
        let told = answer(asked).await;
        assert_eq!(told.status, 204, "{told:?}");
        may_be_read(&told);
        assert_eq!(told.header("access-control-allow-headers"), wanted);
        let methods = told.header("access-control-allow-methods");
        assert!(methods.split(", ").any(|m| m == method), "{methods}");
    }
    // What is refused can be read as well.
    let refused = nobody.request(Method::GET, "/v1/assets");
    let refused = answer(refused.header("origin", ORIGIN)).await;
    refused.problem(401, "unauthorized");
    may_be_read(&refused);
    let list = ann.request(Method::GET, "/v1/assets");
    may_be_read(&answer(list.header("origin", ORIGIN)).await);
    let list = ann.get("/v1/assets").await;
    assert_eq!(list.header("access-control-allow-origin"), "");

    // A picture stays readable where a cache has kept what somebody else got.
    let asset_id = ann.upload(&photo(1)).await;
    let asset = ann.ready(&asset_id).await;
    let cover = fetch(&rig.http, text(&asset["cover_url"])).await;
    assert_eq!(cover.status, 200);
    assert_eq!(cover.header("access-control-allow-origin"), "*");
    // What is not for pages says nothing.
    let metrics = nobody.request(Method::GET, "/metrics");
    let metrics = answer(metrics.header("origin", ORIGIN)).await;
    assert_eq!(metrics.header("access-control-allow-origin"), "");
}
