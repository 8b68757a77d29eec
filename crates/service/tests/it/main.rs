//! The stages, against real components on loopback.

mod queue;
mod sandbox;
