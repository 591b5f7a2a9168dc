//! The well-known data sets: their files, their mirrors and the hashes of their content.

use super::download::{Remote, RemoteFile};

/// A data set that can be downloaded by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Known {
    /// 60,000 + 10,000 handwritten digits, 28x28 grey (LeCun, Cortes, Burges)
    Mnist,
    /// 60,000 + 10,000 articles of clothing, 28x28 grey (Zalando, MIT)
    FashionMnist,
    /// 124,800 + 20,800 handwritten letters, 28x28 grey (NIST; an archive of 540 MB, of which 35 MB are kept)
    EmnistLetters,
    /// 60,000 + 10,000 cursive Japanese characters, 28x28 grey (CODH, CC BY-SA 4.0)
    Kmnist,
}

/// SHA-256 of the decompressed content of [`MNIST_FILES`]'s files, in their order.
const MNIST: [&str; 4] = [
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
];
/// The same for Fashion-MNIST.
const FASHION_MNIST: [&str; 4] = [
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
];
const MNIST_FILES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];
const EMNIST_FILES: [&str; 4] = [
    "emnist-letters-train-images-idx3-ubyte.gz",
    "emnist-letters-train-labels-idx1-ubyte.gz",
    "emnist-letters-test-images-idx3-ubyte.gz",
    "emnist-letters-test-labels-idx1-ubyte.gz",
];

impl Known {
    /// Its files, and where they are.
    ///
    /// Of MNIST and Fashion-MNIST the content's hash is known. Of KMNIST and EMNIST only the
    /// structure is: the number of images and their size. With `mirror` the files are looked for
    /// below that address alone.
    pub fn remote(self, mirror: Option<&str>) -> Remote {
        let (names, sizes, hashes) = match self {
            Self::Mnist => (MNIST_FILES, [60_000, 10_000], MNIST.map(Some)),
            Self::FashionMnist => (MNIST_FILES, [60_000, 10_000], FASHION_MNIST.map(Some)),
            Self::EmnistLetters => (EMNIST_FILES, [124_800, 20_800], [None; 4]),
            Self::Kmnist => (MNIST_FILES, [60_000, 10_000], [None; 4]),
        };
        let mirrors: &[&str] = match self {
            Self::Mnist => &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
            Self::FashionMnist => &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
            Self::EmnistLetters => &["https://biometrics.nist.gov/cs_links/EMNIST/"],
            Self::Kmnist => &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        };
        let [train, test] = sizes;
        let shapes = [vec![train, 28, 28], vec![train], vec![test, 28, 28], vec![test]];
        let files = names.into_iter().zip(shapes).zip(hashes);
        Remote {
            files: files
                .map(|((name, shape), sha256)| RemoteFile {
                    name: name.into(),
                    shape,
                    sha256: sha256.map(String::from),
                })
                .collect(),
            mirrors: mirror
                .map_or_else(|| mirrors.iter().map(|m| (*m).into()).collect(), |m| vec![m.into()]),
            archive: (self == Self::EmnistLetters).then(|| "gzip.zip".into()),
        }
    }
}
