//! An event's row as a CloudEvent.

use safelight_api::events::{CloudEvent, EventBody, EventFacts, SOURCE, SPEC_VERSION};
use safelight_catalog::events::Sequenced;

/// The event as it leaves the server.
#[must_use]
pub fn cloud_event(event: &Sequenced) -> CloudEvent {
    // What this version does not know stays behind.
    let facts: EventFacts = event
        .detail
        .as_deref()
        .and_then(|detail| serde_json::from_str(detail).ok())
        .unwrap_or_default();
    CloudEvent {
        specversion: SPEC_VERSION.to_owned(),
        id: event.event_id.clone(),
        source: SOURCE.to_owned(),
        kind: event.kind.clone(),
        subject: event
            .asset_id
            .clone()
            .or_else(|| event.capture_id.clone())
            .or_else(|| facts.album_id.clone()),
        time: event.at.rfc3339(),
        datacontenttype: "application/json".to_owned(),
        position: event.position.to_string(),
        data: EventBody {
            owner: event.owner_id.clone(),
            capture_id: event.capture_id.clone(),
            asset_id: event.asset_id.clone(),
            facts,
        },
    }
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::Micros;

    use super::*;

    #[test]
    fn a_row_becomes_a_cloud_event() {
        let row = Sequenced {
            position: 12,
            event_id: "evt_1".into(),
            kind: "asset.state_changed".into(),
            tenant_id: "ten_1".into(),
            owner_id: "ann".into(),
            capture_id: Some("cap_1".into()),
            asset_id: Some("ast_1".into()),
            detail: Some(
                r#"{"from":"processing","to":"failed","code":"media_corrupt","later":1}"#.into(),
            ),
            at: Micros(1_795_000_000_000_000),
        };
        let told = serde_json::to_value(cloud_event(&row)).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0", "id": "evt_1", "source": "/v1/events", "type": "asset.state_changed",
            "subject": "ast_1", "time": row.at.rfc3339(), "datacontenttype": "application/json", "position": "12",
            "data": { "owner": "ann", "capture_id": "cap_1", "asset_id": "ast_1",
                      "from": "processing", "to": "failed", "code": "media_corrupt" },
        });
        assert_eq!(told, expected);
        let bare = Sequenced {
            asset_id: None,
            detail: None,
            ..row
        };
        let told = cloud_event(&bare);
        assert_eq!(told.subject.as_deref(), Some("cap_1"));
        assert_eq!(told.data.facts, EventFacts::default());
        let of_an_album = Sequenced {
            capture_id: None,
            detail: Some(r#"{"album_id":"alb_1","changed":["title"]}"#.into()),
            ..bare
        };
        let told = cloud_event(&of_an_album);
        assert_eq!(told.subject.as_deref(), Some("alb_1"));
        assert_eq!(told.data.facts.changed, Some(vec!["title".to_owned()]));
    }
}
