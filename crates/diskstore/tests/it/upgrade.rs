//! Directories of the first format.

use std::fs;

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

#[tokio::test]
async fn a_directory_of_the_first_format_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (noise(1, 100_000), noise(2, 50_000));
    let (open, done) = {
        let store = Running::open(settings(dir.path())).await;
        let client = store.client();
        put(&client, "whole", b"whole").await;
        let done = create(&client, "in/parts").await;
        let parts = [
            upload(&client, "in/parts", &done, 1, &one).await,
            upload(&client, "in/parts", &done, 2, &two).await,
        ];
        complete!(client, "in/parts", &done, &parts)
            .send()
            .await
            .unwrap();
        let open = create(&client, "in/open").await;
        upload(&client, "in/open", &open, 1, &two).await;
        drop(client);
        store.stop().await;
        (open, done)
    };
    // As it was laid out then.
    let bucket = dir.path().join("buckets").join(BUCKET);
    for id in [&open, &done] {
        let shard = bucket.join("uploads").join(&id[..2]);
        fs::create_dir_all(&shard).unwrap();
        fs::rename(
            bucket.join("uploads").join(&id[30..]).join(id),
            shard.join(id),
        )
        .unwrap();
    }
    fs::remove_dir_all(bucket.join("pending")).unwrap();
    // The second time as after a crash just before the end.
    for _ in 0..2 {
        fs::write(dir.path().join("format"), "safelight-diskstore 1\n").unwrap();
        let store = Running::open(settings(dir.path())).await;
        let client = store.client();
        assert_eq!(get(&client, "whole").await, b"whole");
        assert!(get(&client, "in/parts").await == [one.as_slice(), two.as_slice()].concat());
        let listed = client.list_multipart_uploads().bucket(BUCKET);
        let listed = listed.send().await.unwrap();
        let ids: Vec<_> = listed
            .uploads()
            .iter()
            .filter_map(|u| u.upload_id())
            .collect();
        assert_eq!(ids, [open.as_str()]);
        let parts = client.list_parts().bucket(BUCKET).key("in/open");
        let parts = parts.upload_id(&open).send().await.unwrap();
        assert_eq!(parts.parts().len(), 1);
        drop(client);
        store.stop().await;
    }
    let format = fs::read_to_string(dir.path().join("format")).unwrap();
    assert_eq!(format, "safelight-diskstore 3\n");
}
