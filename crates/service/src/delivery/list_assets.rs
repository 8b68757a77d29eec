//! `GET /v1/assets`: an owner's assets in pages, by what was said of them.

use safelight_api::assets as wire;
use safelight_catalog::listing::{self, Filter, Listing, Order, Place};
use safelight_catalog::{Tx, albums, captures};
use safelight_model::clock::Micros;
use safelight_model::lifecycle::State;
use safelight_model::metadata::Visibility;
use safelight_model::{ids, limits, tags};
use serde::Deserialize;

use super::read_asset::{Fields, ReadAssetError, look_up, render_small};
use crate::context::{Context, Owner};
use crate::cursor::List;
use crate::governance::decide::Viewer;

/// The query of a list, as it came.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    fields: Option<String>,
    order: Option<String>,
    state: Option<String>,
    album: Option<String>,
    tag: Option<String>,
    capture: Option<String>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    visibility: Option<String>,
    captured_after: Option<String>,
    captured_before: Option<String>,
    created_after: Option<String>,
    created_before: Option<String>,
}

fn wrong(parameter: &'static str, why: impl Into<String>) -> ReadAssetError {
    ReadAssetError::Query(parameter, why.into())
}

/// What `read` makes of a parameter that is there.
fn maybe<T>(
    given: Option<&String>,
    parameter: &'static str,
    why: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ReadAssetError> {
    given
        .map(|text| read(text).ok_or_else(|| wrong(parameter, why)))
        .transpose()
}

fn moment(
    given: Option<&String>,
    parameter: &'static str,
) -> Result<Option<Micros>, ReadAssetError> {
    let why = "use RFC 3339, as 2026-11-23T08:00:00Z, and write + as %2B";
    maybe(given, parameter, why, Micros::parse_rfc3339)
}

/// `image`, or `image/jpeg`: tokens of RFC 9110, section 5.6.2, without what means something to a database.
fn media_type(text: &str) -> Option<String> {
    let is_name = |name: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-');
        !name.is_empty() && name.len() <= 64 && name.bytes().all(good)
    };
    let mut names = text.splitn(2, '/');
    let good = names.next().is_some_and(is_name) && names.next().is_none_or(is_name);
    good.then(|| text.to_ascii_lowercase())
}

fn filter(query: &ListQuery) -> Result<Filter, ReadAssetError> {
    let is_listed = |s: &State| *s != State::Deleted;
    Ok(Filter {
        state: maybe(
            query.state.as_ref(),
            "state",
            "there is no such state, or none that is listed",
            |text| State::parse(text).filter(is_listed),
        )?,
        album_id: query.album.clone(),
        tag: maybe(
            query.tag.as_ref(),
            "tag",
            "a tag has 1 to 64 characters, none of them a control character",
            tags::normalise,
        )?,
        capture_id: query.capture.clone(),
        mime: maybe(
            query.media_type.as_ref(),
            "type",
            "use a media type such as image/jpeg, or its first part, such as image",
            media_type,
        )?,
        visibility: maybe(
            query.visibility.as_ref(),
            "visibility",
            "visibility must be private or public",
            Visibility::parse,
        )?,
        taken: (
            moment(query.captured_after.as_ref(), "captured_after")?,
            moment(query.captured_before.as_ref(), "captured_before")?,
        ),
        created: (
            moment(query.created_after.as_ref(), "created_after")?,
            moment(query.created_before.as_ref(), "created_before")?,
        ),
    })
}

fn place(text: &str) -> Option<Place> {
    let (taken_at, asset_id) = text.split_once('.')?;
    Some(Place {
        taken_at: Micros(taken_at.parse().ok()?),
        asset_id: asset_id.to_owned(),
    })
}

/// The groups that are asked for are this owner's.
async fn check_groups(
    tx: &mut Tx<'_>,
    owner: &Owner,
    filter: &Filter,
) -> Result<(), ReadAssetError> {
    let (tenant_id, owner_id) = (&owner.tenant_id, &owner.owner_id);
    if let Some(album_id) = &filter.album_id {
        let album = albums::find(tx, tenant_id, owner_id, album_id).await?;
        album.ok_or(ReadAssetError::NoGroup("album"))?;
    }
    if let Some(capture_id) = &filter.capture_id {
        let capture = captures::find(tx, tenant_id, capture_id)
            .await?
            .filter(|c| c.owner_id == *owner_id)
            .ok_or(ReadAssetError::NoGroup("capture"))?;
        if capture.deleted_at.is_some() {
            return Err(ReadAssetError::CaptureDeleted);
        }
    }
    Ok(())
}

/// A page of an owner's assets, the newest first.
///
/// # Errors
/// If the query is wrong, there is no such album or capture, or the catalog fails.
pub async fn list_assets(
    context: &Context,
    owner: &Owner,
    viewer: Viewer,
    query: &ListQuery,
) -> Result<wire::AssetPage, ReadAssetError> {
    let fields = &Fields::parse(query.fields.as_deref())?;
    let (default, most) = limits::PAGE;
    let limit = query.limit.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        return Err(wrong("limit", format!("limit must be from 1 to {most}")));
    }
    let order = maybe(
        query.order.as_ref(),
        "order",
        "order must be created or captured",
        |text| match text {
            "created" => Some(Order::Created),
            "captured" => Some(Order::Captured),
            _ => None,
        },
    )?;
    let order = order.unwrap_or(Order::Created);
    let filter = filter(query)?;
    let told_by = format!("{order:?} {filter:?}");
    let list = List::of(&["assets", &owner.tenant_id, &owner.owner_id, &told_by]);
    let why = "cursor must be a next_cursor of the same list: same owner, filters and order";
    let after = maybe(query.cursor.as_ref(), "cursor", why, |cursor| {
        let after = place(&list.place(cursor)?)?;
        ids::is(ids::ASSET, &after.asset_id).then_some(after)
    })?;
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    check_groups(tx, owner, &filter).await?;
    let listing = Listing {
        tenant_id: &owner.tenant_id,
        owner_id: &owner.owner_id,
        filter: &filter,
        order,
        after: after.as_ref(),
        limit: limit + 1,
    };
    let mut page = listing::list(tx, &listing).await?;
    let more = page.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        page.pop();
    }
    let last = page.last().filter(|_| more);
    let next_cursor = last.map(|a| list.cursor(&format!("{}.{}", a.taken_at().0, a.asset_id)));
    let with_renditions = fields.has("renditions");
    let found = look_up(tx, page, fields, with_renditions).await?;
    let shown = found
        .iter()
        .map(|f| render_small(context, f, viewer, fields));
    let items: Vec<wire::Asset> = shown.collect();
    Ok(wire::AssetPage { items, next_cursor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_whole_or_halved() {
        for (text, read) in [
            ("image", Some("image")),
            ("Image/JPEG", Some("image/jpeg")),
            ("image/svg+xml", Some("image/svg+xml")),
            ("", None),
            ("image/", None),
            ("/jpeg", None),
            ("image/%", None),
            ("image/_peg", None),
            ("a/b/c", None),
        ] {
            assert_eq!(media_type(text).as_deref(), read, "{text}");
        }
    }
}
