//! Connections that break, servers that die, and several that want the same upload.

use safelight_testkit::wait;

use super::*;

on_both_databases!(
    an_upload_is_cut_at_many_places_and_loses_nothing,
    a_killed_gateway_goes_on_from_what_was_acknowledged,
    a_newer_request_ends_one_that_hangs,
    a_newer_request_ends_one_that_never_stops,
    requests_at_the_same_time_never_interleave,
);

async fn an_upload_is_cut_at_many_places_and_loses_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(7, 2 * PART_BYTES + 700_000);
    let length = file.len().to_string();
    let address = begin(&ann, &[("upload-length", length.as_str())]);
    let mut cuts = vec![1, 2, 65_535, 65_536, 65_537, 1_000_000];
    // More than the segments that are kept apart.
    cuts.extend((0..80).map(|i| 1_100_000 + i * 3_001));
    cuts.extend([
        PART_BYTES - 1,
        PART_BYTES,
        PART_BYTES + 1,
        2 * PART_BYTES + 5,
    ]);
    let mut offset = 0;
    for cut in cuts {
        let rest = (file.len() - offset).to_string();
        let mut wire = start_patch(&address, offset, LAST, &[("content-length", &rest)]);
        wire.send(&file[offset..cut]);
        wire.cut();
        acknowledged(&ann, &address, cut).await;
        assert_eq!(look(&address).offset(), cut);
        offset = cut;
    }
    let store = rig.store();
    assert!(!objects(&store, "x/").await.is_empty());
    let done = patch(&address, offset, LAST, &file[offset..], &[]);
    is_taken_in(&ann, &done, &file).await;

    // The temporary objects go, once nobody can be writing them any more.
    let catalog = rig.catalog().await;
    let live = "SELECT COUNT(*) FROM append_segments WHERE state <> 'doomed'";
    assert_eq!(number(&catalog, live).await, 0);
    change(
        &catalog,
        "UPDATE append_segments SET removable_at = 0",
        vec![],
    )
    .await;
    let gone = wait::until(PATIENCE, async || {
        number(&catalog, "SELECT COUNT(*) FROM append_segments").await == 0
    });
    gone.await.unwrap();
    assert!(objects(&store, "x/").await.is_empty());
    for table in ["appends", "append_parts"] {
        assert_eq!(
            number(&catalog, &format!("SELECT COUNT(*) FROM {table}")).await,
            0
        );
    }
}

async fn a_killed_gateway_goes_on_from_what_was_acknowledged(database: Database) {
    let mut rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(8, 2 * PART_BYTES + 1_000_000);
    let length = file.len().to_string();
    let address = begin(&ann, &[("upload-length", length.as_str())]);
    // A segment, by a cut; then a part, of which the rest is lost with the server.
    let first = patch(&address, 0, MORE, &file[..300_000], &[]).expect(204);
    assert_eq!(first.offset(), 300_000);
    let rest = (file.len() - 300_000).to_string();
    let mut wire = start_patch(&address, 300_000, LAST, &[("content-length", &rest)]);
    wire.send(&file[300_000..PART_BYTES + 500_000]);
    // The client is told what it need not keep.
    let told = wire.next(false).unwrap().expect(104);
    assert_eq!(told.offset(), PART_BYTES);
    assert!(!told.has("location"));
    rig.server.kill().await.unwrap();
    drop(wire);
    rig.server.restart().await.unwrap();
    let stands = look(&address).expect(204);
    assert_eq!(stands.offset(), PART_BYTES);
    // Once more, in the midst of a segment.
    let cut = PART_BYTES + 400_000;
    let more = patch(&address, PART_BYTES, MORE, &file[PART_BYTES..cut], &[]).expect(204);
    assert_eq!(more.offset(), cut);
    rig.server.kill().await.unwrap();
    rig.server.restart().await.unwrap();
    assert_eq!(look(&address).offset(), cut);
    let done = patch(&address, cut, LAST, &file[cut..], &[]);
    is_taken_in(&ann, &done, &file).await;
    // A completion that nobody was told of.
    assert_eq!(look(&address).header("upload-complete"), "?1");
}

async fn a_newer_request_ends_one_that_hangs(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(9, 1_000_000);
    let length = file.len().to_string();
    let address = begin(&ann, &[("upload-length", length.as_str())]);
    let mut hangs = start_patch(&address, 0, LAST, &[("content-length", &length), ASK]);
    // It reads the body: it has taken the upload.
    hangs.next(false).unwrap().expect(100);
    hangs.send(&file[..400_000]);
    let offset = look(&address).expect(204).offset();
    let (_, ended) = hangs.answer();
    assert_eq!((ended.status, ended.offset()), (503, offset), "{ended:?}");
    // Nothing that it still sends counts.
    hangs.send(&file[400_000..]);
    assert_eq!(look(&address).offset(), offset);
    let done = patch(&address, offset, LAST, &file[offset..], &[]);
    is_taken_in(&ann, &done, &file).await;
}

/// Its bytes come without a pause, as over a thin link; and what had come counts.
async fn a_newer_request_ends_one_that_never_stops(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = large_photo(10, 6_000_000);
    let length = file.len().to_string();
    let address = begin(&ann, &[("upload-length", length.as_str())]);
    let mut talks = start_patch(&address, 0, LAST, &[("content-length", &length), ASK]);
    talks.next(false).unwrap().expect(100);
    talks.send(&file[..200_000]);
    let rest = file[200_000..].to_vec();
    let talking = std::thread::spawn(move || {
        let mut sent = 200_000;
        for packet in rest.chunks(1_400) {
            if !talks.send(packet) {
                break;
            }
            sent += packet.len();
            // The pace of the link; nothing is waited for.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        sent
    });
    let offset = look(&address).expect(204).offset();
    assert!(offset >= 200_000, "{offset}");
    assert!(
        talking.join().unwrap() < file.len(),
        "it was let talk to its end"
    );
    assert_eq!(look(&address).offset(), offset);
    let done = patch(&address, offset, LAST, &file[offset..], &[]);
    is_taken_in(&ann, &done, &file).await;
}

async fn requests_at_the_same_time_never_interleave(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let address = begin(&ann, &[]);
    let racers: Vec<_> = (b'a'..=b'h')
        .map(|letter| {
            let address = address.clone();
            std::thread::spawn(move || patch(&address, 0, MORE, &[letter; 300_000], &[]).status)
        })
        .collect();
    let ends: Vec<u16> = racers.into_iter().map(|r| r.join().unwrap()).collect();
    assert!(ends.iter().all(|s| [204, 409, 503].contains(s)), "{ends:?}");
    let offset = look(&address).offset();
    assert!(offset > 0, "{ends:?}");
    let done = patch(&address, offset, LAST, b"!", &[]).expect(200);
    let asset = ann.settled(text(&done.json()["asset_id"])).await;
    let all = ann.original(text(&asset["asset_id"])).await;
    assert_eq!(all.len(), offset + 1);
    assert!(
        all[..offset].iter().all(|b| *b == all[0]),
        "bytes of two requests"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn over_its_budget_the_gateway_refuses_and_does_not_grow() {
    let rig = Rig::start(Database::Sqlite, &["--gateway-scratch-bytes", "1048576"]).await;
    let ann = rig.owner("ann");
    let file = large_photo(16, 1_000_000);
    let length = file.len().to_string();
    let first = begin(&ann, &[("upload-length", &length)]);
    let second = begin(&ann, &[("upload-length", &length)]);
    let whole = [("content-length", length.as_str()), ASK];
    let mut holds = start_patch(&first, 0, LAST, &whole);
    holds.next(false).unwrap().expect(100);
    // It takes 14 of 16 units as its bytes come.
    let (sent, rest) = file.split_at(900_000);
    holds.send(sent);
    // Once they have, one of the same owner's who waits to be asked is not asked.
    while start_patch(&second, 0, LAST, &whole)
        .next(false)
        .unwrap()
        .status
        == 100
    {}
    let refused = patch(&second, 0, LAST, &file, &[]).expect(503);
    assert!(refused.has("retry-after"));
    assert_eq!(refused.json()["code"], "overloaded");
    // Beginning an upload takes no room. Of another owner's as much is kept as there is room for.
    let bob = rig.owner("bob");
    let third = begin(&bob, &[("upload-length", &length)]);
    let mut kept = 0;
    // (Those that were asked and went away are noticed soon.)
    while kept == 0 {
        let refused = patch(&third, 0, LAST, &file, &[]).expect(503);
        assert_eq!(refused.json()["code"], "overloaded");
        kept = look(&third).offset();
    }
    assert!(kept <= 2 * 65_536, "{kept}");
    holds.send(rest);
    let (_, done) = holds.answer();
    is_taken_in(&ann, &done, &file).await;
    patch(&second, 0, LAST, &file, &[]).expect(200);
    let done = patch(&third, kept, LAST, &file[kept..], &[]).expect(200);
    is_taken_in(&bob, &done, &file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_falls_silent_is_let_go_with_a_5xx() {
    let rig = Rig::start(Database::Sqlite, &["--gateway-idle-seconds", "1"]).await;
    let ann = rig.owner("ann");
    let address = begin(&ann, &[("upload-length", "100")]);
    let mut silent = start_patch(&address, 0, LAST, &[("content-length", "100")]);
    silent.send(&[7; 40]);
    let (_, ended) = silent.answer();
    assert_eq!((ended.status, ended.offset()), (503, 40));
    // And one whose server stops.
    let mut rig = rig;
    let mut running = start_patch(&address, 40, LAST, &[("content-length", "60"), ASK]);
    running.next(false).unwrap().expect(100);
    running.send(&[7; 20]);
    rig.server.terminate().await.unwrap();
    let (_, ended) = running.answer();
    assert_eq!(ended.status, 503);
    let offset = ended.offset();
    rig.server.restart().await.unwrap();
    assert_eq!(look(&address).offset(), offset);
}
