//! One measured value, as the table and `results.json` show it.

use std::fmt::Write as _;

use serde::Serialize;

/// A row of `results.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `group.what.where`, the same from run to run.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is held against, measured in the same run.
    pub peer: Option<&'static str>,
    /// The peer's value, in the same unit.
    pub peer_value: Option<f64>,
    /// What it should reach, such as `>= 2000`.
    pub goal: Option<String>,
    /// Whether it does.
    pub met: Option<bool>,
}

impl Row {
    /// A value that stands alone.
    pub fn plain(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value: rounded(value),
            unit,
            peer: None,
            peer_value: None,
            goal: None,
            met: None,
        }
    }

    /// Held against this peer.
    pub fn against(mut self, peer: &'static str, value: f64) -> Self {
        (self.peer, self.peer_value) = (Some(peer), Some(rounded(value)));
        self
    }

    /// Good when the value is `goal` or more.
    pub fn at_least(mut self, goal: f64) -> Self {
        let goal = rounded(goal);
        (self.goal, self.met) = (Some(format!(">= {goal}")), Some(self.value >= goal));
        self
    }

    /// Good when the value is `goal` or less.
    pub fn at_most(mut self, goal: f64) -> Self {
        let goal = rounded(goal);
        (self.goal, self.met) = (Some(format!("<= {goal}")), Some(self.value <= goal));
        self
    }

    /// Good when the value is below `goal`.
    pub fn below(mut self, goal: f64) -> Self {
        (self.goal, self.met) = (Some(format!("< {goal}")), Some(self.value < goal));
        self
    }
}

/// Digits beyond a ten-thousandth are noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// The rows for people.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|r| r.name.len()).max().unwrap_or(0);
    let mut out = format!(
        "\n{:width$}  {:>10} {:6}  {:>9} {:4}  peer\n",
        "name", "value", "unit", "goal", "met"
    );
    for row in rows {
        let met = row.met.map_or("", |met| if met { "yes" } else { "no" });
        let peer = match (row.peer, row.peer_value) {
            (Some(peer), Some(value)) => format!("{} ({peer})", digits(value)),
            _ => String::new(),
        };
        let line = format!(
            "{:width$}  {:>10} {:6}  {:>9} {met:4}  {peer}",
            row.name,
            digits(row.value),
            row.unit,
            row.goal.as_deref().unwrap_or("")
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn digits(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() < 1.0 {
        format!("{value:.4}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_exactly_the_agreed_fields() {
        let row = serde_json::to_value(Row::plain("a", 1.0, "ms")).unwrap();
        let mut names: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
        names.sort();
        let agreed = ["goal", "met", "name", "peer", "peer_value", "unit", "value"];
        assert_eq!(names, agreed);
        assert!(row["goal"].is_null() && row["met"].is_null() && row["peer"].is_null());
    }

    #[test]
    fn goals_are_met_or_not() {
        let row = |value| Row::plain("a", value, "ms");
        assert_eq!(row(2000.0).at_least(2000.0).met, Some(true));
        assert_eq!(row(1999.0).at_least(2000.0).met, Some(false));
        assert_eq!(row(20.0).below(20.0).met, Some(false));
        assert_eq!(row(19.9).below(20.0).goal.as_deref(), Some("< 20"));
        assert!(table(&[row(20.0).below(20.0)]).contains("no"));
    }
}
