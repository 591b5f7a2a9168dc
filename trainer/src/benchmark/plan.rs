//! What is trained, and on what.

use clap::ValueEnum;
use serde::Serialize;

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// One class is normal, and all others are not
    Normal,
    /// One class is not normal, and all others are
    Anomalous,
    /// A data set is normal, and others and its own images flipped are not
    Across,
    /// Magnetic tiles without a defect are normal
    Tiles,
}

impl Part {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Anomalous, Self::Across, Self::Tiles];

    /// The folder of its cases.
    fn folder(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Anomalous => "anomalous",
            Self::Across => "across",
            Self::Tiles => "tiles",
        }
    }

    /// The preset of its networks.
    pub(super) fn preset(self) -> &'static str {
        match self {
            Self::Normal => "anomaly-mlp",
            Self::Anomalous | Self::Across => "anomaly-mixed",
            Self::Tiles => "anomaly-patches",
        }
    }

    /// The data sets that networks are trained on.
    pub(super) fn trained(self) -> &'static [Set] {
        match self {
            Self::Tiles => &[TILES],
            _ => &[MNIST, FASHION],
        }
    }

    /// The most images that a network is trained on, spread evenly; none for all.
    pub(super) fn limit(self) -> Option<usize> {
        (self == Self::Anomalous).then_some(18_000)
    }

    /// Passes over the training images, of which a class has about 6,000.
    pub(super) fn epochs(self) -> usize {
        match self {
            Self::Normal => 40,
            Self::Anomalous => 4,
            Self::Across => 4,
            Self::Tiles => 20,
        }
    }
}

/// A data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    /// Its folder below `--data`.
    pub(super) folder: &'static str,
    /// Its name.
    pub(super) title: &'static str,
    /// The first class of the drawings that stand in for it in a quick run; tiles have none.
    pub(super) made: Option<i64>,
}

pub(super) const MNIST: Set = Set { folder: "mnist", title: "MNIST", made: Some(0) };
pub(super) const FASHION: Set =
    Set { folder: "fashion-mnist", title: "Fashion-MNIST", made: Some(3) };
pub(super) const LETTERS: Set =
    Set { folder: "emnist-letters", title: "EMNIST letters", made: Some(6) };
pub(super) const TILES: Set = Set { folder: "magnetic-tile", title: "magnetic tiles", made: None };

/// The classes of MNIST and of Fashion-MNIST.
const CLASSES: usize = 10;
/// Those of a quick run's drawings.
pub(super) const QUICK_CLASSES: usize = 2;

/// One network, and what its scores are measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) part: Part,
    pub(super) set: Set,
    /// The class that is normal, or that is not; none where the whole set is normal.
    pub(super) class: Option<usize>,
    pub(super) seed: u64,
}

impl Case {
    /// Its name, and the path of its folder.
    pub(super) fn name(&self) -> String {
        let Self { part, set, class, seed } = self;
        let class = class.map_or(String::new(), |class| format!("{class}-"));
        format!("{}/{}/{class}{seed}", part.folder(), set.folder)
    }

    /// What it changes in the preset.
    pub(super) fn settings(&self, quick: bool) -> Vec<String> {
        let epochs = if quick { 2 } else { self.part.epochs() };
        let mut settings = vec![
            format!("name={}", self.name().replace('/', "-")),
            format!("seed={}", self.seed),
            format!("train.epochs={epochs}"),
            format!("train.keep=[{epochs}]"),
            "train.validation=0".to_owned(),
        ];
        let class = self.class.zip(match self.part {
            Part::Normal => Some("classes"),
            Part::Anomalous => Some("without"),
            Part::Across | Part::Tiles => None,
        });
        settings.extend(self.part.limit().map(|limit| format!("data.limit={limit}")));
        settings.extend(class.map(|(class, key)| format!("data.{key}=[\"{class}\"]")));
        settings
    }
}

/// The cases of some parts, those of the first seed first, so that a table of few says something on all.
pub(super) fn cases(parts: &[Part], seeds: u64, quick: bool) -> Vec<Case> {
    let classes = |part| match part {
        Part::Across | Part::Tiles => vec![None],
        _ => (0..if quick { QUICK_CLASSES } else { CLASSES }).map(Some).collect(),
    };
    let mut cases = vec![];
    for seed in 0..if quick { 1 } else { seeds } {
        for &part in parts {
            for &set in part.trained() {
                let case = |class| Case { part, set, class, seed };
                cases.extend(classes(part).into_iter().map(case));
            }
        }
    }
    cases
}

/// The sets whose images some parts take.
pub(super) fn sets(parts: &[Part]) -> Vec<&'static Set> {
    let asked = |part| parts.contains(&part);
    let classes = asked(Part::Normal) || asked(Part::Anomalous) || asked(Part::Across);
    let mut sets = vec![];
    sets.extend(if classes { vec![&MNIST, &FASHION] } else { vec![] });
    sets.extend(asked(Part::Across).then_some(&LETTERS));
    sets.extend(asked(Part::Tiles).then_some(&TILES));
    sets
}
