//! An owner's assets in order, the newest first, by what was said of them.
//!
//! Pages go by place, not by number: the next one begins behind the last asset of the one before, so that nothing that
//! is there throughout is left out or comes twice, whatever comes and goes meanwhile. What a page goes along is an
//! index: of the owner's assets, of an album, or of a tag, each by id (the order in which assets were initiated) and by
//! `taken_at`. What is asked beside that is asked of each asset on the way.

use safelight_model::clock::Micros;
use safelight_model::ids;
use safelight_model::lifecycle::State;
use safelight_model::metadata::Visibility;

use crate::assets::{Asset, read, select_from};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;

#[cfg(test)]
mod plans;

/// By what assets are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// When they were initiated.
    Created,
    /// When they were taken, where that is known, else when they were initiated.
    Captured,
}

/// The place of an asset in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its [`Asset::taken_at`]; of no account in [`Order::Created`].
    pub taken_at: Micros,
    /// Its id.
    pub asset_id: String,
}

/// Which assets. What is `None` is not asked. Of two moments the first is included and the second is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// In this album, of the same owner.
    pub album_id: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Of this capture.
    pub capture_id: Option<String>,
    /// Of this media type: `image/jpeg`, or `image` for all that begin with `image/`. In lower case.
    pub mime: Option<String>,
    /// With this visibility.
    pub visibility: Option<Visibility>,
    /// [`Asset::taken_at`].
    pub taken: (Option<Micros>, Option<Micros>),
    /// When it was initiated.
    pub created: (Option<Micros>, Option<Micros>),
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The tenant.
    pub tenant_id: &'a str,
    /// The owner.
    pub owner_id: &'a str,
    /// Which of his assets.
    pub filter: &'a Filter,
    /// In which order.
    pub order: Order,
    /// Behind this place.
    pub after: Option<&'a Place>,
    /// At most so many.
    pub limit: i64,
}

/// How far the moment in an id may be from `created_at`, in microseconds: both are read from the clock when an asset is
/// initiated, and a clock may be set.
const IDS_ARE_WITHIN: i64 = 24 * 3600 * 1_000_000;

/// A statement under construction.
struct Question {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Question {
    /// This text with the places of these values for its `?`.
    fn text<const N: usize>(&mut self, text: &str, values: [Value; N]) -> String {
        let mut text = text.to_owned();
        for value in values {
            self.values.push(value);
            text = text.replacen('?', &format!("${}", self.values.len()), 1);
        }
        text
    }

    /// A condition whose `?` are these values.
    fn ask<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        let condition = self.text(condition, values);
        self.conditions.push(condition);
    }
}

/// What a page goes along.
struct Along {
    /// Its tables. SQLite takes those that are joined by CROSS JOIN in the order in which they stand.
    from: String,
    /// The one whose order it is.
    table: &'static str,
}

/// Has the page go along what is fewest: a capture, an album, a tag, the owner's assets. The other groups are asked of
/// each asset.
fn along(q: &mut Question, listing: &Listing<'_>, on_postgres: bool) -> Along {
    let (tenant, owner) = (listing.tenant_id, listing.owner_id);
    let filter = listing.filter;
    // SQLite, which knows nothing of how many rows there are, would go along the primary key, through all of the tenant's.
    let by = |of_created: &str, of_captured: &str| match (on_postgres, listing.order) {
        (true, _) => String::new(),
        (false, Order::Created) if of_created.is_empty() => String::new(),
        (false, Order::Created) => format!(" INDEXED BY {of_created}"),
        (false, Order::Captured) => format!(" INDEXED BY {of_captured}"),
    };
    let (mut album, mut tag) = (filter.album_id.as_ref(), filter.tag.as_ref());
    let along = if let Some(capture_id) = &filter.capture_id {
        let members = "(SELECT DISTINCT c.tenant_id, c.asset_id FROM capture_assets c
                         WHERE c.tenant_id = ? AND c.capture_id = ?) m CROSS JOIN assets a";
        let from = q.text(members, [tenant.into(), capture_id.into()]);
        // Not by the index of owners, which would lead through all of this one's assets.
        q.ask(
            "a.tenant_id = m.tenant_id AND a.asset_id = m.asset_id AND a.owner_id || '' = ?",
            [owner.into()],
        );
        Along { from, table: "a" }
    } else if let Some(album_id) = album.take() {
        q.ask(
            "m.tenant_id = ? AND m.album_id = ? AND a.tenant_id = m.tenant_id AND a.asset_id = m.asset_id",
            [tenant.into(), album_id.into()],
        );
        // What is in an album is its owner's.
        q.ask(
            "EXISTS (SELECT 1 FROM albums o WHERE o.tenant_id = ? AND o.album_id = ? AND o.owner_id = ?)",
            [tenant.into(), album_id.into(), owner.into()],
        );
        let by = by("", "album_assets_by_time");
        Along {
            from: format!("album_assets m{by} CROSS JOIN assets a"),
            table: "m",
        }
    } else if let Some(tag) = tag.take() {
        q.ask(
            "t.tenant_id = ? AND t.owner_id = ? AND t.tag = ? AND a.tenant_id = t.tenant_id AND a.asset_id = t.asset_id",
            [tenant.into(), owner.into(), tag.into()],
        );
        let by = by("", "asset_tags_by_time");
        Along {
            from: format!("asset_tags t{by} CROSS JOIN assets a"),
            table: "t",
        }
    } else {
        q.ask(
            "a.tenant_id = ? AND a.owner_id = ?",
            [tenant.into(), owner.into()],
        );
        Along {
            from: format!("assets a{}", by("assets_by_owner", "assets_by_time")),
            table: "a",
        }
    };
    if let Some(album_id) = album {
        q.ask(
            "EXISTS (SELECT 1 FROM album_assets g
                      WHERE g.tenant_id = a.tenant_id AND g.album_id = ? AND g.asset_id = a.asset_id)",
            [album_id.into()],
        );
    }
    if let Some(tag) = tag {
        q.ask(
            "EXISTS (SELECT 1 FROM asset_tags w
                      WHERE w.tenant_id = a.tenant_id AND w.owner_id = a.owner_id AND w.tag = ? AND w.asset_id = a.asset_id)",
            [tag.into()],
        );
    }
    along
}

fn question(listing: &Listing<'_>, on_postgres: bool) -> (String, Vec<Value>) {
    let filter = listing.filter;
    let mut q = Question {
        conditions: Vec::new(),
        values: Vec::new(),
    };
    let Along { from, table } = along(&mut q, listing, on_postgres);
    q.ask("a.state <> 'deleted'", []);
    if let Some(state) = filter.state {
        q.ask("a.state = ?", [state.as_str().into()]);
    }
    if let Some(visibility) = filter.visibility {
        q.ask("a.visibility = ?", [visibility.as_str().into()]);
    }
    if let Some(mime) = &filter.mime {
        let mime = match mime.contains('/') {
            true => mime.clone(),
            false => format!("{mime}/%"),
        };
        q.ask("LOWER(COALESCE(b.mime, r.mime, '')) LIKE ?", [mime.into()]);
    }
    // In the other order the copy beside the tag or album would only lead away from it.
    let timed = match listing.order {
        Order::Created => "a",
        Order::Captured => table,
    };
    if let Some(from) = filter.taken.0 {
        q.ask(&format!("{timed}.taken_at >= ?"), [from.into()]);
    }
    if let Some(before) = filter.taken.1 {
        q.ask(&format!("{timed}.taken_at < ?"), [before.into()]);
    }
    if let Some(from) = filter.created.0 {
        q.ask("a.created_at >= ?", [from.into()]);
        let floor = ids::floor(ids::ASSET, Micros(from.0.saturating_sub(IDS_ARE_WITHIN)));
        q.ask(&format!("{table}.asset_id >= ?"), [floor.into()]);
    }
    if let Some(before) = filter.created.1 {
        q.ask("a.created_at < ?", [before.into()]);
        let floor = ids::floor(ids::ASSET, Micros(before.0.saturating_add(IDS_ARE_WITHIN)));
        q.ask(&format!("{table}.asset_id < ?"), [floor.into()]);
    }
    let order = match listing.order {
        Order::Created => format!("{table}.asset_id DESC"),
        Order::Captured => format!("{table}.taken_at DESC, {table}.asset_id DESC"),
    };
    match (listing.after, listing.order) {
        (None, _) => {}
        (Some(place), Order::Created) => {
            q.ask(&format!("{table}.asset_id < ?"), [(&place.asset_id).into()]);
        }
        (Some(place), Order::Captured) => {
            q.ask(
                &format!("({table}.taken_at, {table}.asset_id) < (?, ?)"),
                [place.taken_at.into(), (&place.asset_id).into()],
            );
        }
    }
    q.values.push(listing.limit.into());
    let condition = format!(
        "{} ORDER BY {order} LIMIT ${}",
        q.conditions.join(" AND "),
        q.values.len()
    );
    (select_from(&from, &condition), q.values)
}

/// The next assets of an owner; no tombstones.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut Tx<'_>, listing: &Listing<'_>) -> Result<Vec<Asset>, CatalogError> {
    let (sql, values) = question(listing, tx.is_postgres());
    let rows = tx.rows(&sql, &values).await?;
    rows.iter().map(read).collect()
}
