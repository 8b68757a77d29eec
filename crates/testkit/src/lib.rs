//! What tests and the demo need and production does not: a fake camera, a temporary
//! PostgreSQL, free ports, waiting for conditions, and the rule for outside media.

pub mod camera;
pub mod media;
pub mod ports;
pub mod postgres;
pub mod wait;
