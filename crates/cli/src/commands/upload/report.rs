//! What became of it all: a table, or one JSON document.

use std::path::PathBuf;
use std::process::ExitCode;

use safelight_api::assets::Asset;
use safelight_client::settle::{self, Waited};
use safelight_client::uploader::FileOutcome;
use safelight_model::clock::Micros;
use safelight_model::lifecycle::State;
use serde::Serialize;

use crate::global::GlobalArgs;
use crate::output::{self, Table};

/// What became of each file, and in all.
#[derive(Serialize)]
pub struct Report {
    /// The files, in the order given.
    files: Vec<FileReport>,
    /// How many the server has.
    uploaded: usize,
    /// How many of them it had before.
    already_there: usize,
    /// How many were found to be viewable. Only known after waiting.
    viewable: usize,
    /// How many could not be sent, or are not viewable after waiting.
    failed: usize,
    /// Bytes that were sent, repetitions included.
    sent_bytes: i64,
    #[serde(skip)]
    waited: bool,
}

#[derive(Serialize)]
struct FileReport {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<i64>,
    sent_bytes: i64,
    already_there: bool,
    /// Whether a smaller copy was uploaded in its place.
    is_copy: bool,
    /// Whether the server holds the file itself, whole and inspected. Only known after waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    safe_to_delete: Option<bool>,
    /// From the moment the whole original was in the store until it could be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_viewable_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cover_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Report {
    /// Puts what was sent and what was waited for together.
    pub fn of(outcomes: &[FileOutcome], waited: &Waited, has_waited: bool) -> Self {
        let asset = |o: &FileOutcome| waited.assets.get(o.asset_id.as_deref()?);
        let files: Vec<FileReport> = outcomes
            .iter()
            .map(|o| FileReport::of(o, asset(o), has_waited))
            .collect();
        let sent = outcomes.iter().filter(|o| o.failure.is_none());
        Self {
            uploaded: sent.clone().count(),
            already_there: sent.filter(|o| o.already_there).count(),
            viewable: files.iter().filter(|f| f.is_viewable()).count(),
            failed: files.iter().filter(|f| f.code.is_some()).count(),
            sent_bytes: outcomes.iter().map(|o| o.sent_bytes).sum(),
            files,
            waited: has_waited,
        }
    }

    /// Prints to standard output; the words around the table go to standard error.
    pub fn print(&self, global: &GlobalArgs) -> anyhow::Result<()> {
        if global.json {
            return output::json(self);
        }
        let headings = ["asset", "file", "state", "bytes", "viewable after", "cover"];
        let shown = if self.waited { 6 } else { 4 };
        let mut table = Table::with(&headings[..shown], &["bytes", "viewable after"]);
        for file in &self.files {
            table.row(file.cells().into_iter().take(shown));
        }
        table.print()?;
        for file in self.files.iter().filter(|f| f.code.is_some()) {
            let (code, detail) = (file.code.as_deref(), file.detail.as_deref());
            eprintln!(
                "failed: {}: {}: {}",
                output::printable(&file.file.display().to_string()),
                code.unwrap_or_default(),
                output::printable(detail.unwrap_or_default())
            );
        }
        eprintln!("{}", self.summary());
        Ok(())
    }

    /// Success only if every file was uploaded and, after waiting, is viewable.
    pub fn exit_code(&self) -> ExitCode {
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn summary(&self) -> String {
        let count = self.files.len();
        if self.already_there == count && self.sent_bytes == 0 {
            let viewable = match self.waited {
                true => format!("; {} viewable", self.viewable),
                false => String::new(),
            };
            return format!("{count} of {count} were there already; nothing was sent{viewable}");
        }
        let mut text = format!("{} of {count} uploaded", self.uploaded);
        if self.already_there > 0 {
            text += &format!(" ({} were there already)", self.already_there);
        }
        if self.waited {
            text += &format!(", {} viewable", self.viewable);
        }
        text += &format!(", {} sent", output::size(self.sent_bytes));
        match self.files.iter().filter(|f| f.is_copy).count() {
            0 => text,
            copies => {
                text + &format!("; of {copies} a smaller copy was uploaded: keep these files")
            }
        }
    }
}

impl FileReport {
    fn of(outcome: &FileOutcome, asset: Option<&Asset>, waited: bool) -> Self {
        let state = asset.map_or_else(|| outcome.state.clone(), |a| Some(a.state.clone()));
        let viewable = asset.is_some_and(is_viewable);
        let (code, detail) = match (&outcome.failure, asset) {
            (Some(failure), _) => (Some(failure.code.clone()), Some(failure.detail.clone())),
            (None, _) if !waited || viewable => (None, None),
            (None, asset) => not_viewable(asset),
        };
        Self {
            file: outcome.path.clone(),
            role: outcome.role.clone(),
            capture_id: outcome.capture_id.clone(),
            asset_id: asset
                .map(|a| a.asset_id.clone())
                .or_else(|| outcome.asset_id.clone()),
            state,
            size_bytes: outcome.size_bytes,
            sent_bytes: outcome.sent_bytes,
            already_there: outcome.already_there,
            is_copy: outcome.copy_sha256.is_some(),
            safe_to_delete: waited
                .then(|| asset.is_some_and(|a| settle::held(outcome, a).is_safe_to_delete())),
            time_to_viewable_ms: asset.filter(|_| viewable).and_then(time_to_viewable_ms),
            cover_url: asset.and_then(|a| a.cover_url.clone()),
            code,
            detail,
        }
    }

    fn is_viewable(&self) -> bool {
        self.state.as_deref() == Some(State::Ready.as_str())
    }

    fn cells(&self) -> [String; 6] {
        let name = self.file.file_name().unwrap_or_default();
        [
            self.asset_id.clone().unwrap_or_default(),
            name.to_string_lossy().into_owned(),
            match (&self.code, &self.state) {
                (Some(code), Some(state)) => format!("{state} ({code})"),
                (Some(code), None) => code.clone(),
                (None, state) => state.clone().unwrap_or_default(),
            },
            self.size_bytes.map(output::size).unwrap_or_default(),
            match (self.already_there, self.time_to_viewable_ms) {
                (true, _) => "there already".to_owned(),
                (false, Some(ms)) => format!("{:.2} s", ms as f64 / 1e3),
                (false, None) => String::new(),
            },
            self.cover_url.clone().unwrap_or_default(),
        ]
    }
}

fn is_viewable(asset: &Asset) -> bool {
    State::parse(&asset.state).is_some_and(State::is_viewable)
}

/// Why an asset is not viewable after waiting.
fn not_viewable(asset: Option<&Asset>) -> (Option<String>, Option<String>) {
    match asset.and_then(|a| a.reason.as_ref()) {
        Some(reason) => (Some(reason.code.clone()), reason.detail.clone()),
        None => {
            let state = asset.map_or("unknown", |a| a.state.as_str());
            let detail = format!("the asset is {state}; ask again with `safelight status`");
            (Some("not_viewable".to_owned()), Some(detail))
        }
    }
}

fn time_to_viewable_ms(asset: &Asset) -> Option<u64> {
    let times = asset.times.as_ref()?;
    let at = |text: &Option<String>| Micros::parse_rfc3339(text.as_deref()?);
    let passed = at(&times.viewable_at)?.since(at(&times.uploaded_at)?);
    u64::try_from(passed.as_millis()).ok()
}
