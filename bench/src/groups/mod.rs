//! The groups of measurements, one file each.

pub mod cover;
pub mod diskstore;
pub mod gateway;
pub mod imaging;
pub mod intake;
pub mod lanes;
pub mod media;
pub mod weaknet;
pub mod wire;
