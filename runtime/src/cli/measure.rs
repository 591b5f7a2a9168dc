//! What makes a score of an image, and whether it is what a calibration knows.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use vae_infer::anomaly::{Calibration, Method, Tiling};
use vae_infer::maps::Mask;
use vae_infer::{Bundle, Error, ImageSpec, Resize, images};

use super::options::{DRAWS, Options};

/// Options of what makes a score of an image.
#[derive(Args)]
pub(super) struct Measure {
    /// What makes a score of an image: mse, nll, elbo, probability, mahalanobis, path, sap, nap,
    /// ms-ssim or gradient [default: that of the calibration, or the one that the model was exported
    /// with]
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,
    /// Draws from the posterior, for the methods that draw [default: those of the calibration, or 16]
    #[arg(long, value_name = "L")]
    draws: Option<usize>,
    /// Score large images by square tiles with a side of so many of their pixels, an image by the worst
    /// of its tiles [default: the calibration's, or none: the image as a whole]
    #[arg(long, value_name = "PIXELS", value_parser = RangedU64ValueParser::<usize>::new().range(1..=32_768))]
    tile: Option<usize>,
    /// From one tile to the next [default: half of the side]
    #[arg(long, value_name = "PIXELS", requires = "tile", value_parser = RangedU64ValueParser::<usize>::new().range(1..=32_768))]
    stride: Option<usize>,
    /// A picture of the model's size, or with tiles of the images': what is dark in it counts neither in
    /// scores nor in regions [default: the calibration's, or none]
    #[arg(long, value_name = "PICTURE")]
    mask: Option<PathBuf>,
}

/// What makes a score of an image.
pub(super) struct Measured {
    pub(super) method: Method,
    pub(super) draws: usize,
    pub(super) tiling: Option<Tiling>,
    pub(super) mask: Option<Mask>,
    /// How pictures, or their tiles, become tensors.
    pub(super) image: ImageSpec,
}

impl Measure {
    /// What was asked for. Where there is a calibration it decides, and nothing else may be asked for.
    pub(super) fn settled(
        &self,
        calibration: Option<&Calibration>,
        bundle: &Bundle,
        options: &Options,
    ) -> Result<Measured> {
        if let Some(calibration) = calibration {
            return self.calibrated(calibration, options);
        }
        let exported = bundle.manifest.anomaly.as_ref().map(|anomaly| anomaly.method);
        let measured = Measured {
            method: self.method.or(exported).unwrap_or(Method::Mse),
            draws: self.draws.unwrap_or(DRAWS),
            tiling: self
                .tile
                .map(|side| Tiling { side, stride: self.stride.unwrap_or(side.div_ceil(2)) }),
            mask: self.mask.as_deref().map(mask).transpose()?,
            image: options.image(bundle),
        };
        measured.check()?;
        Ok(measured)
    }

    fn calibrated(&self, calibration: &Calibration, options: &Options) -> Result<Measured> {
        let Calibration { method, draws, tiling, ref image, ref mask, .. } = *calibration;
        let side = tiling.map(|tiling| tiling.side);
        let stride = tiling.map(|tiling| tiling.stride);
        contradicted("--method", self.method, Some(method))?;
        contradicted("--draws", self.draws, Some(draws))?;
        contradicted("--tile", self.tile, side)?;
        contradicted("--stride", self.stride, stride)?;
        contradicted("--resize", options.resize().map(named), Some(named(image.resize)))?;
        if let Some(asked) = self.mask.as_deref()
            && Some(self::mask(asked)?) != *mask
        {
            let with = mask.as_ref().map_or("without `--mask`", |_| "with another `--mask`");
            bail!(
                "the model was calibrated {with}, and scores within `{}` cannot be held against that \
                 (hint: `vae-infer calibrate --mask`)",
                asked.display()
            );
        }
        let (mask, image) = (mask.clone(), image.clone());
        let measured = Measured { method, draws, tiling, mask, image };
        measured.check()?;
        Ok(measured)
    }
}

impl Measured {
    /// How pictures become tensors, where they do so as wholes.
    pub(super) fn whole(&self) -> Option<&ImageSpec> {
        self.tiling.is_none().then_some(&self.image)
    }

    /// Refuses what cannot go together.
    fn check(&self) -> Result<()> {
        self.tiling.map_or(Ok(()), |tiling| tiling.check(&self.image))?;
        let Some(mask) = &self.mask else { return Ok(()) };
        if let Some(tiling) = self.tiling.filter(|tiling| !tiling.is_as_large_as(&self.image)) {
            bail!(
                "a mask takes tiles of the model's {}x{} pixels, not of {}: what it hides would be \
                 mixed with what is seen",
                self.image.width,
                self.image.height,
                tiling.side
            );
        }
        let (size, model) = (mask.size(), (self.image.width, self.image.height));
        if self.tiling.is_none() && size != model {
            let ((width, height), (w, h)) = (size, model);
            bail!(
                "the mask is {width}x{height} pixels, and one without tiles has the model's {w}x{h}"
            );
        }
        Ok(())
    }
}

/// Reads a mask.
fn mask(path: &Path) -> Result<Mask> {
    let unreadable = |reason| Error::Image { name: path.display().to_string(), reason };
    let picture = images::decode(&images::read_file(path)?).map_err(unreadable)?;
    Mask::of(&picture).with_context(|| {
        format!("`{}` is dark everywhere, and hides all of an image", path.display())
    })
}

/// Refuses what is asked for and is not the calibration's.
fn contradicted<T: PartialEq + Display>(
    option: &str,
    asked: Option<T>,
    calibrated: Option<T>,
) -> Result<()> {
    let Some(asked) = asked.filter(|asked| calibrated.as_ref() != Some(asked)) else {
        return Ok(());
    };
    let with = match calibrated {
        Some(calibrated) => format!("with `{option} {calibrated}`"),
        None => format!("without `{option}`"),
    };
    bail!(
        "the model was calibrated {with}, and scores with `{option} {asked}` cannot be held against \
         that (hint: `vae-infer calibrate`, or another calibration's file)"
    )
}

/// The word for a resizing on the command line.
fn named(resize: Resize) -> String {
    resize.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}
