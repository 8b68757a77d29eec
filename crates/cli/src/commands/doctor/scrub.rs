//! What the last scrub of the embedded store found.

use safelight_diskstore::ScrubState;
use safelight_model::clock::Micros;
use safelight_objects::Verdict;

use super::finding::Finding;
use crate::output;
use crate::server::settings::Resolved;
use crate::server::store::{Backend, backend};

/// Whether the embedded store is whole; nothing of another store.
pub fn damage(settings: &Resolved) -> Option<Finding> {
    let Backend::Disk(root) = backend(settings) else {
        return None;
    };
    let Some(state) = ScrubState::read(&root) else {
        return Some(Finding {
            check: "scrub",
            verdict: Verdict::Ok,
            found: "the store was not read from end to end yet".to_owned(),
            what_to_do: None,
        });
    };
    let begun = Micros(state.begun_us).rfc3339();
    let bytes = output::size(i64::try_from(state.bytes).unwrap_or(i64::MAX));
    let how_far = if state.done { "finished" } else { "under way" };
    let found = format!(
        "begun {begun}, {how_far}: {} read of {} objects, {} damaged, {} places not read",
        bytes, state.examined, state.damaged, state.failed
    );
    let is_wrong = state.damaged > 0;
    let sound = if state.failed > 0 {
        Verdict::Warning
    } else {
        Verdict::Ok
    };
    Some(Finding {
        check: "scrub",
        verdict: if is_wrong { Verdict::Wrong } else { sound },
        found,
        what_to_do: is_wrong.then_some(
            "the server's log names what is damaged; restore it from a backup, and suspect the disk",
        ),
    })
}
