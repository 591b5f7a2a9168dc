//! Pictures of a trained run.
//!
//! | file | what it shows |
//! |---|---|
//! | `losses.png`, `.svg` | the terms of the loss over the epochs |
//! | `reconstructions.png` | held-out images over their reconstructions |
//! | `samples.png` | images decoded from draws of the prior |
//! | `latent.png`, `.svg` | posterior means of held-out images, coloured by label |
//! | `manifold.png` | a plane of latent vectors, decoded (`Z` = 2) |
//! | `epochs.gif` | the same latent vectors, decoded after every epoch |
//! | `interpolation.png` | the way from one image to another through latent space |
//! | `posterior.png`, `.svg` | draws of some posteriors with their 2-sigma ellipses |
//! | `noise.png` | reconstructions from latent vectors with noise |
//! | `noise-comparison.png` | the same for several runs, under the same noise |
//!
//! A picture that has no meaning for a model is left out, with a reason. Every draw comes from a seed,
//! so a run always gives the same pictures.

mod epochs;
mod held_out;
mod interpolation;
mod latent;
mod losses;
mod manifold;
mod marks;
mod noise;
mod page;
mod plot;
mod posterior;
mod principal;
mod quantile;
mod reconstructions;
mod rows;
mod samples;
mod subject;
mod theme;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::{DynamicImage, ImageFormat};
use vae_infer::write;

use crate::trained::Trained;

pub use held_out::{HeldOut, Selection};
pub use noise::compare as compare_noise;
use plot::Plot;
use subject::Subject;

/// What [`write()`] has made of a run.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The files, in the order of this module's table.
    pub files: Vec<PathBuf>,
    /// Why a picture is not there, one line each, which names it.
    pub left_out: Vec<String>,
}

/// One figure: its files by extension, or why there is none.
enum Figure {
    Files(Vec<(&'static str, Vec<u8>)>),
    LeftOut(&'static str),
}

impl Figure {
    fn picture(picture: &DynamicImage) -> Result<Self> {
        Ok(Self::Files(vec![("png", png(picture)?)]))
    }

    fn plot(plot: &impl Plot) -> Result<Self> {
        let (picture, svg) = (plot::png(plot)?, plot::svg(plot)?);
        Ok(Self::Files(vec![("png", png(&picture.into())?), ("svg", svg.into_bytes())]))
    }
}

/// Draws one figure.
type Draw = fn(&Subject) -> Result<Figure>;

const FIGURES: [(&str, Draw); 9] = [
    ("losses", losses::draw),
    ("reconstructions", reconstructions::draw),
    ("samples", samples::draw),
    ("latent", latent::draw),
    ("manifold", manifold::draw),
    ("epochs", epochs::draw),
    ("interpolation", interpolation::draw),
    ("posterior", posterior::draw),
    ("noise", noise::draw),
];

/// Draws every figure of a run into a folder, which is made where there is none. Files with these
/// names are replaced.
///
/// # Errors
///
/// Where the run cannot be read or a file cannot be written.
pub fn write(trained: &Trained, held_out: &HeldOut, folder: &Path) -> Result<Written> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    let subject = Subject::new(trained, held_out)?;
    let mut written = Written::default();
    for (name, draw) in FIGURES {
        match draw(&subject).with_context(|| format!("cannot draw `{name}`"))? {
            Figure::LeftOut(reason) => {
                written.left_out.push(format!("`{name}` is left out: {reason}"))
            }
            Figure::Files(files) => {
                for (extension, content) in files {
                    let path = folder.join(name).with_extension(extension);
                    write::atomically(&path, &content)?;
                    written.files.push(path);
                }
            }
        }
    }
    Ok(written)
}

/// The content of a PNG file.
pub(crate) fn png(picture: &DynamicImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}
