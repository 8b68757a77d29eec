//! What the catalog says became of the load, and when.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use safelight_catalog::{Catalog, Tx};
use safelight_model::clock::Micros;

use super::arrive::{Arrived, Kind};

/// What is done so much later than something that goes first was there was begun later too: no job takes so long.
const LATER: Duration = Duration::from_secs(1);

/// Times from the last byte.
#[derive(Default)]
pub struct Times {
    /// Until it could be seen.
    pub viewable: Vec<Duration>,
    /// Until all its renditions were there.
    pub derived: Vec<Duration>,
}

/// What was done out of order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// Photos derived from although another had waited for its cover.
    pub derived: usize,
    /// Old pictures hashed although another had waited for a rendition that is seen.
    pub hashed: usize,
    /// Old pictures hashed at all.
    pub hashed_in_all: usize,
}

/// What a run came to.
pub struct Tally {
    /// Photos of many owners.
    pub many: Times,
    /// Photos of one who imported.
    pub import: Times,
    /// Clips.
    pub clips: Times,
    /// In which order.
    pub order: Order,
}

/// Jobs that are left, and old pictures for which none was asked yet.
pub async fn work_left(tx: &mut Tx<'_>) -> anyhow::Result<i64> {
    let sql = "SELECT (SELECT COUNT(*) FROM jobs WHERE state <> 'dead' AND kind <> 'sweep')
                    + (SELECT COUNT(*) FROM blobs WHERE hash_sought_at IS NULL AND picture_hash IS NULL
                          AND state = 'live' AND verdict = 'clean' AND width IS NOT NULL)";
    let row = tx.row(sql, &[]).await?.context("a row")?;
    Ok(row.int(0)?)
}

/// A picture's way.
struct Way {
    whole: Micros,
    /// When it could be seen.
    viewable: Micros,
    is_ready: bool,
    derived: Micros,
}

/// Reads it from the catalog.
pub async fn tally(catalog: &Catalog, sent: &[Arrived]) -> anyhow::Result<Tally> {
    let mut reader = catalog.reader().await?;
    let sql = "SELECT a.asset_id, a.uploaded_at, COALESCE(a.viewable_at, a.updated_at), a.state,
                      (SELECT MAX(n.updated_at) FROM renditions n
                        WHERE n.tenant_id = r.tenant_id AND n.blob_id = r.blob_id AND n.preset NOT LIKE '%.%')
                 FROM assets a JOIN resources r ON r.tenant_id = a.tenant_id AND r.asset_id = a.asset_id
                WHERE a.owner_id <> 'old'";
    let mut ways = HashMap::new();
    for row in reader.tx().rows(sql, &[]).await? {
        let viewable = row.at(2)?;
        let way = Way {
            whole: row.at(1)?,
            viewable,
            is_ready: row.text(3)? == "ready",
            derived: row.maybe_at(4)?.unwrap_or(viewable),
        };
        ways.insert(row.text(0)?, way);
    }
    let sql = "SELECT b.hash_sought_at FROM blobs b WHERE b.scope = 'old'";
    let hashed = reader.tx().rows(sql, &[]).await?;
    let hashed: Result<Vec<Micros>, _> = hashed.iter().map(|row| row.at(0)).collect();
    let hashed = hashed?;

    // Clips are not waited for by photos, nor wait for them.
    let clips = sent.iter().filter(|one| one.kind == Kind::Clip);
    let clips: HashSet<&str> = clips.map(|one| one.asset_id.as_str()).collect();
    let photos = ways.iter().filter(|(id, _)| !clips.contains(id.as_str()));
    let photos: Vec<&Way> = photos.map(|(_, way)| way).collect();

    let mut tally = Tally {
        many: Times::default(),
        import: Times::default(),
        clips: Times::default(),
        order: order(&photos, &hashed),
    };
    for one in sent {
        let way = ways.get(&one.asset_id).context("an asset")?;
        let times = match one.kind {
            Kind::Many => &mut tally.many,
            Kind::Import => &mut tally.import,
            Kind::Clip => &mut tally.clips,
        };
        anyhow::ensure!(way.is_ready, "{} cannot be seen", one.asset_id);
        times.viewable.push(way.viewable.since(one.last_byte));
        times.derived.push(way.derived.since(one.last_byte));
    }
    Ok(tally)
}

fn order(ways: &[&Way], hashed: &[Micros]) -> Order {
    let waited_for_a_cover = |at: Micros| {
        ways.iter()
            .any(|w| w.whole.plus(LATER) < at && at < w.viewable)
    };
    let waited = |at: Micros| {
        ways.iter()
            .any(|w| w.whole.plus(LATER) < at && at < w.derived)
    };
    Order {
        derived: ways
            .iter()
            .filter(|w| waited_for_a_cover(w.derived))
            .count(),
        hashed: hashed.iter().filter(|at| waited(**at)).count(),
        hashed_in_all: hashed.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_first_and_what_does_not() {
        let way = |whole_ms: i64, viewable_ms: i64, derived_ms: i64| Way {
            whole: Micros(whole_ms * 1000),
            viewable: Micros(viewable_ms * 1000),
            is_ready: true,
            derived: Micros(derived_ms * 1000),
        };
        let (quick, slow) = (way(0, 100, 1500), way(0, 2000, 4000));
        let found = order(
            &[&quick, &slow],
            &[300, 3000, 4100].map(|ms| Micros(ms * 1000)),
        );
        assert_eq!(
            (found.derived, found.hashed, found.hashed_in_all),
            (1, 1, 3)
        );
    }
}
