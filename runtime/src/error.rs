use std::io;
use std::path::PathBuf;

/// Everything that can go wrong between a file and an answer.
///
/// Every variant carries its datum, so a message names the file, the cause and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file or folder could not be written; its name never stands for half of one.
    #[error("cannot write `{}`: {cause}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is larger than the program is willing to read.
    #[error("`{}` is {bytes} bytes, more than the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A picture, or an array of pictures, that cannot be understood.
    #[error("`{name}` is not a readable image: {reason}")]
    Image {
        /// The file, or an array's element as `file.npy[3]`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `.npy` array that cannot be used here.
    #[error("`{name}` is not a usable .npy array: {reason}")]
    Npy {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A picture whose size is not the model's, under a policy that does not resize.
    #[error("`{name}` is {got} pixels, the model takes {expected} (width x height)")]
    ImageSize {
        /// The picture.
        name: String,
        /// Its width and height, as `64x48`.
        got: String,
        /// The model's, likewise.
        expected: String,
    },
    /// A bundle that is incomplete, damaged, contradictory or too new.
    #[error("`{}` is not a usable bundle: {reason}", path.display())]
    Bundle {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An ONNX graph that is refused before any engine sees it, or that an engine refuses.
    #[error("the {graph} graph cannot be used: {reason}")]
    Graph {
        /// `encoder` or `decoder`.
        graph: &'static str,
        /// Why.
        reason: String,
    },
    /// An engine or an execution provider that does not work on this machine.
    #[error("{engine} cannot run here: {reason}")]
    Engine {
        /// The engine, with its provider where one was asked for.
        engine: String,
        /// Why.
        reason: String,
    },
    /// An array whose shape is not the one that the model declares.
    #[error("{what} has shape {got:?}, expected {expected}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// Its shape.
        got: Vec<usize>,
        /// The declared shape, `B` standing for any batch size.
        expected: String,
    },
    /// A tensor with a NaN or an infinity, which has no place in a ranking.
    #[error("{what} holds a value that is not finite")]
    NotFinite {
        /// Which tensor.
        what: String,
    },
    /// A model that gives other results on this machine than were recorded when it was exported.
    #[error(
        "`{}` fails its self-test: `{output}` differs by {difference:.1e} from the record on \
         {engine}, more than {tolerance:.1e}",
        bundle.display()
    )]
    SelfTest {
        /// The bundle.
        bundle: PathBuf,
        /// The output that differs most.
        output: String,
        /// The engine and its provider.
        engine: String,
        /// How far it is, as [`crate::verify::verify`] has it.
        difference: f64,
        /// How far it may be.
        tolerance: f64,
    },
    /// A model whose verdicts on this machine are not those that were recorded.
    #[error(
        "`{}` fails its self-test: {flips} of {count} recorded verdicts flip on {engine}, \
         {accepted} did when it was exported",
        bundle.display()
    )]
    SelfTestVerdicts {
        /// The bundle.
        bundle: PathBuf,
        /// The engine and its provider.
        engine: String,
        /// Number of recorded verdicts.
        count: usize,
        /// Those that flip here.
        flips: usize,
        /// Those that flipped at export.
        accepted: usize,
    },
    /// A setting outside the values that it may have.
    #[error("{what} is {got}, expected {expected}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// Its value.
        got: String,
        /// The values that it may have.
        expected: String,
    },
    /// A calibration that cannot be read, or is another bundle's.
    #[error("`{}` is not a usable calibration: {reason}", path.display())]
    Calibration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Fewer calibration images than a rate of false alarms needs.
    #[error(
        "{images} calibration images are too few for that rate of false alarms: {needed} are \
         needed, {} more",
        needed - images
    )]
    TooFewImages {
        /// The images there are.
        images: usize,
        /// The fewest that suffice.
        needed: usize,
    },
    /// The model lacks what the operation needs, for example a posterior.
    #[error("`{model}` cannot {operation}: {reason}")]
    Unsupported {
        /// The bundle's name.
        model: String,
        /// What was asked.
        operation: &'static str,
        /// What the model lacks.
        reason: String,
    },
}

impl Error {
    /// The [`Error::Read`] of a path, for `map_err`.
    pub fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Read { path, cause }
    }

    /// The [`Error::Write`] of a path, for `map_err`.
    pub fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Write { path, cause }
    }
}
