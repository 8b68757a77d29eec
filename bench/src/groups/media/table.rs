//! The tables, as Markdown: one of pictures, and one of clips.

use std::fmt::Write as _;

use safelight_model::preset::{ALL, OF_EVERY_CLIP, Preset};

use super::Entry;

/// A row for each file, numbered as the covers on the sheet are.
pub fn markdown(entries: &[Entry]) -> String {
    let numbered: Vec<(usize, &Entry)> = (1..).zip(entries).collect();
    let (clips, pictures) = numbered.into_iter().partition(|(_, entry)| entry.is_clip());
    format!(
        "{}\n{}",
        table(pictures, &ALL),
        table(clips, &OF_EVERY_CLIP)
    )
}

fn table(entries: Vec<(usize, &Entry)>, presets: &[Preset]) -> String {
    let mut out = String::from("| # | file | kind | outcome | size |");
    let names: Vec<&str> = presets.iter().map(|preset| preset.name).collect();
    for name in &names {
        let _ = write!(out, " {name} | bytes | SSIM |");
    }
    out.push_str(" CPU ms | peak MB | tells |\n|");
    out.push_str(&"---|".repeat(5 + 3 * names.len() + 3));
    out.push('\n');
    for (number, entry) in entries {
        let outcome = &entry.outcome;
        let kind = outcome.kind.as_deref().unwrap_or("unknown");
        let what = match &outcome.code {
            Some(code) => format!("`{code}`: {}", outcome.reason.replace('|', "/")),
            None => "shown".to_owned(),
        };
        let mut size = outcome.size.map_or(String::new(), sides);
        if let Some(seconds) = outcome.duration_s {
            let _ = write!(size, ", {seconds:.1} s");
        }
        let _ = write!(
            out,
            "| {number} | {} | {kind} | {what} | {size} |",
            entry.name
        );
        for name in &names {
            let made = outcome.pictures.iter().position(|p| p.preset == *name);
            let Some((at, picture)) = made.and_then(|at| Some((at, outcome.pictures.get(at)?)))
            else {
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
        let clip = Outcome {
            kind: Some("video/mp4".to_owned()),
            size: Some((6, 4)),
            duration_s: Some(1.25),
            ..Outcome::default()
        };
        let likenesses = vec![Some(0.98765), None, Some(1.0)];
        let entries = [
            entry(shown, likenesses),
            entry(clip, Vec::new()),
            entry(refused, Vec::new()),
        ];
        let both = markdown(&entries);
        let [pictures, clips] = both.split("\n\n").collect::<Vec<_>>()[..] else {
            panic!("not two tables: {both}");
        };
        for (table, rows) in [(pictures, 2), (clips, 1)] {
            let cells: Vec<usize> = table.lines().map(|l| l.matches('|').count()).collect();
            assert_eq!(cells, vec![cells[0]; rows + 2]);
        }
        assert!(pictures.contains("| 3x2 | 7 | 0.9877 |"));
        assert!(pictures.contains("| 3 | a.jpg | unknown | `media_corrupt`: a / b"));
        assert!(clips.contains("| 2 | a.jpg | video/mp4 | shown | 6x4, 1.2 s |"));
    }
}
