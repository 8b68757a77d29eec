//! Previews of what is uploaded.
//!
//! Decoding is done in the sandbox's child processes, as at the server. The files are the user's own, but not all are of the
//! user's making: what somebody else sent lies in the same folders, native decoders meet it here first, and one file that
//! breaks its decoder must not end the upload of all the others. A child costs a few milliseconds, once.

use std::os::fd::OwnedFd;
use std::path::Path;

use safelight_client::grouping::media_type;
use safelight_client::preview::Preview;
use safelight_imaging::Limits;
use safelight_service::processing::sandbox::{RenderTask, Sandbox, SandboxSettings};
use tokio::sync::OnceCell;

/// Makes thumbhashes in child processes, which are started when the first one is wanted.
#[derive(Default)]
pub struct Sandboxed {
    /// `None` where no child can be started: then there are no previews.
    sandbox: OnceCell<Option<Sandbox>>,
}

impl Sandboxed {
    /// Ends the children.
    pub async fn end(&self) {
        if let Some(Some(sandbox)) = self.sandbox.get() {
            sandbox.shutdown().await;
        }
    }
}

#[async_trait::async_trait]
impl Preview for Sandboxed {
    async fn thumbhash(&self, path: &Path) -> Option<Vec<u8>> {
        if media_type(path).is_some_and(|t| t.starts_with("video/")) {
            return None;
        }
        let start = async || Sandbox::start(SandboxSettings::own_program()).ok();
        let sandbox = self.sandbox.get_or_init(start).await.as_ref()?;
        let task = RenderTask {
            presets: Vec::new(),
            limits: Limits::default(),
            want_hashes: true,
        };
        let file = tokio::fs::File::open(path).await.ok()?.into_std().await;
        let reply = sandbox.render(OwnedFd::from(file), task).await.ok()?;
        reply.thumbhash
    }
}
