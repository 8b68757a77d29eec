//! All covers on one picture, by libvips' command line.

use std::path::Path;

use anyhow::Context as _;

use super::Entry;
use crate::groups::imaging::likeness::{flatten, text, vips};

const ACROSS: &str = "10";
/// Of a cell, in pixels, and of the cover in it.
const CELL: &str = "184";
const COVER: &str = "176";
/// Around covers; where there is none, the cell is black.
const AROUND: &str = "96 96 96";

/// Draws the covers in the order of the table, row by row. What could not be shown has a black cell.
pub fn draw(entries: &[Entry], scratch: &Path, to: &Path) -> anyhow::Result<()> {
    let mut cells = Vec::new();
    for entry in entries {
        let cell = entry.folder.join("cell.v");
        let name = text(&cell)?.to_owned();
        if entry.outcome.pictures.is_empty() {
            vips("vips", &["black", &name, CELL, CELL, "--bands", "3"])?;
        } else {
            let cover = entry.folder.join("cover");
            let (small, flat) = (entry.folder.join("small.v"), entry.folder.join("flat.v"));
            let (cover, small, flat) = (text(&cover)?, text(&small)?, text(&flat)?);
            let size = ["--height", COVER, "--size", "down"];
            vips(
                "vips",
                &[&["thumbnail", cover, small, COVER], &size[..]].concat(),
            )?;
            flatten(small, flat, "255")?;
            let around = ["--extend", "background", "--background", AROUND];
            let place = ["gravity", flat, &name, "centre", CELL, CELL];
            vips("vips", &[&place[..], &around[..]].concat())?;
        }
        cells.push(name);
    }
    // Not straight into its place: what is there stays whole if this fails.
    let drawn = scratch.join("sheet.png");
    let all = cells.join(" ");
    vips(
        "vips",
        &["arrayjoin", &all, text(&drawn)?, "--across", ACROSS],
    )?;
    std::fs::copy(&drawn, to).context("the sheet's place")?;
    Ok(())
}
