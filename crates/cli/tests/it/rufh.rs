//! IETF resumable uploads through the gateway, byte by byte on the wire: what is spoken. `faults` has what goes wrong.

mod faults;

use safelight_testkit::wait;
use serde_json::json;

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, capture, change, large_photo, number, objects,
    on_both_databases, photo, rows, sha256, text,
};
use crate::wire::{Got, Wire, ask};

on_both_databases!(
    a_whole_file_in_one_request_becomes_resumable_in_every_version,
    bytes_for_another_place_are_refused_with_the_right_one,
    what_has_another_digest_is_not_appended,
    an_upload_is_planned_by_the_api_and_its_address_is_signed,
    a_length_may_come_late_and_must_hold,
    an_upload_is_given_up_and_leaves_nothing,
);

const PARTIAL: (&str, &str) = ("content-type", "application/partial-upload");
const VERSION: (&str, &str) = ("upload-draft-interop-version", "8");
const LAST: (&str, &str) = ("upload-complete", "?1");
const MORE: (&str, &str) = ("upload-complete", "?0");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
/// Who says so is asked for the body: then the server has taken the upload.
const ASK: (&str, &str) = ("expect", "100-continue");

/// What a version calls completeness, and how it says it.
fn completeness(version: u8, is_complete: bool) -> (&'static str, &'static str) {
    match (version, is_complete) {
        (3, true) => ("upload-incomplete", "?0"),
        (3, false) => ("upload-incomplete", "?1"),
        (_, true) => ("upload-complete", "?1"),
        (_, false) => ("upload-complete", "?0"),
    }
}

fn bearer(caller: &Caller) -> String {
    format!("Bearer {}", caller.token.as_deref().unwrap())
}

/// Begins an upload with nothing; its address.
fn begin(ann: &Caller, more: &[(&str, &str)]) -> String {
    let bearer = bearer(ann);
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("safelight-owner", ann.owner.as_deref().unwrap()),
        VERSION,
        MORE,
    ];
    headers.extend(more);
    let made = ask("POST", &format!("{}/u/rufh", ann.base), &headers, Some(b""));
    assert_eq!(made.header("upload-offset"), "0", "{made:?}");
    made.expect(201).header("location").to_owned()
}

fn look(url: &str) -> Got {
    ask("HEAD", url, &[VERSION], None)
}

fn patch(
    url: &str,
    offset: usize,
    is_last: (&str, &str),
    body: &[u8],
    more: &[(&str, &str)],
) -> Got {
    let offset = offset.to_string();
    let mut headers = vec![
        VERSION,
        PARTIAL,
        is_last,
        ("upload-offset", offset.as_str()),
    ];
    headers.extend(more);
    ask("PATCH", url, &headers, Some(body))
}

/// Sends the head of a PATCH, with its length or another field that stands for it; the body is to be sent by hand.
fn start_patch(url: &str, offset: usize, is_last: (&str, &str), more: &[(&str, &str)]) -> Wire {
    let offset = offset.to_string();
    let mut headers = vec![
        VERSION,
        PARTIAL,
        is_last,
        ("upload-offset", offset.as_str()),
    ];
    headers.extend(more);
    let mut wire = Wire::open(url);
    wire.head("PATCH", url, &headers);
    wire
}

/// The id of an upload by its address.
fn id_of(url: &str) -> String {
    let path = url.split('?').next().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

/// Waits until so many bytes of an upload are acknowledged, without disturbing it.
async fn acknowledged(ann: &Caller, url: &str, bytes: usize) {
    let path = format!("/v1/uploads/{}", id_of(url));
    let reached = wait::until(PATIENCE, async || {
        ann.get(&path).await.expect(200)["received_bytes"] == bytes
    });
    reached.await.unwrap();
}

/// Checks that what was taken in is this file.
async fn is_taken_in(ann: &Caller, done: &Got, file: &[u8]) {
    assert_eq!(done.status, 200, "{done:?}");
    let done = done.json();
    let asset = ann.ready(text(&done["asset_id"])).await;
    assert_eq!(asset["original"]["sha256"], sha256(file));
    assert!(ann.original(text(&done["asset_id"])).await == file);
}

async fn a_whole_file_in_one_request_becomes_resumable_in_every_version(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let bearer = bearer(&ann);
    for version in 3..=8_u8 {
        let file = photo(u64::from(version));
        let (text_of, length) = (version.to_string(), file.len().to_string());
        let spoken = ("upload-draft-interop-version", text_of.as_str());
        let mut wire = Wire::open(&ann.base);
        let url = format!("{}/u/rufh", ann.base);
        let headers = [
            ("authorization", bearer.as_str()),
            ("safelight-owner", "ann"),
            ("content-type", "image/jpeg"),
            ("content-disposition", "attachment; filename=\"IMG 1.jpg\""),
            ("content-length", &length),
            spoken,
            completeness(version, true),
        ];
        wire.head(
            if version % 2 == 0 { "POST" } else { "PUT" },
            &url,
            &headers,
        );
        // It comes before the body has even begun.
        let promise = wire.next(false).unwrap().expect(104);
        assert_eq!(promise.header(spoken.0), spoken.1);
        assert_eq!(promise.has("upload-limit"), version >= 6, "{promise:?}");
        let address = promise.header("location").to_owned();
        let half = file.len() / 2;
        wire.send(&file[..half]);
        wire.cut();
        acknowledged(&ann, &address, half).await;

        let stands = ask("HEAD", &address, &[spoken], None).expect(204);
        let (name, value) = completeness(version, false);
        assert_eq!(
            (stands.header(name), stands.offset()),
            (value, half),
            "{stands:?}"
        );
        assert_eq!(stands.header("cache-control"), "no-store");
        assert_eq!(stands.has("upload-length"), version >= 6);
        assert!(!stands.has(if version == 3 {
            "upload-complete"
        } else {
            "upload-incomplete"
        }));

        let offset = half.to_string();
        let mut headers = vec![
            spoken,
            completeness(version, true),
            ("upload-offset", &offset),
        ];
        if version >= 6 {
            let plain = ask("PATCH", &address, &headers, Some(&file[half..]));
            assert_eq!(plain.status, 415, "{plain:?}");
            headers.push(PARTIAL);
        }
        let done = ask("PATCH", &address, &headers, Some(&file[half..]));
        let (name, value) = completeness(version, true);
        assert_eq!((done.header(name), done.offset()), (value, file.len()));
        is_taken_in(&ann, &done, &file).await;
        let asset = ann.asset(text(&done.json()["asset_id"])).await;
        assert_eq!(asset["original"]["filename"], "IMG 1.jpg");
        assert_eq!(asset["original"]["mime"], "image/jpeg");

        // An answer that was lost is given again; bytes behind the end are not taken.
        let offset = file.len().to_string();
        let end = [
            spoken,
            completeness(version, true),
            ("upload-offset", &offset),
            PARTIAL,
        ];
        let again = ask("PATCH", &address, &end, Some(b"")).expect(200);
        assert_eq!(again.json()["asset_id"], done.json()["asset_id"]);
        let more = ask("PATCH", &address, &end, Some(b"x")).expect(400);
        assert!(text(&more.json()["type"]).ends_with("#completed-upload"));
        let stands = ask("HEAD", &address, &[spoken], None).expect(204);
        assert_eq!((stands.header(name), stands.offset()), (value, file.len()));
    }
    // Who does not speak it gets no interim response, and the same end; the connection goes on working.
    let file = photo(99);
    let mut wire = Wire::open(&ann.base);
    for round in 0..2 {
        let length = file.len().to_string();
        let reference = format!("plain-{round}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("safelight-owner", "ann"),
            ("safelight-client-ref", reference.as_str()),
            ("content-length", length.as_str()),
        ];
        wire.head("PUT", "/u/rufh", &headers);
        wire.send(&file);
        let (interim, done) = wire.answer();
        assert!(interim.is_empty(), "{interim:?}");
        is_taken_in(&ann, &done, &file).await;
    }
}

async fn bytes_for_another_place_are_refused_with_the_right_one(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let address = begin(&ann, &[("upload-length", "10")]);
    patch(&address, 0, MORE, b"0123", &[]).expect(204);
    for offset in [0, 3, 5, 10, 11] {
        let wrong = patch(&address, offset, MORE, b"xy", &[]).expect(409);
        assert_eq!((wrong.offset(), wrong.header("upload-complete")), (4, "?0"));
        let problem = wrong.json();
        let kind = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";
        assert_eq!(problem["type"], kind);
        assert_eq!(problem["code"], "upload_offset_mismatch");
        assert_eq!(problem["expected-offset"], 4);
        assert_eq!(problem["provided-offset"], offset);
    }
    // More than was declared, told by its length or not.
    let wrong = patch(&address, 4, MORE, b"4567890", &[]).expect(400);
    let kind = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";
    assert_eq!(wrong.json()["type"], kind);
    let mut wire = start_patch(&address, 4, MORE, &[CHUNKED]);
    wire.send(b"2\r\n45\r\n");
    wire.send(b"7\r\n6789xyz\r\n0\r\n\r\n");
    assert_eq!(wire.answer().1.expect(400).json()["type"], kind);
    let offset = look(&address).offset();
    assert!(offset <= 6, "bytes behind the end were appended");
    // Another length than before, and fewer bytes than declared.
    for (length, body) in [("11", &b"x"[..]), ("10", b"x")] {
        let last = if length == "10" { LAST } else { MORE };
        let wrong = patch(&address, offset, last, body, &[("upload-length", length)]);
        assert_eq!(wrong.expect(400).json()["type"], kind);
    }
    for missing in ["upload-offset", "upload-complete"] {
        let all = [VERSION, PARTIAL, MORE, ("upload-offset", "4")];
        let some: Vec<_> = all.into_iter().filter(|(n, _)| *n != missing).collect();
        ask("PATCH", &address, &some, Some(b"x")).expect(400);
    }
    let too_large = [("upload-length", "999999999999999")];
    let bearer = bearer(&ann);
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("safelight-owner", "ann"),
        VERSION,
        MORE,
    ];
    headers.extend(too_large);
    let url = format!("{}/u/rufh", ann.base);
    let refused = ask("POST", &url, &headers, Some(b"")).expect(413);
    assert!(
        refused
            .header("upload-limit")
            .contains("max-size=10737418240")
    );
    ask("POST", &url, &[VERSION, MORE], Some(b"")).expect(401);
}

async fn what_has_another_digest_is_not_appended(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(11, PART_BYTES + 500_000);
    let of = |bytes: &[u8]| {
        use base64::Engine as _;
        let digest = hex::decode(sha256(bytes)).unwrap();
        let digest = base64::engine::general_purpose::STANDARD.encode(digest);
        format!("sha-256=:{digest}:")
    };
    let whole = of(&file);
    let length = file.len().to_string();
    let address = begin(&ann, &[("upload-length", &length), ("repr-digest", &whole)]);
    let digest = of(&file[..100_000]);
    let wrong = patch(
        &address,
        0,
        MORE,
        &file[1..100_001],
        &[("content-digest", &digest)],
    );
    assert_eq!(wrong.expect(422).json()["code"], "checksum_mismatch");
    assert_eq!(look(&address).offset(), 0);
    let right = patch(
        &address,
        0,
        MORE,
        &file[..100_000],
        &[("content-digest", &digest)],
    );
    assert_eq!(right.expect(204).offset(), 100_000);
    // More than a part: nothing of it counts before all of it is known to be right.
    let mut damaged = file[100_000..].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let digest = of(&file[100_000..]);
    let wrong = patch(
        &address,
        100_000,
        LAST,
        &damaged,
        &[("content-digest", &digest)],
    );
    wrong.expect(422);
    assert_eq!(look(&address).offset(), 100_000);
    let done = patch(
        &address,
        100_000,
        LAST,
        &file[100_000..],
        &[("content-digest", &digest)],
    );
    is_taken_in(&ann, &done, &file).await;

    // What was declared of the whole is verified by inspection.
    let other = photo(12);
    let length = other.len().to_string();
    let address = begin(&ann, &[("upload-length", &length), ("repr-digest", &whole)]);
    let done = patch(&address, 0, LAST, &other, &[]).expect(200);
    let asset = ann.settled(text(&done.json()["asset_id"])).await;
    assert_eq!(asset["state"], "failed");
    assert_eq!(asset["reason"]["code"], "checksum_mismatch");
}

async fn an_upload_is_planned_by_the_api_and_its_address_is_signed(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(13, 600_000);
    let mut asked = capture(&[&file]);
    asked["accept_transports"] = json!(["single", "multipart", "append"]);
    asked["network"] = json!({ "type": "cellular", "downlink_kbps": 300 });
    let made = ann.post("/v1/captures", &asked).await.expect(201);
    let upload = &made["assets"][0]["uploads"][0];
    assert_eq!(upload["plan"]["transport"], "append", "{upload}");
    assert_eq!(upload["urls"][0]["protocol"], "rufh");
    assert_eq!(upload["urls"][1]["protocol"], "tus");
    let address = text(&upload["urls"][0]["url"]).to_owned();
    // It needs no credential, and is of this upload alone.
    let half = file.len() / 2;
    patch(&address, 0, MORE, &file[..half], &[]).expect(204);
    let id = id_of(&address);
    let last = if id.ends_with('x') { 'y' } else { 'x' };
    let other = address.replace(&id, &format!("{}{last}", &id[..id.len() - 1]));
    assert_eq!(look(&other).status, 403);
    let by_tus = address.replace("/u/rufh/", "/u/tus/");
    let refused = ask("HEAD", &by_tus, &[("tus-resumable", "1.0.0")], None);
    assert_eq!(refused.status, 403);
    let bare = address.split('?').next().unwrap();
    assert_eq!(look(bare).status, 401);
    // Its owner may as well, and nobody else.
    let bearer = bearer(&ann);
    let of = |owner| {
        ask(
            "HEAD",
            bare,
            &[
                ("authorization", &bearer),
                ("safelight-owner", owner),
                VERSION,
            ],
            None,
        )
    };
    assert_eq!(of("ann").expect(204).offset(), half);
    assert_eq!(of("bob").status, 404);
    // The API tells the same, and gives the addresses again.
    let truth = ann.get(&format!("/v1/uploads/{id}")).await.expect(200);
    assert_eq!(truth["received_bytes"], half);
    ann.complete(&id).await.problem(409, "upload_incomplete");
    let again = ann
        .post(&format!("/v1/uploads/{id}/urls"), &json!({}))
        .await;
    assert_eq!(again.expect(200)["urls"][0]["url"], address);
    // The rest as a system sends it: the whole request at once. It must begin where the upload stands.
    let length = file.len().to_string();
    let whole = ask("POST", &address, &[VERSION, LAST], Some(&file)).expect(409);
    assert_eq!(whole.offset(), half);
    assert_eq!(whole.header("location"), address);
    let done = patch(
        &address,
        half,
        LAST,
        &file[half..],
        &[("upload-length", &length)],
    );
    is_taken_in(&ann, &done, &file).await;
    // A role of its own.
    let alone = Rig::start(database, &["--roles", "api,store,delivery,worker,janitor"]).await;
    let ben = alone.owner("ben");
    let (bearer, url) = (self::bearer(&ben), format!("{}/u/rufh", ben.base));
    let headers = [
        ("authorization", bearer.as_str()),
        ("safelight-owner", "ben"),
    ];
    assert_eq!(ask("PUT", &url, &headers, Some(b"x")).status, 404);
}

async fn a_length_may_come_late_and_must_hold(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(14);
    let address = begin(&ann, &[]);
    let stands = look(&address);
    assert!(!stands.has("upload-length"), "{stands:?}");
    let cut = 5_000;
    patch(&address, 0, MORE, &file[..cut], &[]).expect(204);
    let id = id_of(&address);
    ann.complete(&id).await.problem(409, "upload_incomplete");
    // The end of a chunked body is the end of the file.
    let mut wire = start_patch(&address, cut, LAST, &[CHUNKED]);
    for chunk in file[cut..].chunks(4_000) {
        wire.send(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.send(chunk);
        wire.send(b"\r\n");
    }
    wire.send(b"0\r\n\r\n");
    let (_, done) = wire.answer();
    assert_eq!(done.header("upload-length"), file.len().to_string());
    is_taken_in(&ann, &done, &file).await;
    // A chunked body that breaks off is not one that ends.
    let address = begin(&ann, &[]);
    let mut wire = start_patch(&address, 0, LAST, &[CHUNKED]);
    wire.send(b"5\r\nhello\r\n5\r\nwo");
    wire.cut();
    acknowledged(&ann, &address, 7).await;
    assert_eq!(look(&address).header("upload-complete"), "?0");
    // An empty file is none.
    let address = begin(&ann, &[]);
    patch(&address, 0, LAST, b"", &[]).expect(422);
}

async fn an_upload_is_given_up_and_leaves_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(15, PART_BYTES + 200_000);
    let length = (file.len() + 1).to_string();
    let address = begin(&ann, &[("upload-length", &length)]);
    patch(&address, 0, MORE, &file, &[]).expect(204);
    ask("DELETE", &address, &[VERSION], None).expect(204);
    ask("DELETE", &address, &[VERSION], None).expect(204);
    let gone = look(&address);
    assert_eq!(gone.status, 410);
    assert!(!gone.has("upload-offset"));
    patch(&address, file.len(), LAST, b"x", &[]).expect(410);
    let catalog = rig.catalog().await;
    let asset = &rows(&catalog, "SELECT state FROM assets").await[0];
    assert_eq!(asset.text(0).unwrap(), "expired");
    // Nothing is removed while something may still be on its way; then everything is.
    let over = "UPDATE uploads SET signed_until = 0, look_at = 0";
    change(&catalog, over, vec![]).await;
    let store = rig.store();
    let cleared = wait::until(PATIENCE, async || {
        number(&catalog, "SELECT COUNT(*) FROM append_segments").await == 0
            && number(&catalog, "SELECT COUNT(*) FROM appends").await == 0
    });
    cleared.await.unwrap();
    assert!(objects(&store, "x/").await.is_empty());
    assert!(objects(&store, "o/").await.is_empty());
    let left = "SELECT COUNT(*) FROM uploads WHERE cleared_at IS NULL";
    assert_eq!(number(&catalog, left).await, 0);
}
