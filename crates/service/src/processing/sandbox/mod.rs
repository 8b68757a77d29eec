//! The sandbox: untrusted bytes are decoded in child processes only.
//!
//! The server keeps a pool of children, each the same program under another subcommand, and each for one tenant. A child
//! has one socket, no environment, no other descriptor, bounded memory and bounded time. The kernel
//! lets it make no system call but those that decoding takes, and landlock stands behind that. It says
//! how tightly it is closed, and only then is sent an open file and presets with their numbers, and answers with encoded pictures. Nothing that it
//! answers is believed: lengths, counts, sizes and the kind of every picture are checked. What
//! kills a child, or makes it hang, fails the task it had, and no other.
//!
//! Clips are decoded by ffmpeg, of which each run is a child of its own: this program again, which closes itself in so that
//! nothing but libraries and the clip can be opened, and then becomes ffmpeg (`clips.rs`, `confine_clip.rs`). What it decodes is
//! a picture of the clip, and goes from there the way of all pictures.

mod budget;
mod child;
mod clip_args;
mod clip_facts;
mod clip_filter;
mod clips;
mod confine;
mod confine_clip;
mod confinement;
mod error;
mod exec_once;
mod idle;
mod kept;
mod landlock;
mod pace;
mod pool;
mod protocol;
mod seccomp;
mod worker;

pub use budget::expected_of;
pub use child::{child_main, serve_tasks};
pub use clip_facts::ClipFacts;
pub use clips::{ClipSettings, ClipTools};
pub use confine::confine;
pub use confinement::{Confinement, Landlock, Seccomp};
pub use error::SandboxError;
pub use kept::KeptPicture;
pub use pace::Pace;
pub use pool::{CopyTask, KEPT_BYTES, RenderReply, RenderTask, Sandbox, SandboxSettings};
#[cfg(any(fuzzing, test))]
pub use protocol::{answers_to_fuzz, fuzz_answer};
