//! What comes of a look at an upload of which nobody says anything: shared by the stages that look and the
//! janitor that has them look.

use safelight_model::clock::Micros;

/// When the upload is looked at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its row has changed, and says so itself.
    Settled,
    /// Then.
    At(Micros),
    /// Nothing more is to come of it.
    Never,
}
