//! Has pictures made by the present versions of presets that were made by others before, and clips given what there was not when they
//! came: all of them at once, as backfill.
//!
//! Without it they are made when somebody asks for one. It is an operator's to ask for all, and not the janitor's: to
//! decode all that there ever was takes a multiple of what arrives in a day, and most of it is never looked at again.
//! Only what is missing is asked for, of pictures under a key of its own, so it can be broken off and begun again, and asking twice asks
//! once.

use safelight_catalog::outdated::{self, Picture};
use safelight_catalog::{CatalogError, Tx, keys};
use safelight_imaging::MediaType;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset::{self, Preset};

use super::rederive_clips;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_backfill;

/// Pictures and clips that are looked at, and asked for, in one transaction.
const PAGE: i64 = 500;

/// The presets that it looks for: of pictures those that an operator can change, and what is played of clips.
pub const NAMES: [&str; 5] = [
    preset::DISPLAY.name,
    preset::LARGE.name,
    preset::PREVIEW_CLIP.name,
    preset::STREAM.name,
    preset::HLS.name,
];

/// Of which pictures and clips.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Of this tenant; of all where there is none.
    pub tenant_id: Option<String>,
    /// That lack this preset; any of those of [`NAMES`] where there is none.
    pub preset: Option<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Pictures that were looked at.
    pub pictures: u64,
    /// Clips that were looked at.
    pub clips: u64,
    /// Of both, there by the present versions.
    pub ready: u64,
    /// Asked for now.
    pub asked: u64,
    /// Asked for before, and not made yet.
    pub waiting: u64,
    /// Damaged, and not made: these are shown as they were.
    pub failed: u64,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there.
    Ready,
    /// It was asked for.
    Asked,
    /// It had been asked for.
    Waiting,
    /// It cannot be made.
    Failed,
}

impl Found {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Ready => &mut self.ready,
            Outcome::Asked => &mut self.asked,
            Outcome::Waiting => &mut self.waiting,
            Outcome::Failed => &mut self.failed,
        } += 1;
    }

    fn add(&mut self, other: Self) {
        self.pictures += other.pictures;
        self.clips += other.clips;
        self.ready += other.ready;
        self.asked += other.asked;
        self.waiting += other.waiting;
        self.failed += other.failed;
    }
}

/// Looks through pictures and clips, and asks for what is missing of them; `told` hears after every page what was found so far.
///
/// # Errors
/// What the catalog says. What was asked for until then is.
pub async fn rederive(
    context: &Context,
    which: &Which,
    mut told: impl FnMut(&Found),
) -> Result<Found, CatalogError> {
    let mut found = Found::default();
    let tenants = match &which.tenant_id {
        Some(tenant_id) => vec![tenant_id.clone()],
        None => keys::tenants(&mut context.catalog.reader().await?.tx()).await?,
    };
    for tenant_id in tenants {
        let mut after = String::new();
        let presets = Presets::of(context, &tenant_id, which.preset.as_deref());
        loop {
            let mut reader = context.catalog.reader().await?;
            let (tx, of_pictures) = (&mut reader.tx(), &presets.of_pictures);
            let page = outdated::page(tx, &tenant_id, &after, of_pictures, PAGE).await?;
            drop(reader);
            let Some(last) = page.last() else {
                break;
            };
            after.clone_from(&last.blob_id);
            found.add(ask(context, &tenant_id, &presets, page).await?);
            told(&found);
        }
    }
    Ok(found)
}

/// The presets that are looked for.
#[derive(Clone)]
struct Presets {
    /// One or two of pictures.
    of_pictures: [Preset; 2],
    /// Whether any of pictures is meant.
    pictures: bool,
    /// Whether any of clips is meant.
    clips: bool,
    /// The only one that is meant.
    only: Option<String>,
}

impl Presets {
    fn of(context: &Context, tenant_id: &str, only: Option<&str>) -> Self {
        let own = context.presets(tenant_id).derived();
        let named =
            |presets: &[Preset], name: &str| presets.iter().find(|p| p.name == name).copied();
        let one = only.and_then(|name| named(&own, name));
        Self {
            of_pictures: one.map_or(own, |one| [one, one]),
            pictures: only.is_none() || one.is_some(),
            clips: only.is_none_or(|name| named(&preset::PLAYED_OF_LONG, name).is_some()),
            only: only.map(str::to_owned),
        }
    }
}

async fn ask(
    context: &Context,
    tenant_id: &str,
    presets: &Presets,
    page: Vec<Picture>,
) -> Result<Found, CatalogError> {
    let (asking, presets) = (context.clone(), presets.clone());
    let tenant_id = tenant_id.to_owned();
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                let mut found = Found::default();
                for one in page {
                    let media = one.mime.as_deref().and_then(MediaType::of_mime);
                    let owner = Owner {
                        tenant_id: tenant_id.clone(),
                        owner_id: one.owner_id.clone(),
                    };
                    if presets.pictures && media.is_some_and(MediaType::is_decodable) {
                        found.pictures += 1;
                        found.count(ask_for_picture(tx, &asking, &owner, &presets, &one).await?);
                    } else if presets.clips && media.is_some_and(MediaType::is_clip) {
                        let (blob_id, only) = (&one.blob_id, presets.only.as_deref());
                        let asked = rederive_clips::ask(tx, &asking, &owner, blob_id, only).await?;
                        found.clips += u64::from(asked.is_some());
                        asked.into_iter().for_each(|outcome| found.count(outcome));
                    }
                }
                Ok(found)
            })
        })
        .await
}

async fn ask_for_picture(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    presets: &Presets,
    picture: &Picture,
) -> Result<Outcome, CatalogError> {
    let [one, other] = presets.of_pictures;
    let wanted = if one == other { 1 } else { 2 };
    if picture.ready >= wanted {
        return Ok(Outcome::Ready);
    }
    if picture.ready + picture.failed >= wanted {
        return Ok(Outcome::Failed);
    }
    let mime = picture.mime.as_deref();
    let class = CostClass::of_picture(mime, picture.width, picture.height);
    let (kind, blob_id) = (JobKind::Derive, &picture.blob_id);
    Ok(
        match enqueue_backfill(tx, context, class, kind, owner, blob_id).await? {
            true => Outcome::Asked,
            false => Outcome::Waiting,
        },
    )
}
