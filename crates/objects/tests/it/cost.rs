//! What a presigned URL costs: printed, not judged.

use std::time::{Duration, Instant};

use safelight_model::clock::Micros;
use safelight_objects::{Capabilities, ObjectKey, Objects, PutBinding, ownership};

use crate::canned::settings;

#[test]
fn print_the_cost_of_presigning() {
    const ROUNDS: u32 = 20_000;
    let objects =
        Objects::connect(settings("http://127.0.0.1:7601"), Capabilities::embedded()).unwrap();
    let key =
        ObjectKey::parse("o/ten_0123456789abcdefghjkmnpqrs/2026/11/23/0123456789abcdefghjkmnpqrs")
            .unwrap();
    let metadata = ownership("cat_1", key.tenant(), "ast_0123456789abcdefghjkmnpqrs");
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let ttl = Duration::from_secs(900);
    let start = Micros(1_795_000_000_000_000);

    let began = Instant::now();
    for round in 0..ROUNDS {
        let binding = PutBinding {
            size_bytes: i64::from(round),
            sha256_hex: Some(hash),
            content_type: Some("image/jpeg"),
            metadata: Some(&metadata),
        };
        let now = start.plus(Duration::from_secs(u64::from(round)));
        std::hint::black_box(objects.presign_put(&key, binding, now, ttl).unwrap());
    }
    let put = began.elapsed() / ROUNDS;

    let began = Instant::now();
    for round in 0..ROUNDS {
        let size = i64::from(round);
        let signed = objects.presign_part(
            &key,
            "upload-id-of-32-characters-or-so",
            7,
            size,
            Some(hash),
            start,
            ttl,
        );
        std::hint::black_box(signed.unwrap());
    }
    let part = began.elapsed() / ROUNDS;
    println!("presign: put {put:?}, part {part:?} (one thread, wall clock)");
}
