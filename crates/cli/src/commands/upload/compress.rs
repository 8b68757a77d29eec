//! Smaller copies of pictures, of every kind that is decoded: upright, in sRGB, as JPEG.
//!
//! They are decoded and encoded in the sandbox's child processes, as previews are. A file that breaks its decoder has no copy,
//! and is sent as it is.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use safelight_client::encode::{Compress, Encode};
use safelight_client::uploader::FileOutcome;
use safelight_imaging::Limits;
use safelight_model::preset::Format;
use safelight_service::processing::sandbox::CopyTask;
use tokio::runtime::Handle;

use super::preview::Sandboxed;

/// Why not one smaller copy was sent, if files were sent.
pub fn why_none(outcomes: &[FileOutcome], purpose: Option<&str>) -> Option<&'static str> {
    let is_sent = |o: &&FileOutcome| o.failure.is_none() && !o.already_there;
    let mut sent = outcomes.iter().filter(is_sent).peekable();
    sent.peek()?;
    if sent.any(|o| o.copy_sha256.is_some()) {
        return None;
    }
    // The policy gives advice for these alone, whatever an operator has set.
    match purpose {
        Some("profile" | "post" | "message") => {
            Some("the server advised no copies, or none came out smaller")
        }
        _ => Some(
            "copies are advised for profile, post and message alone; say by --purpose which it is",
        ),
    }
}

/// Larger files are sent as they are.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// No JPEG is longer: where no edge is advised, none is shortened.
const LONGEST_EDGE: u32 = 65_535;

/// Encodes JPEG. Asked for anything else (a screenshot is best kept without loss), it declines.
pub struct Jpeg {
    /// Where it does so.
    pub sandbox: Arc<Sandboxed>,
}

impl Encode for Jpeg {
    fn encode(
        &self,
        original: &Path,
        copy: &Path,
        advice: &Compress,
    ) -> std::io::Result<Option<String>> {
        let format = Format::Jpeg;
        let file = std::fs::File::open(original)?;
        if advice.format != format.mime() || file.metadata()?.len() > MAX_BYTES {
            return Ok(None);
        }
        let task = CopyTask {
            long_edge: advice.max_edge_px.unwrap_or(LONGEST_EDGE),
            quality: u8::try_from(advice.quality).unwrap_or(100).clamp(1, 100),
            limits: Limits::default(),
        };
        // On a thread of its own, which belongs to the runtime.
        let jpeg = Handle::current().block_on(async {
            match self.sandbox.get().await {
                Ok(sandbox) => sandbox.copy(OwnedFd::from(file), task).await.map(Some),
                // Where nothing can be decoded safely, nothing is.
                Err(_) => Ok(None),
            }
        });
        let Some(jpeg) = jpeg.map_err(std::io::Error::other)? else {
            return Ok(None);
        };
        std::fs::write(copy, jpeg)?;
        Ok(Some(format.mime().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use safelight_service::processing::sandbox::SandboxSettings;
    use safelight_testkit::camera::{self, Scene};

    use super::*;

    fn advice(format: &str) -> Compress {
        Compress {
            format: format.to_owned(),
            quality: 80,
            max_edge_px: None,
        }
    }

    /// What breaks its decoder ends the child. So does any picture here, since the children are none.
    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_decoded_here_and_what_ends_a_child_ends_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (original, copy) = (dir.path().join("a.jpg"), dir.path().join("copy"));
        std::fs::write(&original, camera::photo(&Scene::default())).unwrap();
        let sandbox = Sandboxed::by(SandboxSettings {
            program: "/bin/false".into(),
            processes: 1,
            ..SandboxSettings::own_program()
        });
        let jpeg = Arc::new(Jpeg {
            sandbox: Arc::new(sandbox),
        });
        for _ in 0..3 {
            let (jpeg, original, copy) = (jpeg.clone(), original.clone(), copy.clone());
            let made = tokio::task::spawn_blocking(move || {
                jpeg.encode(&original, &copy, &advice("image/jpeg"))
            });
            assert!(made.await.unwrap().is_err());
        }
        assert!(!copy.exists());
        // What it cannot do it declines.
        let declined = jpeg.encode(&original, &copy, &advice("image/webp"));
        assert_eq!(declined.unwrap(), None);
    }
}
