//! Whether clips can be decoded here, by what, and how tightly that is closed in.

use safelight_objects::Verdict;
use safelight_service::processing::sandbox::{ClipTools, Sandbox, SandboxError};

use super::finding::Finding;
use crate::server::compose::sandbox_settings;
use crate::server::settings::Resolved;

const CHECK: &str = "clips";

/// Has ffmpeg say who it is, closed in as for a clip.
pub async fn clips(settings: &Resolved) -> Finding {
    let has_ffmpeg = sandbox_settings(settings).is_ok_and(|s| s.clips.is_some());
    judge(has_ffmpeg, look(settings).await)
}

async fn look(settings: &Resolved) -> anyhow::Result<ClipTools> {
    let mut wanted = sandbox_settings(settings)?;
    wanted.processes = 1;
    let sandbox = Sandbox::start(wanted)?;
    let tools = sandbox.clip_tools().await;
    sandbox.shutdown().await;
    Ok(tools?)
}

fn judge(has_ffmpeg: bool, looked: anyhow::Result<ClipTools>) -> Finding {
    let (verdict, found, what_to_do) = match looked {
        Ok(tools) if tools.confinement.lets_files_be_opened() => (
            Verdict::Warning,
            format!("{}: {}", tools.version, tools.confinement),
            Some(
                "ffmpeg, taken over by a clip, can read files here: run the role worker where seccomp and landlock are there, and take back sandbox_allow_open",
            ),
        ),
        Ok(tools) => (
            Verdict::Ok,
            format!("{}: {}", tools.version, tools.confinement),
            None,
        ),
        Err(_) if !has_ffmpeg => (
            Verdict::Warning,
            "no ffmpeg is found: clips are kept, and cannot be shown".to_owned(),
            Some(
                "install ffmpeg (with ffprobe) where the role worker runs, or name it by the setting ffmpeg",
            ),
        ),
        Err(error) => {
            let is_open = matches!(
                error.downcast_ref::<SandboxError>(),
                Some(SandboxError::NoClips(_))
            );
            let advice = match is_open {
                true => {
                    "run the role worker on Linux 5.13 or later, with landlock among the lsm= of its boot parameters; clips are kept meanwhile"
                }
                false => {
                    "run `ffmpeg -version` as this user; raise clip_memory_bytes if it wants memory"
                }
            };
            (Verdict::Warning, format!("{error:#}"), Some(advice))
        }
    };
    Finding {
        check: CHECK,
        verdict,
        found,
        what_to_do,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safelight_service::processing::sandbox::{Confinement, Landlock, Seccomp};

    #[test]
    fn what_lets_files_be_opened_is_warned_of() {
        let of = |landlock| {
            let tools = ClipTools {
                version: "ffmpeg version 7".to_owned(),
                confinement: Confinement {
                    seccomp: Seccomp::Filtered,
                    landlock,
                    memory_bytes: 1 << 30,
                },
            };
            let finding = judge(true, Ok(tools));
            assert!(finding.found.starts_with("ffmpeg version 7: "));
            assert_eq!(finding.what_to_do.is_none(), finding.verdict == Verdict::Ok);
            finding.verdict
        };
        assert_eq!(of(Landlock::Enforced(1)), Verdict::Ok);
        assert_eq!(of(Landlock::Missing("none".into())), Verdict::Warning);
        let none = judge(false, Err(anyhow::anyhow!("none")));
        assert_eq!(none.verdict, Verdict::Warning);
        assert!(
            none.what_to_do
                .is_some_and(|w| w.contains("install ffmpeg"))
        );
        let error = SandboxError::NoClips("open".to_owned());
        assert!(
            judge(true, Err(error.into()))
                .what_to_do
                .is_some_and(|w| w.contains("landlock"))
        );
    }
}
