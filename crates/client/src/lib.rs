//! The capture-side SDK: what a camera app links to send its captures.
//!
//! [`journal::Journal`] is the durable queue: what is to be sent stands in it before any network is
//! touched, and a process killed at any instruction goes on from it. [`grouping`] makes captures of
//! files, [`uploader::Uploader`] sends them, [`session::Session`] speaks the API,
//! [`transport::Transport`] carries requests and bytes ([`http::HttpTransport`] here; a phone may
//! put its background transfer behind it), and [`settle`] waits until what was sent is viewable.
//!
//! The app tells [`conditions`] (its network, its battery) and the client measures the rest ([`gauge`]); both go to the server,
//! which plans by them, at first and again when they change. [`gate`] holds back what may not be sent now. [`preview`] lets
//! others see what a picture is like before its first byte was sent.
//!
//! The truth about what arrived is the server's: the journal only remembers what was meant.

pub mod back_off;
pub mod call_error;
pub mod conditions;
mod dial;
pub mod encode;
pub mod fingerprint;
pub mod gate;
pub mod gauge;
pub mod grouping;
pub mod http;
pub mod journal;
pub mod metadata;
pub mod pause;
pub mod preview;
pub mod progress;
pub mod session;
pub mod settle;
pub mod system_entropy;
pub mod transport;
pub mod uploader;
