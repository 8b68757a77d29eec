//! The machine's own randomness. The one place where the service reads it.

use safelight_model::entropy::Entropy;

/// Random bytes from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the injected source itself"
    )]
    #[allow(
        clippy::expect_used,
        reason = "a machine without randomness must not make keys"
    )]
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives randomness");
    }
}
