//! How tightly the kernel closes the processes that decode.

use safelight_objects::Verdict;
use safelight_service::processing::sandbox::{Confinement, Landlock, Sandbox};

use super::finding::Finding;
use crate::server::compose::sandbox_settings;
use crate::server::settings::Resolved;

const CHECK: &str = "sandbox";

/// Has a child close itself in, and judges what it says of that.
pub async fn confinement(settings: &Resolved) -> Finding {
    let allows_open = settings.text("sandbox_allow_open") == "yes";
    match look(settings).await {
        Ok(confinement) => judge(&confinement, allows_open),
        Err(error) => Finding {
            check: CHECK,
            verdict: Verdict::Wrong,
            found: format!("{error:#}"),
            what_to_do: Some("see that this user may start processes"),
        },
    }
}

async fn look(settings: &Resolved) -> anyhow::Result<Confinement> {
    let mut wanted = sandbox_settings(settings)?;
    (wanted.processes, wanted.spares) = (1, 0);
    let sandbox = Sandbox::start(wanted)?;
    let confinement = sandbox.confinement().await;
    sandbox.shutdown().await;
    Ok(confinement?)
}

fn judge(confinement: &Confinement, allows_open: bool) -> Finding {
    let (verdict, what_to_do) = match (confinement.is_open(), &confinement.landlock) {
        (true, _) if allows_open => (
            Verdict::Warning,
            Some(
                "a decoder that is taken over can do what this user can: run the role worker where seccomp is there, and take back sandbox_allow_open",
            ),
        ),
        (true, _) => (
            Verdict::Wrong,
            Some(
                "run the role worker where the kernel has seccomp and the container allows it; serve refuses to decode here",
            ),
        ),
        (false, Landlock::Missing(_)) => (
            Verdict::Warning,
            Some(
                "the filter holds alone; for a second wall use Linux 5.13 or later with landlock among the lsm= of its boot parameters",
            ),
        ),
        (false, Landlock::Enforced(_)) => (Verdict::Ok, None),
    };
    Finding {
        check: CHECK,
        verdict,
        found: confinement.to_string(),
        what_to_do,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safelight_service::processing::sandbox::Seccomp;

    #[test]
    fn an_open_sandbox_is_wrong_unless_told_to() {
        let of = |has_seccomp: bool, has_landlock: bool, allows_open| {
            let confinement = Confinement {
                seccomp: match has_seccomp {
                    true => Seccomp::Filtered,
                    false => Seccomp::Missing("none".into()),
                },
                landlock: match has_landlock {
                    true => Landlock::Enforced(1),
                    false => Landlock::Missing("none".into()),
                },
                memory_bytes: 1 << 30,
            };
            let finding = judge(&confinement, allows_open);
            assert_eq!(finding.what_to_do.is_none(), finding.verdict == Verdict::Ok);
            finding.verdict
        };
        assert_eq!(of(true, true, false), Verdict::Ok);
        assert_eq!(of(true, false, false), Verdict::Warning);
        assert_eq!(of(false, true, false), Verdict::Wrong);
        assert_eq!(of(false, false, true), Verdict::Warning);
    }
}
