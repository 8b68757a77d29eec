//! Landlock around a child: no path, no port, no socket or process of others.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};

use super::confinement::Landlock;
use super::protocol::tame;

/// What stays open of the file system: a file, or all that is below a folder, and what may be done with it.
pub(super) struct Reach<'a> {
    pub(super) place: BorrowedFd<'a>,
    pub(super) access: BitFlags<AccessFs>,
}

/// Gives up everything that this kernel's landlock knows of, for the calling thread and for ever, but for what is named.
pub(super) fn enter(reaches: &[Reach<'_>]) -> Landlock {
    let why = match restrict(reaches) {
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
/// not know, and allows what is named.
fn restrict(reaches: &[Reach<'_>]) -> Result<RestrictionStatus, RulesetError> {
    let newest = ABI::V10;
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?;
    for reach in reaches {
        ruleset = ruleset.add_rule(PathBeneath::new(reach.place, reach.access))?;
    }
    ruleset.restrict_self()
}
