//! What a loss of power leaves.
//!
//! A store does what it is told on a disk that notes every step. For each moment between two steps the directories are
//! made that the disk may hold after a crash then: what was synced, and any part of what was not, in any order. Each is
//! opened, and must hold what the store had said was done, whole, and nothing that the store does not know of.

mod check;
mod drive;
mod faults;
mod replay;
mod scenarios;
