//! Pictures of a clip: ffmpeg decodes one of its frames, and the rest is done as to every picture.

use std::os::fd::OwnedFd;

use safelight_imaging::{Limits, MediaType};

use super::sandbox::{ClipFacts, RenderReply, RenderTask, Sandbox, SandboxError};
use safelight_model::preset::Preset;

/// Makes these presets' renditions of a frame of the clip, and its hashes. Width and height are those of the clip, upright.
///
/// # Errors
/// See [`SandboxError`].
pub(super) async fn clip_pictures(
    sandbox: &Sandbox,
    clip: &OwnedFd,
    media: MediaType,
    presets: Vec<Preset>,
    max_pixels: u64,
) -> Result<(RenderReply, ClipFacts), SandboxError> {
    let facts = sandbox.probe_clip(clip, max_pixels).await?;
    let frame = sandbox.clip_frame(clip, &facts).await?;
    let task = RenderTask {
        presets,
        limits: Limits {
            max_pixels,
            ..Limits::default()
        },
        want_hashes: true,
        want_scores: false,
        want_faces: false,
        exact: false,
        credit: false,
    };
    let reply = sandbox.render(frame, task).await?;
    Ok((RenderReply { media, ..reply }, facts))
}
