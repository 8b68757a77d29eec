//! What the request for a capture must be like. Pure: no row is looked at.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_api::captures::{InitiateAsset, InitiateCapture, InitiateResource};
use safelight_model::{limits, text};

use super::initiate_capture::InitiateError;
use crate::context::Context;

/// What is wrong, and in which field.
pub(super) fn invalid(field: impl Into<String>, why: impl Into<String>) -> InitiateError {
    InitiateError::Invalid(field.into(), why.into())
}

/// Checks what concerns the capture as a whole.
pub(super) fn check_capture(request: &InitiateCapture) -> Result<(), InitiateError> {
    if !text::is_reference(&request.client_ref, limits::MAX_CLIENT_REF) {
        return Err(invalid(
            "client_ref",
            "client_ref must have 1 to 128 characters, none of them a control character",
        ));
    }
    if !["single", "burst", "hdr", "live", "clip"].contains(&request.mode.as_str()) {
        return Err(invalid(
            "mode",
            "mode must be single, burst, hdr, live or clip",
        ));
    }
    if request
        .purpose
        .as_ref()
        .is_some_and(|p| !text::is_reference(p, 64))
    {
        return Err(invalid("purpose", "purpose must have 1 to 64 characters"));
    }
    let device = request
        .device
        .iter()
        .flat_map(|d| [&d.model, &d.os, &d.os_version, &d.app_version]);
    let network = request.network.iter().map(|n| &n.kind);
    if device
        .chain(network)
        .flatten()
        .any(|hint| !text::is_reference(hint, 128))
    {
        return Err(invalid(
            "device",
            "texts about device and network have 1 to 128 characters",
        ));
    }
    if request.assets.is_empty() || request.assets.len() > limits::MAX_ASSETS {
        return Err(invalid("assets", "a capture has 1 to 100 assets"));
    }
    Ok(())
}

/// Checks the asset of this tenant's in place `i`, and gives its one resource.
pub(super) fn check_asset<'a>(
    context: &Context,
    tenant_id: &str,
    asset: &'a InitiateAsset,
    i: usize,
) -> Result<&'a InitiateResource, InitiateError> {
    let at = |field: &str| format!("assets[{i}].{field}");
    if !text::is_reference(&asset.client_ref, limits::MAX_CLIENT_REF) {
        return Err(invalid(
            at("client_ref"),
            "client_ref must have 1 to 128 characters",
        ));
    }
    if !["key", "frame", "still", "clip"].contains(&asset.role.as_str()) {
        return Err(invalid(
            at("role"),
            "role must be key, frame, still or clip",
        ));
    }
    let [resource] = asset.resources.as_slice() else {
        return Err(invalid(
            at("resources"),
            "this version takes exactly one resource, of kind primary",
        ));
    };
    let at = |field: &str| format!("assets[{i}].resources[0].{field}");
    if resource.kind != "primary" {
        return Err(invalid(
            at("kind"),
            "this version takes exactly one resource, of kind primary",
        ));
    }
    if resource.size_bytes < 1 {
        return Err(invalid(
            at("size_bytes"),
            "an empty file is not taken: size_bytes must be at least 1",
        ));
    }
    let max_bytes = context.settings.media.max_file_bytes.of(tenant_id);
    if resource.size_bytes > max_bytes {
        return Err(InitiateError::TooLarge {
            field: at("size_bytes"),
            size_bytes: resource.size_bytes,
            max_bytes,
        });
    }
    if resource
        .sha256
        .as_ref()
        .is_some_and(|h| !text::is_sha256_hex(h))
    {
        return Err(invalid(
            at("sha256"),
            "sha256 must be 64 lower-case hexadecimal digits",
        ));
    }
    if resource
        .filename
        .as_ref()
        .is_some_and(|n| !text::is_reference(n, 255))
    {
        return Err(invalid(
            at("filename"),
            "filename must have 1 to 255 characters, none of them a control character",
        ));
    }
    if resource.mime.as_ref().is_some_and(|m| {
        m.len() > 127 || !m.contains('/') || !m.bytes().all(|b| b.is_ascii_graphic())
    }) {
        return Err(invalid(
            at("mime"),
            "mime must be a media type such as image/jpeg",
        ));
    }
    if let Some(preview) = &resource.preview {
        let bytes = BASE64_STANDARD.decode(preview).unwrap_or_default();
        if bytes.is_empty() || bytes.len() > limits::MAX_THUMBHASH_BYTES {
            return Err(invalid(
                at("preview"),
                "preview must be a thumbhash: base64 of at most 64 bytes",
            ));
        }
    }
    Ok(resource)
}
