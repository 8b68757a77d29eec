//! `safelight openapi`: prints the description of the HTTP API.

use std::process::ExitCode;

use crate::output;

pub fn run() -> anyhow::Result<ExitCode> {
    output::json(&safelight_service::http::description())?;
    Ok(ExitCode::SUCCESS)
}
