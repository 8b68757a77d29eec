//! The client against a server that keeps to the wire and can be told to fail.

mod fake_server;
mod faults;
mod kill;
mod rig;
mod upload;
