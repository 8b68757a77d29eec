//! The server's side of the sandbox: a child that was taken over says what it likes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::plant;
use safelight_service::processing::sandbox;

fuzz_target!(init: plant(sandbox::answers_to_fuzz()), |bytes: &[u8]| {
    sandbox::fuzz_answer(bytes);
});
