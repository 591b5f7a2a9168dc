use std::path::PathBuf;

/// Everything that can go wrong between a source of images and its tensors.
///
/// Every variant carries its datum, so a message names the file, the cause and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or an image that the shared reading and preprocessing refuses.
    #[error(transparent)]
    Infer(#[from] vae_infer::Error),
    /// A file that is not IDX, or is damaged.
    #[error("`{}` is not a usable IDX file: {reason}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder that is no data set, or is ambiguous.
    #[error("`{}` is not a usable data set: {reason}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Images and labels that do not belong together.
    #[error(
        "`{}` holds {images} images, and `{}` holds {labels} labels",
        image_file.display(), label_file.display()
    )]
    Count {
        /// The file with the images.
        image_file: PathBuf,
        /// How many they are.
        images: usize,
        /// The file with the labels.
        label_file: PathBuf,
        /// How many they are.
        labels: usize,
    },
    /// A label that no class has.
    #[error("label {index} of `{}` is {value}, expected {expected}", path.display())]
    Label {
        /// The file with the labels.
        path: PathBuf,
        /// Which label, counted from 0.
        index: usize,
        /// Its value.
        value: u8,
        /// What a label can be.
        expected: &'static str,
    },
    /// A setting that cannot be.
    #[error("the data settings cannot be used: {reason}")]
    Config {
        /// Which setting, and why.
        reason: String,
    },
    /// A source that is a folder, and none was given.
    #[error("the images are read from a folder, and none was given (use `--data DIR`)")]
    NoFolder,
    /// More images than the memory holds.
    #[error("{images} images of {shape:?} values (channels, height, width) do not fit into memory")]
    Memory {
        /// How many images.
        images: usize,
        /// The shape of one, `[C, H, W]`.
        shape: [usize; 3],
    },
    /// A system that gives no threads to decode images.
    #[error("cannot start threads that decode images: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A file that was replaced since the data was loaded.
    #[error("`{name}` is no longer the image that it was when the data was loaded")]
    Changed {
        /// The file.
        name: String,
    },
    /// A file that is already there, under the name of a download, with another content.
    #[error(
        "`{}` is already there and is not the file that is wanted: {reason} \
         (remove it to download it again)",
        path.display()
    )]
    Present {
        /// The file.
        path: PathBuf,
        /// How it differs.
        reason: String,
    },
    /// A file that no mirror gave.
    #[error(
        "cannot download `{file}`: {}; where there is no network, get it elsewhere and put {} into `{}`",
        list(tried), wanted.join(", "), folder.display()
    )]
    Download {
        /// The file on the mirrors.
        file: String,
        /// Each address that was tried, and why it failed.
        tried: Vec<(String, String)>,
        /// The files that are missing.
        wanted: Vec<String>,
        /// Where they belong.
        folder: PathBuf,
    },
}

fn list(tried: &[(String, String)]) -> String {
    let tried: Vec<_> = tried.iter().map(|(url, reason)| format!("{url} ({reason})")).collect();
    tried.join(", ")
}
