use std::path::PathBuf;

/// Why a model was not exported, or files were not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading, writing, or an engine's refusal of the graphs.
    #[error(transparent)]
    Infer(#[from] vae_infer::Error),
    /// The description of the model contradicts itself.
    #[error(transparent)]
    Shape(#[from] vae_models::ShapeError),
    /// Something stands under the bundle's name.
    #[error("`{}` exists (--force replaces a bundle)", path.display())]
    Exists {
        /// The bundle's name.
        path: PathBuf,
    },
    /// A file that cannot become a part of a bundle.
    #[error("cannot import `{}`: {reason}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no image to compare the engines on.
    #[error("there are no images to compare the engines on")]
    NoImages,
    /// An engine does not give the trainer's answers, or those of imported files; nothing was
    /// written.
    #[error(
        "{engine} differs from {reference} on `{output}` by {difference:.1e} of its range \
         (batch {batch}, {images} images), more than {tolerance:.0e}: nothing was written"
    )]
    Parity {
        /// The engine.
        engine: String,
        /// What it is compared with.
        reference: &'static str,
        /// The output that differs.
        output: String,
        /// The batch size.
        batch: usize,
        /// Which images.
        images: String,
        /// The largest difference over the output's range.
        difference: f64,
        /// The largest that is accepted.
        tolerance: f64,
    },
}
