//! The table, as Markdown.

use std::fmt::Write as _;

use safelight_model::preset::ALL;

use super::Entry;

/// A row for each file, numbered as the covers on the sheet are.
pub fn markdown(entries: &[Entry]) -> String {
    let mut out = String::from("| # | file | kind | outcome | size |");
    let names = ALL.map(|preset| preset.name);
    for name in names {
        let _ = write!(out, " {name} | bytes | SSIM |");
    }
    out.push_str(" CPU ms | peak MB | tells |\n|");
    out.push_str(&"---|".repeat(5 + 3 * names.len() + 3));
    out.push('\n');
    for (number, entry) in (1..).zip(entries) {
        let outcome = &entry.outcome;
        let kind = outcome.kind.as_deref().unwrap_or("unknown");
        let what = match &outcome.code {
            Some(code) => format!("`{code}`: {}", outcome.reason.replace('|', "/")),
            None => "shown".to_owned(),
        };
        let size = outcome.size.map_or(String::new(), sides);
        let _ = write!(
            out,
            "| {number} | {} | {kind} | {what} | {size} |",
            entry.name
        );
        for (at, name) in names.iter().enumerate() {
            let Some(picture) = outcome.pictures.iter().find(|p| p.preset == *name) else {
                out.push_str(" | | |");
                continue;
            };
            let ssim = entry.likenesses.get(at).copied().flatten();
            let ssim = ssim.map_or("-".to_owned(), |ssim| format!("{ssim:.4}"));
            let _ = write!(
                out,
                " {} | {} | {ssim} |",
                sides(picture.size),
                picture.size_bytes
            );
        }
        let _ = writeln!(
            out,
            " {:.1} | {:.0} | {} |",
            entry.cost.cpu_ms,
            entry.cost.peak_mb,
            outcome.notes.join(", ")
        );
    }
    out
}

fn sides((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::one::{Outcome, Picture};
    use super::*;

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let entry = |outcome, likenesses| Entry {
            name: "a.jpg".to_owned(),
            outcome,
            cost: super::super::Cost::default(),
            likenesses,
            folder: PathBuf::new(),
        };
        let pictures = ALL.map(|preset| Picture {
            preset: preset.name.to_owned(),
            size: (3, 2),
            size_bytes: 7,
        });
        let shown = Outcome {
            pictures: pictures.into(),
            ..Outcome::default()
        };
        let refused = Outcome {
            code: Some("media_corrupt".to_owned()),
            reason: "a | b".to_owned(),
            ..Outcome::default()
        };
        let likenesses = vec![Some(0.98765), None, Some(1.0)];
        let table = markdown(&[entry(shown, likenesses), entry(refused, Vec::new())]);
        let cells: Vec<usize> = table.lines().map(|l| l.matches('|').count()).collect();
        assert_eq!(cells, [cells[0]; 4]);
        assert!(table.contains("| 3x2 | 7 | 0.9877 |") && table.contains("`media_corrupt`: a / b"));
    }
}
