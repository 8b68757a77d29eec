//! What says that a message comes from here: Standard Webhooks, "Signature scheme".

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use safelight_catalog::webhooks::Endpoint;
use safelight_model::clock::Micros;
use sha2::Sha256;

use crate::context::Context;

/// The secret of an endpoint as its owner is shown it.
#[must_use]
pub fn shown(secret: &[u8; 32]) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(secret))
}

/// The id of a message: the same however often an event is sent to an endpoint.
#[must_use]
pub fn message_id(event_id: &str, webhook_id: &str) -> String {
    let body = webhook_id.split_once('_').map_or(webhook_id, |(_, b)| b);
    format!("{event_id}_{body}")
}

/// The header `webhook-signature`: by the endpoint's secret, and by those before while they still count.
#[must_use]
pub fn signatures(
    context: &Context,
    endpoint: &Endpoint,
    now: Micros,
    message_id: &str,
    timestamp_s: i64,
    body: &[u8],
) -> String {
    let by = |salt: &str| {
        let (tenant_id, webhook_id) = (&endpoint.tenant_id, &endpoint.webhook_id);
        let secret = context.keyring.webhook_secret(tenant_id, webhook_id, salt);
        signature(&secret, message_id, timestamp_s, body)
    };
    let old = endpoint.old.as_ref().filter(|(_, until)| *until > now);
    let salts = old.map_or("", |(salts, _)| salts.as_str());
    let mut all = vec![by(&endpoint.salt)];
    all.extend(salts.split_whitespace().map(by));
    all.join(" ")
}

#[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn signature(secret: &[u8], message_id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(message_id.as_bytes());
    mac.update(format!(".{timestamp_s}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of the specification's own libraries.
        let secret = BASE64_STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap();
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_id_names_event_and_endpoint() {
        assert_eq!(message_id("evt_1", "whk_2"), "evt_1_2");
    }
}
