//! The time of day, for `Last-Modified`.

use s3s::dto::Timestamp;
use time::OffsetDateTime;

/// Microseconds since 1970, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "the store stands alone and s3s checks signatures against this clock as well"
)]
pub(crate) fn now_us() -> i64 {
    let now = OffsetDateTime::now_utc();
    now.unix_timestamp() * 1_000_000 + i64::from(now.microsecond())
}

/// A moment as S3 writes it; times that no calendar has become 1970.
pub(crate) fn timestamp(at_us: i64) -> Timestamp {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_us) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .into()
}
