//! What an examination found, as a table or as JSON.

use std::process::ExitCode;

use safelight_objects::Verdict;
use serde::Serialize;

use crate::output;

#[derive(Debug, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    pub found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<&'static str>,
}

/// The finding of a check that either succeeds or is wrong.
pub fn finding(
    check: &'static str,
    outcome: anyhow::Result<String>,
    what_to_do: &'static str,
) -> Finding {
    match outcome {
        Ok(found) => Finding {
            check,
            verdict: Verdict::Ok,
            found,
            what_to_do: None,
        },
        Err(error) => Finding {
            check,
            verdict: Verdict::Wrong,
            found: format!("{error:#}"),
            what_to_do: Some(what_to_do),
        },
    }
}

/// Prints the findings. The exit status is a failure if anything is wrong.
pub fn report(findings: &[Finding], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(&findings)?;
    } else {
        let mut table = output::Table::with(&["CHECK", "", "FOUND", "WHAT TO DO"], &[]);
        for f in findings {
            let advice = f.what_to_do.unwrap_or_default().to_owned();
            table.row([
                f.check.to_owned(),
                word(f.verdict).to_owned(),
                f.found.clone(),
                advice,
            ]);
        }
        output::write(table.render().as_bytes())?;
    }
    Ok(status(findings.iter().map(|f| f.verdict)))
}

/// A verdict as it stands in tables.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Wrong => "WRONG",
    }
}

/// A failure if anything is wrong.
pub fn status(verdicts: impl IntoIterator<Item = Verdict>) -> ExitCode {
    if verdicts.into_iter().any(|v| v == Verdict::Wrong) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
