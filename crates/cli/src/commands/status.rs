//! `safelight status`: all about an asset, a capture or an upload.

use std::process::ExitCode;

use safelight_model::ids;
use serde_json::Value;

use crate::connect::{connect, explain};
use crate::global::GlobalArgs;
use crate::output;

/// About what.
#[derive(clap::Args)]
pub struct StatusArgs {
    /// `ast_…`, `cap_…` or `upl_…`
    id: String,
}

/// Shows it.
pub async fn run(args: StatusArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let session = connect(global)?.session;
    let id = args.id.trim();
    let found = if ids::is(ids::ASSET, id) {
        let fields = "thumbhash,capture,original,renditions,times";
        session.asset(id, fields).await.map(serde_json::to_value)
    } else if ids::is(ids::CAPTURE, id) {
        session.capture(id).await.map(serde_json::to_value)
    } else if ids::is(ids::UPLOAD, id) {
        session.upload(id).await.map(serde_json::to_value)
    } else {
        anyhow::bail!(
            "`{id}` is not an id: they begin with ast_, cap_ or upl_ (see `safelight list`)"
        );
    };
    let document = found.map_err(|e| explain(&e, global))??;
    if global.json {
        output::json(&document)?;
    } else {
        let mut lines = Vec::new();
        flatten("", &document, &mut lines);
        let width = lines.iter().map(|(k, _)| k.len()).max().unwrap_or(0);
        let text: String = lines
            .iter()
            .map(|(key, value)| format!("{key:width$}  {}\n", output::printable(value)))
            .collect();
        output::write(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every value with the path to it.
fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), value, lines);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{i}]"), value, lines);
            }
        }
        Value::String(text) => lines.push((path.to_owned(), text.clone())),
        other => lines.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_value_has_its_path() {
        let mut lines = Vec::new();
        let document = serde_json::json!({"a": {"b": [1, {"c": "x"}]}, "d": true});
        super::flatten("", &document, &mut lines);
        let lines: Vec<String> = lines.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(lines, ["a.b[0]=1", "a.b[1].c=x", "d=true"]);
    }
}
