//! The groups of measurements, one file each.

pub mod cover;
pub mod intake;
