//! The load: who sends what when. Every owner has a phone; what a phone is late with is sent late, and timed from then.

use std::time::Duration;

use anyhow::Context as _;
use safelight_model::clock::Micros;
use tokio::time::{Instant, sleep_until};

use crate::phone::{Phone, is_viewable};
use crate::photos::{Clips, Photo, Photos};
use crate::server::Server;

/// Owners that send a photo now and then.
const OWNERS: u64 = 24;
/// What the importing owner sends, of all.
const IMPORTED_SHARE: u64 = 4;
/// Connections that he sends by.
const IMPORTED_AT_ONCE: u64 = 4;
/// Between two photos of the owner who is watched.
const BETWEEN_SINGLES: Duration = Duration::from_secs(1);
/// Photos of different kinds of owners have numbers this far apart.
const NUMBERS: u64 = 1 << 32;

/// What arrives.
pub struct Load {
    /// Photos.
    pub photos: Photos,
    /// Clips.
    pub clips: Clips,
    /// So many photos, but for those of the owner who is watched.
    pub count: u64,
    /// So many clips.
    pub clip_count: u64,
    /// Within this time.
    pub span: Duration,
}

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The owner who imports at once all that he has.
    Import,
    /// One of many.
    Many,
    /// The owner who sends clips.
    Clip,
}

/// A file whose bytes the store had at a time.
pub struct Arrived {
    /// Who sent it.
    pub kind: Kind,
    /// Its asset.
    pub asset_id: String,
    /// When.
    pub last_byte: Micros,
}

/// What became of the load.
pub struct Singles {
    /// How long each photo of the owner who is watched took.
    pub viewable: Vec<Duration>,
    /// What the others sent.
    pub sent: Vec<Arrived>,
}

/// Uploads pictures that were there before.
pub async fn old(server: &Server, load: &Load, count: u64) -> anyhow::Result<()> {
    let mut phone = phone(server, "old").await?;
    for number in 0..count {
        phone
            .upload(&load.photos.photo(4 * NUMBERS + number))
            .await?;
    }
    Ok(())
}

/// Has the load arrive, and returns when the last of it has.
pub async fn arrive(server: &Server, load: &Load) -> anyhow::Result<Singles> {
    let began = Instant::now();
    let imported = load.count / IMPORTED_SHARE;
    let mut senders = Vec::new();
    let importer = server.token("importer").await?;
    for lane in 0..IMPORTED_AT_ONCE {
        let numbers = (lane..imported).step_by(IMPORTED_AT_ONCE as usize);
        let due = numbers.map(|n| (began, load.photos.photo(n))).collect();
        let phone = Phone::connect(server.api, &importer).await?;
        senders.push(send(phone, Kind::Import, due));
    }
    let spread = load.count - imported;
    let at = |n: u64, of: u64| began + load.span.mul_f64(n as f64 / of as f64);
    for owner in 0..OWNERS {
        let numbers = (owner..spread).step_by(OWNERS as usize);
        let due = numbers.map(|n| (at(n, spread), load.photos.photo(NUMBERS + n)));
        let phone = phone(server, &format!("owner {owner}")).await?;
        senders.push(send(phone, Kind::Many, due.collect()));
    }
    let clips = (0..load.clip_count).map(|n| (at(n, load.clip_count), load.clips.clip(n)));
    senders.push(send(
        phone(server, "filming").await?,
        Kind::Clip,
        clips.collect(),
    ));
    let singles = singles(server, load, began);
    let (sent, viewable) = futures::try_join!(futures::future::try_join_all(senders), singles)?;
    Ok(Singles {
        viewable,
        sent: sent.into_iter().flatten().collect(),
    })
}

async fn phone(server: &Server, owner: &str) -> anyhow::Result<Phone> {
    let token = server.token(&owner.replace(' ', "-")).await?;
    Phone::connect(server.api, &token).await
}

async fn send(
    mut phone: Phone,
    kind: Kind,
    due: Vec<(Instant, Photo<'_>)>,
) -> anyhow::Result<Vec<Arrived>> {
    let mut sent = Vec::with_capacity(due.len());
    for (at, photo) in due {
        sleep_until(at).await;
        let one = phone.upload(&photo).await?;
        sent.push(Arrived {
            kind,
            asset_id: one.asset_id,
            last_byte: one.last_byte_at,
        });
    }
    Ok(sent)
}

/// The owner who is watched: a photo now and then, looked at until it can be seen.
async fn singles(server: &Server, load: &Load, began: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut phone = phone(server, "watched").await?;
    let mut times = Vec::new();
    let mut due = began + BETWEEN_SINGLES / 2;
    while due < began + load.span {
        sleep_until(due).await;
        let number = 2 * NUMBERS + times.len() as u64;
        let sent = phone.upload(&load.photos.photo(number)).await?;
        let viewable = phone
            .wait(&sent.asset_id, sent.last_byte, is_viewable)
            .await;
        times.push(viewable.with_context(|| server.log_end())?);
        due = Instant::now().max(due + BETWEEN_SINGLES);
    }
    Ok(times)
}
