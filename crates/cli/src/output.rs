//! Printing: tables for people, one JSON document for programs.

use std::io::Write;

use serde::Serialize;

/// Writes bytes to standard output.
pub fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Prints one JSON document, indented.
pub fn json(document: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    write(text.as_bytes())
}

/// Whether the reader of standard output went away, which is no error (`safelight list | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Rows under headings, columns aligned. Columns whose heading is in `right` are set to the right.
pub struct Table {
    headings: Vec<&'static str>,
    right: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn with(headings: &[&'static str], right: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            right: right.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; one text for each heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|c| printable(&c)).collect());
    }

    /// The table as text.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|i| {
                let cells = self.rows.iter().filter_map(|r| r.get(i));
                cells
                    .map(|c| c.chars().count())
                    .chain([self.headings[i].chars().count()])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        let headings: Vec<String> = self.headings.iter().map(|h| h.to_uppercase()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[i].saturating_sub(cell.chars().count()));
                let gap = if i == 0 { "" } else { "  " };
                let to_the_right = self.right.contains(&self.headings[i]);
                line += gap;
                if to_the_right {
                    line += &pad;
                }
                line += cell;
                if !to_the_right {
                    line += &pad;
                }
            }
            out += line.trim_end();
            out.push('\n');
        }
        out
    }

    /// Prints the table.
    pub fn print(&self) -> anyhow::Result<()> {
        write(self.render().as_bytes())
    }
}

/// Text without control characters, so that a name cannot steer the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A size for people: `3.9 MB`, in powers of ten.
pub fn size(bytes: i64) -> String {
    let value = bytes as f64;
    match bytes {
        ..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::with(&["asset", "bytes"], &["bytes"]);
        table.row(["a".to_owned(), "1".to_owned()]);
        table.row(["long\u{1b}[2J".to_owned(), "12345678".to_owned()]);
        assert_eq!(
            table.render(),
            "ASSET        BYTES\na                1\nlong\u{fffd}[2J  12345678\n"
        );
    }

    #[test]
    fn sizes_read_well() {
        let all: Vec<String> = [999, 1_000, 3_940_000, 10_737_418_240].map(size).into();
        assert_eq!(all, ["999 B", "1.0 kB", "3.9 MB", "10.74 GB"]);
    }
}
