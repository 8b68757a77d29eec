//! What the disk does not give back as it was written.

use std::path::{Path, PathBuf};
use std::process::Command;

use aws_sdk_s3::Client;
use safelight_diskstore::ScrubStep;

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

const BLOCK: usize = 64 << 10;

fn objects(store: &Running) -> Vec<PathBuf> {
    files_below(&store.root().join("buckets").join(BUCKET).join("objects"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// What a client gets: the code of the refusal, or the bytes until the answer ends or breaks off.
async fn read(client: &Client, key: &str, range: Option<&str>) -> Result<(Vec<u8>, bool), String> {
    let get = client.get_object().bucket(BUCKET).key(key);
    let answer = get.set_range(range.map(str::to_owned)).send().await;
    let mut body = match answer.map_err(|error| error.code_text()) {
        Ok(answer) => answer.body,
        // It broke off so early that its head was not sent either.
        Err(text) if text == NO_ANSWER => return Ok((Vec::new(), false)),
        Err(code) => return Err(code),
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => bytes.extend(chunk),
            Err(_) => return Ok((bytes, false)),
        }
    }
    Ok((bytes, true))
}

/// Goes through all of the store.
pub async fn scrub(store: &Running) -> ScrubStep {
    let mut pass = store.store.scrub_pass(1);
    let mut sum = ScrubStep::default();
    while !sum.done {
        let step = pass.step(100_000).await;
        sum = ScrubStep {
            examined: sum.examined + step.examined,
            bytes: sum.bytes + step.bytes,
            damaged: sum.damaged + step.damaged,
            leftovers: sum.leftovers + step.leftovers,
            failed: sum.failed + step.failed,
            done: step.done,
        };
    }
    sum
}

fn clean(examined: u64, bytes: usize) -> ScrubStep {
    ScrubStep {
        examined,
        bytes: bytes as u64,
        done: true,
        ..ScrubStep::default()
    }
}

#[tokio::test]
async fn a_flipped_bit_is_never_served() {
    let store = Running::start().await;
    let client = store.client();
    let body = noise(1, 10 * BLOCK + 100);
    for at in [0, BLOCK - 1, 5 * BLOCK, 9 * BLOCK + 7, 10 * BLOCK + 99] {
        put(&client, "k", &body).await;
        flip(&objects(&store)[0], at);
        match read(&client, "k", None).await {
            Err(code) => assert_eq!(code, "ObjectDamaged", "{at}"),
            Ok((bytes, whole)) => {
                assert!(
                    !whole && bytes.len() <= at && body.starts_with(&bytes),
                    "{at}"
                );
            }
        }
        let block = at / BLOCK * BLOCK;
        let end = (block + BLOCK).min(body.len());
        // One byte of the block is as bad as all of it.
        for range in [(block, block), (end - 1, end - 1), (at, at)] {
            let range = format!("bytes={}-{}", range.0, range.1);
            let code = read(&client, "k", Some(&range)).await.unwrap_err();
            assert_eq!(code, "ObjectDamaged", "{range}");
        }
        // What is not damaged can still be had.
        for (from, to) in [(0, block), (end, body.len())] {
            if from < to {
                let range = format!("bytes={from}-{}", to - 1);
                let (bytes, whole) = read(&client, "k", Some(&range)).await.unwrap();
                assert!(whole && bytes == body[from..to], "{range}");
            }
        }
        let head = client.head_object().bucket(BUCKET).key("k").send().await;
        assert_eq!(head.unwrap().content_length(), Some(body.len() as i64));
        assert_eq!(scrub(&store).await.damaged, 1);
    }
    put(&client, "k", &body).await;
    assert_eq!(scrub(&store).await, clean(1, body.len()));
}

#[tokio::test]
async fn damage_is_not_copied() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "from", &noise(1, 100_000)).await;
    flip(&objects(&store)[0], 50_000);
    let copied = client.copy_object().bucket(BUCKET).key("to");
    let copied = copied.copy_source(format!("{BUCKET}/from")).send().await;
    assert_eq!(copied.unwrap_err().code_text(), "ObjectDamaged");
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_damaged_record_is_an_error() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "k", b"whole").await;
    let path = objects(&store).remove(0);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(read(&client, "k", None).await.unwrap_err(), "ObjectDamaged");
    assert_eq!(scrub(&store).await.damaged, 1);
}

#[tokio::test]
async fn what_is_damaged_can_be_replaced_and_removed() {
    let store = Running::start().await;
    let client = store.client();
    let listed = async || {
        let listed = client
            .list_objects_v2()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap();
        listed
            .contents()
            .iter()
            .map(|o| o.key().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for in_parts in [false, true] {
        let damaged = async || {
            if in_parts {
                let id = create(&client, "k").await;
                let part = upload(&client, "k", &id, 1, &noise(1, 1000)).await;
                complete!(client, "k", &id, &[part]).send().await.unwrap();
            } else {
                put(&client, "k", &noise(1, 1000)).await;
            }
            let path = objects(&store).remove(0);
            let length = std::fs::metadata(&path).unwrap().len() as usize;
            flip(&path, length - 40);
            assert_eq!(read(&client, "k", None).await.unwrap_err(), "ObjectDamaged");
        };
        damaged().await;
        // It is there still, for who asks whether something is.
        let guarded = client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .if_none_match("*");
        let refused = guarded.send().await.unwrap_err();
        assert_eq!(refused.code_text(), "ObjectDamaged");
        assert_eq!(listed().await, ["k"]);
        put(&client, "k", b"again").await;
        assert_eq!(get(&client, "k").await, b"again");
        damaged().await;
        let id = create(&client, "k").await;
        let part = upload(&client, "k", &id, 1, b"in parts").await;
        complete!(client, "k", &id, &[part]).send().await.unwrap();
        assert_eq!(get(&client, "k").await, b"in parts");
        damaged().await;
        let delete = client.delete_object().bucket(BUCKET).key("k");
        delete.send().await.unwrap();
        assert_eq!(listed().await, Vec::<String>::new());
        let found = scrub(&store).await;
        assert_eq!((found.damaged, found.failed), (0, 0));
        // Parts whose object could not say that they are its own are not removed by guessing.
        let left = if in_parts { 3 } else { 0 };
        assert_eq!(store.part_files().len(), left);
    }
}

#[tokio::test]
async fn a_file_in_the_place_of_another_is_not_served() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let mut parts = Vec::new();
    for number in 1..=2 {
        parts.push(upload(&client, "k", &id, number, &noise(number as u64, 1000)).await);
    }
    complete!(client, "k", &id, &parts).send().await.unwrap();
    let files = store.part_files();
    let first = std::fs::read(&files[0]).unwrap();
    std::fs::copy(&files[1], &files[0]).unwrap();
    std::fs::write(&files[1], first).unwrap();
    assert_eq!(read(&client, "k", None).await.unwrap_err(), "ObjectDamaged");
    put(&client, "a", b"one").await;
    put(&client, "b", b"two").await;
    let objects = objects(&store);
    let of = |name: &str| objects.iter().find(|path| path.ends_with(name)).unwrap();
    std::fs::copy(of("b="), of("a=")).unwrap();
    assert_eq!(read(&client, "a", None).await.unwrap_err(), "ObjectDamaged");
    assert_eq!(get(&client, "b").await, b"two");
    assert_eq!(scrub(&store).await.damaged, 2);
}

#[tokio::test]
async fn a_part_that_is_damaged_or_missing_is_an_error() {
    let store = Running::start().await;
    let client = store.client();
    let bodies = [noise(1, BLOCK + 9), noise(2, 2 * BLOCK), noise(3, 10)];
    let id = create(&client, "k").await;
    let mut parts = Vec::new();
    for (number, body) in (1..).zip(&bodies) {
        parts.push(upload(&client, "k", &id, number, body).await);
    }
    complete!(client, "k", &id, &parts).send().await.unwrap();
    let whole = bodies.concat();
    assert!(get(&client, "k").await == whole);
    assert_eq!(scrub(&store).await, clean(1, whole.len()));

    let second = store.part_files().remove(1);
    let kept = std::fs::read(&second).unwrap();
    flip(&second, BLOCK + 1);
    let (bytes, all) = read(&client, "k", None).await.unwrap();
    assert!(!all && whole.starts_with(&bytes) && bytes.len() <= 2 * BLOCK + 9);
    assert_eq!(scrub(&store).await.damaged, 1);
    std::fs::remove_file(&second).unwrap();
    let (bytes, all) = read(&client, "k", None).await.unwrap();
    assert!(!all && bodies[0].starts_with(&bytes));
    let third = format!("bytes={}-", whole.len() - 10);
    assert_eq!(
        read(&client, "k", Some(&third)).await,
        Ok((bodies[2].clone(), true))
    );
    let missing = format!("bytes={}-", BLOCK + 9);
    assert_eq!(
        read(&client, "k", Some(&missing)).await.unwrap_err(),
        "ObjectDamaged"
    );
    assert_eq!(scrub(&store).await.damaged, 1);
    std::fs::write(&second, kept).unwrap();
    assert!(get(&client, "k").await == whole);
}

#[tokio::test]
async fn a_part_of_an_open_upload_is_looked_at() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    upload(&client, "k", &id, 1, &noise(1, 100_000)).await;
    assert_eq!(scrub(&store).await, clean(1, 100_000));
    flip(&store.part_files()[0], 99_999);
    assert_eq!(scrub(&store).await.damaged, 1);
}

#[tokio::test]
async fn an_open_upload_whose_record_is_damaged_can_be_aborted() {
    let store = Running::start().await;
    let client = store.client();
    let id = create(&client, "k").await;
    let part = upload(&client, "k", &id, 1, &noise(1, 1000)).await;
    let other = create(&client, "l").await;
    let record = store.part_files()[0].with_file_name("upload");
    flip(&record, 5);
    let complete = complete!(client, "k", &id, &[part]).send().await;
    assert_eq!(complete.unwrap_err().code_text(), "ObjectDamaged");
    let listed = client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let ids: Vec<_> = listed
        .uploads()
        .iter()
        .filter_map(|u| u.upload_id())
        .collect();
    assert_eq!(ids, [other.as_str()]);
    let abort = |key: &str| {
        client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key(key)
            .upload_id(&id)
    };
    assert_eq!(
        abort("l").send().await.unwrap_err().code_text(),
        "ObjectDamaged"
    );
    abort("k").send().await.unwrap();
    assert_eq!(store.part_files(), Vec::<PathBuf>::new());
    // Not if it was completed, whatever a crash left in the listing of open ones.
    let done = create(&client, "m").await;
    let part = upload(&client, "m", &done, 1, &noise(2, 1000)).await;
    complete!(client, "m", &done, &[part]).send().await.unwrap();
    flip(&store.part_files()[0].with_file_name("upload"), 5);
    let entry = store
        .root()
        .join(format!("buckets/{BUCKET}/pending/m={done}"));
    std::fs::write(entry, b"").unwrap();
    let refused = client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("m")
        .upload_id(&done);
    assert_eq!(
        refused.send().await.unwrap_err().code_text(),
        "ObjectDamaged"
    );
    assert!(get(&client, "m").await == noise(2, 1000));
    assert_eq!(
        abort("k").send().await.unwrap_err().code_text(),
        "NoSuchUpload"
    );
}

#[tokio::test]
async fn what_has_no_sums_is_compared_with_its_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    let body = noise(1, 100_000);
    put(&client, "k", &body).await;
    let path = objects(&store).remove(0);
    drop(client);
    store.stop().await;
    // As the second format had it.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.drain(body.len()..body.len() + 2 * 4);
    let magic = bytes.len() - 1;
    bytes[magic] = b'1';
    std::fs::write(&path, &bytes).unwrap();
    std::fs::write(dir.path().join("format"), "safelight-diskstore 2\n").unwrap();
    let store = Running::open(settings(dir.path())).await;
    let client = store.client();
    assert!(get(&client, "k").await == body);
    assert_eq!(scrub(&store).await, clean(1, body.len()));
    flip(&path, 99_999);
    assert_eq!(scrub(&store).await.damaged, 1);
    let format = std::fs::read_to_string(dir.path().join("format")).unwrap();
    assert_eq!(format, "safelight-diskstore 3\n");
}

#[tokio::test]
async fn a_directory_can_be_moved() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("here"), dir.path().join("there/deep"));
    let store = Running::open(settings(&from)).await;
    let client = store.client();
    put(&client, "whole", &noise(1, 100_000)).await;
    let id = create(&client, "in/parts").await;
    let part = upload(&client, "in/parts", &id, 1, &noise(2, 100_000)).await;
    complete!(client, "in/parts", &id, &[part])
        .send()
        .await
        .unwrap();
    let open = create(&client, "open").await;
    upload(&client, "open", &open, 1, b"first").await;
    drop(client);
    store.stop().await;
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").args(["-r"]).args([&from, &to]).status();
    assert!(copied.unwrap().success());
    std::fs::remove_dir_all(&from).unwrap();
    let store = Running::open(settings(&to)).await;
    let client = store.client();
    assert!(get(&client, "whole").await == noise(1, 100_000));
    assert!(get(&client, "in/parts").await == noise(2, 100_000));
    let second = upload(&client, "open", &open, 2, b"second").await;
    let first = client
        .list_parts()
        .bucket(BUCKET)
        .key("open")
        .upload_id(&open);
    let first = first.send().await.unwrap().parts()[0]
        .e_tag()
        .unwrap()
        .to_owned();
    let first = aws_sdk_s3::types::CompletedPart::builder()
        .part_number(1)
        .e_tag(first)
        .build();
    complete!(client, "open", &open, &[first, second])
        .send()
        .await
        .unwrap();
    assert_eq!(get(&client, "open").await, b"firstsecond");
    assert_eq!(scrub(&store).await.damaged, 0);
}
