//! Between the wire and the policy: what clients say, and what they are told.

use safelight_api::captures::{
    Battery, Compress, InitiateCapture, InitiateResource, Network, Plan,
};
use safelight_catalog::uploads::Upload;
use safelight_model::plan::{self, Bounds, Content, File, Hints, Link, NetworkKind, Transport};
use serde::{Deserialize, Serialize};

use crate::context::Context;

/// The transports of a list; unknown ones are ignored. An empty list stands for `otherwise`.
pub(super) fn spoken(listed: &[String], otherwise: &[Transport]) -> Vec<Transport> {
    if listed.is_empty() {
        return otherwise.to_vec();
    }
    listed.iter().filter_map(|t| Transport::parse(t)).collect()
}

/// Those of these transports that may carry a file of this declared hash. Where the operator wants no URL that is bound
/// to a length alone, a file without a hash goes through the gateway, which sees the bytes itself; `None` if it cannot.
pub(super) fn carriers<'a>(
    context: &Context,
    sha256: Option<&str>,
    spoken: &'a [Transport],
) -> Option<&'a [Transport]> {
    const GATEWAY: &[Transport] = &[Transport::Append];
    if sha256.is_some() || context.settings.length_only_urls {
        return Some(spoken);
    }
    spoken.contains(&Transport::Append).then_some(GATEWAY)
}

/// What a plan has to keep to here.
pub(super) fn bounds(context: &Context) -> Bounds {
    Bounds {
        single_max_bytes: context.settings.single_max_bytes,
        min_part_bytes: context.objects.capabilities().min_part_bytes,
    }
}

/// The hints of an initiation.
pub(super) fn of_request<'a>(request: &'a InitiateCapture, spoken: &'a [Transport]) -> Hints<'a> {
    Hints {
        spoken,
        link: link(request.network.as_ref()),
        battery: battery(request.battery.as_ref()),
        background: request.background,
        purpose: request.purpose.as_deref(),
    }
}

/// A file as it was declared.
pub(super) fn file(resource: &InitiateResource) -> File<'_> {
    File {
        size_bytes: resource.size_bytes,
        mime: resource.mime.as_deref(),
        pixels: resource.width.zip(resource.height),
        content: resource.content.as_deref().and_then(Content::parse),
    }
}

pub(super) fn link(network: Option<&Network>) -> Link {
    let Some(network) = network else {
        return Link::default();
    };
    Link {
        kind: network
            .kind
            .as_deref()
            .map_or(NetworkKind::Unknown, NetworkKind::parse),
        downlink_kbps: network.downlink_kbps,
        uplink_kbps: network.uplink_kbps,
        rtt_ms: network.rtt_ms,
        loss_millionths: network.loss.and_then(|loss| whole(loss, 1_000_000.0)),
        is_dear: network.metered == Some(true) || network.save_data == Some(true),
    }
}

pub(super) fn battery(battery: Option<&Battery>) -> plan::Battery {
    let Some(battery) = battery else {
        return plan::Battery::default();
    };
    plan::Battery {
        percent: battery
            .level
            .and_then(|level| whole(level, 100.0))
            .and_then(|p| u8::try_from(p).ok()),
        is_charging: battery.charging == Some(true),
        is_saving: battery.saver == Some(true),
    }
}

/// A share from 0 to 1 in so many parts; none if it is no such share.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(share: f32, parts: f32) -> Option<u32> {
    (0.0..=1.0)
        .contains(&share)
        .then(|| (share * parts).round() as u32)
}

/// What a plan says besides numbers, as it stands in a row.
#[derive(Default, Serialize, Deserialize)]
struct Advice {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compress: Option<Compress>,
    #[serde(default)]
    why: Vec<String>,
}

/// What `plan` says besides numbers, for its row.
pub(super) fn advice(plan: &plan::Plan) -> Option<String> {
    let compress = plan.compress.map(|c| Compress {
        format: c.format.to_owned(),
        quality: c.quality,
        max_edge_px: c.max_edge_px,
    });
    let why = plan.why.iter().map(|w| w.as_str().to_owned()).collect();
    serde_json::to_string(&Advice { compress, why }).ok()
}

/// A plan as its columns tell of it.
pub(super) struct Columns<'a> {
    pub(super) transport: &'a str,
    pub(super) part_size_bytes: i64,
    pub(super) concurrency: i64,
    pub(super) send_order: i64,
    pub(super) advice: Option<&'a str>,
}

/// How a plan stands on the wire. Advice that cannot be read is none.
pub(super) fn told(columns: &Columns<'_>) -> Plan {
    let advice: Advice = columns
        .advice
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    Plan {
        transport: columns.transport.to_owned(),
        part_size_bytes: columns.part_size_bytes,
        concurrency: u32::try_from(columns.concurrency).unwrap_or(1),
        order: u32::try_from(columns.send_order).unwrap_or(0),
        compress: advice.compress,
        why: advice.why,
    }
}

/// How an upload's plan stands on the wire.
#[must_use]
pub(super) fn plan_of(upload: &Upload) -> Plan {
    told(&Columns {
        transport: upload.transport.as_str(),
        part_size_bytes: upload.part_size_bytes,
        concurrency: upload.concurrency,
        send_order: upload.send_order,
        advice: upload.advice.as_deref(),
    })
}
