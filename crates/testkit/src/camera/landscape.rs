//! What stands before the camera: sky, two ridges, a meadow with a path, trees, a house.
//!
//! Places are in units of the picture's long edge, upright, with the origin at the top left.

use super::noise::{Lattice, Stream, mix, ramp};

/// A colour as red, green and blue, 0..255 each.
pub(super) type Colour = [f32; 3];

struct Tree {
    x: f32,
    foot: f32,
    height: f32,
    hue: f32,
}

struct House {
    left: f32,
    foot: f32,
    width: f32,
    height: f32,
}

/// One place, the same for every frame of a burst.
pub(super) struct Landscape {
    lattice: Lattice,
    horizon: f32,
    warmth: f32,
    path: f32,
    trees: Vec<Tree>,
    house: House,
    /// Pixels per unit, so that fine detail is as fine as the sensor.
    pixels: f32,
}

impl Landscape {
    /// `width` and `height` are of the upright picture, in pixels.
    pub(super) fn of(seed: u64, width: u32, height: u32) -> Self {
        let pixels = width.max(height) as f32;
        let (w, h) = (width as f32 / pixels, height as f32 / pixels);
        let mut stream = Stream::of(seed, 2);
        let horizon = h * stream.between(0.42, 0.52);
        let ground = h - horizon;
        let mut trees: Vec<Tree> = (0..7)
            .map(|_| {
                let depth = stream.between(0.05, 0.4);
                Tree {
                    x: w * stream.unit(),
                    foot: horizon + ground * depth,
                    height: h * (0.07 + 0.65 * depth) * stream.between(0.8, 1.2),
                    hue: stream.unit(),
                }
            })
            .collect();
        trees.sort_by(|a, b| b.foot.total_cmp(&a.foot));
        let house_width = w * stream.between(0.22, 0.3);
        Self {
            lattice: Lattice::of(seed),
            horizon,
            warmth: stream.unit(),
            path: w * stream.between(0.35, 0.65),
            trees,
            house: House {
                left: (w - house_width) * stream.between(0.1, 0.9),
                foot: horizon + ground * 0.22,
                width: house_width,
                height: house_width * 0.6,
            },
            pixels,
        }
    }

    /// The colour at a place.
    pub(super) fn colour(&self, x: f32, y: f32) -> Colour {
        for tree in &self.trees {
            if tree.foot > self.house.foot
                && let Some(colour) = self.tree(tree, x, y)
            {
                return colour;
            }
        }
        if let Some(colour) = self.house(x, y) {
            return colour;
        }
        for tree in &self.trees {
            if tree.foot <= self.house.foot
                && let Some(colour) = self.tree(tree, x, y)
            {
                return colour;
            }
        }
        if y > self.horizon {
            self.meadow(x, y)
        } else {
            self.distance(x, y)
        }
    }

    fn tree(&self, tree: &Tree, x: f32, y: f32) -> Option<Colour> {
        let (dx, up) = ((x - tree.x) / tree.height, (tree.foot - y) / tree.height);
        if !(0.0..1.1).contains(&up) || dx.abs() > 0.55 {
            return None;
        }
        let crown = (dx * dx / 0.16 + (up - 0.62) * (up - 0.62) / 0.13).sqrt();
        let edge = self.lattice.fractal(
            x * 9.0 / tree.height + tree.hue * 40.0,
            y * 9.0 / tree.height,
            4,
        );
        if crown + edge * 0.55 < 0.85 {
            let leaf = self.fine(x, y, 0.33);
            let clump = self
                .lattice
                .fractal(x * 26.0 / tree.height, y * 26.0 / tree.height, 3);
            // Lit from the upper left, dark inside and below.
            let light = 0.62 + 0.3 * (up - 0.6) - 0.45 * dx + 0.38 * clump + 0.22 * leaf;
            let base = [
                mix(52.0, 104.0, tree.hue),
                mix(98.0, 112.0, tree.hue),
                mix(38.0, 30.0, tree.hue),
            ];
            return Some(shade(base, light.max(0.12)));
        }
        let trunk = 0.028 + 0.02 * (1.0 - up);
        (dx.abs() < trunk && up < 0.55).then(|| {
            let bark = self
                .lattice
                .at(x * self.pixels * 0.2, y * self.pixels * 0.04);
            shade([88.0, 70.0, 54.0], 0.7 - dx / trunk * 0.25 + 0.3 * bark)
        })
    }

    fn house(&self, x: f32, y: f32) -> Option<Colour> {
        let house = &self.house;
        let (u, up) = (
            (x - house.left) / house.width,
            (house.foot - y) / house.height,
        );
        if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&up) {
            return Some(self.wall(u, up, x, y));
        }
        // The roof: a trapezium of tiles over the wall.
        let rise = up - 1.0;
        if (0.0..0.55).contains(&rise) && u > rise * 0.4 - 0.06 && u < 1.06 - rise * 0.4 {
            let row = rise * 22.0;
            let offset = if row as i32 % 2 == 0 { 0.0 } else { 0.5 };
            let column = u * 30.0 + offset;
            let gap = (row.fract() - 0.5).abs().max((column.fract() - 0.5).abs());
            let tone = self.lattice.at(column.floor() * 3.7, row.floor() * 5.1);
            let light = 0.85 + 0.2 * tone + 0.1 * self.fine(x, y, 0.5) - ramp(0.4, 0.5, gap) * 0.4;
            return Some(shade([168.0, 84.0, 58.0], light));
        }
        None
    }

    fn wall(&self, u: f32, up: f32, x: f32, y: f32) -> Colour {
        let (cell, inside) = ((u * 4.0).floor(), (u * 4.0).fract());
        let door = cell == 1.0 && (0.2..0.7).contains(&inside) && up < 0.5;
        if door {
            let plank = ((inside * 16.0).fract() - 0.5).abs();
            return shade([60.0, 92.0, 84.0], 0.95 - ramp(0.4, 0.5, plank) * 0.4);
        }
        if cell != 1.0 && (0.25..0.75).contains(&inside) && (0.35..0.78).contains(&up) {
            let frame = (inside - 0.5).abs() > 0.21 || (inside - 0.5).abs() < 0.015;
            let bar = (up - 0.56).abs() < 0.014 || !(0.38..0.75).contains(&up);
            if frame || bar {
                return [236.0, 234.0, 226.0];
            }
            let sky = self.lattice.fractal(u * 9.0, up * 9.0, 3);
            return shade([86.0, 112.0, 136.0], 0.8 + 0.5 * sky + 0.3 * up);
        }
        let row = up * 26.0;
        let offset = if row as i32 % 2 == 0 { 0.0 } else { 0.5 };
        let column = u * 22.0 + offset;
        let brick = self.lattice.at(column.floor() * 7.3, row.floor() * 3.9);
        let gap = (row.fract() - 0.5).abs().max((column.fract() - 0.5).abs());
        let stone = shade(
            [206.0, 188.0, 158.0],
            0.88 + 0.14 * brick + 0.09 * self.fine(x, y, 0.45),
        );
        let mortar = ramp(0.42, 0.48, gap);
        blend(stone, [172.0, 160.0, 144.0], mortar)
    }

    fn distance(&self, x: f32, y: f32) -> Colour {
        let far = self.horizon - 0.085 - 0.07 * self.lattice.fractal(x * 3.1, 5.0, 6);
        let near = self.horizon - 0.022 - 0.03 * self.lattice.fractal(x * 7.0 + 60.0, 9.0, 6);
        if y > near {
            let wood = self
                .lattice
                .fractal(x * self.pixels * 0.05, y * self.pixels * 0.08, 4);
            return shade([62.0, 88.0, 62.0], 0.85 + 0.6 * wood);
        }
        if y > far {
            let rock = self.lattice.fractal(x * 60.0, y * 90.0, 5);
            let snow = ramp(0.02, 0.05, self.horizon - 0.09 - y + 0.05 * rock);
            let stone = blend([112.0, 126.0, 148.0], [232.0, 236.0, 242.0], snow);
            return shade(stone, 0.95 + 0.25 * rock);
        }
        let height = (y / self.horizon).clamp(0.0, 1.0);
        let zenith = [60.0 + 30.0 * self.warmth, 118.0, 192.0];
        let clear = blend(zenith, [206.0, 218.0, 226.0 - 40.0 * self.warmth], height);
        let cloud = self.lattice.fractal(x * 4.2, y * 9.5 + 30.0, 6);
        let lit = self.lattice.fractal(x * 4.2 + 0.05, y * 9.5 + 30.2, 4);
        blend(
            clear,
            shade([246.0, 244.0, 240.0], 0.96 + 0.1 * (cloud - lit)),
            ramp(0.02, 0.42, cloud) * 0.92,
        )
    }

    fn meadow(&self, x: f32, y: f32) -> Colour {
        let below = y - self.horizon;
        let depth = 0.06 / (below + 0.012);
        let (along, across) = (depth * 9.0, (x - self.path) * depth * 9.0);
        let bend = 0.08 * self.lattice.at(along * 0.4, 3.0) * depth;
        let side = (x - self.path - bend).abs() / (0.02 + below * 0.24);
        let patch = self.lattice.fractal(across * 0.9, along * 1.3, 4);
        // Blades stand upright: stretched in y, finer with distance.
        let reach = (0.05 + below * 1.6).min(1.0);
        let blade = self.lattice.at(
            x * self.pixels * 0.28 / (0.4 + reach * 0.5),
            y * self.pixels * 0.07 / (0.4 + reach * 0.5),
        );
        let grass = shade(
            blend(
                [92.0, 124.0, 48.0],
                [158.0, 150.0, 76.0],
                ramp(-0.3, 0.5, patch),
            ),
            0.82 + 0.3 * blade + 0.22 * self.fine(x, y, 0.4),
        );
        let flower = self.lattice.at(across * 23.0 + 9.0, along * 31.0);
        let grass = blend(grass, [238.0, 214.0, 92.0], ramp(0.86, 0.92, flower));
        let gravel = self.lattice.fractal(across * 14.0, along * 18.0, 4);
        let stones = shade(
            [182.0, 166.0, 142.0],
            0.86 + 0.4 * gravel + 0.2 * self.fine(x, y, 0.42),
        );
        blend(stones, grass, ramp(0.82, 1.05, side + 0.3 * patch))
    }

    /// Detail about `1 / scale` pixels wide.
    fn fine(&self, x: f32, y: f32, scale: f32) -> f32 {
        self.lattice
            .at(x * self.pixels * scale, y * self.pixels * scale)
    }
}

/// The balloon that drifts through a burst: its colour, or nothing outside it.
/// `x` and `y` are relative to its middle, in radii.
pub(super) fn balloon(x: f32, y: f32) -> Option<Colour> {
    let narrow = if y > 0.0 { 1.0 - 0.35 * y } else { 1.0 };
    let across = x / narrow;
    if across * across + y * y < 1.0 {
        let stripe = (across / (1.0 - y * y).max(0.05).sqrt() * 4.0 + 8.0) as i32 % 3;
        let cloth = [
            [206.0, 48.0, 44.0],
            [244.0, 196.0, 56.0],
            [52.0, 84.0, 164.0],
        ];
        return Some(shade(
            cloth[stripe.unsigned_abs() as usize % 3],
            1.0 - 0.4 * across - 0.12 * y,
        ));
    }
    let basket = x.abs() < 0.18 && (1.25..1.55).contains(&y);
    let ropes = (x.abs() - 0.17).abs() < 0.015 && (0.9..1.3).contains(&y);
    (basket || ropes).then_some([104.0, 72.0, 44.0])
}

fn shade(colour: Colour, light: f32) -> Colour {
    colour.map(|c| c * light)
}

fn blend(a: Colour, b: Colour, t: f32) -> Colour {
    [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)]
}
