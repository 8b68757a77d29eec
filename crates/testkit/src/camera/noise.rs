//! Cheap repeatable randomness: one table per seed, looked up and interpolated.

/// Side of the lattice, a power of two.
const SIDE: usize = 256;

/// A stream of numbers from a seed (splitmix64). Good enough for pictures and names.
#[derive(Clone, Debug)]
pub(super) struct Stream(u64);

impl Stream {
    pub(super) fn of(seed: u64, purpose: u64) -> Self {
        Self(seed ^ purpose.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Uniform between the two.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }
}

/// Value noise over the plane, in -1..1, repeating every 256 units.
pub(super) struct Lattice(Vec<f32>);

impl Lattice {
    pub(super) fn of(seed: u64) -> Self {
        let mut stream = Stream::of(seed, 1);
        Self(
            (0..SIDE * SIDE)
                .map(|_| stream.between(-1.0, 1.0))
                .collect(),
        )
    }

    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (fx, fy) = (x.floor(), y.floor());
        let (tx, ty) = (smooth(x - fx), smooth(y - fy));
        let mask = SIDE as i32 - 1;
        let (x0, y0) = (fx as i32 & mask, fy as i32 & mask);
        let (x1, y1) = ((x0 + 1) & mask, (y0 + 1) & mask);
        let value = |x: i32, y: i32| self.0[y as usize * SIDE + x as usize];
        let top = mix(value(x0, y0), value(x1, y0), tx);
        let bottom = mix(value(x0, y1), value(x1, y1), tx);
        mix(top, bottom, ty)
    }

    /// Octaves summed, each of half the size and strength; about -1..1.
    pub(super) fn fractal(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut strength, mut scale) = (0.0, 0.5, 1.0);
        for octave in 0..octaves {
            let shift = octave as f32 * 17.3;
            sum += strength * self.at(x * scale + shift, y * scale - shift);
            strength *= 0.5;
            scale *= 2.03;
        }
        sum
    }
}

pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn ramp(low: f32, high: f32, value: f32) -> f32 {
    smooth(((value - low) / (high - low)).clamp(0.0, 1.0))
}
