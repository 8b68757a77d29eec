//! Lists against a model: whatever is asked for, in whatever order, whatever comes, goes and changes between pages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use safelight_catalog::assets::Asset;
use safelight_catalog::listing::{Filter, Order, Place};
use safelight_catalog::{Backend, CatalogError, albums, metadata};
use safelight_model::clock::{Clock as _, Micros};
use safelight_model::lifecycle::{Event, State};
use safelight_model::metadata::{Metadata, Moment, Visibility};

use crate::fixture::{Fixture, in_tx, on_both};
use crate::metadata::{say, set};
use crate::samples::*;

on_both!(every_filter_lets_its_own_through, of_a_capture_and_a_type);

const ALBUM: &str = "alb_1";

/// What the model knows of an asset.
#[derive(Clone, Debug)]
struct Known {
    created_at: i64,
    taken_at: i64,
    tagged: bool,
    within: bool,
    public: bool,
    live: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Initiate,
    /// Deletes one of those that there are.
    Delete(usize),
    /// Says something of one: when it was taken, whether it has the tag, whether it is public.
    Say(usize, Option<i64>, bool, bool),
    /// Puts one into the album, or takes it out.
    Move(usize, bool),
    /// Turns a page.
    Turn,
}

fn any_step() -> impl Strategy<Value = Step> {
    let moment = prop::option::of(0_i64..40);
    prop_oneof![
        3 => Just(Step::Initiate),
        1 => any::<usize>().prop_map(Step::Delete),
        3 => (any::<usize>(), moment, any::<bool>(), any::<bool>())
            .prop_map(|(n, at, tagged, public)| Step::Say(n, at, tagged, public)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(n, within)| Step::Move(n, within)),
        4 => Just(Step::Turn),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    order: Order,
    tag: bool,
    album: bool,
    public: bool,
    taken: (Option<i64>, Option<i64>),
}

fn any_question() -> impl Strategy<Value = Asked> {
    let orders = prop::sample::select(vec![Order::Created, Order::Captured]);
    let taken = (prop::option::of(0_i64..40), prop::option::of(0_i64..40));
    (orders, any::<bool>(), any::<bool>(), any::<bool>(), taken).prop_map(
        |(order, tag, album, public, taken)| Asked {
            order,
            tag,
            album,
            public,
            taken,
        },
    )
}

impl Asked {
    fn filter(self) -> Filter {
        Filter {
            tag: self.tag.then(|| "sea".to_owned()),
            album_id: self.album.then(|| ALBUM.to_owned()),
            visibility: self.public.then_some(Visibility::Public),
            taken: (self.taken.0.map(Micros), self.taken.1.map(Micros)),
            ..Filter::default()
        }
    }

    fn wants(self, known: &Known) -> bool {
        known.live
            && (!self.tag || known.tagged)
            && (!self.album || known.within)
            && (!self.public || known.public)
            && self.taken.0.is_none_or(|from| known.taken_at >= from)
            && self.taken.1.is_none_or(|before| known.taken_at < before)
    }

    fn key(self, id: &str, known: &Known) -> (i64, String) {
        match self.order {
            Order::Created => (0, id.to_owned()),
            Order::Captured => (known.taken_at, id.to_owned()),
        }
    }
}

struct Model {
    f: Fixture,
    known: BTreeMap<String, Known>,
    made: usize,
}

impl Model {
    async fn clear(&mut self) {
        let cleared: Result<(), CatalogError> = in_tx!(self.f.catalog, |tx| {
            for table in ["assets", "asset_tags", "albums", "album_assets"] {
                tx.exec(&format!("DELETE FROM {table}"), &[]).await?;
            }
            albums::insert(tx, TENANT, OWNER, ALBUM, "Sea", Micros(1)).await
        });
        cleared.unwrap();
        self.known.clear();
    }

    fn pick(&self, n: usize) -> Option<(String, Known)> {
        let live: Vec<_> = self.known.iter().filter(|(_, k)| k.live).collect();
        let (id, known) = live.get(n.checked_rem(live.len())?)?;
        Some(((*id).clone(), (*known).clone()))
    }

    async fn initiate(&mut self) {
        self.f
            .clock
            .advance(Duration::from_millis(self.made as u64 % 3));
        self.made += 1;
        let mut fresh = capture(&self.f, OWNER, &format!("r{}", self.made), 1);
        fresh.captured_at = None;
        make_one(&self.f.catalog, &fresh).await;
        let at = self.f.clock.now().0;
        let known = Known {
            created_at: at,
            taken_at: at,
            tagged: false,
            within: false,
            public: false,
            live: true,
        };
        self.known.insert(fresh.assets[0].asset_id.clone(), known);
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Turn => {}
            Step::Initiate => self.initiate().await,
            Step::Delete(n) => {
                let Some((id, _)) = self.pick(n) else { return };
                step_to(&self.f, &id).await;
                self.known.get_mut(&id).unwrap().live = false;
            }
            Step::Say(n, at, tagged, public) => {
                let Some((id, _)) = self.pick(n) else { return };
                let after = Metadata {
                    captured_at: at.map(|at| Moment {
                        at: Micros(at),
                        offset_minutes: None,
                    }),
                    visibility: if public {
                        Visibility::Public
                    } else {
                        Visibility::Private
                    },
                    ..Metadata::default()
                };
                let tags = if tagged {
                    set(&["sea", "x"])
                } else {
                    set(&["x"])
                };
                assert!(say(&self.f.catalog, &id, None, after, tags).await);
                let known = self.known.get_mut(&id).unwrap();
                known.taken_at = at.unwrap_or(known.created_at);
                known.tagged = tagged;
                known.public = public;
            }
            Step::Move(n, within) => {
                let Some((id, _)) = self.pick(n) else { return };
                let asset_id = id.clone();
                let moved: Result<bool, CatalogError> = in_tx!(self.f.catalog, |tx| {
                    let asset = metadata::hold(tx, TENANT, OWNER, &asset_id).await?.unwrap();
                    if within {
                        albums::add(tx, ALBUM, &asset, asset.taken_at()).await
                    } else {
                        albums::remove(tx, TENANT, ALBUM, &asset_id).await
                    }
                });
                moved.unwrap();
                self.known.get_mut(&id).unwrap().within = within;
            }
        }
    }

    /// All that are asked for, in order, as they are now.
    fn expected(&self, asked: Asked) -> Vec<String> {
        let wanted = self.known.iter().filter(|(_, k)| asked.wants(k));
        let mut keys: Vec<_> = wanted.map(|(id, k)| asked.key(id, k)).collect();
        keys.sort_unstable_by(|a, b| b.cmp(a));
        keys.into_iter().map(|(_, id)| id).collect()
    }

    async fn page(&self, asked: Asked, after: Option<&Place>, limit: i64) -> Vec<Asset> {
        listed_by(&self.f.catalog, &asked.filter(), asked.order, after, limit).await
    }
}

async fn step_to(f: &Fixture, id: &str) {
    assert_eq!(
        step(f, id, Event::DeleteRequested).await,
        Some(State::Deleted)
    );
}

async fn lists_are_as_the_model(model: &mut Model, steps: &[Step], asked: Asked, limit: i64) {
    model.clear().await;
    let mut after: Option<Place> = None;
    let mut seen: Vec<String> = Vec::new();
    // Those that were asked for all the time, in one place.
    let mut steady: Option<BTreeMap<String, (i64, String)>> = None;
    for step in steps.iter().chain([Step::Turn; 60].iter()) {
        model.step(step).await;
        if let Some(steady) = &mut steady {
            steady.retain(|id, key| {
                let known = &model.known[id];
                asked.wants(known) && asked.key(id, known) == *key
            });
        }
        if !matches!(step, Step::Turn) {
            continue;
        }
        let whole: Vec<String> = model
            .page(asked, None, 1_000)
            .await
            .into_iter()
            .map(|a| a.asset_id)
            .collect();
        assert_eq!(whole, model.expected(asked), "{asked:?}");
        let steady = steady.get_or_insert_with(|| {
            let key = |id: &String| (id.clone(), asked.key(id, &model.known[id]));
            whole.iter().map(key).collect()
        });
        let page = model.page(asked, after.as_ref(), limit).await;
        let Some(last) = page.last() else {
            let seen: BTreeSet<&String> = seen.iter().collect();
            let missed: Vec<_> = steady.keys().filter(|id| !seen.contains(id)).collect();
            assert!(missed.is_empty(), "{asked:?} passed over {missed:?}");
            return;
        };
        after = Some(Place {
            taken_at: last.taken_at(),
            asset_id: last.asset_id.clone(),
        });
        seen.extend(page.into_iter().map(|a| a.asset_id));
        // Only what was moved in the order may come twice.
        for id in steady.keys() {
            let times = seen.iter().filter(|s| *s == id).count();
            assert!(times <= 1, "{asked:?} shows {id} {times} times");
        }
    }
}

fn lists_against_the_model(backend: Backend, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let f = runtime.block_on(Fixture::open(backend));
    let model = std::cell::RefCell::new(Model {
        f,
        known: BTreeMap::new(),
        made: 0,
    });
    let steps = prop::collection::vec(any_step(), 0..40);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
    runner
        .run(
            &(steps, any_question(), 1_i64..5),
            |(steps, asked, limit)| {
                let mut model = model.borrow_mut();
                runtime.block_on(lists_are_as_the_model(&mut model, &steps, asked, limit));
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn lists_against_the_model_on_sqlite() {
    lists_against_the_model(Backend::Sqlite, 48);
}

#[test]
fn lists_against_the_model_on_postgres() {
    lists_against_the_model(Backend::Postgres, 48);
}

async fn ids_of(f: &Fixture, filter: Filter) -> Vec<String> {
    let page = listed_by(&f.catalog, &filter, Order::Created, None, 100).await;
    page.into_iter().map(|a| a.asset_id).collect()
}

async fn every_filter_lets_its_own_through(f: Fixture) {
    let mut made = Vec::new();
    for n in 0..4 {
        let fresh = capture(&f, OWNER, &format!("r{n}"), 1);
        make_one(&f.catalog, &fresh).await;
        made.push((fresh.assets[0].asset_id.clone(), f.clock.now()));
        f.clock.advance(Duration::from_secs(48 * 3600));
    }
    step(&f, &made[1].0, Event::BytesComplete).await;
    step_to(&f, &made[3].0).await;
    let filter = Filter {
        state: Some(State::Uploaded),
        ..Filter::default()
    };
    assert_eq!(ids_of(&f, filter).await, [made[1].0.clone()]);
    // The first moment is included, the second is not.
    for (from, before, expected) in [
        (Some(0), None, vec![2, 1, 0]),
        (Some(1), None, vec![2, 1]),
        (None, Some(1), vec![0]),
        (Some(1), Some(2), vec![1]),
        (Some(2), Some(1), vec![]),
    ] {
        let expected: Vec<String> = expected
            .into_iter()
            .map(|n: usize| made[n].0.clone())
            .collect();
        let at = |n: Option<usize>| n.map(|n| made[n].1);
        let created = Filter {
            created: (at(from), at(before)),
            ..Filter::default()
        };
        assert_eq!(ids_of(&f, created).await, expected);
        let taken = Filter {
            taken: (at(from), at(before)),
            ..Filter::default()
        };
        assert_eq!(ids_of(&f, taken).await, expected);
    }
}

async fn of_a_capture_and_a_type(f: Fixture) {
    let mut burst = capture(&f, OWNER, "burst", 3);
    burst.assets[1].mime = Some("Video/MP4".into());
    burst.assets[2].mime = None;
    make_one(&f.catalog, &burst).await;
    let other = capture(&f, OWNER, "other", 1);
    make_one(&f.catalog, &other).await;
    let mut expected: Vec<String> = burst.assets.iter().map(|a| a.asset_id.clone()).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let of_burst = Filter {
        capture_id: Some(burst.capture_id.clone()),
        ..Filter::default()
    };
    assert_eq!(ids_of(&f, of_burst.clone()).await, expected);
    for (mime, expected) in [
        ("image", vec![0]),
        ("image/jpeg", vec![0]),
        ("video", vec![1]),
        ("video/mp4", vec![1]),
        ("vid", vec![]),
    ] {
        let filter = Filter {
            mime: Some(mime.to_owned()),
            ..of_burst.clone()
        };
        let expected: Vec<String> = expected
            .into_iter()
            .map(|n: usize| burst.assets[n].asset_id.clone())
            .collect();
        assert_eq!(ids_of(&f, filter).await, expected, "{mime}");
    }
}
