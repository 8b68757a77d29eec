//! Previews of what is uploaded, and the sandbox that they and smaller copies are made in.
//!
//! Decoding is done in the sandbox's child processes, as at the server. The files are the user's own, but not all are of the
//! user's making: what somebody else sent lies in the same folders, native decoders meet it here first, and one file that
//! breaks its decoder must not end the upload of all the others. A child costs a few milliseconds, once.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use safelight_client::grouping::media_type;
use safelight_client::preview::Preview;
use safelight_imaging::Limits;
use safelight_service::processing::sandbox::{RenderTask, Sandbox, SandboxError, SandboxSettings};
use tokio::sync::OnceCell;

/// Child processes, which are started when the first picture is to be decoded.
pub struct Sandboxed {
    settings: SandboxSettings,
    /// Where no child can be started, why: then there are no previews, nor copies.
    sandbox: OnceCell<Result<Sandbox, SandboxError>>,
}

impl Sandboxed {
    /// As many as there are processors, but no more than there are pictures.
    pub fn for_files(files: &[PathBuf]) -> Self {
        let settings = SandboxSettings::own_program();
        let pictures = files.iter().filter(|path| !is_video(path)).count();
        Self::by(SandboxSettings {
            processes: settings.processes.min(pictures).max(1),
            ..settings
        })
    }

    pub(super) fn by(settings: SandboxSettings) -> Self {
        Self {
            settings,
            sandbox: OnceCell::new(),
        }
    }

    /// The sandbox, if children can be started.
    pub(super) async fn get(&self) -> Result<&Sandbox, &SandboxError> {
        let start = async || Sandbox::start(self.settings.clone());
        self.sandbox.get_or_init(start).await.as_ref()
    }

    /// Why nothing is decoded on this machine; `None` where it is.
    pub async fn why_not(&self) -> Option<String> {
        let sandbox = match self.get().await {
            Ok(sandbox) => sandbox,
            Err(error) => return Some(error.to_string()),
        };
        match sandbox.confinement().await {
            Ok(confinement) if confinement.is_open() && !self.settings.may_be_open => {
                Some(SandboxError::Open(confinement).to_string())
            }
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        }
    }

    /// Ends the children.
    pub async fn end(&self) {
        if let Some(Ok(sandbox)) = self.sandbox.get() {
            sandbox.shutdown().await;
        }
    }
}

fn is_video(path: &Path) -> bool {
    media_type(path).is_some_and(|t| t.starts_with("video/"))
}

#[async_trait::async_trait]
impl Preview for Sandboxed {
    async fn thumbhash(&self, path: &Path) -> Option<Vec<u8>> {
        if is_video(path) {
            return None;
        }
        let sandbox = self.get().await.ok()?;
        let task = RenderTask {
            presets: Vec::new(),
            limits: Limits::default(),
            want_hashes: true,
            want_scores: false,
            want_faces: false,
            exact: false,
            credit: false,
        };
        let file = tokio::fs::File::open(path).await.ok()?.into_std().await;
        let reply = sandbox.render(OwnedFd::from(file), task).await.ok()?;
        reply.thumbhash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_children_than_pictures() {
        let children = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            Sandboxed::for_files(&files).settings.processes
        };
        let most = SandboxSettings::own_program().processes;
        assert_eq!(children(&["a.jpg", "b.mp4", "c.mov"]), 1);
        assert_eq!(children(&["b.mp4"]), 1);
        assert_eq!(children(&["a.jpg"; 2]), most.min(2));
        assert_eq!(children(&["a.jpg"; 500]), most);
    }
}
