//! Landlock around a child: no path, no port, no socket or process of others.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::confinement::Landlock;
use super::protocol::tame;

/// Gives up everything that this kernel's landlock knows of, for the calling thread and for ever.
pub(super) fn enter() -> Landlock {
    let why = match restrict() {
        Err(error) => tame(&error.to_string()),
        Ok(status) => match status.landlock {
            LandlockStatus::Available { effective_abi, .. }
                if status.ruleset != RulesetStatus::NotEnforced =>
            {
                return Landlock::Enforced(effective_abi as u32);
            }
            LandlockStatus::Available { .. } => "the kernel did not enforce it".to_owned(),
            LandlockStatus::NotEnabled => {
                "it was not switched on when the kernel was booted".to_owned()
            }
            LandlockStatus::NotImplemented => "the kernel has none".to_owned(),
        },
    };
    Landlock::Missing(why)
}

/// Handles every access of the newest interface, of which the library leaves out what the kernel does
/// not know, and allows none.
fn restrict() -> Result<RestrictionStatus, RulesetError> {
    let newest = ABI::V10;
    Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .restrict_self()
}
