//! A cascade of decision trees that compare the lightness of pairs of pixels, and the windows of a picture that pass it (N. Markuš and others,
//! Object detection with pixel intensity comparisons organized in decision trees, arXiv:1305.4537). Only lightness is compared, so neither
//! contrast nor exposure counts, and nothing is prepared but the picture itself.

/// The trees, as they were trained.
pub(super) struct Cascade {
    /// Comparisons from a tree's root to a leaf.
    depth: usize,
    trees: Vec<Tree>,
}

struct Tree {
    /// Two places in a window, as row and column from its middle in 256ths of its size, for each inner node; the root is the second.
    nodes: Vec<[i8; 4]>,
    leaves: Vec<f32>,
    /// A window whose sum is no more by now is no face.
    threshold: f32,
}

/// A window that passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Its middle.
    pub(super) row: i32,
    pub(super) column: i32,
    pub(super) size: i32,
    /// How surely it passed.
    pub(super) score: f32,
}

/// A picture in grey.
pub(super) struct Grey<'a> {
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) pixels: &'a [u8],
}

impl Grey<'_> {
    /// Black beyond its edges.
    fn at(&self, row: i32, column: i32) -> u8 {
        let is_in = (0..self.width).contains(&column) && row >= 0;
        let at = row.saturating_mul(self.width).saturating_add(column);
        let at = usize::try_from(at).ok().filter(|_| is_in);
        at.and_then(|at| self.pixels.get(at)).copied().unwrap_or(0)
    }
}

/// Reads numbers one behind the other.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn four(&mut self) -> Option<[u8; 4]> {
        let (first, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(*first)
    }

    fn count(&mut self, most: i32) -> Option<usize> {
        let count = i32::from_le_bytes(self.four()?);
        usize::try_from(count).ok().filter(|_| count <= most)
    }

    fn float(&mut self) -> Option<f32> {
        Some(f32::from_le_bytes(self.four()?))
    }
}

impl Cascade {
    /// Reads one: eight bytes of a head, the depth and the number of trees, and for each tree its nodes, leaves and threshold.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(bytes.get(8..)?);
        let depth = numbers.count(12)?;
        let count = numbers.count(10_000)?;
        let wide = 1 << depth;
        let mut trees = Vec::with_capacity(count);
        for _ in 0..count {
            let mut nodes = vec![[0; 4]];
            for _ in 1..wide {
                nodes.push(numbers.four()?.map(u8::cast_signed));
            }
            let mut leaves = Vec::with_capacity(wide);
            for _ in 0..wide {
                leaves.push(numbers.float()?);
            }
            let threshold = numbers.float()?;
            trees.push(Tree {
                nodes,
                leaves,
                threshold,
            });
        }
        Some(Self { depth, trees })
    }

    /// How surely the window of this size around this place is a face, if it may be one.
    fn score(&self, grey: &Grey<'_>, row: i32, column: i32, size: i32) -> Option<f32> {
        let (row, column) = (row * 256, column * 256);
        let part = |middle: i32, code: i8| (middle + i32::from(code) * size) >> 8;
        let mut sum = 0.0;
        let mut last = 0.0;
        for tree in &self.trees {
            let mut node = 1;
            for _ in 0..self.depth {
                let [r1, c1, r2, c2] = *tree.nodes.get(node)?;
                let one = grey.at(part(row, r1), part(column, c1));
                let other = grey.at(part(row, r2), part(column, c2));
                node = 2 * node + usize::from(one <= other);
            }
            sum += tree.leaves.get(node - tree.nodes.len())?;
            if sum <= tree.threshold {
                return None;
            }
            last = tree.threshold;
        }
        Some(sum - last)
    }

    /// The windows of a picture that pass, from `least` pixels on: each size is a tenth more than the one before, and each place a tenth of the
    /// size from the next.
    pub(super) fn windows(&self, grey: &Grey<'_>, least: i32) -> Vec<Window> {
        let mut found = Vec::new();
        let mut size = least.max(1);
        while size <= grey.width.min(grey.height) {
            let step = usize::try_from(size / 10).unwrap_or(1).max(1);
            let edge = size / 2 + 1;
            for row in (edge..=grey.height - edge).step_by(step) {
                for column in (edge..=grey.width - edge).step_by(step) {
                    let score = self.score(grey, row, column, size);
                    found.extend(score.map(|score| Window {
                        row,
                        column,
                        size,
                        score,
                    }));
                }
            }
            size = (size * 11 / 10).max(size + 1);
        }
        found
    }
}

/// How much two windows have in common, of what both take.
fn overlap(a: &Window, b: &Window) -> f32 {
    let along = |a: i32, b: i32, sizes: (i32, i32)| {
        let (low, high) = (
            (a - sizes.0 / 2).max(b - sizes.1 / 2),
            (a + sizes.0 / 2).min(b + sizes.1 / 2),
        );
        (high - low).max(0) as f32
    };
    let sizes = (a.size, b.size);
    let common = along(a.row, b.row, sizes) * along(a.column, b.column, sizes);
    let area = |w: &Window| (w.size * w.size) as f32;
    common / (area(a) + area(b) - common)
}

/// So much in common makes two windows findings of one face.
const SAME_FROM: f32 = 0.2;

/// One window for each face: the mean of those that find it, with the sum of what they score. What is found once is chance, what is found from
/// all around is a face.
pub(super) fn gather(mut found: Vec<Window>) -> Vec<Window> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut gathered = Vec::new();
    while let Some(first) = found.first().copied() {
        let (same, rest): (Vec<Window>, Vec<Window>) = found
            .into_iter()
            .partition(|w| overlap(&first, w) > SAME_FROM);
        found = rest;
        let count = i32::try_from(same.len()).unwrap_or(1).max(1);
        let mean = |of: fn(&Window) -> i32| same.iter().map(of).sum::<i32>() / count;
        gathered.push(Window {
            row: mean(|w| w.row),
            column: mean(|w| w.column),
            size: mean(|w| w.size),
            score: same.iter().map(|w| w.score).sum(),
        });
        if same.is_empty() {
            break;
        }
    }
    gathered
}
