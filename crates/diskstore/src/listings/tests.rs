use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rustix::io::Errno;

use super::*;
use crate::disk::tape::{Fault, Tape};

/// A store's root, with a few directories of names.
struct Workplace {
    root: tempfile::TempDir,
}

impl Workplace {
    fn make() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["tmp", "x", "y", "z"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        Self { root }
    }

    fn dir(&self, at: usize) -> PathBuf {
        self.root.path().join(["x", "y", "z"][at % 3])
    }

    fn listings(&self, bounds: Bounds) -> Listings {
        self.on(&Disk::default(), bounds)
    }

    fn on(&self, disk: &Disk, bounds: Bounds) -> Listings {
        Listings::none(disk, self.root.path().join("tmp"), bounds)
    }

    /// One that a merge is making at this moment has its name for that moment.
    fn has_scratch_names(&self) -> bool {
        let has = || fs::read_dir(self.root.path().join("tmp")).unwrap().count() > 0;
        let mut looks = 0;
        while has() && looks < 10_000 {
            looks += 1;
            std::thread::yield_now();
        }
        has()
    }
}

fn put(listings: &Listings, dir: &Path, name: &str) {
    fs::write(dir.join(name), b"").unwrap();
    listings.touched(dir, OsStr::new(name));
}

fn take(listings: &Listings, dir: &Path, name: &str) {
    let _ = fs::remove_file(dir.join(name));
    listings.touched(dir, OsStr::new(name));
}

/// All that a walk would get, from a place on.
fn all(listings: &Listings, dir: &Path, from: Place) -> Option<Vec<Name>> {
    let (mut names, mut place) = (Vec::new(), from);
    loop {
        let batch = listings.read(dir, &place).unwrap()?;
        names.extend(batch.entries.iter().map(|entry| entry.name.clone()));
        if batch.is_last {
            return Some(names);
        }
        place = Place::After(names.last().unwrap().clone());
    }
}

/// What is really there.
fn truth(dir: &Path) -> Vec<Name> {
    let names = fs::read_dir(dir).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<Name> = names.filter_map(|name| decode_name(&name)).collect();
    names.into_iter().collect()
}

fn file_names(names: &[Name]) -> Vec<String> {
    names.iter().map(Name::file_name).collect()
}

/// As tests need it to be seen that runs are merged aside.
fn aside() -> Bounds {
    Bounds {
        merged_at_once: 0,
        ..Bounds::smallest()
    }
}

/// Without a place for scratch files.
fn nowhere() -> Bounds {
    Bounds {
        files: 0,
        ..Bounds::smallest()
    }
}

fn file_name() -> impl Strategy<Value = String> {
    let id = "0123456789abcdef0123456789abcdef";
    prop_oneof![
        "[ab]{1,3}=",
        "[ab]{1,2}",
        "%(41|2f|ff)[ab]?=",
        Just("%".to_owned()),
        Just("=".to_owned()),
        Just(format!("{}+", "a".repeat(64))),
        Just(format!("b={id}")),
        Just(format!("b=1{}", &id[1..])),
        Just("foreign=name".to_owned()),
        Just(".hidden".to_owned()),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, String),
    Take(usize, String),
    /// From after a name on, which need not be there.
    List(usize, Option<String>),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let dir = || 0_usize..3;
    prop_oneof![
        6 => (dir(), file_name()).prop_map(|(dir, name)| Step::Put(dir, name)),
        3 => (dir(), file_name()).prop_map(|(dir, name)| Step::Take(dir, name)),
        3 => (dir(), prop::option::of(file_name())).prop_map(|(dir, name)| Step::List(dir, name)),
        1 => dir().prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_listed_is_what_is_there(
        steps in prop::collection::vec(step(), 1..120),
        bounds in prop_oneof![
            2 => Just(Bounds::smallest()),
            1 => Just(aside()),
            1 => Just(nowhere()),
            1 => Just(Bounds::default()),
        ],
    ) {
        let place = Workplace::make();
        let listings = place.listings(bounds.clone());
        for step in steps {
            match step {
                Step::Put(at, name) => put(&listings, &place.dir(at), &name),
                Step::Take(at, name) => take(&listings, &place.dir(at), &name),
                Step::Forget(at) => listings.forget(&place.dir(at)),
                Step::List(at, after) => {
                    let dir = place.dir(at);
                    let after = after.as_deref().and_then(decode_name);
                    let from = after.clone().map_or_else(Place::start, Place::After);
                    let mut expected = truth(&dir);
                    expected.retain(|name| after.as_ref().is_none_or(|after| after < name));
                    prop_assert_eq!(all(&listings, &dir, from), Some(expected));
                }
            }
            prop_assert!(listings.shared.scratch.files() <= bounds.files);
            prop_assert!(!place.has_scratch_names(), "a scratch file has no name");
        }
    }

    #[test]
    fn changes_while_a_directory_is_read_are_not_lost(
        before in prop::collection::btree_set("[a-d]{1,2}=", 0..12),
        read in prop::collection::vec(("[a-d]{1,2}=", any::<bool>()), 0..5),
        late in prop::collection::vec(("[a-d]{1,2}=", any::<bool>()), 0..5),
        is_small in any::<bool>(),
    ) {
        let place = Workplace::make();
        let bounds = if is_small { Bounds::smallest() } else { Bounds::default() };
        let bounds = Bounds { noted_changes: 20, ..bounds };
        let listings = place.listings(bounds);
        let dir = place.dir(0);
        for name in &before {
            fs::write(dir.join(name), b"").unwrap();
        }
        let shared = &listings.shared;
        let (kept, is_ours) = shared.find_or_begin(&dir);
        prop_assert!(is_ours);
        let ours = Ours { listings: &listings, dir: &dir, kept: &kept };
        let change = |(name, is_put): &(String, bool)| if *is_put {
            put(&listings, &dir, name);
        } else {
            take(&listings, &dir, name);
        };
        // Some of them are read, as if the reading had come late to their names, others not.
        read.iter().for_each(change);
        let workshop = Workshop {
            dir: &dir,
            scratch: &shared.scratch,
            bounds: &shared.bounds,
            turns: &shared.turns,
            make_room: &|_, _| {},
        };
        let Built::Order(order) = workshop.build().unwrap() else {
            panic!("it is not ordered");
        };
        late.iter().for_each(change);
        ours.keep(order, |_| ()).unwrap();
        prop_assert!(matches!(&*kept.lock(), State::Kept(_)));
        prop_assert_eq!(all(&listings, &dir, Place::start()), Some(truth(&dir)));
    }
}

#[test]
fn an_order_is_not_kept_if_more_changed_than_was_noted() {
    let place = Workplace::make();
    let listings = place.listings(Bounds::smallest());
    let dir = place.dir(0);
    let (kept, _) = listings.shared.find_or_begin(&dir);
    let ours = Ours {
        listings: &listings,
        dir: &dir,
        kept: &kept,
    };
    for n in 0..9 {
        put(&listings, &dir, &format!("{n}="));
    }
    ours.keep(Order::default(), |_| ()).unwrap();
    assert!(listings.shared.find(&dir).is_none());
    assert_eq!(all(&listings, &dir, Place::start()), Some(truth(&dir)));
}

#[test]
fn a_directory_that_went_while_it_was_read_is_not_kept() {
    let place = Workplace::make();
    let listings = place.listings(Bounds::smallest());
    let dir = place.dir(0);
    let (kept, _) = listings.shared.find_or_begin(&dir);
    let ours = Ours {
        listings: &listings,
        dir: &dir,
        kept: &kept,
    };
    let names = ["gone="].map(|name| decode_name(name).unwrap());
    listings.forget_below(place.root.path());
    ours.keep(Order::of_names(names.into_iter()), |_| ())
        .unwrap();
    assert_eq!(all(&listings, &dir, Place::start()), Some(vec![]));
    fs::remove_dir(&dir).unwrap();
    listings.forget(&dir);
    assert_eq!(all(&listings, &dir, Place::start()), None);
    assert!(listings.shared.lock().is_empty() || listings.shared.find(&dir).is_none());
}

#[test]
fn what_is_known_of_an_object_goes_when_it_is_replaced() {
    let place = Workplace::make();
    let listings = place.listings(Bounds::default());
    let dir = place.dir(0);
    put(&listings, &dir, "a=");
    let entry = || {
        let batch = listings.read(&dir, &Place::start()).unwrap().unwrap();
        Arc::clone(&batch.entries[0])
    };
    let first = entry();
    assert!(Arc::ptr_eq(&first, &entry()));
    put(&listings, &dir, "a=");
    assert!(!Arc::ptr_eq(&first, &entry()));
}

#[test]
fn many_names_are_ordered_with_little_memory() {
    let place = Workplace::make();
    let listings = place.listings(Bounds {
        block_bytes: 200,
        arena_bytes: 2000,
        ..Bounds::smallest()
    });
    let dir = place.dir(0);
    for n in 0..3000 {
        fs::write(dir.join(format!("{}=", n * 7919 % 3000)), b"").unwrap();
    }
    assert_eq!(all(&listings, &dir, Place::start()), Some(truth(&dir)));
    let kept = listings.shared.find(&dir).unwrap();
    let size = kept.size();
    assert_eq!((size.files, listings.shared.scratch.files()), (1, 1));
    assert_eq!(size.scratch_bytes, listings.shared.scratch.bytes());
    // Of each block of some 20 names there is one in memory.
    assert!(size.memory_bytes < 3000 * 20, "{}", size.memory_bytes);
    let wanted = decode_name("1500=").unwrap();
    let batch = listings.read(&dir, &Place::After(wanted)).unwrap().unwrap();
    let names: Vec<Name> = batch
        .entries
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    assert_eq!(file_names(&names), ["1501=", "1502="]);
    drop(kept);
    listings.forget(&dir);
    let shared = &listings.shared;
    assert_eq!((shared.scratch.files(), shared.scratch.bytes()), (0, 0));
    assert_eq!(shared.memory_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn no_more_is_kept_than_there_is_room_for_and_the_least_listed_goes() {
    let place = Workplace::make();
    let bounds = Bounds {
        memory_bytes: 20_000,
        files: 8,
        ..Bounds::smallest()
    };
    let listings = place.listings(bounds.clone());
    let dirs: Vec<PathBuf> = (0..60).map(|n| place.dir(0).join(n.to_string())).collect();
    for (at, dir) in dirs.iter().enumerate() {
        fs::create_dir(dir).unwrap();
        for n in 0..if at % 10 == 0 { 200 } else { 3 } {
            fs::write(dir.join(format!("{n}=")), b"").unwrap();
        }
        assert_eq!(all(&listings, dir, Place::start()), Some(truth(dir)));
        let shared = &listings.shared;
        assert!(shared.find(dir).is_some(), "{at}");
        assert!(shared.memory_bytes.load(Ordering::Relaxed) <= bounds.memory_bytes);
        assert!(shared.scratch.files() <= bounds.files);
        let sum: usize = shared
            .lock()
            .values()
            .map(|kept| kept.size().memory_bytes)
            .sum();
        assert_eq!(sum, shared.memory_bytes.load(Ordering::Relaxed));
        // The first is listed again and again, so it stays.
        all(&listings, &dirs[0], Place::start());
        assert!(shared.find(&dirs[0]).is_some());
    }
    assert!(listings.shared.find(&dirs[1]).is_none());
    for dir in &dirs {
        assert_eq!(all(&listings, dir, Place::start()), Some(truth(dir)));
    }
}

#[test]
fn a_disk_without_room_costs_time_only() {
    for only_growth in [true, false] {
        let place = Workplace::make();
        let tape = Arc::new(Tape::default());
        let listings = place.on(&Disk::recorded(&tape), Bounds::smallest());
        let dir = place.dir(0);
        for n in 0..100 {
            fs::write(dir.join(format!("{n}=")), b"").unwrap();
        }
        // Each step of the way fails once.
        for from in 0..40 {
            listings.forget(&dir);
            listings.shared.scratch.try_again();
            tape.fail(Some(Fault {
                from,
                to: usize::MAX,
                errno: Errno::NOSPC,
                only_growth,
            }));
            assert_eq!(all(&listings, &dir, Place::start()), Some(truth(&dir)));
        }
        tape.fail(None);
        listings.shared.scratch.try_again();
        assert_eq!(all(&listings, &dir, Place::start()), Some(truth(&dir)));
        assert!(listings.shared.find(&dir).is_some());
        // And when what changed cannot be written.
        tape.fail(Some(Fault {
            from: 0,
            to: usize::MAX,
            errno: Errno::NOSPC,
            only_growth,
        }));
        for n in 100..120 {
            put(&listings, &dir, &format!("{n}="));
            assert_eq!(all(&listings, &dir, Place::start()), Some(truth(&dir)));
        }
    }
}

#[test]
fn whether_a_directory_holds_a_key_is_not_guessed() {
    let place = Workplace::make();
    let listings = place.listings(Bounds::smallest());
    let holds = |at| listings.surely_holds_a_key(&place.dir(at)).unwrap();
    assert!(!holds(0));
    fs::create_dir_all(place.dir(0).join("a/b")).unwrap();
    assert!(!holds(0));
    fs::write(place.dir(0).join("a/b/c="), b"").unwrap();
    assert!(holds(0));
    fs::write(place.dir(1).join("foreign=name"), b"").unwrap();
    assert!(!holds(1));
    // Also of what is kept.
    for at in 0..2 {
        all(&listings, &place.dir(at), Place::start());
    }
    assert!(holds(0) && !holds(1));
    assert!(
        !listings
            .surely_holds_a_key(&place.dir(2).join("no"))
            .unwrap()
    );
}

/// Listers see all that stays and nothing that never was, in order, while others write; then all that is there.
fn writers_and_listers(bounds: Bounds) {
    let place = Workplace::make();
    let listings = place.listings(bounds);
    let dirs: Vec<PathBuf> = (0..3).map(|at| place.dir(at)).collect();
    for dir in &dirs {
        for n in 0..30 {
            fs::write(dir.join(format!("{n:02}-stays=")), b"").unwrap();
        }
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (listings, dirs) = (&listings, &dirs);
                scope.spawn(move || {
                    for n in 0..400 {
                        let dir = &dirs[(n + writer) % 3];
                        let name = format!("{:02}-comes{writer}=", n * 7 % 31);
                        if n % 3 == 2 {
                            take(listings, dir, &name);
                        } else {
                            put(listings, dir, &name);
                        }
                        // Names that stay are written anew.
                        put(listings, dir, &format!("{:02}-stays=", n % 30));
                        // What was told is seen at once.
                        let place = Place::Before(decode_name(&name).unwrap());
                        let batch = listings.read(dir, &place).unwrap().unwrap();
                        let first = batch.entries.first().map(|entry| entry.name.file_name());
                        assert_eq!(first.is_some_and(|first| first == name), n % 3 != 2);
                    }
                })
            })
            .collect();
        for lister in 0..2 {
            let (listings, dirs, is_over) = (&listings, &dirs, &is_over);
            scope.spawn(move || {
                let mut at = lister;
                while !is_over.load(Ordering::Relaxed) {
                    at += 1;
                    if at % 50 == 0 {
                        listings.forget(&dirs[at % 3]);
                    }
                    let names = all(listings, &dirs[at % 3], Place::start()).unwrap();
                    assert!(names.is_sorted_by(|a, b| a < b), "in order, and once");
                    let mut seen: BTreeMap<bool, usize> = BTreeMap::new();
                    for name in file_names(&names) {
                        assert!(name.contains("-stays=") || name.contains("-comes"));
                        *seen.entry(name.contains("-stays=")).or_default() += 1;
                    }
                    assert_eq!(seen.get(&true), Some(&30), "what stays is not missed");
                }
            });
        }
        let outcomes: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            outcome.unwrap();
        }
    });
    for dir in &dirs {
        assert_eq!(all(&listings, dir, Place::start()), Some(truth(dir)));
    }
}

#[test]
fn writers_and_listers_agree_on_orders_in_memory() {
    writers_and_listers(Bounds::default());
}

#[test]
fn writers_and_listers_agree_on_orders_in_scratch_files() {
    writers_and_listers(Bounds {
        noted_changes: 1000,
        ..Bounds::smallest()
    });
    writers_and_listers(Bounds {
        kept_runs: 100,
        files: 300,
        ..aside()
    });
}

#[test]
fn writers_and_listers_agree_without_orders() {
    writers_and_listers(nowhere());
}
