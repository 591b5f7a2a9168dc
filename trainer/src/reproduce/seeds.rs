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
    /// Whether its first two runs decode latent vectors with the same noise, side by side.
    pub noise: bool,
    /// The figures that stand under the table: run and file.
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
    /// The weights of its feature network, a file below `--data`; absent where they are part of the
    /// program. Where there is no such file, and in a quick run, the run and its rows are left out.
    pub weights: Option<&'static str>,
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

/// Where SqueezeNet's weights are below `--data`, under torchvision's names.
const SQUEEZENET: &str = "squeezenet1.1/squeezenet1_1_features.safetensors";
const QUICK: &[&str] = &["train.epochs=2", "train.validation=40", "train.batch_size=32"];
const QUICK_EYES: &[&str] =
    &["train.epochs=2", "train.keep=[]", "train.validation=20", "train.batch_size=16"];
const POOLED: &[&str] = &["/fidelity/psnr_pooled", "/fidelity/ssim_global/mean", "/fidelity/mse"];
const HONEST: &[&str] = &["/fidelity/psnr/mean", "/fidelity/ssim/mean", "/fidelity/mse"];
const PCA_POOLED: &[&str] = &["/pca/psnr_pooled", "/pca/ssim_global/mean", "/pca/mse"];
const PCA_HONEST: &[&str] = &["/pca/psnr/mean", "/pca/ssim/mean", "/pca/mse"];

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
                settings: &["train.epochs=10"],
                weights: None,
                quick: QUICK,
            },
            Fit {
                name: "emnist-plain",
                preset: "emnist-perceptual",
                settings: &["name=emnist-plain", "train.perceptual.weight=0.0", "train.epochs=10"],
                weights: None,
                quick: QUICK,
            },
            Fit {
                name: "emnist-squeezenet",
                preset: "emnist-perceptual",
                settings: &[
                    "name=emnist-squeezenet",
                    "train.epochs=6",
                    "train.schedule={ kind = \"cosine\", floor = 0.01 }",
                    "train.perceptual.features=squeezenet1.1",
                    "train.perceptual.weight=0.04",
                ],
                weights: Some(SQUEEZENET),
                quick: QUICK,
            },
            Fit {
                name: "emnist-squeezenet-plain",
                preset: "emnist-perceptual",
                settings: &[
                    "name=emnist-squeezenet-plain",
                    "train.epochs=6",
                    "train.schedule={ kind = \"cosine\", floor = 0.01 }",
                    "train.perceptual.features=squeezenet1.1",
                    "train.perceptual.weight=0.0",
                ],
                weights: Some(SQUEEZENET),
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
                protocol: "10 epochs (the seed: 30), 2,000 held-out letters (A to M); mean squared difference in the layers of `letters`, BCE in nats; beta = 500 weighs a summed BCE",
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
            Row {
                what: "trained with SqueezeNet's features: feature distance, BCE",
                theirs: "curves only",
                run: "emnist-squeezenet",
                epoch: None,
                part: PartName::Validation,
                figures: &["/perceptual/mean", "/reconstruction/mean"],
                protocol: "6 epochs, cosine schedule, 2,000 held-out letters; mean squared difference in six layers of SqueezeNet 1.1 (ImageNet; letters as 32x32 BGR from 0 to 255), BCE in nats",
            },
            Row {
                what: "trained without them: feature distance, BCE",
                theirs: "curves only",
                run: "emnist-squeezenet-plain",
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
        runs: &[Fit {
            name: "mnist-mlp",
            preset: "mnist-mlp",
            settings: &[],
            weights: None,
            quick: QUICK,
        }],
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
                theirs: "pictures only",
                run: "mnist-mlp",
                epoch: None,
                part: PartName::Test,
                figures: &["/loss/mean"],
                protocol: "as above",
            },
        ],
        noise: false,
        pictures: &[("mnist-mlp", "latent.png")],
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
                weights: None,
                quick: QUICK,
            },
            Fit {
                name: "mnist-conv-faster",
                preset: "mnist-conv",
                settings: &[
                    "name=mnist-conv-faster",
                    "train.validation=0",
                    "train.learning_rate=3e-4",
                ],
                weights: None,
                quick: QUICK,
            },
        ],
        rows: &[
            Row {
                what: "test ELBO after epoch 10",
                theirs: "-155.9",
                run: "mnist-conv",
                epoch: Some(10),
                part: PartName::Test,
                figures: &["/elbo/mean"],
                protocol: "MNIST binarised at 0.5, trained on 60,000; 10,000 test images, one draw, \
                           KL in closed form, nats",
            },
            Row {
                what: "the same with a learning rate of 3e-4",
                theirs: "-155.9 (at 1e-4)",
                run: "mnist-conv-faster",
                epoch: Some(10),
                part: PartName::Test,
                figures: &["/elbo/mean"],
                protocol: "as above",
            },
        ],
        noise: false,
        pictures: &[("mnist-conv", "manifold.png")],
    },
    Seed {
        name: "seed3",
        title: "4x4 patterns with a latent plane",
        data: None,
        runs: &[Fit {
            name: "patterns",
            preset: "patterns",
            settings: &[],
            weights: None,
            quick: &["train.epochs=8"],
        }],
        rows: &[Row {
            what: "test loss",
            theirs: "an untrained loss only",
            run: "patterns",
            epoch: None,
            part: PartName::Test,
            figures: &["/loss/mean"],
            protocol: "500 patterns with noise 0.05, BCE of grey targets summed over pixels + KL, one draw, nats",
        }],
        noise: false,
        pictures: &[("patterns", "posterior.png"), ("patterns", "interpolation.png")],
    },
    Seed {
        name: "seed4",
        title: "AE and VAE on 50x50 RGB eyes",
        data: Some("eyes"),
        runs: &[
            Fit {
                name: "eyes-ae",
                preset: "eyes-ae",
                settings: &[],
                weights: None,
                quick: QUICK_EYES,
            },
            Fit {
                name: "eyes-vae",
                preset: "eyes-vae",
                settings: &[],
                weights: None,
                quick: QUICK_EYES,
            },
            Fit {
                name: "eyes-spatial",
                preset: "eyes-spatial",
                settings: &["train.epochs=5", "train.keep=[5]"],
                weights: None,
                quick: &["train.epochs=1", "train.keep=[]", "train.validation=20", "data.limit=40"],
            },
        ],
        rows: &[
            eyes("AE, 5 epochs: PSNR, SSIM, MSE", "22.99, -, -", "eyes-ae", 5, POOLED),
            eyes("AE, 10 epochs", "22.84, -, -", "eyes-ae", 10, POOLED),
            eyes("AE, 15 epochs", "22.89, -, -", "eyes-ae", 15, POOLED),
            eyes("AE, 20 epochs", "21.96, 0.7218, 0.0075", "eyes-ae", 20, POOLED),
            eyes("VAE, 5 epochs", "23.01, -, -", "eyes-vae", 5, POOLED),
            eyes("VAE, 10 epochs", "24.09, 0.7297, 0.0073", "eyes-vae", 10, POOLED),
            eyes("VAE, 15 epochs", "23.53, -, -", "eyes-vae", 15, POOLED),
            eyes("VAE, a code of 64x48x48, 5 epochs", "-", "eyes-spatial", 5, POOLED),
            eyes("PCA of 256 components", "-", "eyes-vae", 10, PCA_POOLED),
            honest("AE, 10 epochs, held out", "eyes-ae", 10, HONEST),
            honest("VAE, 10 epochs, held out", "eyes-vae", 10, HONEST),
            honest("VAE, a code of 64x48x48, 5 epochs, held out", "eyes-spatial", 5, HONEST),
            honest("PCA of 256 components, held out", "eyes-vae", 10, PCA_HONEST),
        ],
        noise: true,
        pictures: &[("eyes-vae", "losses.png")],
    },
];

const fn eyes(
    what: &'static str,
    theirs: &'static str,
    run: &'static str,
    epoch: usize,
    figures: &'static [&'static str],
) -> Row {
    let protocol = "the 1,328 images trained on, MSE pooled over all pixels, SSIM over the whole image; \
                    Adam 1e-3 (the seed: 5e-3), batch 4";
    Row { what, theirs, run, epoch: Some(epoch), part: PartName::Train, figures, protocol }
}

const fn honest(
    what: &'static str,
    run: &'static str,
    epoch: usize,
    figures: &'static [&'static str],
) -> Row {
    let protocol = "148 held-out images, PSNR and SSIM (Wang et al.) of each, mean";
    let part = PartName::Validation;
    Row { what, theirs: "-", run, epoch: Some(epoch), part, figures, protocol }
}
