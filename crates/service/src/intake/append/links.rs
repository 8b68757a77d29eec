//! The gateway's addresses of an upload: `/u/{protocol}/{tenant}/{upload}?e={end}&k={key id}&s={signature}`. They
//! live as long as the upload, so that a transfer in the background needs no credential of its own.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use safelight_api::uploads::SignedUrl;
use safelight_catalog::uploads::Upload;
use safelight_model::clock::Micros;
use serde::Deserialize;

use crate::context::Context;

/// What a client speaks to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IETF resumable uploads.
    Rufh,
    /// tus 1.0.
    Tus,
}

impl Protocol {
    /// As in paths.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rufh => "rufh",
            Self::Tus => "tus",
        }
    }
}

/// What stands in the query of a signed address.
#[derive(Clone, Debug, Deserialize)]
pub struct Signature {
    e: i64,
    k: String,
    s: String,
}

/// The path of an upload.
#[must_use]
pub fn path(protocol: Protocol, tenant_id: &str, upload_id: &str) -> String {
    format!("/u/{}/{tenant_id}/{upload_id}", protocol.as_str())
}

/// The signed address of an upload that ends at `expires_at`.
#[must_use]
pub fn address(
    context: &Context,
    protocol: Protocol,
    tenant_id: &str,
    upload_id: &str,
    expires_at: Micros,
) -> String {
    let path = path(protocol, tenant_id, upload_id);
    let (ring, end) = (&context.keyring, expires_at.unix_seconds());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(ring.sign_link(&path, end));
    format!(
        "{}{path}?e={end}&k={}&s={signature}",
        context.settings.gateway_public_url, ring.link_key_id
    )
}

impl Signature {
    /// Whether this is a living signature of `path`.
    #[must_use]
    pub fn is_for(&self, context: &Context, path: &str) -> bool {
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(&self.s) else {
            return false;
        };
        self.e >= context.now().unix_seconds()
            && context
                .keyring
                .verify_link(path, self.e, &self.k, &signature)
    }
}

/// The addresses of an upload by either protocol, as an initiation answers them.
#[must_use]
pub fn addresses(
    context: &Context,
    tenant_id: &str,
    upload_id: &str,
    size_bytes: i64,
    expires_at: Micros,
) -> Vec<SignedUrl> {
    [Protocol::Rufh, Protocol::Tus]
        .into_iter()
        .map(|protocol| SignedUrl {
            number: 1,
            url: address(context, protocol, tenant_id, upload_id, expires_at),
            protocol: Some(protocol.as_str().to_owned()),
            headers: std::collections::BTreeMap::new(),
            size_bytes,
            expires_at: expires_at.rfc3339(),
        })
        .collect()
}

/// The addresses of an upload that is there.
#[must_use]
pub fn addresses_of(context: &Context, upload: &Upload) -> Vec<SignedUrl> {
    addresses(
        context,
        &upload.tenant_id,
        &upload.upload_id,
        upload.size_bytes,
        upload.expires_at,
    )
}
