//! The system's randomness.

use safelight_model::entropy::Entropy;

/// Random bytes of the operating system. The one place in the client where they are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(
        clippy::disallowed_methods,
        clippy::panic,
        reason = "this is the injected source itself; without randomness no reference may be made"
    )]
    fn fill(&self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            panic!("the system gives no random bytes: {error}");
        }
    }
}
