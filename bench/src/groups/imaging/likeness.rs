//! How alike a picture is to the photo that it was made of: SSIM of the luma, at the picture's size.
//!
//! The reference is nobody's shortcut: libvips decodes the whole file, turns it upright, converts it
//! to sRGB where the file has a profile, and reduces it by Lanczos alone, in gamma as all do here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// A photo, decoded whole.
pub struct Original {
    whole: PathBuf,
    width: f64,
    height: f64,
    folder: PathBuf,
}

/// What a program of libvips says.
pub fn vips(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{program} (Debian package libvips-tools)"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A path as an argument.
pub fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}

/// A copy without alpha, over this lightness. libvips takes the last band for alpha, whatever it is.
pub fn flatten(from: &str, to: &str, background: &str) -> anyhow::Result<()> {
    let bands = vips("vipsheader", &["-f", "bands", from])?;
    match bands.trim() {
        "2" | "4" => vips("vips", &["flatten", from, to, "--background", background])?,
        _ => vips("vips", &["copy", from, to])?,
    };
    Ok(())
}

impl Original {
    /// Decodes a file, over this lightness where it is clear; what it takes lies in `folder`.
    pub fn decode(file: &Path, folder: &Path, background: &str) -> anyhow::Result<Self> {
        let upright = folder.join("upright.v");
        vips("vips", &["autorot", text(file)?, text(&upright)?])?;
        let header = vips("vipsheader", &["-a", text(&upright)?])?;
        let mut whole = upright;
        if header.contains("icc-profile-data") {
            let converted = folder.join("srgb.v");
            let names = [text(&whole)?, text(&converted)?];
            vips(
                "vips",
                &["icc_transform", names[0], names[1], "srgb", "--embedded"],
            )?;
            whole = converted;
        }
        // Eight bits of red, green and blue.
        if vips("vipsheader", &["-f", "interpretation", text(&whole)?])?.trim() != "srgb" {
            let plain = folder.join("plain.v");
            vips(
                "vips",
                &["colourspace", text(&whole)?, text(&plain)?, "srgb"],
            )?;
            whole = plain;
        }
        let flat = folder.join("flat.v");
        flatten(text(&whole)?, text(&flat)?, background)?;
        let whole = flat;
        let side = |field: &str| -> anyhow::Result<f64> {
            let said = vips("vipsheader", &["-f", field, text(&whole)?])?;
            Ok(said.trim().parse()?)
        };
        let (width, height) = (side("width")?, side("height")?);
        Ok(Self {
            width,
            height,
            folder: folder.to_owned(),
            whole,
        })
    }

    /// Removes what lies in the folder of it: a photo takes three bytes for each pixel.
    pub fn remove(self) {
        for name in [
            "upright.v",
            "srgb.v",
            "plain.v",
            "flat.v",
            "shown.ppm",
            "reference.ppm",
        ] {
            // Most of these are not made for most photos.
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }

    /// SSIM of a picture of it, and its size in bytes.
    pub fn compare(&self, picture: &Path) -> anyhow::Result<(f64, f64)> {
        let (shown, reference) = (
            self.folder.join("shown.ppm"),
            self.folder.join("reference.ppm"),
        );
        flatten(text(picture)?, text(&shown)?, "0")?;
        let got = Luma::read(&shown)?;
        let x = format!("{:.12}", self.width / got.width as f64);
        let y = format!("{:.12}", self.height / got.height as f64);
        let (from, to) = (text(&self.whole)?, text(&reference)?);
        vips(
            "vips",
            &["reduce", from, to, &x, &y, "--kernel", "lanczos3"],
        )?;
        let expected = Luma::read(&reference)?;
        let size = std::fs::metadata(picture)?.len();
        Ok((got.similarity(&expected)?, size as f64))
    }
}

/// Lightness of a picture, 0 to 255.
struct Luma {
    width: usize,
    height: usize,
    values: Vec<f64>,
}

impl Luma {
    /// Reads a binary PPM of eight bits, which is what libvips writes of three bands.
    fn read(path: &Path) -> anyhow::Result<Self> {
        Self::parse(&std::fs::read(path)?).with_context(|| path.display().to_string())
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut at = 0;
        let mut word = || -> anyhow::Result<&str> {
            while bytes
                .get(at)
                .is_some_and(|b| b.is_ascii_whitespace() || *b == b'#')
            {
                if bytes[at] == b'#' {
                    let line = bytes[at..].iter().position(|b| *b == b'\n');
                    at += line.context("an endless comment")?;
                }
                at += 1;
            }
            let from = at;
            while bytes.get(at).is_some_and(|b| !b.is_ascii_whitespace()) {
                at += 1;
            }
            Ok(std::str::from_utf8(&bytes[from..at])?)
        };
        ensure!(word()? == "P6", "no binary PPM");
        let (width, height): (usize, usize) = (word()?.parse()?, word()?.parse()?);
        ensure!(word()? == "255", "not eight bits");
        let (pixels, _) = bytes.get(at + 1..).unwrap_or_default().as_chunks::<3>();
        ensure!(pixels.len() == width * height, "not all of its pixels");
        let luma = |[r, g, b]: &[u8; 3]| {
            0.299 * f64::from(*r) + 0.587 * f64::from(*g) + 0.114 * f64::from(*b)
        };
        Ok(Self {
            width,
            height,
            values: pixels.iter().map(luma).collect(),
        })
    }

    /// Structural similarity, 1 for the same: the mean over windows of 8 by 8, every 4 (Wang et al., 2004, without the
    /// Gaussian).
    fn similarity(&self, other: &Self) -> anyhow::Result<f64> {
        const EDGE: usize = 8;
        const STEP: usize = 4;
        const C1: f64 = 6.5025;
        const C2: f64 = 58.5225;
        let size = (self.width, self.height);
        ensure!(size == (other.width, other.height), "two sizes");
        ensure!(size.0 >= EDGE && size.1 >= EDGE, "too small to compare");
        let (mut sum, mut windows) = (0.0, 0.0);
        for top in (0..=self.height - EDGE).step_by(STEP) {
            for left in (0..=self.width - EDGE).step_by(STEP) {
                let (mut a, mut b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
                for y in top..top + EDGE {
                    let row = y * self.width + left..y * self.width + left + EDGE;
                    for (x, y) in self.values[row.clone()].iter().zip(&other.values[row]) {
                        a += x;
                        b += y;
                        aa += x * x;
                        bb += y * y;
                        ab += x * y;
                    }
                }
                let n = (EDGE * EDGE) as f64;
                let (a, b) = (a / n, b / n);
                let (va, vb, cov) = (aa / n - a * a, bb / n - b * b, ab / n - a * b);
                sum +=
                    (2.0 * a * b + C1) * (2.0 * cov + C2) / ((a * a + b * b + C1) * (va + vb + C2));
                windows += 1.0;
            }
        }
        Ok(sum / windows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(value: impl Fn(usize) -> u8) -> Luma {
        let mut ppm = b"P6\n#by hand\n16 8\n255\n".to_vec();
        ppm.extend((0..16 * 8).flat_map(|n| [value(n); 3]));
        Luma::parse(&ppm).unwrap()
    }

    #[test]
    fn alike_is_one_and_all_else_is_less() {
        let stripes = picture(|n| if n % 4 < 2 { 40 } else { 200 });
        let blurred = picture(|n| if n % 4 < 2 { 90 } else { 150 });
        let plain = picture(|_| 120);
        assert!((stripes.similarity(&stripes).unwrap() - 1.0).abs() < 1e-9);
        let (near, far) = (stripes.similarity(&blurred), stripes.similarity(&plain));
        assert!(near.unwrap() > far.unwrap() + 0.2);
        assert!(Luma::parse(b"P6\n16 8\n255\n").is_err());
    }
}
