//! Smaller copies: what an app's encoder is asked, and what it answers.
//!
//! Where the server advises to send a smaller copy (slow or dear links, pictures for showing), and the app has an [`Encode`],
//! the copy is uploaded in place of the original. The original is never touched, and stays on the device: the server holds
//! the copy only ([`crate::settle::held`]).

use std::path::Path;

pub use safelight_api::captures::Compress;

/// Makes smaller copies of pictures; a phone puts its hardware encoder behind it.
///
/// The copy has to look as the original does: turned the same way up (by its pixels or by its EXIF orientation), with the time at
/// which it was taken (`DateTimeOriginal` and its offset), and no larger in pixels. Where it was taken goes into the copy
/// only if the user lets the app tell that.
pub trait Encode: Send + Sync + 'static {
    /// Writes a smaller copy of the picture at `original` to `copy`, where nothing is yet, by `advice`. Returns the media type
    /// of what it wrote, or `None` to decline, and the original is sent. It may take its time, on a thread of its own.
    ///
    /// A copy that is not smaller in bytes is not sent. Clips are never asked for.
    ///
    /// # Errors
    /// When the copy cannot be made: the original is sent, and [`crate::progress::Event::NoCopy`] told.
    fn encode(
        &self,
        original: &Path,
        copy: &Path,
        advice: &Compress,
    ) -> std::io::Result<Option<String>>;
}
