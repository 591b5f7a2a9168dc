//! Scores of images of which a part is hidden.
//!
//! What is hidden must not reach the encoder: it would move the posterior, and with it the
//! reconstruction of what is seen. The model fills it in itself, as in the imputation of Rezende,
//! Mohamed and Wierstra (ICML 2014, arXiv:1401.4082), here with means and without draws: from black,
//! the image is reconstructed and what is hidden is replaced by that, a few times.

use ndarray::{Array4, ArrayView3, ArrayView4, Zip, aview0};

use super::{Examined, Scorer};
use crate::Error;

/// How often what is hidden is replaced by its reconstruction.
const ROUNDS: usize = 3;

impl Scorer {
    /// Scores what is seen of a batch of images. Nothing of the result depends on what is hidden, but
    /// that the reconstruction has the image's own pixels there.
    ///
    /// Takes four times as long as [`Scorer::score`] where something is hidden.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`, seen: `[B, H, W]`, output: `B` scores
    ///
    /// # Errors
    ///
    /// As [`Scorer::score`], and [`Error::Shape`] where `seen` has another shape.
    pub fn score_seen(
        &mut self,
        images: ArrayView4<f32>,
        seen: ArrayView3<bool>,
    ) -> Result<Examined, Error> {
        let (batch, _, height, width) = images.dim();
        if seen.dim() != (batch, height, width) {
            let (what, got) = ("what is seen", seen.shape().to_vec());
            let expected = format!("[{batch}, {height}, {width}]");
            return Err(Error::Shape { what, got, expected });
        }
        if seen.iter().all(|&seen| seen) {
            return self.score(images);
        }
        let mut filled = self.blackened(images, seen);
        for _ in 0..ROUNDS {
            let encoding = self.encode(filled.view())?;
            replace_hidden(&mut filled, self.decode(&encoding)?.images.view(), seen);
        }
        let mut examined = self.examined(filled.view(), Some(seen))?;
        replace_hidden(&mut examined.reconstruction.images, images, seen);
        Ok(examined)
    }

    /// Images in which what is hidden is black.
    pub(super) fn blackened(&self, images: ArrayView4<f32>, seen: ArrayView3<bool>) -> Array4<f32> {
        let mut blackened = images.to_owned();
        let [black, _] = self.manifest.image.range;
        let black = aview0(&black);
        let black = black.broadcast(images.dim()).expect("one value for all of them");
        replace_hidden(&mut blackened, black, seen);
        blackened
    }
}

/// Replaces what is hidden of images by what others have there.
///
/// # Shapes
///
/// images, others: `[B, C, H, W]`, seen: `[B, H, W]`
pub(super) fn replace_hidden(
    images: &mut Array4<f32>,
    others: ArrayView4<f32>,
    seen: ArrayView3<bool>,
) {
    let pairs = images.outer_iter_mut().zip(others.outer_iter());
    for ((mut image, other), seen) in pairs.zip(seen.outer_iter()) {
        for (channel, other) in image.outer_iter_mut().zip(other.outer_iter()) {
            Zip::from(channel).and(other).and(seen).for_each(|value, &other, &seen| {
                *value = if seen { *value } else { other };
            });
        }
    }
}
