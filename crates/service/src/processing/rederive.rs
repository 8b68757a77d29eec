//! Has pictures made by the present versions of presets that were made by others before: all of them at once, as backfill.
//!
//! Without it they are made when somebody asks for one. It is an operator's to ask for all, and not the janitor's: to
//! decode all that there ever was takes a multiple of what arrives in a day, and most of it is never looked at again.
//! Only what is missing is asked for, under a key of its own, so it can be broken off and begun again, and asking twice asks once.

use safelight_catalog::outdated::{self, Picture};
use safelight_catalog::{CatalogError, keys};
use safelight_imaging::MediaType;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset::Preset;

use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_backfill;

/// Pictures that are looked at, and asked for, in one transaction.
const PAGE: i64 = 500;

/// Of which pictures.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Of this tenant; of all where there is none.
    pub tenant_id: Option<String>,
    /// That lack this preset; any that changes where there is none.
    pub preset: Option<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Pictures that were looked at.
    pub pictures: u64,
    /// Of these, there by the present versions.
    pub ready: u64,
    /// Asked for now.
    pub asked: u64,
    /// Asked for before, and not made yet.
    pub waiting: u64,
    /// Damaged, and not made: these are shown as they were.
    pub failed: u64,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.pictures += other.pictures;
        self.ready += other.ready;
        self.asked += other.asked;
        self.waiting += other.waiting;
        self.failed += other.failed;
    }
}

/// Looks through the pictures, and asks for what is missing of them; `told` hears after every page what was found so far.
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
        let own = context.presets(&tenant_id).derived();
        let is_meant = |p: &Preset| which.preset.as_ref().is_none_or(|name| name == p.name);
        let mut meant = own.into_iter().filter(is_meant);
        let Some(first) = meant.next() else {
            continue;
        };
        let presets = [first, meant.next().unwrap_or(first)];
        let mut after = String::new();
        loop {
            let mut reader = context.catalog.reader().await?;
            let page = outdated::page(&mut reader.tx(), &tenant_id, &after, &presets, PAGE).await?;
            drop(reader);
            let Some(last) = page.last() else {
                break;
            };
            after.clone_from(&last.blob_id);
            found.add(ask(context, &tenant_id, presets, page).await?);
            told(&found);
        }
    }
    Ok(found)
}

async fn ask(
    context: &Context,
    tenant_id: &str,
    [one, other]: [Preset; 2],
    page: Vec<Picture>,
) -> Result<Found, CatalogError> {
    let wanted = if one == other { 1 } else { 2 };
    let (asking, tenant_id) = (context.clone(), tenant_id.to_owned());
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                let mut found = Found::default();
                for picture in page {
                    let media = picture.mime.as_deref().and_then(MediaType::of_mime);
                    // Of a clip nothing is derived by these.
                    if !media.is_some_and(MediaType::is_decodable) {
                        continue;
                    }
                    found.pictures += 1;
                    if picture.ready >= wanted {
                        found.ready += 1;
                        continue;
                    }
                    if picture.ready + picture.failed >= wanted {
                        found.failed += 1;
                        continue;
                    }
                    let owner = Owner {
                        tenant_id: tenant_id.clone(),
                        owner_id: picture.owner_id,
                    };
                    let mime = picture.mime.as_deref();
                    let class = CostClass::of_picture(mime, picture.width, picture.height);
                    let (kind, blob_id) = (JobKind::Derive, &picture.blob_id);
                    match enqueue_backfill(tx, &asking, class, kind, &owner, blob_id).await? {
                        true => found.asked += 1,
                        false => found.waiting += 1,
                    }
                }
                Ok(found)
            })
        })
        .await
}
