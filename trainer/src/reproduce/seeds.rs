//! The five systems, as their runs and the lines of their table.

use crate::evaluation::PartName;

/// One of the systems that this project grew out of.
#[derive(Debug)]
pub struct Seed {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// The folder of its images below `--data`; absent where the program makes them.
    pub data: Option<&'static str>,
    /// What is trained.
    pub runs: &'static [Fit],
    /// What is compared.
    pub rows: &'static [Row],
    /// Whether its runs decode latent vectors with the same noise, side by side.
    pub noise: bool,
    /// The figures that stand under the table: folder and file.
    pub pictures: &'static [(&'static str, &'static str)],
}

/// A preset, trained with the seed's settings.
#[derive(Debug)]
pub struct Fit {
    /// The name of the run's folder.
    pub name: &'static str,
    /// The preset.
    pub preset: &'static str,
    /// What the seed changes in it.
    pub settings: &'static [&'static str],
    /// What is changed besides in a quick run.
    pub quick: &'static [&'static str],
}

/// A line of the table: the seed's own result beside ours.
#[derive(Debug)]
pub struct Row {
    /// What is compared.
    pub what: &'static str,
    /// The seed's result, as it was published.
    pub theirs: &'static str,
    /// The run that gives ours.
    pub run: &'static str,
    /// The epoch whose weights are evaluated; absent, the best one.
    pub epoch: Option<usize>,
    /// The images that are evaluated.
    pub part: PartName,
    /// The figures in the evaluation, as JSON pointers.
    pub figures: &'static [&'static str],
    /// How it is measured.
    pub protocol: &'static str,
}

const QUICK: &[&str] = &["train.epochs=2", "train.validation=40", "train.batch_size=32"];
const QUICK_EYES: &[&str] =
    &["train.epochs=2", "train.keep=[]", "train.validation=20", "train.batch_size=16"];
const ELBO: &str = "/elbo/mean";
const PSNR_SSIM: &[&str] = &["/fidelity/psnr_pooled", "/fidelity/ssim_global/mean"];
const HONEST: &[&str] = &["/fidelity/psnr/mean", "/fidelity/ssim/mean"];
const PCA: &[&str] = &["/pca/fidelity/psnr/mean", "/pca/fidelity/ssim/mean"];
const POOLED: &str = "training images, MSE pooled over all pixels, SSIM over the whole image";
const HELD_OUT: &str = "148 held-out images, mean over images, SSIM of Wang et al.";

/// All of them, in their order.
pub const SEEDS: [Seed; 5] = [
    Seed {
        name: "seed0",
        title: "EMNIST letters with skip connections and a perceptual loss",
        data: Some("emnist-letters"),
        runs: &[
            Fit {
                name: "emnist-perceptual",
                preset: "emnist-perceptual",
                settings: &[],
                quick: QUICK,
            },
            Fit {
                name: "emnist-plain",
                preset: "emnist-perceptual",
                settings: &["name=emnist-plain", "train.perceptual.weight=0.0"],
                quick: QUICK,
            },
        ],
        rows: &[
            Row {
                what: "trained with the perceptual term: feature distance, BCE",
                theirs: "curves only",
                run: "emnist-perceptual",
                epoch: None,
                part: PartName::Validation,
                figures: &["/perceptual/mean", "/reconstruction/mean"],
                protocol: "held-out images, distance in the features of `letters`, nats",
            },
            Row {
                what: "trained without it: feature distance, BCE",
                theirs: "curves only",
                run: "emnist-plain",
                epoch: None,
                part: PartName::Validation,
                figures: &["/perceptual/mean", "/reconstruction/mean"],
                protocol: "as above",
            },
        ],
        noise: false,
        pictures: &[
            ("emnist-perceptual", "reconstructions.png"),
            ("emnist-plain", "reconstructions.png"),
        ],
    },
    Seed {
        name: "seed1",
        title: "MNIST, a multi-layer perceptron with a latent plane",
        data: Some("mnist"),
        runs: &[Fit { name: "mnist-mlp", preset: "mnist-mlp", settings: &[], quick: QUICK }],
        rows: &[
            Row {
                what: "validation loss",
                theirs: "pictures only",
                run: "mnist-mlp",
                epoch: None,
                part: PartName::Validation,
                figures: &["/loss/mean"],
                protocol: "BCE of grey targets summed over pixels + KL, nats, best epoch",
            },
            Row {
                what: "test loss",
                theirs: "about 147 (the same model in Keras, 30 epochs)",
                run: "mnist-mlp",
                epoch: None,
                part: PartName::Test,
                figures: &["/loss/mean"],
                protocol: "as above",
            },
        ],
        noise: false,
        pictures: &[("mnist-mlp", "latent.png"), ("mnist-mlp", "samples.png")],
    },
    Seed {
        name: "seed2",
        title: "TensorFlow's convolutional VAE",
        data: Some("mnist"),
        runs: &[
            Fit {
                name: "mnist-conv",
                preset: "mnist-conv",
                settings: &["train.validation=0"],
                quick: QUICK,
            },
            Fit {
                name: "mnist-conv-sampled",
                preset: "mnist-conv",
                settings: &["name=mnist-conv-sampled", "train.validation=0", "train.kl=sampled"],
                quick: QUICK,
            },
        ],
        rows: &[
            Row {
                what: "test ELBO after epoch 10, trained on the one-sample Monte-Carlo bound",
                theirs: "-155.9",
                run: "mnist-conv-sampled",
                epoch: None,
                part: PartName::Test,
                figures: &[ELBO],
                protocol: "MNIST binarised at 0.5, 60,000 images, one draw, nats",
            },
            Row {
                what: "trained with the KL in closed form",
                theirs: "-",
                run: "mnist-conv",
                epoch: None,
                part: PartName::Test,
                figures: &[ELBO],
                protocol: "as above",
            },
        ],
        noise: false,
        pictures: &[("mnist-conv", "manifold.png"), ("mnist-conv", "epochs.gif")],
    },
    Seed {
        name: "seed3",
        title: "4x4 patterns with a latent plane",
        data: None,
        runs: &[Fit {
            name: "patterns",
            preset: "patterns",
            settings: &[],
            quick: &["train.epochs=8"],
        }],
        rows: &[Row {
            what: "test ELBO",
            theirs: "an untrained loss only",
            run: "patterns",
            epoch: None,
            part: PartName::Test,
            figures: &[ELBO],
            protocol: "patterns with noise 0.05, one draw, nats",
        }],
        noise: false,
        pictures: &[("patterns", "posterior.png"), ("patterns", "interpolation.png")],
    },
    Seed {
        name: "seed4",
        title: "AE and VAE on 50x50 RGB eyes",
        data: Some("eyes"),
        runs: &[
            Fit { name: "eyes-ae", preset: "eyes-ae", settings: &[], quick: QUICK_EYES },
            Fit { name: "eyes-vae", preset: "eyes-vae", settings: &[], quick: QUICK_EYES },
        ],
        rows: &[
            eyes("AE, 5 epochs: PSNR, SSIM", "22.99, -", "eyes-ae", 5),
            eyes("AE, 10 epochs", "22.84, -", "eyes-ae", 10),
            eyes("AE, 15 epochs", "22.89, -", "eyes-ae", 15),
            eyes("AE, 20 epochs", "21.96, 0.7218", "eyes-ae", 20),
            eyes("VAE, 5 epochs", "23.01, -", "eyes-vae", 5),
            eyes("VAE, 10 epochs", "24.09, 0.7297", "eyes-vae", 10),
            eyes("VAE, 15 epochs", "23.53, -", "eyes-vae", 15),
            honest("AE, held out", "eyes-ae", HONEST),
            honest("VAE, held out", "eyes-vae", HONEST),
            honest("PCA of 256 components, held out", "eyes-vae", PCA),
        ],
        noise: true,
        pictures: &[("eyes-vae", "reconstructions.png"), ("seed4", "noise-comparison.png")],
    },
];

const fn eyes(what: &'static str, theirs: &'static str, run: &'static str, epoch: usize) -> Row {
    let (part, figures, protocol) = (PartName::Train, PSNR_SSIM, POOLED);
    Row { what, theirs, run, epoch: Some(epoch), part, figures, protocol }
}

const fn honest(what: &'static str, run: &'static str, figures: &'static [&'static str]) -> Row {
    let (part, protocol) = (PartName::Validation, HELD_OUT);
    Row { what, theirs: "-", run, epoch: None, part, figures, protocol }
}
