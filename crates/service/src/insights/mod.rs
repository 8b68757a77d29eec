//! What happened and what it cost. This version records events; the funnel is built on them.

pub mod record;
