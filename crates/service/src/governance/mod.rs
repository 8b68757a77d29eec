//! Who may do what: keys, tokens, and the one decision about what may be given out.

pub mod api_keys;
pub mod authenticate;
pub mod decide;
pub mod keyring;
pub mod tokens;
