//! Many at once.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_sixteen_creators_wins() {
    let store = Running::start().await;
    for round in 0..8 {
        let key = format!("race/{round}");
        let barrier = Arc::new(Barrier::new(16));
        let mut racers = JoinSet::new();
        for racer in 0..16_u8 {
            let (client, key, barrier) = (store.client(), key.clone(), Arc::clone(&barrier));
            racers.spawn(async move {
                barrier.wait().await;
                let result = client
                    .put_object()
                    .bucket(BUCKET)
                    .key(key)
                    .if_none_match("*")
                    .body(vec![racer; 10_000].into())
                    .send()
                    .await;
                match result {
                    Ok(_) => Some(racer),
                    Err(error) => {
                        assert_eq!(error.code_text(), "PreconditionFailed");
                        None
                    }
                }
            });
        }
        let winners: Vec<u8> = racers.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(get(&store.client(), &key).await, vec![winners[0]; 10_000]);
    }
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_by_etag_are_not_lost() {
    let store = Running::start().await;
    let client = store.client();
    put(&client, "counter", b"0").await;
    let mut adders = JoinSet::new();
    for _ in 0..6 {
        let client = store.client();
        adders.spawn(async move {
            for _ in 0..5 {
                loop {
                    let got = client
                        .get_object()
                        .bucket(BUCKET)
                        .key("counter")
                        .send()
                        .await
                        .unwrap();
                    let etag = got.e_tag().unwrap().to_owned();
                    let text = got.body.collect().await.unwrap().to_vec();
                    let value: u32 = String::from_utf8(text).unwrap().parse().unwrap();
                    let set = client
                        .put_object()
                        .bucket(BUCKET)
                        .key("counter")
                        .if_match(etag)
                        .body((value + 1).to_string().into_bytes().into())
                        .send()
                        .await;
                    if set.is_ok() {
                        break;
                    }
                }
            }
        });
    }
    adders.join_all().await;
    assert_eq!(get(&client, "counter").await, b"30");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_completes_of_one_upload_agree() {
    let store = Running::start().await;
    let client = store.client();
    for _ in 0..5 {
        let id = create(&client, "k").await;
        let parts = vec![
            upload(&client, "k", &id, 1, &noise(1, 50_000)).await,
            upload(&client, "k", &id, 2, &noise(2, 50_000)).await,
        ];
        let barrier = Arc::new(Barrier::new(8));
        let mut racers = JoinSet::new();
        for _ in 0..8 {
            let (client, id, parts, barrier) = (
                store.client(),
                id.clone(),
                parts.clone(),
                Arc::clone(&barrier),
            );
            racers.spawn(async move {
                barrier.wait().await;
                let done = complete!(client, "k", &id, &parts).send().await.unwrap();
                done.e_tag.unwrap()
            });
        }
        let mut etags = racers.join_all().await;
        etags.dedup();
        assert_eq!(etags.len(), 1);
        assert!(get(&client, "k").await == [noise(1, 50_000), noise(2, 50_000)].concat());
        assert_eq!(store.part_files().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_uploads_to_one_key_one_object_remains() {
    let store = Running::start().await;
    for round in 0..5 {
        let key = format!("k{round}");
        let mut racers = JoinSet::new();
        for racer in 0..4 {
            let (client, key) = (store.client(), key.clone());
            racers.spawn(async move {
                let id = create(&client, &key).await;
                let body = noise(racer, 30_000);
                let parts = [upload(&client, &key, &id, 1, &body).await];
                complete!(client, &key, &id, &parts).send().await.unwrap();
            });
        }
        racers.join_all().await;
        let body = get(&store.client(), &key).await;
        assert!((0..4).any(|racer| body == noise(racer, 30_000)));
        assert_eq!(store.part_files().len(), round + 1);
    }
    assert_eq!(store.leftovers(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_deleters_of_neighbours_do_not_disturb_each_other() {
    let store = Running::start().await;
    let mut workers = JoinSet::new();
    for worker in 0..6 {
        let client = store.client();
        workers.spawn(async move {
            let key = format!("o/day/{worker}");
            for round in 0..15 {
                put(&client, &key, &[round; 100]).await;
                assert_eq!(get(&client, &key).await, [round; 100]);
                client
                    .delete_object()
                    .bucket(BUCKET)
                    .key(&key)
                    .send()
                    .await
                    .unwrap();
            }
        });
    }
    workers.join_all().await;
}
