//! A presigned request for a page of keys: what the client of a store's library spends on parsing is not the store's.

use anyhow::Context as _;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use safelight_model::clock::Micros;
use sha2::{Digest as _, Sha256};

/// The head of a request for the first page of so many keys with a prefix of letters, digits and slashes.
pub fn head(
    host: &str,
    region: &str,
    (access_key, secret_key): (&str, &str),
    now: Micros,
    prefix: &str,
    keys: u16,
) -> anyhow::Result<String> {
    let at: String = now.rfc3339();
    let time: String = at
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches('Z')
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .chain(['Z'])
        .collect();
    let day = time.get(..8).context("a date")?;
    let scope = format!("{day}/{region}/s3/aws4_request");
    // In the order of their names, as they are signed.
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={time}&X-Amz-Expires=3600\
         &X-Amz-SignedHeaders=host&list-type=2&max-keys={keys}&prefix={}",
        format!("{access_key}/{scope}").replace('/', "%2F"),
        prefix.replace('/', "%2F"),
    );
    let canonical = format!("GET\n/safelight\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let hash = hex::encode(Sha256::digest(canonical));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let seconds = u64::try_from(now.0 / 1_000_000)?;
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let key = generate_signing_key(secret_key, moment, region, "s3");
    let signature = calculate_signature(key, to_sign.as_bytes());
    Ok(format!(
        "GET /safelight?{query}&X-Amz-Signature={signature} HTTP/1.1\r\nhost: {host}\r\n\r\n"
    ))
}
