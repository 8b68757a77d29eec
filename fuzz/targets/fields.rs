//! Header fields: those of both protocols of resumable uploads, preferences, conditions, ranges, and
//! what is wanted of a picture.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use safelight_fuzz::plant;

const SEEDS: [&str; 6] = [
    "upload-draft-interop-version: 8\nupload-complete: ?1\nupload-length: 12\ncontent-length: 12\nrepr-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
    "upload-draft-interop-version: 3\nupload-incomplete: ?0\nupload-offset: 5;a=b\ncontent-type: application/partial-upload\ncontent-disposition: attachment; filename=\"a \\\"b\\\".jpg\"; filename*=UTF-8''%e2%82%ac.jpg",
    "upload-length: 100\nupload-metadata: filename YS5qcGc=,filetype aW1hZ2UvanBlZw==,sha256,x\nupload-checksum: sha1 Lve95gjOVATpfV8EL5X4nxwjKHE=",
    "range: bytes=5-9\nif-range: \"tag\"\nif-none-match: W/\"tag\", \"b\"",
    "accept: image/avif;q=0.9, image/*;q=0.5,*/*;q=0.1\nsave-data: on\nsec-ch-width: 400\nsec-ch-dpr: 2.5\nviewport-width: 390",
    "prefer: wait=10, respond-async\nif-match: \"5.rest\", *\nrange: bytes=-3",
];

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    SEEDS.iter().map(|text| text.as_bytes().to_vec())
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..at]);
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    safelight_service::http::fuzz_fields(&headers);
    safelight_service::delivery::fuzz_fields(&headers);
});
