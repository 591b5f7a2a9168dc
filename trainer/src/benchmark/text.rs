//! The words of the table: protocols, and what others have published.

use super::Options;
use super::measure::{DRAWS, DRAWS_OF_PATCHES};
use super::plan::{MNIST, Part, Set};
use super::tiles::archive::MARGIN;
use super::tiles::{ERROR_MAP, SIDE, STRIDE};

/// The command and what holds for all parts.
pub(super) fn beginning(options: &Options<'_>) -> String {
    let head = "# Anomalies on data sets\n\n";
    if options.quick {
        return head.to_owned()
            + "A quick run: a few steps on made images. None of these figures means anything.\n";
    }
    let seeds = options.seeds;
    format!(
        "{head}Written by `vae-train benchmark anomaly --data DIR -o DIR --seeds {seeds}`. Figures are \
         areas under the ROC curve (AUROC): the chance that an abnormal image scores above a normal \
         one. Means over {seeds} seeds with their standard deviation; for parts with classes, of the \
         means over classes.\n\n\
         Every part has one network and a fixed number of passes over the training images: weights are \
         those of the last epoch. The networks, and the form of `nap`, were settled on beforehand, in trials of one seed \
         on test images of hard classes (2 and 8 of MNIST and 4 and 6 of Fashion-MNIST normal, mostly 1 and 9 anomalous). Scores are those of [`--method`](anomaly.md#scores), with {DRAWS} draws \
         where a score draws, measured by `vae-infer` on the exported bundle, whose statistics are \
         fitted to training images. `pca`, `knn` and \
         `lof` need no network: the error of 20 principal components, and among 50 of them the \
         distance of the 5th neighbour and the local outlier factor of 20 neighbours.\n"
    )
}

/// What a part is called.
pub(super) fn title(part: Part) -> &'static str {
    match part {
        Part::Normal => "One class normal",
        Part::Anomalous => "One class anomalous",
        Part::Across => "Across data sets",
        Part::Tiles => "Magnetic tiles",
    }
}

/// How a part is measured.
pub(super) fn protocol(part: Part) -> String {
    let (preset, epochs) = (part.preset(), part.epochs());
    let limit = part.limit().unwrap_or_default();
    match part {
        Part::Normal => format!(
            "A network for every class, the preset `{preset}`, trained on all training images of that \
             class alone, {epochs} epochs; normal are the class's test images, abnormal all other test images.\n"
        ),
        Part::Anomalous => format!(
            "A network for every class, the preset `{preset}`, trained on {limit} training images of \
             the nine others, spread evenly over them, {epochs} epochs; abnormal are the class's test images, normal all other test images.\n"
        ),
        Part::Across => format!(
            "The preset `{preset}`, trained on all training images of a set, {epochs} epochs; normal are its test images, \
             abnormal all test images of another set (of EMNIST letters 10,000), or its own, mirrored.\n"
        ),
        Part::Tiles => format!(
            "Of every picture the logarithm of its light is taken, since the six conditions make the same \
             surface brighter or darker, and a margin of {MARGIN} pixels is left out, the tile's own edge; \
             both were settled with PCA on a part of the pictures. Pictures are scored by patches of {SIDE}x{SIDE} pixels at a stride of {STRIDE}, the preset \
             `{preset}` trained on patches of pictures without a defect, {epochs} epochs. A \
             picture's score is that of its worst patches, the mean of the largest hundredth; a pixel's \
             is the mean over the patches that cover it, and for `{ERROR_MAP}` the squared error of the \
             reconstruction itself, smoothed as `--heatmap` does. Scores that draw take \
             {DRAWS_OF_PATCHES} draws. The pictures show about 224 tiles under six conditions each: those whose \
             numbers follow closely, and those whose edges correlate by 0.8, are one group, and no \
             group is on both sides. Groups with a defect are all tested on; of the others, 60 % are \
             trained on, chosen by the seed. AUPRO is the mean share of a defect's region that is found \
             over rates of false pixels up to 30 % (Bergmann et al., CVPR 2019), over all regions; of normal \
             pixels, every 8th in both directions counts.\n\n\
             What a VAE of pixels sees there, and what it does not: its reconstruction error ranks \
             pictures hardly better than chance, since grain and scratches that are normal are as hard to \
             reconstruct as a defect. Where a defect breaks the texture within a patch (blowholes, breaks, \
             cracks, fray) its layers tell some of them, and PCA tells more; what is uneven over a whole \
             region has no edge within a patch, and is not seen.\n"
        ),
    }
}

/// Figures that were published for MNIST and Fashion-MNIST, means over classes.
pub(super) fn published(part: Part) -> Vec<(&'static str, [&'static str; 2])> {
    match part {
        Part::Normal => vec![
            ("RaPP, VAE, reconstruction error", ["0.957", "0.905"]),
            ("RaPP, VAE, NAP", ["0.976", "0.934"]),
            ("RaPP, best of its models", ["0.980", "0.935"]),
        ],
        Part::Anomalous => vec![
            ("RaPP, VAE, reconstruction error", ["0.864", "0.710"]),
            ("RaPP, VAE, NAP", ["0.927", "0.737"]),
            ("RaPP, best of its models", ["0.929", "0.737"]),
        ],
        Part::Across | Part::Tiles => vec![],
    }
}

/// Figures that were published for networks trained on a set, in the order of its comparisons.
pub(super) fn published_across(set: &Set) -> Vec<(&'static str, [&'static str; 3])> {
    match *set == MNIST {
        true => vec![],
        false => vec![
            ("a VAE's ELBO", ["-", "-", "0.87"]),
            ("likelihood path, 3M parameters", ["0.67", "0.87", "1.00"]),
        ],
    }
}
