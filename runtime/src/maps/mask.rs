//! Which pixels count.

use image::DynamicImage;
use ndarray::{Array2, ArrayView2, Axis, Slice};
use serde::{Deserialize, Serialize};

/// A pixel counts from this brightness on.
const LIT: u8 = 128;
/// The most pixels of a mask that is read.
const MOST: usize = 1 << 28;

/// The pixels of a picture that count; what is in the others does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Runs", into = "Runs")]
pub struct Mask {
    /// `[H, W]`
    seen: Array2<bool>,
}

/// A mask as it is stored.
#[derive(Serialize, Deserialize)]
struct Runs {
    width: usize,
    height: usize,
    /// The numbers of pixels that follow each other row by row: dark ones, lit ones, and so on.
    runs: Vec<usize>,
}

impl Mask {
    /// What is bright in a picture, from half of white on. Nothing for one that is dark everywhere.
    pub fn of(picture: &DynamicImage) -> Option<Self> {
        let grey = picture.to_luma8();
        let shape = (grey.height() as usize, grey.width() as usize);
        let lit = grey.iter().map(|&value| value >= LIT).collect();
        let seen = Array2::from_shape_vec(shape, lit).expect("a value for every pixel");
        seen.iter().any(|&seen| seen).then_some(Self { seen })
    }

    /// Its width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.seen.ncols(), self.seen.nrows())
    }

    /// Where it is true, a pixel counts.
    ///
    /// # Shapes
    ///
    /// output: `[H, W]`
    pub fn seen(&self) -> ArrayView2<'_, bool> {
        self.seen.view()
    }

    /// The part with its leftmost column and topmost row at `[x, y]` and a side, at another size: a
    /// pixel counts where the one at its middle does.
    ///
    /// # Shapes
    ///
    /// output: `[height, width]`
    ///
    /// # Panics
    ///
    /// Where the part does not lie within.
    pub(crate) fn part(
        &self,
        [x, y]: [usize; 2],
        side: usize,
        [height, width]: [usize; 2],
    ) -> Array2<bool> {
        let rows = self.seen.slice_axis(Axis(0), Slice::from(y..y + side));
        let part = rows.slice_axis(Axis(1), Slice::from(x..x + side));
        let middle = |place: usize, count: usize| (2 * place + 1) * side / (2 * count);
        Array2::from_shape_fn((height, width), |(v, u)| part[[middle(v, height), middle(u, width)]])
    }
}

impl From<Mask> for Runs {
    fn from(Mask { seen }: Mask) -> Self {
        let (mut runs, mut lit) = (vec![0], false);
        for &seen in &seen {
            if seen != lit {
                runs.push(0);
                lit = seen;
            }
            *runs.last_mut().expect("there is one from the beginning") += 1;
        }
        Self { width: seen.ncols(), height: seen.nrows(), runs }
    }
}

impl TryFrom<Runs> for Mask {
    type Error = String;

    fn try_from(Runs { width, height, runs }: Runs) -> Result<Self, String> {
        let pixels = width.checked_mul(height).filter(|&pixels| (1..=MOST).contains(&pixels));
        let sum = runs.iter().try_fold(0_usize, |sum, &run| sum.checked_add(run));
        if pixels.is_none() || sum != pixels {
            return Err(format!("a mask of {width}x{height} pixels has runs for {sum:?}"));
        }
        let lit =
            runs.iter().enumerate().flat_map(|(i, &run)| std::iter::repeat_n(i % 2 == 1, run));
        let seen = Array2::from_shape_vec((height, width), lit.collect());
        Ok(Self { seen: seen.expect("the runs are as long as the picture") })
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};

    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let (width, height) = (rows[0].len() as u32, rows.len() as u32);
        let picture = GrayImage::from_fn(width, height, |x, y| {
            Luma([if rows[y as usize].as_bytes()[x as usize] == b'#' { 200 } else { 127 }])
        });
        Mask::of(&picture.into()).expect("it is lit somewhere")
    }

    #[test]
    fn it_is_stored_as_runs() {
        for (rows, runs) in [(&["..#", "##."], vec![2, 3, 1]), (&["###", "..."], vec![0, 3, 3])] {
            let mask = mask(rows);
            let json = serde_json::to_value(&mask).expect("only numbers");
            assert_eq!(json, serde_json::json!({"width": 3, "height": 2, "runs": runs}));
            assert_eq!(serde_json::from_value::<Mask>(json).expect("it was one"), mask);
        }
        let runs = |width: usize, runs: &[usize]| {
            let json = serde_json::json!({"width": width, "height": 2, "runs": runs});
            serde_json::from_value::<Mask>(json)
        };
        assert!(runs(3, &[2, 4]).is_ok());
        for (width, wrong) in
            [(3, vec![2, 3]), (0, vec![]), (1 << 40, vec![]), (3, vec![usize::MAX, 7])]
        {
            assert!(runs(width, &wrong).is_err(), "{wrong:?}");
        }
        assert!(Mask::of(&DynamicImage::new_luma8(3, 2)).is_none(), "dark everywhere");
    }

    #[test]
    fn a_part_is_brought_to_a_size() {
        let mask = mask(&["....", ".##.", ".##.", "...."]);
        let same = mask.part([1, 0], 2, [2, 2]);
        assert_eq!(same, ndarray::array![[false, false], [true, true]]);
        let larger = mask.part([1, 0], 2, [4, 2]);
        assert_eq!(larger.column(0).to_vec(), [false, false, true, true]);
        // The middle of a pixel of two by two is the third of its four: column and row 1 and 3.
        let smaller = mask.part([0, 0], 4, [2, 2]);
        assert_eq!(smaller, ndarray::array![[true, false], [false, false]]);
    }
}
