//! Webhooks over real sockets, with a real receiver that checks signatures by itself.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use reqwest::header::HeaderMap;
use safelight_catalog::Catalog;
use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::http_rig::*;

on_both_databases!(
    events_are_sent_signed_and_in_order,
    what_failed_is_sent_again_when_it_is_due,
    an_endpoint_that_answers_410_is_disabled,
    a_rotated_secret_signs_along,
    events_are_sent_again_on_demand,
    a_kill_between_making_and_sending_loses_nothing,
    a_slow_endpoint_holds_up_nobody,
    an_endpoint_that_asks_for_time_is_left_alone,
    deletions_are_told,
);

/// What a receiver was sent.
#[derive(Clone, Debug)]
struct Received {
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// Which of its signatures hold by this secret, computed from the specification alone.
    fn signed_by(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        assert_eq!(key.len(), 32);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let timestamp = self.header("webhook-timestamp");
        mac.update(format!("{}.{timestamp}.", self.id()).as_bytes());
        mac.update(&self.body);
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        let all = self.header("webhook-signature");
        all.split(' ').any(|s| s == expected)
    }
}

/// What a receiver answers next: a status, and further headers.
type Script = (u16, Vec<(&'static str, &'static str)>);

#[derive(Default)]
struct Inbox {
    received: Mutex<Vec<Received>>,
    /// What is answered, one after another; 204 when there is nothing more.
    script: Mutex<VecDeque<Script>>,
    /// Answers nothing while this is set.
    silent: AtomicBool,
}

struct Receiver {
    inbox: Arc<Inbox>,
    address: SocketAddr,
}

async fn take(
    State(inbox): State<Arc<Inbox>>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    inbox
        .received
        .lock()
        .unwrap()
        .push(Received { headers, body });
    if inbox.silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let next = inbox.script.lock().unwrap().pop_front();
    let (status, headers) = next.unwrap_or((204, Vec::new()));
    let mut response = http_status(status).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn http_status(status: u16) -> axum::http::StatusCode {
    axum::http::StatusCode::from_u16(status).unwrap()
}

impl Receiver {
    async fn start() -> Self {
        let inbox = Arc::new(Inbox::default());
        let routes = axum::Router::new()
            .route("/hook", post(take))
            .with_state(inbox.clone());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { inbox, address }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn answers(&self, script: &[u16]) {
        let script = script.iter().map(|s| (*s, Vec::new()));
        *self.inbox.script.lock().unwrap() = script.collect();
    }

    fn received(&self) -> Vec<Received> {
        self.inbox.received.lock().unwrap().clone()
    }

    /// Waits for so many messages.
    async fn wait_for(&self, count: usize) -> Vec<Received> {
        let found = wait::until_some(PATIENCE, async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("{count} were expected: {:?}", self.received()),
        }
    }
}

const OPEN: [&str; 4] = [
    "--webhook-allow-private",
    "yes",
    "--webhook-allow-http",
    "yes",
];

async fn open(database: Database) -> Rig {
    Rig::start(database, &OPEN).await
}

/// Makes a webhook; its id and secret.
async fn hook(admin: &Caller, url: &str, events: &[&str]) -> (String, String) {
    let body = json!({ "url": url, "events": events });
    let made = admin.post("/v1/webhooks", &body).await.expect(201);
    (
        text(&made["webhook_id"]).to_owned(),
        text(&made["secret"]).to_owned(),
    )
}

async fn read(admin: &Caller, id: &str) -> Value {
    admin.get(&format!("/v1/webhooks/{id}")).await.expect(200)
}

async fn deliveries(admin: &Caller, id: &str) -> Vec<Value> {
    let path = format!("/v1/webhooks/{id}/deliveries?limit=200");
    let page = admin.get(&path).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

/// Waits until the newest delivery is in this state, after so many tries.
async fn delivery(admin: &Caller, id: &str, state: &str, attempts: i64) -> Value {
    let found = wait::until_some(PATIENCE, async || {
        let first = deliveries(admin, id).await.into_iter().next()?;
        (first["state"] == state && first["attempts"] == attempts).then_some(first)
    });
    match found.await {
        Ok(found) => found,
        Err(_) => panic!("{:?}", deliveries(admin, id).await),
    }
}

/// Lets the time pass that deliveries and endpoints wait for.
async fn make_due(catalog: &Catalog) {
    change(
        catalog,
        "UPDATE webhook_deliveries SET due_at = 0 WHERE state = 'pending'",
        Vec::new(),
    )
    .await;
    change(
        catalog,
        "UPDATE webhooks SET free_at = 0, next_due = 0",
        Vec::new(),
    )
    .await;
}

async fn events_are_sent_signed_and_in_order(database: Database) {
    let rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let (id, secret) = hook(&admin, &receiver.url(), &[]).await;
    let file = photo(1);
    let asset_id = admin.upload(&file).await;
    admin.ready(&asset_id).await;
    // All that `/v1/events` tells, and in its order.
    let catalog = rig.catalog().await;
    let count = wait::until_some(PATIENCE, async || {
        let waiting = number(
            &catalog,
            "SELECT COUNT(*) FROM events WHERE position IS NULL",
        )
        .await;
        let all = number(&catalog, "SELECT COUNT(*) FROM events").await;
        (waiting == 0).then_some(all)
    });
    let count = usize::try_from(count.await.unwrap()).unwrap();
    let received = receiver.wait_for(count).await;
    assert_eq!(received.len(), count);
    let positions: Vec<String> = received
        .iter()
        .map(|r| text(&r.event()["position"]).to_owned())
        .collect();
    let expected: Vec<String> = (1..=count).map(|n| n.to_string()).collect();
    assert_eq!(positions, expected);
    for message in &received {
        assert!(message.signed_by(&secret), "{message:?}");
        assert!(!message.signed_by(&format!("whsec_{}", BASE64_STANDARD.encode([0; 32]))));
        let event = message.event();
        assert_eq!(event["specversion"], "1.0");
        assert!(message.id().starts_with(text(&event["id"])), "{message:?}");
        assert_eq!(message.header("content-type"), "application/json");
    }
    assert_eq!(received[0].event()["type"], "capture.created");
    delivery(&admin, &id, "delivered", 1).await;
    // The secret is not shown again, and does not stand in the catalog.
    let shown = read(&admin, &id).await;
    assert!(
        shown["secret"].is_null() && shown["enabled"] == true,
        "{shown}"
    );
    let row = &rows(&catalog, "SELECT salt FROM webhooks").await[0];
    assert!(!secret.contains(&row.text(0).unwrap()));
}

async fn what_failed_is_sent_again_when_it_is_due(database: Database) {
    let rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let (id, secret) = hook(&admin, &receiver.url(), &["capture.created"]).await;
    receiver.answers(&[500, 302]);
    admin.initiate(&[&photo(1)]).await;
    let failed = delivery(&admin, &id, "pending", 1).await;
    assert_eq!(
        (&failed["status"], text(&failed["code"])),
        (&json!(500), "webhook_rejected")
    );
    assert!(read(&admin, &id).await["failing_since"].is_string());
    let catalog = rig.catalog().await;
    make_due(&catalog).await;
    delivery(&admin, &id, "pending", 2).await;
    make_due(&catalog).await;
    let delivered = delivery(&admin, &id, "delivered", 3).await;
    assert_eq!(delivered["status"], 204);
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(
        received
            .iter()
            .all(|r| r.id() == received[0].id() && r.signed_by(&secret))
    );
    assert_eq!(received[0].id(), text(&delivered["message_id"]));
    assert!(read(&admin, &id).await["failing_since"].is_null());
    // After the last try it is given up, and said so.
    receiver.answers(&[500; 8]);
    admin.initiate(&[&photo(2)]).await;
    for attempt in 1..=7 {
        delivery(&admin, &id, "pending", attempt).await;
        make_due(&catalog).await;
    }
    delivery(&admin, &id, "failed", 8).await;
}

async fn an_endpoint_that_answers_410_is_disabled(database: Database) {
    let rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let (id, _) = hook(&admin, &receiver.url(), &["capture.created"]).await;
    receiver.answers(&[410]);
    admin.initiate(&[&photo(1)]).await;
    delivery(&admin, &id, "failed", 1).await;
    let shown = read(&admin, &id).await;
    assert_eq!(
        (&shown["enabled"], text(&shown["reason"])),
        (&json!(false), "gone")
    );
    // What happens meanwhile is sent when it is enabled.
    let made = admin.post("/v1/captures", &capture(&[&photo(2)])).await;
    let second = made.expect(201);
    let path = format!("/v1/webhooks/{id}");
    let request = admin.request(Method::PATCH, &path);
    let shown = answer(request.json(&json!({ "enabled": true })))
        .await
        .expect(200);
    assert!(
        shown["enabled"] == true && shown["reason"].is_null(),
        "{shown}"
    );
    let received = receiver.wait_for(2).await;
    assert_eq!(received[1].event()["subject"], second["capture_id"]);
}

async fn a_rotated_secret_signs_along(database: Database) {
    let rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let (id, old) = hook(&admin, &receiver.url(), &["capture.created"]).await;
    let path = format!("/v1/webhooks/{id}/secret");
    let key = fresh_key();
    let rotated = admin.post_as(&path, &key, &json!({})).await.expect(201);
    let new = text(&rotated["secret"]);
    assert_ne!(new, old);
    let again = admin.post_as(&path, &key, &json!({})).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201)["secret"], rotated["secret"]);
    admin.initiate(&[&photo(1)]).await;
    let received = receiver.wait_for(1).await;
    assert!(received[0].signed_by(&old) && received[0].signed_by(new));
    // The answer was lost, so it is changed again: who has the first is not cut off.
    let last = admin.post(&path, &json!({})).await.expect(201);
    let last = text(&last["secret"]);
    admin.initiate(&[&photo(2)]).await;
    let received = receiver.wait_for(2).await;
    assert!(
        [old.as_str(), new, last]
            .iter()
            .all(|s| received[1].signed_by(s))
    );
    let catalog = rig.catalog().await;
    change(&catalog, "UPDATE webhooks SET old_until = 1", Vec::new()).await;
    admin.initiate(&[&photo(3)]).await;
    let received = receiver.wait_for(3).await;
    assert!(!received[2].signed_by(&old) && !received[2].signed_by(new));
    assert!(received[2].signed_by(last));
}

async fn events_are_sent_again_on_demand(database: Database) {
    let rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let (id, secret) = hook(&admin, &receiver.url(), &["capture.created"]).await;
    for seed in 1..=3 {
        admin.initiate(&[&photo(seed)]).await;
    }
    let first = receiver.wait_for(3).await;
    delivery(&admin, &id, "delivered", 1).await;
    let since = text(&first[1].event()["time"]).to_owned();
    let path = format!("/v1/webhooks/{id}/replay");
    let wrong = admin.post(&path, &json!({ "since": "yesterday" })).await;
    assert_eq!(wrong.problem(422, "validation_failed")["field"], "since");
    admin
        .post(&path, &json!({ "since": since }))
        .await
        .expect(202);
    let all = receiver.wait_for(5).await;
    for (n, message) in all[3..].iter().enumerate() {
        assert_eq!(message.id(), first[n + 1].id());
        assert_eq!(message.body, first[n + 1].body);
        assert!(message.signed_by(&secret));
    }
}

async fn a_kill_between_making_and_sending_loses_nothing(database: Database) {
    let mut rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let types = ["capture.created", "upload.started"];
    let (id, secret) = hook(&admin, &receiver.url(), &types).await;
    // Its first message hangs, so the delivery made with it is not sent, and what comes behind is not even made.
    let silent = &receiver.inbox.silent;
    silent.store(true, Ordering::SeqCst);
    admin.initiate(&[&photo(1)]).await;
    receiver.wait_for(1).await;
    let catalog = rig.catalog().await;
    let made = number(
        &catalog,
        "SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'pending' AND attempts = 0",
    );
    assert_eq!(made.await, 2);
    for seed in 2..=3 {
        admin.initiate(&[&photo(seed)]).await;
    }
    rig.server.kill().await.unwrap();
    silent.store(false, Ordering::SeqCst);
    rig.server.restart().await.unwrap();
    // The lease of the dead one would end by itself.
    make_due(&catalog).await;
    let received = receiver.wait_for(7).await;
    delivery(&admin, &id, "delivered", 1).await;
    assert_eq!(receiver.received().len(), 7);
    assert_eq!(
        received[0].id(),
        received[1].id(),
        "the one that hung came again"
    );
    let positions: Vec<i64> = received[1..]
        .iter()
        .map(|r| text(&r.event()["position"]).parse().unwrap())
        .collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
    assert!(received.iter().all(|r| r.signed_by(&secret)));
}

async fn an_endpoint_that_asks_for_time_is_left_alone(database: Database) {
    let rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let (id, _) = hook(&admin, &receiver.url(), &["capture.created"]).await;
    let busy = (503, vec![("retry-after", "900")]);
    receiver.inbox.script.lock().unwrap().push_back(busy);
    admin.initiate(&[&photo(1)]).await;
    delivery(&admin, &id, "pending", 1).await;
    let catalog = rig.catalog().await;
    // Both the delivery and its endpoint wait: the next event is not sent sooner either.
    let rests = wait::until(PATIENCE, async || {
        let sql = "SELECT COUNT(*) FROM webhooks w, webhook_deliveries d
                    WHERE w.free_at >= d.tried_at + 900000000 AND d.due_at >= d.tried_at + 900000000";
        number(&catalog, sql).await == 1
    });
    rests.await.unwrap();
    admin.initiate(&[&photo(2)]).await;
    make_due(&catalog).await;
    let received = receiver.wait_for(3).await;
    assert_eq!(received[0].id(), received[1].id());
    assert_ne!(received[1].id(), received[2].id());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_killed_process_passes_to_another() {
    let mut rig = open(Database::Postgres).await;
    let (held, quick) = (Receiver::start().await, Receiver::start().await);
    let admin = rig.owner("ada");
    held.inbox.silent.store(true, Ordering::SeqCst);
    let (id, secret) = hook(&admin, &held.url(), &["capture.created"]).await;
    admin.initiate(&[&photo(1)]).await;
    held.wait_for(1).await;
    let dir = tempfile::tempdir().unwrap();
    let keys = rig.server.data_dir().join("keys").display().to_string();
    let store_url = rig.server.store_url();
    let mut args = vec!["--keys-dir", &keys, "--store-public-url", &store_url];
    args.extend(OPEN);
    let second = options(
        dir.path().join("second"),
        Some(rig.server.catalog_url()),
        &args,
    );
    let second = Server::start(second).await.unwrap();
    let catalog = open_catalog(&second).await;
    rig.server.kill().await.unwrap();
    held.inbox.silent.store(false, Ordering::SeqCst);
    let there = Caller {
        base: second.url(),
        ..admin.clone()
    };
    // The other works, and leaves alone what the dead one had taken.
    hook(&there, &quick.url(), &["capture.created"]).await;
    there.initiate(&[&photo(2)]).await;
    quick.wait_for(1).await;
    assert_eq!(held.received().len(), 1);
    // So much time passes as a lease lasts.
    let passed = "UPDATE webhooks SET free_at = free_at - 90000000 WHERE webhook_id = $1";
    change(&catalog, passed, vec![id.as_str().into()]).await;
    let received = held.wait_for(3).await;
    assert_eq!(received[0].id(), received[1].id(), "it is sent once more");
    assert_ne!(received[1].id(), received[2].id());
    assert!(received.iter().all(|r| r.signed_by(&secret)));
    delivery(&there, &id, "delivered", 1).await;
}

async fn a_slow_endpoint_holds_up_nobody(database: Database) {
    let rig = open(database).await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let admin = rig.owner("ada");
    slow.inbox.silent.store(true, Ordering::SeqCst);
    let (slow_id, _) = hook(&admin, &slow.url(), &["capture.created"]).await;
    hook(&admin, &quick.url(), &["capture.created"]).await;
    admin.initiate(&[&photo(1)]).await;
    slow.wait_for(1).await;
    for seed in 2..=5 {
        admin.initiate(&[&photo(seed)]).await;
    }
    quick.wait_for(5).await;
    // It is still waited for, or has failed since; nothing was delivered to it.
    let of_slow = deliveries(&admin, &slow_id).await;
    assert!(
        of_slow.iter().all(|d| d["state"] == "pending"),
        "{of_slow:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_refused() {
    let rig = Rig::start(Database::Sqlite, &["--webhook-allow-http", "yes"]).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    let port = receiver.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "a.localhost",
    ] {
        let body = json!({ "url": format!("http://{host}:{port}/hook") });
        let refused = admin.post("/v1/webhooks", &body).await;
        assert_eq!(
            refused.problem(422, "webhook_address_refused")["field"],
            "url",
            "{host}"
        );
    }
    // Ways of writing 127.0.0.1 that only whoever resolves them understands.
    for host in ["2130706433", "127.1", "0x7f000001"] {
        let (id, _) = hook(
            &admin,
            &format!("http://{host}:{port}/hook"),
            &["capture.created"],
        )
        .await;
        admin.initiate(&[&photo(1)]).await;
        let refused = delivery(&admin, &id, "pending", 1).await;
        assert_eq!(
            refused["code"], "webhook_address_refused",
            "{host}: {refused}"
        );
        admin.delete(&format!("/v1/webhooks/{id}")).await;
    }
    // A row that says otherwise, as if the name had changed: seen when a connection is made.
    let (id, _) = hook(&admin, "http://receiver.example/hook", &["capture.created"]).await;
    let catalog = rig.catalog().await;
    for host in ["localhost", "[::ffff:7f00:1]"] {
        let url = format!("http://{host}:{port}/hook");
        change(&catalog, "UPDATE webhooks SET url = $1", vec![url.into()]).await;
        admin.initiate(&[&photo(2)]).await;
        let refused = delivery(&admin, &id, "pending", 1).await;
        assert_eq!(refused["code"], "webhook_address_refused", "{host}");
        make_due(&catalog).await;
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_managed_by_administrators_of_their_tenant() {
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let admin = rig.owner("ada");
    let plain = json!({ "url": "http://receiver.example/" });
    let refused = admin.post("/v1/webhooks", &plain).await;
    assert_eq!(refused.problem(422, "validation_failed")["field"], "url");
    let body = json!({ "url": "https://receiver.example/", "events": ["asset.state_changed"], "description": "test" });
    let typo = json!({ "url": "https://receiver.example/", "events": ["asset.changed"] });
    let refused = admin.post("/v1/webhooks", &typo).await;
    assert_eq!(refused.problem(422, "validation_failed")["field"], "events");
    let (key, key_of_delete) = (fresh_key(), fresh_key());
    let made = admin.post_as("/v1/webhooks", &key, &body).await.expect(201);
    let again = admin.post_as("/v1/webhooks", &key, &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let again = again.expect(201);
    assert_eq!(again["webhook_id"], made["webhook_id"]);
    assert_eq!(
        again["secret"], made["secret"],
        "its answer may be the first to be heard"
    );
    let all = admin.get("/v1/webhooks").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    assert_eq!(all["items"][0]["events"], json!(["asset.state_changed"]));
    // A device's token is not enough.
    let token = admin
        .post("/v1/tokens", &json!({ "owner": "ada", "device": "phone" }))
        .await
        .expect(201);
    let device = rig.caller(Some(text(&token["token"])), None);
    device.get("/v1/webhooks").await.problem(403, "forbidden");
    let path = format!("/v1/webhooks/{}", text(&made["webhook_id"]));
    let change = json!({ "events": [], "enabled": false, "description": "" });
    let request = admin.request(Method::PATCH, &path).json(&change);
    let changed = answer(request).await.expect(200);
    assert_eq!(
        (&changed["events"], text(&changed["reason"])),
        (&json!([]), "asked")
    );
    assert!(changed["description"].is_null());
    // A repetition under its key is answered alike; without one it is told that nothing is there.
    for _ in 0..2 {
        let request = admin.request(Method::DELETE, &path);
        let deleted = answer(request.header("idempotency-key", &key_of_delete)).await;
        assert_eq!(deleted.status, 204, "{deleted:?}");
    }
    admin.delete(&path).await.problem(404, "not_found");
    let late = admin.post_as("/v1/webhooks", &key, &body).await.expect(201);
    assert!(late["secret"].is_null());
    let rotate = format!("{path}/secret");
    let gone = admin.post(&rotate, &json!({})).await;
    gone.problem(404, "not_found");
    admin.get(&path).await.problem(404, "not_found");
    let mut last = String::new();
    for n in 0..20 {
        let body = json!({ "url": format!("https://receiver{n}.example/") });
        let made = admin.post("/v1/webhooks", &body).await.expect(201);
        last = text(&made["webhook_id"]).to_owned();
    }
    let key = fresh_key();
    let one_more = admin.post_as("/v1/webhooks", &key, &body).await;
    one_more.problem(403, "quota_exceeded");
    // That was not kept: once there is room, the same request is carried out.
    admin.delete(&format!("/v1/webhooks/{last}")).await;
    let made = admin.post_as("/v1/webhooks", &key, &body).await;
    assert!(made.expect(201)["secret"].is_string());
}

async fn deletions_are_told(database: Database) {
    let rig = open(database).await;
    let (receiver, admin) = (Receiver::start().await, rig.owner("ada"));
    // In parts, so that nothing can come by a URL once it is whole.
    let files = [1, 2].map(|seed| large_photo(seed, PART_BYTES + 1000));
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let made = admin
        .post("/v1/captures", &capture(&files))
        .await
        .expect(201);
    let mut ids = Vec::new();
    for (asset, file) in made["assets"].as_array().unwrap().iter().zip(&files) {
        admin.send(asset, file).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        admin.complete(upload_id).await.expect(200);
        let asset_id = text(&asset["asset_id"]).to_owned();
        admin.ready(&asset_id).await;
        ids.push(asset_id);
    }
    let kinds = ["asset.deleted", "capture.deleted", "deletion.completed"];
    let (id, secret) = hook(&admin, &receiver.url(), &kinds).await;
    admin
        .delete(&format!("/v1/assets/{}", ids[0]))
        .await
        .expect(202);
    receiver.wait_for(2).await;
    let capture_id = text(&made["capture_id"]);
    admin
        .delete(&format!("/v1/captures/{capture_id}"))
        .await
        .expect(202);
    let received = receiver.wait_for(5).await;
    let told: Vec<(String, String)> = received
        .iter()
        .map(|r| {
            assert!(r.signed_by(&secret), "{r:?}");
            let event = r.event();
            assert_eq!(event["data"]["owner"], "ada");
            (
                text(&event["type"]).to_owned(),
                text(&event["subject"]).to_owned(),
            )
        })
        .collect();
    let told: Vec<(&str, &str)> = told
        .iter()
        .map(|(kind, of)| (kind.as_str(), of.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("asset.deleted", ids[0].as_str()),
            ("deletion.completed", ids[0].as_str()),
            ("asset.deleted", ids[1].as_str()),
            ("capture.deleted", capture_id),
            ("deletion.completed", ids[1].as_str()),
        ]
    );
    // Nothing of what was deleted is in them, nor comes any more.
    for message in &received {
        let body = String::from_utf8_lossy(&message.body);
        assert!(
            !body.contains("IMG_") && !body.contains(&sha256(files[0])),
            "{body}"
        );
    }
    delivery(&admin, &id, "delivered", 1).await;
    for state in ["pending", "failed"] {
        let left = format!("SELECT COUNT(*) FROM webhook_deliveries WHERE state = '{state}'");
        assert_eq!(number(&rig.catalog().await, &left).await, 0);
    }
}
