//! Whether a store is as it should be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::drive::{BUCKET, Client, Known};
use super::replay::read_tree;
use crate::disk::Disk;
use crate::keypath::pending_path;
use crate::listings::Bounds;
use crate::settings::Settings;
use crate::store::DiskStore;
use crate::upload::part_path;
use crate::walk::{Resume, Walk};

pub(super) fn settings(root: &Path) -> Settings {
    Settings {
        buckets: vec![BUCKET.to_owned()],
        ..Settings::new(root, "key", "secret")
    }
}

/// Opens what a crash left. It must be one of these states, and hold no file that no record needs.
pub(super) async fn recover(
    root: &Path,
    client: &Client,
    allowed: &[&Known],
) -> Result<(), String> {
    let store = DiskStore::open_on(Disk::default(), settings(root), Bounds::smallest())
        .map_err(|e| format!("it does not open: {e}"))?;
    let found = client
        .look(&store)
        .await
        .map_err(|e| format!("it cannot be read: {e}"))?;
    if !allowed.contains(&&found) {
        return Err(format!("it holds {found:?}\nbut may hold {allowed:?}"));
    }
    let mut pass = store.scrub_pass(0);
    loop {
        let step = pass.step(u64::MAX).await;
        if step.damaged + step.failed > 0 {
            return Err(format!("the scrub complains: {step:?}"));
        }
        if step.done {
            break;
        }
    }
    let again = client
        .look(&store)
        .await
        .map_err(|e| format!("it cannot be read: {e}"))?;
    if again != found {
        return Err(format!("the scrub changed it to {again:?}"));
    }
    let root = store.inner.root().to_owned();
    let strays: Vec<PathBuf> = files(&root)
        .difference(&needed(&store, &root))
        .cloned()
        .collect();
    if !strays.is_empty() {
        return Err(format!("nobody needs {strays:?}"));
    }
    Ok(())
}

fn files(root: &Path) -> BTreeSet<PathBuf> {
    let tree = read_tree(root);
    tree.into_iter()
        .filter(|(_, bytes)| bytes.is_some())
        .map(|(path, _)| path)
        .collect()
}

/// The files that something needs.
fn needed(store: &DiskStore, root: &Path) -> BTreeSet<PathBuf> {
    let inner = &store.inner;
    let mut needed: BTreeSet<PathBuf> = ["format", "lock", "scrub"]
        .map(|name| root.join(name))
        .into();
    for (bucket, _) in inner.buckets_after("") {
        needed.insert(inner.bucket_dir(&bucket).join("bucket"));
        let listings = inner.tree.listings();
        let objects = inner.objects_dir(&bucket);
        let mut walk = Walk::start(listings, &objects, "", Resume::Start).unwrap();
        while let Some(found) = walk.next(listings).unwrap() {
            let path = found.path();
            let object = crate::sealed::open::<crate::record::ObjectRecord>(&path)
                .unwrap()
                .unwrap();
            needed.insert(path);
            if let Some(manifest) = object.record.manifest {
                let dir = inner.upload_dir(&bucket, &manifest.upload_id);
                needed.extend(
                    manifest
                        .parts
                        .iter()
                        .map(|part| part_path(&dir, part.number)),
                );
                needed.insert(dir.join("upload"));
            }
        }
        let pending = inner.pending_dir(&bucket);
        let mut walk = Walk::start(listings, &pending, "", Resume::Start).unwrap();
        while let Some(found) = walk.next(listings).unwrap() {
            let path = found.path();
            let key = String::from_utf8(found.key).unwrap();
            let id = crate::pending::upload_id(&path).unwrap();
            let dir = inner.upload_dir(&bucket, id);
            // All parts of an upload that is open are needed; that there is no other was looked at.
            needed.extend(
                crate::upload::part_numbers(&dir)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|n| part_path(&dir, n)),
            );
            needed.insert(dir.join("upload"));
            needed.insert(pending_path(&pending, &key, id));
        }
    }
    needed
        .into_iter()
        .map(|path| path.strip_prefix(root).unwrap().to_owned())
        .collect()
}
