//! Takes a burst of pictures as a phone would write them.

use std::path::PathBuf;

use clap::Parser;
use safelight_testkit::camera::{Burst, shoot};

/// Takes a burst of pictures as a phone would write them, the same for the same seed.
#[derive(Parser)]
#[command(name = "fake-camera")]
struct Arguments {
    /// Folder to write the pictures into; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// Frames in the burst, 1 to 100.
    #[arg(long, default_value_t = 12)]
    count: u32,
    /// Which place to photograph.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Size of each picture in millions of pixels.
    #[arg(long, default_value_t = 12.0)]
    megapixels: f64,
}

fn main() -> anyhow::Result<()> {
    let Arguments {
        out,
        count,
        seed,
        megapixels,
    } = Arguments::parse();
    let start = std::time::Instant::now();
    let paths = shoot(
        &Burst {
            seed,
            count,
            megapixels,
        },
        &out,
    )?;
    let mut size_bytes = 0;
    for path in &paths {
        size_bytes += std::fs::metadata(path)?.len();
    }
    println!(
        "{} pictures, {:.1} MB, in {} ({:.1} s)",
        paths.len(),
        size_bytes as f64 / 1e6,
        out.display(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
