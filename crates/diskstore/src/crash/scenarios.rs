//! What stores do while the power fails.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;

use super::check::{recover, settings};
use super::drive::{Act, Client, Known};
use super::replay::{Disk as Replayed, Tree, read_tree, write_tree};
use crate::disk::Disk;
use crate::disk::tape::{Step, Tape};
use crate::listings::Bounds;
use crate::store::DiskStore;

/// Where states are made: in memory, where there is such a place.
pub(super) fn workshop() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match tempfile::tempdir_in(memory) {
        Ok(dir) => dir,
        Err(_) => tempfile::tempdir().unwrap(),
    }
}

pub(super) fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n as u8).wrapping_mul(seed).wrapping_add(seed))
        .collect()
}

/// An act, and the steps of the tape between its beginning and its end.
struct Done {
    from: usize,
    to: usize,
    before: Known,
    after: Known,
    client: Client,
}

/// Does all of it on a disk that takes notes.
async fn record(root: &Path, acts: &[Act]) -> (Vec<Step>, Vec<Done>) {
    let tape = Arc::new(Tape::default());
    let store =
        DiskStore::open_on(Disk::recorded(&tape), settings(root), Bounds::smallest()).unwrap();
    let mut client = Client::default();
    let mut known = client.look(&store).await.unwrap();
    let opened = Done {
        from: 0,
        to: tape.len(),
        before: Known::default(),
        after: known.clone(),
        client: client.clone(),
    };
    let mut done = vec![opened];
    for act in acts {
        let from = tape.len();
        let after = client.act(&store, act, &known).await.unwrap();
        let before = std::mem::replace(&mut known, after.clone());
        done.push(Done {
            from,
            to: tape.len(),
            before,
            after,
            client: client.clone(),
        });
    }
    (tape.steps(), done)
}

/// Cuts the power after each step, in every way, and looks at what the store makes of it. Tells how many states there
/// were, or what is wrong with one of them. Steps that the disk does not heed it only claims to have done.
async fn crash_everywhere(acts: &[Act], heeds: fn(&Step) -> bool) -> Result<usize, String> {
    let dir = workshop();
    let root = dir.path().join("store");
    let (steps, done) = record(&root, acts).await;
    let mut disk = Replayed::holding(&Tree::from([("store".into(), None)]));
    let (hasher, mut seen) = (RandomState::new(), HashSet::new());
    for at in 0..=steps.len() {
        let happening: Vec<&Done> = done
            .iter()
            .filter(|act| act.from <= at && at <= act.to)
            .collect();
        let mut allowed: Vec<&Known> = Vec::new();
        for act in &happening {
            allowed.extend((at < act.to && act.from > 0).then_some(&act.before));
            allowed.extend((at > act.from || at == act.to || act.from == 0).then_some(&act.after));
        }
        for tree in disk.crashes(at as u64) {
            let moment: Vec<_> = happening.iter().map(|act| act.to).collect();
            if !seen.insert(hasher.hash_one((&tree, moment))) {
                continue;
            }
            let left = workshop();
            write_tree(&tree, left.path());
            let client = &happening.last().unwrap().client;
            if let Err(wrong) = recover(&left.path().join("store"), client, &allowed).await {
                let last: Vec<String> =
                    steps[at.saturating_sub(12)..at].iter().map(brief).collect();
                let paths: Vec<_> = tree.keys().collect();
                return Err(format!(
                    "after {at} steps: {wrong}\nof {paths:#?}\nthe last steps were {last:#?}"
                ));
            }
        }
        if let Some(step) = steps.get(at)
            && heeds(step)
            && *step != Step::MakeDir(root.clone())
            && *step != Step::SyncDir(dir.path().to_owned())
        {
            disk.take(step, dir.path());
        }
    }
    Ok(seen.len())
}

/// A disk that keeps its word.
fn honest(_: &Step) -> bool {
    true
}

fn brief(step: &Step) -> String {
    match step {
        Step::Write { id, at, bytes } => format!("Write {{ {id}, {at}, {} bytes }}", bytes.len()),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn objects_come_change_and_go() {
    let acts = [
        Act::Put("a", bytes(3, 100)),
        Act::Put("deep/down/b", bytes(5, 300_000)),
        Act::Put("a", bytes(7, 70_000)),
        Act::Tag("a", "one"),
        Act::Tag("a", "two"),
        Act::Copy("a", "copy"),
        Act::Put("a", bytes(9, 10)),
        Act::Delete("deep/down/b"),
        Act::Put("deep/down/b", Vec::new()),
        Act::Tag("deep/down/b", "three"),
        Act::Delete("a"),
        Act::Delete("copy"),
    ];
    let states = crash_everywhere(&acts, honest).await.unwrap();
    assert!(states > 300, "{states}");
}

#[tokio::test]
async fn uploads_are_completed_aborted_and_overwritten() {
    let acts = [
        Act::Create("u"),
        Act::Part(0, 1, bytes(3, 100_000)),
        Act::Part(0, 2, bytes(5, 10)),
        Act::Part(0, 1, bytes(7, 66_000)),
        Act::Part(0, 3, bytes(9, 20)),
        Act::Complete(0, &[1, 3]),
        Act::Complete(0, &[1, 3]),
        Act::Create("u"),
        Act::Part(1, 1, bytes(11, 30)),
        Act::Tag("u", "one"),
        Act::Complete(1, &[1]),
        Act::Create("deep/v"),
        Act::Part(2, 4, bytes(13, 40)),
        Act::Abort(2),
        Act::Copy("u", "w"),
        Act::Delete("u"),
        Act::Delete("w"),
    ];
    let states = crash_everywhere(&acts, honest).await.unwrap();
    assert!(states > 300, "{states}");
}

#[tokio::test]
async fn buckets_come_and_go() {
    let acts = [
        Act::MakeBucket("one"),
        Act::Put("a", bytes(3, 10)),
        Act::RemoveBucket("one"),
        Act::MakeBucket("one"),
        Act::Delete("a"),
    ];
    let states = crash_everywhere(&acts, honest).await.unwrap();
    assert!(states > 100, "{states}");
}

/// Acts that make sense one after another, chosen at random.
fn some_acts(mut random: u64, count: usize) -> Vec<Act> {
    let mut draw = move |below: usize| {
        // xorshift64 (G. Marsaglia, "Xorshift RNGs", 2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 20) as usize % below
    };
    let keys = ["a", "a/b", "c/d/e"];
    let (mut there, mut open, mut begun) = (BTreeSet::new(), BTreeMap::new(), 0);
    let mut acts = Vec::new();
    while acts.len() < count {
        let key = keys[draw(keys.len())];
        let upload = open.keys().nth(draw(open.len() + 1)).copied();
        let body = bytes(draw(200) as u8 | 1, [0, 40, 70_000][draw(3)]);
        match (draw(8), upload) {
            (0 | 1, _) => {
                there.insert(key);
                acts.push(Act::Put(key, body));
            }
            (2, _) if there.remove(key) => acts.push(Act::Delete(key)),
            (3, _) if there.contains(key) => acts.push(Act::Tag(key, ["one", "two"][draw(2)])),
            (4, _) if there.contains(key) => {
                let to = keys[draw(keys.len())];
                if to != key {
                    there.insert(to);
                    acts.push(Act::Copy(key, to));
                }
            }
            (5, None) => {
                open.insert(begun, (key, false));
                begun += 1;
                acts.push(Act::Create(key));
            }
            (5 | 6, Some(upload)) => {
                open.insert(upload, (open[&upload].0, true));
                acts.push(Act::Part(upload, 1, body));
            }
            (7, Some(upload)) => match open.remove(&upload) {
                Some((key, true)) if draw(4) > 0 => {
                    there.insert(key);
                    acts.push(Act::Complete(upload, &[1]));
                }
                _ => acts.push(Act::Abort(upload)),
            },
            _ => {}
        }
    }
    acts
}

#[tokio::test]
async fn anything_in_any_order() {
    for seed in [0x5afe, 0x11947, 0xd15c] {
        let acts = some_acts(seed, 24);
        if let Err(wrong) = crash_everywhere(&acts, honest).await {
            panic!("{wrong}\nof {acts:?}");
        }
    }
}

#[tokio::test]
async fn a_disk_that_does_not_sync_is_found_out() {
    let acts = [
        Act::Put("a", bytes(3, 100)),
        Act::Tag("a", "one"),
        Act::Create("u"),
        Act::Part(0, 1, bytes(5, 10)),
        Act::Complete(0, &[1]),
        Act::Delete("a"),
    ];
    let lazy: [fn(&Step) -> bool; 3] = [
        |step| !matches!(step, Step::SyncFile { .. }),
        |step| !matches!(step, Step::SyncDir(path) if path.ends_with("objects")),
        |step| !matches!(step, Step::SyncDir(path) if path.ends_with("tmp")),
    ];
    for heeds in lazy {
        assert!(crash_everywhere(&acts, heeds).await.is_err());
    }
    crash_everywhere(&acts, honest).await.unwrap();
}

#[tokio::test]
async fn the_power_fails_again_while_the_store_recovers() {
    let acts = [
        Act::Put("a", bytes(3, 100)),
        Act::Tag("a", "one"),
        Act::Create("u"),
        Act::Part(0, 1, bytes(5, 10)),
        Act::Complete(0, &[1]),
        Act::Put("u", bytes(7, 10)),
        Act::Delete("a"),
    ];
    let dir = workshop();
    let root = dir.path().join("store");
    let (steps, done) = record(&root, &acts).await;
    let mut disk = Replayed::holding(&Tree::from([("store".into(), None)]));
    let mut count = 0;
    for (at, step) in steps
        .iter()
        .enumerate()
        .skip_while(|(_, step)| matches!(step, Step::MakeDir(path) if *path == root))
    {
        disk.take(step, dir.path());
        let at = at + 1;
        let Some(act) = done[1..].iter().find(|act| act.from < at && at < act.to) else {
            continue;
        };
        // All, and nothing, of what was not synced.
        let trees = disk.crashes(at as u64);
        for tree in [trees.first().unwrap(), trees.last().unwrap()] {
            let first = workshop();
            write_tree(tree, first.path());
            let before = read_tree(first.path());
            let tape = Arc::new(Tape::default());
            drop(
                DiskStore::open_on(
                    Disk::recorded(&tape),
                    settings(&first.path().join("store")),
                    Bounds::smallest(),
                )
                .unwrap(),
            );
            let mut recovering = Replayed::holding(&before);
            for step in tape.steps() {
                recovering.take(&step, first.path());
                for tree in recovering.crashes(at as u64) {
                    count += 1;
                    let second = workshop();
                    write_tree(&tree, second.path());
                    let allowed = [&act.before, &act.after];
                    if let Err(wrong) =
                        recover(&second.path().join("store"), &act.client, &allowed).await
                    {
                        panic!("after step {at} and {}: {wrong}", brief(&step));
                    }
                }
            }
        }
    }
    assert!(count > 100, "{count}");
}
