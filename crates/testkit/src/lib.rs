//! What tests and the demo need and production does not: a fake camera, a temporary
//! PostgreSQL, foreign S3 stores and tools, a browser, the real server, a proxy and a bad network in front of it,
//! an older kernel, a clock that is wrong, free ports, waiting for conditions, and
//! the rule for outside media.

pub mod browser;
pub mod camera;
pub mod link;
pub mod media;
pub mod older_kernel;
pub mod ports;
pub mod postgres;
pub mod proxy;
pub mod server;
pub mod skew;
pub mod stores;
pub mod tools;
pub mod wait;
