//! Reading all that the store holds before somebody needs it, and comparing it with its sums.

mod check;
mod objects;
mod pass;
mod state;
mod uploads;

pub use pass::{ScrubPass, ScrubStep};
pub use state::ScrubState;
