use std::path::PathBuf;
use std::time::Duration;

use vae_infer::manifest::{Parity, Precision};

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
    #[error(
        "`{}` exists, and --force replaces a folder that holds a bundle and nothing else, such as a calibration \
         (hint: another -o)",
        path.display()
    )]
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
    /// An engine does not give the trainer's answers, or those of imported files; nothing was written.
    #[error(
        "the {graph} on {engine} differs from {reference} on `{output}` by {difference:.1e} of its \
         range (batch {batch}, {images} images), more than {tolerance:.0e}: nothing was written",
        engine = .row.engine,
        output = .row.output,
        difference = .row.difference,
        batch = .row.batch,
        images = .row.images,
    )]
    Parity {
        /// `encoder` or `decoder`.
        graph: &'static str,
        /// What the engine is compared with.
        reference: &'static str,
        /// The engine, the output, and how far it is.
        row: Box<Parity>,
        /// The largest difference that is accepted.
        tolerance: f64,
    },
    /// An engine does not give the trainer's verdicts; nothing was written.
    #[error("{engine} {what}, the limit is {limit}: nothing was written")]
    Verdicts {
        /// The engine.
        engine: String,
        /// What it does to them.
        what: String,
        /// The limit that is passed.
        limit: String,
    },
    /// Eight bits are not faster than `f32` on this machine; nothing was written.
    #[error(
        "an image takes {reduced:.1?} in int8 and {full:.1?} in f32 on {engine}: nothing was written \
         (hint: --allow-slower)"
    )]
    Slower {
        /// The engine.
        engine: String,
        /// The time in `f32`.
        full: Duration,
        /// The time in eight bits.
        reduced: Duration,
    },
    /// A precision that only ONNX Runtime has kernels for, where it is not.
    #[error("{precision} is for ONNX Runtime, which cannot be compared here: {reason}")]
    NeedsOnnxRuntime {
        /// The precision.
        precision: Precision,
        /// Why not.
        reason: String,
    },
    /// A weight beyond the largest number of half precision.
    #[error("the weights `{weight}` are too large for f16, which ends at 65504")]
    TooLargeForHalf {
        /// The weights' name in the graph.
        weight: String,
    },
    /// Eight bits need images to take their ranges from.
    #[error("int8 needs images of the kind that the model will see (hint: --calibrate DIR)")]
    NoCalibrationImages,
    /// Too few images to take ranges from.
    #[error("{count} calibration images are too few, int8 needs {least}")]
    TooFewCalibrationImages {
        /// How many there are.
        count: usize,
        /// How many are needed.
        least: usize,
    },
    /// Images of another kind than the model was trained on.
    #[error(
        "the calibration images are not of the model's kind: half of them are reconstructed with a \
         squared error above {median:.2e}, 99 % of the held-out images below {threshold:.2e}"
    )]
    StrangeCalibrationImages {
        /// Their median mean squared error.
        median: f64,
        /// What 99 % of the held-out images stay below.
        threshold: f64,
    },
    /// The graph cannot be run for its ranges.
    #[error("the graph cannot be calibrated: {reason}")]
    Calibration {
        /// What the engine says.
        reason: String,
    },
}
