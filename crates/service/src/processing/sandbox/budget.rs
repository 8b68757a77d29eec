//! What all children together may hold in memory.
//!
//! Every child may keep so much for itself ([`SandboxSettings::kept_bytes`](super::SandboxSettings::kept_bytes)), and that is what
//! an ordinary photo takes: it waits for nobody. What is expected to take more, by its header, takes the rest from a pool, in
//! the order of coming, and waits until there is enough. One that is larger than the pool takes all of it, and so is alone.
//! A part of the pool is for what takes little more than a child may keep: that does not stand behind the very large.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use safelight_imaging::{Header, Limits, MediaType, header};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

const MIB: u64 = 1024 * 1024;
/// The header of nearly every file is in its first mebibyte.
const HEAD_BYTES: u64 = MIB;
/// Where it is not, files up to this size are read whole to find it.
const WHOLE_BYTES: u64 = 8 * MIB;
/// The program with its codecs warmed up, and the renditions of any picture.
const BASE_BYTES: u64 = 40 * MIB;

/// The pool of memory that children take what they may not keep from.
pub(super) struct Budget {
    is_endless: bool,
    kept_bytes: u64,
    most_bytes: u64,
    /// For what takes up to twice what a child may keep.
    medium: Pool,
    /// For what takes more.
    large: Pool,
    /// For what makes streams of clips, which takes minutes: what somebody waits for does not stand behind that.
    streams: Pool,
}

struct Pool {
    mib: u32,
    free: Semaphore,
}

impl Pool {
    /// A pool of nothing would let nothing through: one at a time then.
    fn of(mib: u64) -> Self {
        let most_mib = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let mib = u32::try_from(mib).unwrap_or(u32::MAX).clamp(1, most_mib);
        Self {
            mib,
            free: Semaphore::new(mib as usize),
        }
    }
}

/// The part of the pool that is for what takes little more than a child may keep.
const MEDIUM_PART: u64 = 4;
/// The part of what is for the large that is for streams, where clips are decoded.
const STREAMS_PART: u32 = 3;

impl Budget {
    /// Of `budget_bytes` (`u64::MAX`: without end) for `processes` children, each of which may keep `kept_bytes`, and have `most_bytes` at most.
    pub(super) fn of(
        budget_bytes: u64,
        processes: usize,
        kept_bytes: u64,
        most_bytes: u64,
    ) -> Self {
        let kept = kept_bytes.saturating_mul(processes as u64);
        let pool_mib = budget_bytes.saturating_sub(kept) / MIB;
        let medium_mib = pool_mib / MEDIUM_PART;
        Self {
            is_endless: budget_bytes == u64::MAX,
            kept_bytes,
            most_bytes,
            medium: Pool::of(medium_mib),
            large: Pool::of(pool_mib - medium_mib),
            streams: Pool::of(0),
        }
    }

    /// The same where clips are decoded.
    pub(super) fn with_streams(self) -> Self {
        let streams_mib = self.large.mib / STREAMS_PART;
        Self {
            large: Pool::of(u64::from(self.large.mib - streams_mib)),
            streams: Pool::of(u64::from(streams_mib)),
            ..self
        }
    }

    /// Waits until this file can be decoded within the budget, and so much more be made of it than is built in; what is answered keeps
    /// its share.
    ///
    /// # Errors
    /// After [`Budget::close`].
    pub(super) async fn take(
        &self,
        original: &OwnedFd,
        limits: &Limits,
        beyond_built_in_bytes: u64,
    ) -> Result<Option<SemaphorePermit<'_>>, AcquireError> {
        if self.is_endless {
            return Ok(None);
        }
        let expected_bytes = look(original, limits).await;
        self.take_bytes(expected_bytes.saturating_add(beyond_built_in_bytes))
            .await
    }

    /// Waits until so much can be held within the budget; what is answered keeps its share.
    ///
    /// # Errors
    /// After [`Budget::close`].
    pub(super) async fn take_bytes(
        &self,
        expected_bytes: u64,
    ) -> Result<Option<SemaphorePermit<'_>>, AcquireError> {
        let (pool, beyond) = self.beyond(expected_bytes);
        self.take_from(pool, beyond).await
    }

    /// As [`Budget::take_bytes`], for a stream.
    ///
    /// # Errors
    /// After [`Budget::close`].
    pub(super) async fn take_for_stream(
        &self,
        expected_bytes: u64,
    ) -> Result<Option<SemaphorePermit<'_>>, AcquireError> {
        let beyond = expected_bytes.saturating_sub(self.kept_bytes);
        let mib = u32::try_from(beyond.div_ceil(MIB)).unwrap_or(u32::MAX);
        self.take_from(&self.streams, mib.min(self.streams.mib))
            .await
    }

    async fn take_from<'a>(
        &self,
        pool: &'a Pool,
        beyond: u32,
    ) -> Result<Option<SemaphorePermit<'a>>, AcquireError> {
        if self.is_endless || beyond == 0 {
            return Ok(None);
        }
        if let Ok(share) = pool.free.try_acquire_many(beyond) {
            return Ok(Some(share));
        }
        metrics::counter!("safelight_decode_memory_waits_total").increment(1);
        Ok(Some(pool.free.acquire_many(beyond).await?))
    }

    /// Turns away those who wait.
    pub(super) fn close(&self) {
        self.medium.free.close();
        self.large.free.close();
        self.streams.free.close();
    }

    /// What a task of so many bytes takes, in mebibytes, and from which pool.
    fn beyond(&self, expected_bytes: u64) -> (&Pool, u32) {
        let beyond = expected_bytes
            .min(self.most_bytes)
            .saturating_sub(self.kept_bytes);
        let pool = match beyond <= self.kept_bytes {
            true => &self.medium,
            false => &self.large,
        };
        let mib = u32::try_from(beyond.div_ceil(MIB)).unwrap_or(u32::MAX);
        (pool, mib.min(pool.mib))
    }
}

/// As [`expected_bytes`], on a thread that may wait for a disk.
async fn look(original: &OwnedFd, limits: &Limits) -> u64 {
    let Ok(file) = original.try_clone() else {
        return 0;
    };
    let limits = *limits;
    let looked = tokio::task::spawn_blocking(move || expected_bytes(&file, &limits)).await;
    looked.unwrap_or(u64::MAX)
}

/// The memory that a child is expected to have resident when it decodes this file: the most there is if its header is nowhere near
/// its beginning. What has no sound header is refused by the child before it decodes anything.
fn expected_bytes(original: &OwnedFd, limits: &Limits) -> u64 {
    let read = || -> std::io::Result<u64> {
        let file = File::from(original.try_clone()?);
        let file_bytes = file.metadata()?.len();
        for bytes in [HEAD_BYTES.min(file_bytes), file_bytes] {
            if bytes > WHOLE_BYTES {
                return Ok(u64::MAX);
            }
            let mut head = vec![0; usize::try_from(bytes).map_err(std::io::Error::other)?];
            file.read_exact_at(&mut head, 0)?;
            if let Ok(found) = header(&head, limits) {
                return Ok(expected_of(&found, file_bytes));
            }
        }
        Ok(0)
    };
    // The child says why, if it cannot be read.
    read().unwrap_or(0)
}

/// The most that was seen, with something on top (`tests/it/budget.rs` holds it against what decoding takes).
#[must_use]
pub fn expected_of(header: &Header, file_bytes: u64) -> u64 {
    let (width, height) = header.coded;
    let pixels = u64::from(width).saturating_mul(u64::from(height));
    let bytes_per_pixel = match header.media {
        // What is read of them; coefficients are added.
        MediaType::Jpeg | MediaType::Tiff | MediaType::Dng => 1,
        // Its pixels with alpha, and a row of filters, or the numbers of colours.
        MediaType::Png | MediaType::Gif => 6,
        // Planes; pixels, alpha and both together.
        _ if header.has_alpha_plane => 13,
        // Planes, pixels with alpha, and what is read of them.
        _ => 8,
    };
    BASE_BYTES
        .saturating_add(file_bytes)
        .saturating_add(header.coefficient_bytes)
        .saturating_add(pixels.saturating_mul(bytes_per_pixel))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use futures::FutureExt as _;

    use super::*;

    fn jpeg(width: u32, height: u32) -> OwnedFd {
        let grey = vec![128; width as usize * height as usize * 3];
        let jpeg = safelight_imaging::encode_jpeg(width, height, &grey, 50).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&jpeg).unwrap();
        file.into()
    }

    #[tokio::test]
    async fn the_second_large_picture_waits_for_the_first() {
        let limits = Limits::default();
        let (large, medium, small) = (jpeg(10_000, 9000), jpeg(7000, 7000), jpeg(400, 300));
        let budget = Budget::of(1120 * MIB, 6, 160 * MIB, 900 * MIB);
        assert_eq!((budget.medium.mib, budget.large.mib), (40, 120));
        let first = budget.take(&large, &limits, 0).await.unwrap().unwrap();
        assert_eq!(first.num_permits(), 120);
        let mut second = Box::pin(budget.take(&large, &limits, 0));
        assert!(second.as_mut().now_or_never().is_none());
        // Neither what takes little more than every child may keep stands behind it, nor what takes no more.
        let third = budget.take(&medium, &limits, 0).await.unwrap().unwrap();
        assert_eq!(third.num_permits(), 40);
        assert!(budget.take(&small, &limits, 0).await.unwrap().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.await.unwrap().is_some());
        let fourth = budget.take(&large, &limits, 0);
        budget.close();
        assert!(fourth.await.is_err());
        let endless = Budget::of(u64::MAX, 6, 160 * MIB, 900 * MIB);
        assert!(endless.take(&large, &limits, 0).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_large_picture_does_not_stand_behind_a_stream() {
        let budget = Budget::of(1120 * MIB, 6, 160 * MIB, 900 * MIB).with_streams();
        assert_eq!((budget.large.mib, budget.streams.mib), (80, 40));
        let stream = budget.take_for_stream(u64::MAX).await.unwrap().unwrap();
        assert_eq!(stream.num_permits(), 40);
        let large = budget.take_bytes(u64::MAX).await.unwrap().unwrap();
        assert_eq!(large.num_permits(), 80);
        assert!(budget.take_for_stream(160 * MIB).await.unwrap().is_none());
        let mut second = Box::pin(budget.take_for_stream(161 * MIB));
        assert!(second.as_mut().now_or_never().is_none());
        drop(stream);
        assert!(second.await.unwrap().is_some());
        budget.close();
        assert!(budget.take_for_stream(u64::MAX).await.is_err());
    }

    fn beyond_mib(budget: &Budget, expected_bytes: u64) -> u32 {
        budget.beyond(expected_bytes).1
    }

    #[test]
    fn an_ordinary_photo_waits_for_nobody_and_a_large_one_takes_a_share() {
        let budget = Budget::of(1024 * MIB, 4, 128 * MIB, 900 * MIB);
        assert_eq!((budget.medium.mib, budget.large.mib), (128, 384));
        assert_eq!(beyond_mib(&budget, 128 * MIB), 0);
        assert_eq!(beyond_mib(&budget, 128 * MIB + 1), 1);
        assert_eq!(beyond_mib(&budget, 400 * MIB), 272);
        // More than there is: all of it, alone.
        assert_eq!(beyond_mib(&budget, u64::MAX), 384);
    }

    #[test]
    fn a_pool_of_nothing_lets_one_through_at_a_time() {
        let budget = Budget::of(0, 4, 128 * MIB, 900 * MIB);
        assert_eq!((budget.medium.mib, budget.large.mib), (1, 1));
        assert_eq!(beyond_mib(&budget, u64::MAX), 1);
        assert_eq!(beyond_mib(&Budget::of(u64::MAX, 1, 0, u64::MAX), 0), 0);
    }

    #[test]
    fn what_is_expected_goes_by_pixels() {
        let header = |media, width: u32, height: u32| Header {
            media,
            width,
            height,
            coded: (width, height),
            coefficient_bytes: match media {
                MediaType::Jpeg => u64::from(width) * u64::from(height) * 3,
                _ => 0,
            },
            has_alpha_plane: false,
            orientation: safelight_imaging::Orientation::Upright,
        };
        let ordinary = expected_of(&header(MediaType::Jpeg, 4032, 3024), 8_000_000);
        assert!(ordinary < 128 * MIB, "{ordinary}");
        let large = expected_of(&header(MediaType::Jpeg, 12_000, 9_000), 40_000_000);
        assert!(large > 400 * MIB, "{large}");
        // What a crop leaves says nothing of what is decoded.
        let cropped = Header {
            width: 16,
            height: 16,
            ..header(MediaType::Heic, 14_000, 14_000)
        };
        assert!(expected_of(&cropped, 1_000_000) > 1024 * MIB);
        let opaque = header(MediaType::Heic, 4000, 3000);
        let translucent = Header {
            has_alpha_plane: true,
            ..opaque
        };
        let more = expected_of(&translucent, 0) - expected_of(&opaque, 0);
        assert_eq!(more, 5 * 4000 * 3000);
        let most = expected_of(&header(MediaType::Webp, u32::MAX, u32::MAX), u64::MAX);
        assert_eq!(most, u64::MAX);
    }
}
