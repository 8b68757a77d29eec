//! tus 1.0 through the gateway: each verb and extension, on the wire.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_testkit::wait;
use sha2::{Digest as _, Sha256};

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, Rig, change, large_photo, number, on_both_databases,
    photo, sha256, text,
};
use crate::wire::{Got, Wire, ask};

on_both_databases!(
    what_is_spoken_is_told_and_nothing_else_is_taken,
    a_file_is_created_sent_in_pieces_and_taken_in,
    a_cut_costs_nothing_that_had_arrived,
    a_length_may_be_deferred,
    a_checksum_must_hold,
    an_upload_is_terminated_and_expires,
);

const SPOKEN: (&str, &str) = ("tus-resumable", "1.0.0");
const BYTES: (&str, &str) = ("content-type", "application/offset+octet-stream");

fn create(ann: &Caller, more: &[(&str, &str)], body: &[u8]) -> Got {
    let bearer = format!("Bearer {}", ann.token.as_deref().unwrap());
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("safelight-owner", "ann"),
        SPOKEN,
    ];
    headers.extend(more);
    ask("POST", &format!("{}/u/tus", ann.base), &headers, Some(body))
}

fn begin(ann: &Caller, length: usize) -> String {
    let length = length.to_string();
    let made = create(ann, &[("upload-length", &length)], b"").expect(201);
    made.header("location").to_owned()
}

fn look(url: &str) -> Got {
    ask("HEAD", url, &[SPOKEN], None)
}

fn patch(url: &str, offset: usize, body: &[u8], more: &[(&str, &str)]) -> Got {
    let offset = offset.to_string();
    let mut headers = vec![SPOKEN, BYTES, ("upload-offset", offset.as_str())];
    headers.extend(more);
    ask("PATCH", url, &headers, Some(body))
}

/// The upload and its asset as the API shows them.
async fn truth(ann: &Caller, url: &str) -> serde_json::Value {
    let path = url.split('?').next().unwrap();
    let id = path.rsplit('/').next().unwrap();
    ann.get(&format!("/v1/uploads/{id}")).await.expect(200)
}

async fn is_taken_in(ann: &Caller, url: &str, file: &[u8]) -> serde_json::Value {
    let upload = truth(ann, url).await;
    assert_eq!(upload["state"], "completed", "{upload}");
    let asset = ann.ready(text(&upload["asset_id"])).await;
    assert_eq!(asset["original"]["sha256"], sha256(file));
    assert!(ann.original(text(&upload["asset_id"])).await == file);
    asset
}

async fn what_is_spoken_is_told_and_nothing_else_is_taken(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let address = begin(&ann, 10);
    for url in [format!("{}/u/tus", ann.base), address.clone()] {
        let told = ask("OPTIONS", &url, &[], None).expect(204);
        assert_eq!(told.header("tus-version"), "1.0.0");
        assert_eq!(told.header("tus-max-size"), "10737418240");
        for extension in [
            "creation",
            "creation-with-upload",
            "checksum",
            "expiration",
            "termination",
        ] {
            assert!(
                told.header("tus-extension")
                    .split(',')
                    .any(|e| e == extension)
            );
        }
        assert!(told.header("tus-checksum-algorithm").contains("sha1"));
    }
    let others: [&[(&str, &str)]; 2] = [&[], &[("tus-resumable", "0.2.2")]];
    for version in others {
        for method in ["HEAD", "PATCH", "DELETE"] {
            let body = (method == "PATCH").then_some(&b"x"[..]);
            let refused = ask(method, &address, version, body).expect(412);
            assert_eq!(refused.header("tus-version"), "1.0.0");
        }
    }
    let other = [
        SPOKEN,
        ("upload-offset", "0"),
        ("content-type", "image/jpeg"),
    ];
    ask("PATCH", &address, &other, Some(b"x")).expect(415);
    ask("PATCH", &address, &[SPOKEN, BYTES], Some(b"x")).expect(400);
    create(&ann, &[], b"").expect(400);
    create(&ann, &[("upload-length", "-1")], b"").expect(400);
    let both = [("upload-length", "5"), ("upload-defer-length", "1")];
    create(&ann, &both, b"").expect(400);
    create(
        &ann,
        &[("upload-length", "5"), ("upload-metadata", "filename !")],
        b"",
    )
    .expect(400);
    create(&ann, &[("upload-length", "10737418241")], b"").expect(413);
    create(&ann, &[("upload-length", "0")], b"").expect(422);
    let nobody = ask("POST", &format!("{}/u/tus", ann.base), &[SPOKEN], Some(b""));
    assert_eq!(
        (nobody.status, nobody.header("tus-resumable")),
        (401, "1.0.0")
    );
    let unknown = address.split('?').next().unwrap().to_owned() + "0";
    assert_eq!(look(&unknown).status, 401);
}

async fn a_file_is_created_sent_in_pieces_and_taken_in(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(21);
    let length = file.len().to_string();
    let metadata = format!(
        "filename {},filetype {},is_private,client_ref {}",
        BASE64_STANDARD.encode("Ä 1.jpg"),
        BASE64_STANDARD.encode("image/jpeg"),
        BASE64_STANDARD.encode("tus-1"),
    );
    let said = [
        ("upload-length", length.as_str()),
        ("upload-metadata", metadata.as_str()),
    ];
    let made = create(&ann, &said, b"").expect(201);
    assert!(made.header("upload-expires").ends_with("GMT"));
    assert_eq!(made.header("tus-resumable"), "1.0.0");
    let address = made.header("location").to_owned();
    // The same reference again gives the same upload.
    assert_eq!(
        create(&ann, &said, b"").expect(201).header("location"),
        address
    );
    let stands = look(&address).expect(200);
    assert_eq!(
        (stands.offset(), stands.header("upload-length")),
        (0, length.as_str())
    );
    assert_eq!(stands.header("cache-control"), "no-store");
    let told = format!("filename {}", BASE64_STANDARD.encode("Ä 1.jpg"));
    assert!(
        stands.header("upload-metadata").starts_with(&told),
        "{stands:?}"
    );

    let cut = 4_000;
    let sent = patch(&address, 0, &file[..cut], &[]).expect(204);
    assert_eq!(sent.offset(), cut);
    assert!(sent.has("upload-expires"));
    let wrong = patch(&address, 0, &file, &[]).expect(409);
    assert_eq!(
        (wrong.offset(), &wrong.json()["code"]),
        (cut, &"upload_offset_mismatch".into())
    );
    let too_much = [&file[cut..], b"x"].concat();
    patch(&address, cut, &too_much, &[]).expect(413);
    assert_eq!(look(&address).offset(), cut);
    // By POST, as some clients must.
    let (middle, offset) = (cut + 1_000, cut.to_string());
    let headers = [
        SPOKEN,
        BYTES,
        ("upload-offset", &offset),
        ("x-http-method-override", "PATCH"),
    ];
    let sent = ask("POST", &address, &headers, Some(&file[cut..middle])).expect(204);
    assert_eq!(sent.offset(), middle);
    let sent = patch(&address, middle, &file[middle..], &[]).expect(204);
    assert_eq!(sent.offset(), file.len());
    let asset = is_taken_in(&ann, &address, &file).await;
    assert_eq!(asset["original"]["filename"], "Ä 1.jpg");
    // Nothing more, and nothing less.
    assert_eq!(
        patch(&address, file.len(), b"", &[]).expect(204).offset(),
        file.len()
    );
    patch(&address, file.len(), b"x", &[]).expect(413);
    assert_eq!(look(&address).expect(200).offset(), file.len());

    // With the creation itself.
    let file = photo(22);
    let length = file.len().to_string();
    let made = create(&ann, &[("upload-length", &length), BYTES], &file[..3_000]).expect(201);
    assert_eq!(made.offset(), 3_000);
    let address = made.header("location");
    patch(address, 3_000, &file[3_000..], &[]).expect(204);
    is_taken_in(&ann, address, &file).await;
    let made = create(&ann, &[("upload-length", &length), BYTES], &file).expect(201);
    assert_eq!(made.offset(), file.len());
}

async fn a_cut_costs_nothing_that_had_arrived(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(23, PART_BYTES + 100_000);
    let address = begin(&ann, file.len());
    let mut offset = 0;
    for cut in [70_001, PART_BYTES - 5, PART_BYTES + 5] {
        let mut wire = Wire::open(&address);
        let from = offset.to_string();
        // As tus-java-client does it.
        let headers = [
            SPOKEN,
            BYTES,
            ("upload-offset", from.as_str()),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
        ];
        wire.head("PATCH", &address, &headers);
        wire.next(false).unwrap().expect(100);
        wire.send(format!("{:x}\r\n", cut - offset).as_bytes());
        wire.send(&file[offset..cut]);
        wire.cut();
        let arrived = wait::until(PATIENCE, async || {
            truth(&ann, &address).await["received_bytes"] == cut
        });
        arrived.await.unwrap();
        assert_eq!(look(&address).offset(), cut);
        offset = cut;
    }
    patch(&address, offset, &file[offset..], &[]).expect(204);
    is_taken_in(&ann, &address, &file).await;
}

async fn a_length_may_be_deferred(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(24);
    let made = create(&ann, &[("upload-defer-length", "1")], b"").expect(201);
    let address = made.header("location");
    let sent = patch(address, 0, &file[..2_000], &[]).expect(204);
    assert_eq!(sent.offset(), 2_000);
    let stands = look(address).expect(200);
    assert_eq!(stands.header("upload-defer-length"), "1");
    assert!(!stands.has("upload-length"));
    let length = file.len().to_string();
    patch(address, 2_000, b"", &[("upload-length", &length)]).expect(204);
    assert_eq!(look(address).header("upload-length"), length);
    patch(address, 2_000, b"", &[("upload-length", "9")]).expect(422);
    patch(address, 2_000, &file[2_000..], &[]).expect(204);
    is_taken_in(&ann, address, &file).await;
}

async fn a_checksum_must_hold(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(25);
    let address = begin(&ann, file.len());
    let of = |bytes: &[u8]| format!("sha256 {}", BASE64_STANDARD.encode(Sha256::digest(bytes)));
    // SHA-1 of "hello".
    let hello = ("upload-checksum", "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=");
    patch(&address, 0, b"hellO", &[hello]).expect(460);
    patch(
        &address,
        0,
        b"hello",
        &[("upload-checksum", "crc9 qvTGHdzF6KLavt4PO0gs2a6pQ00=")],
    )
    .expect(400);
    patch(&address, 0, b"hello", &[("upload-checksum", "sha1 !")]).expect(400);
    assert_eq!(look(&address).offset(), 0);
    let other = begin(&ann, 100);
    assert_eq!(patch(&other, 0, b"hello", &[hello]).expect(204).offset(), 5);
    let (half, sum) = (file.len() / 2, of(&file[..file.len() / 2]));
    patch(&address, 0, &file[..half], &[("upload-checksum", &sum)]).expect(204);
    let sum = of(&file[half..]);
    patch(&address, half, &file[half..], &[("upload-checksum", &sum)]).expect(204);
    is_taken_in(&ann, &address, &file).await;
}

async fn an_upload_is_terminated_and_expires(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let address = begin(&ann, 100);
    patch(&address, 0, b"some", &[]).expect(204);
    ask("DELETE", &address, &[SPOKEN], None).expect(204);
    for gone in [look(&address), patch(&address, 4, b"more", &[])] {
        assert_eq!(gone.status, 410);
        assert!(!gone.has("upload-offset"));
    }
    // One whose time is over is answered so, and then it expires.
    let address = begin(&ann, 100);
    patch(&address, 0, b"some", &[]).expect(204);
    let catalog = rig.catalog().await;
    change(
        &catalog,
        "UPDATE uploads SET expires_at = 1, look_at = 1 WHERE state = 'open'",
        vec![],
    )
    .await;
    assert_eq!(look(&address).status, 410);
    let expired = wait::until(PATIENCE, async || {
        number(
            &catalog,
            "SELECT COUNT(*) FROM uploads WHERE state = 'expired'",
        )
        .await
            == 1
    });
    expired.await.unwrap();
}
