//! The stages, one folder each. They never import one another: they meet through rows and jobs, and
//! through three doors: [`queue::enqueue`], [`governance::decide`] and [`insights::record`].

pub mod context;
pub mod cursor;
pub mod delivery;
pub mod governance;
pub mod http;
pub mod insights;
pub mod intake;
pub mod janitor;
pub mod library;
pub mod look;
pub mod look_after;
pub mod make_again;
pub mod processing;
pub mod queue;
pub mod retention;
pub mod system_entropy;
pub mod want_square;
pub mod work;
pub mod worker;
