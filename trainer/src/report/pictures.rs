//! A run's figures as parts of a page.

use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use vae_infer::images;

/// The figures in the order of a report, each with what it shows.
const FIGURES: [(&str, &str); 10] = [
    ("losses", "Loss and its terms by epoch, on training and held-out images"),
    ("reconstructions", "Held-out images over their reconstructions"),
    ("samples", "Samples from the prior"),
    ("latent", "Posterior means of held-out images"),
    ("manifold", "The decoder over the latent plane, at quantiles of the prior"),
    ("interpolation", "Steps between pairs of held-out images"),
    ("posterior", "Draws from the posteriors of held-out images, mean and 2-sigma ellipse"),
    ("noise", "Reconstructions under growing noise in the latent vector"),
    ("noise-comparison", "The same noise in the latent vectors of several runs"),
    ("epochs", "The same latent vectors, epoch after epoch"),
];

/// A figure inside the page.
#[derive(Debug)]
pub struct Picture {
    /// The name of its file, without extension.
    pub name: &'static str,
    /// What it shows.
    pub caption: &'static str,
    /// The address that is the image itself (RFC 2397).
    pub data: String,
}

/// The figures in a folder; those that a model cannot have are not there.
pub(super) fn read(folder: &Path) -> Result<Vec<Picture>> {
    let mut pictures = vec![];
    for (name, caption) in FIGURES {
        let file = |extension: &str| folder.join(name).with_extension(extension);
        let kinds = [("svg", "image/svg+xml"), ("png", "image/png"), ("gif", "image/gif")];
        if let Some((extension, media)) = kinds.into_iter().find(|(e, _)| file(e).exists()) {
            let content = BASE64_STANDARD.encode(images::read_file(&file(extension))?);
            let data = format!("data:{media};base64,{content}");
            pictures.push(Picture { name, caption, data });
        }
    }
    Ok(pictures)
}
