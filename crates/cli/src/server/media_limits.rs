//! What files may be at most, by tenant: five settings that take a number, and others for single tenants behind it.

use std::fmt::Display;
use std::str::FromStr;

use safelight_model::limits;
use safelight_model::per_tenant::PerTenant;
use safelight_service::context::MediaLimits;

use super::settings::Resolved;

/// Address space of a decoding process by default.
pub(super) const SANDBOX_BYTES: u64 = 1024 * 1024 * 1024;
/// The least that decoding an ordinary photo takes.
const LEAST_SANDBOX_BYTES: u64 = 256 * 1024 * 1024;

impl Resolved {
    /// The number of a setting that may be another for single tenants; at least `least`, and `of_others` where only some are named.
    fn per_tenant<T: FromStr + Copy + Ord + Display>(
        &self,
        key: &str,
        least: T,
        of_others: T,
    ) -> anyhow::Result<PerTenant<T>> {
        let value = |text: &str| text.parse::<T>().ok().filter(|n| *n >= least);
        PerTenant::read(self.text(key), of_others, value).ok_or_else(|| {
            let wanted = format!(
                "a whole number, at least {least}, perhaps with others for single tenants: {of_others},ten_a={least}"
            );
            self.wrong(key, &wanted)
        })
    }

    /// What files may be at most, by tenant.
    pub fn media_limits(&self) -> anyhow::Result<MediaLimits> {
        Ok(MediaLimits {
            max_file_bytes: self.per_tenant("max_file_bytes", 1, limits::MAX_FILE_BYTES)?,
            max_pixels: self.per_tenant("max_pixels", 1, limits::MAX_PIXELS)?,
            max_frames: self.per_tenant("max_frames", 1, limits::MAX_FRAMES)?,
            max_clip_seconds: self.per_tenant("max_clip_seconds", 0, limits::MAX_CLIP_SECONDS)?,
            sandbox_memory_bytes: self.per_tenant(
                "sandbox_memory_bytes",
                LEAST_SANDBOX_BYTES,
                SANDBOX_BYTES,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use safelight_service::processing::sandbox::KEPT_BYTES;

    use super::*;
    use crate::server::settings::tests::resolved;
    use crate::server::settings::{DECODING, SettingArgs, variable};

    #[test]
    fn limits_may_be_others_for_single_tenants() {
        let file = "max_pixels = [\"50000000\", \"ten_a=9\"]\nmax_frames = \"ten_a=3\"\n\
            sandbox_memory_bytes = \"ten_a=2147483648\"";
        let found = resolved(SettingArgs::default(), &[], Some(file)).unwrap();
        let media = found.media_limits().unwrap();
        let of = |limit: &PerTenant<u64>| [limit.of("ten_a"), limit.of("ten_b")];
        assert_eq!(of(&media.max_pixels), [9, 50_000_000]);
        assert_eq!(of(&media.sandbox_memory_bytes), [2 << 30, 1 << 30]);
        assert_eq!(media.max_frames.of("ten_b"), limits::MAX_FRAMES);
        // What one decoder may take is beside what all may keep.
        let budget = found.number("decode_budget_bytes", 0).unwrap();
        let processes: u64 = DECODING
            .map(|key| found.number(key, 0).unwrap())
            .iter()
            .sum();
        assert_eq!(budget, processes * KEPT_BYTES + (2 << 30));
        for (key, wrong) in [
            ("max_pixels", "0"),
            ("max_pixels", "ten_a=0"),
            ("max_frames", "many"),
            ("max_frames", "5000000000"),
            ("max_file_bytes", "1,2"),
            ("max_clip_seconds", "ten_a"),
            ("sandbox_memory_bytes", "1073741824,ten_a=1000000"),
        ] {
            let variable = variable(key);
            let error = resolved(SettingArgs::default(), &[(&variable, wrong)], None);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(wrong), "{error}");
        }
    }
}
