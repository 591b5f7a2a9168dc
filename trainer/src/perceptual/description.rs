use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vae_infer::images;
use vae_models::{Block, NetworkConfig};

use super::InputConfig;
use super::weights::Source;

/// A feature network, as its `features.toml` describes it.
///
/// ```toml
/// name = "mine"
/// blocks = [
///   { block = "conv", channels = 16, kernel = 3, padding = 1, activation = "relu" },
///   { block = "tap", skip = "conv1" },
/// ]
///
/// [input]
/// channels = 1
/// height = 28
/// width = 28
///
/// [weights]
/// file = "weights.safetensors"
/// layers = ["features.0"]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The network's name.
    pub name: String,
    /// What it takes.
    pub input: InputConfig,
    /// Where its weights are.
    pub weights: WeightsConfig,
    /// The network; its taps name the layers that can be compared.
    pub blocks: NetworkConfig,
}

/// Where the weights of a feature network are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsConfig {
    /// The file, relative to the description; absent where the user brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// For every block that has weights, in order, what precedes `.weight` and `.bias` in the file.
    pub layers: Vec<LayerNames>,
}

/// The layers of a file that become one block's weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LayerNames {
    /// One layer.
    One(String),
    /// Two convolutions of the same input whose outputs are concatenated, as in SqueezeNet's fire
    /// module: together they are one convolution with the larger kernel.
    Parallel([String; 2]),
}

/// The built-in networks: name, description, and weights where they are inside.
const BUILT_IN: [(&str, &str, Option<&[u8]>); 3] = [
    (
        "letters",
        include_str!("../../assets/features/letters/features.toml"),
        Some(include_bytes!("../../assets/features/letters/weights.safetensors")),
    ),
    ("squeezenet1.1", include_str!("../../assets/features/squeezenet1.1.toml"), None),
    ("vgg16-block3", include_str!("../../assets/features/vgg16-block3.toml"), None),
];

/// Whether a network is named by the path of its description.
pub(super) fn is_path(features: &str) -> bool {
    Path::new(features).extension().is_some_and(|extension| extension == "toml")
}

impl Description {
    /// A built-in network by name, or a description by path, with the weights that it brings.
    pub(super) fn open(features: &str) -> Result<(Self, Option<Source>)> {
        let parse = |text: &str| {
            let description: Self = toml::from_str(text)?;
            description.check()?;
            Ok::<_, anyhow::Error>(description)
        };
        if let Some((_, text, weights)) = BUILT_IN.iter().find(|(name, ..)| *name == features) {
            let description = parse(text).with_context(|| format!("in `{features}`"))?;
            return Ok((description, weights.map(Source::BuiltIn)));
        }
        if !is_path(features) {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, ..)| *name).collect();
            bail!(
                "`{features}` is neither a feature network ({}) nor a .toml file that describes one",
                names.join(", ")
            );
        }
        let path = Path::new(features);
        let text = images::read_file(path)?;
        let description =
            parse(&String::from_utf8_lossy(&text)).with_context(|| format!("in `{features}`"))?;
        let beside = |file: &PathBuf| path.parent().unwrap_or(Path::new("")).join(file);
        let source = description.weights.file.as_ref().map(beside).map(Source::from);
        Ok((description, source))
    }

    fn check(&self) -> Result<()> {
        let weights = |block: &&Block| {
            matches!(block, Block::Dense { .. } | Block::Conv { .. } | Block::Deconv { .. })
        };
        let (blocks, names) =
            (self.blocks.0.iter().filter(weights).count(), self.weights.layers.len());
        if blocks != names {
            bail!("weights.layers names {names} layers, {blocks} blocks have weights");
        }
        if self.taps().next().is_none() {
            bail!("no block is a tap: there is no layer to compare");
        }
        Ok(())
    }

    fn taps(&self) -> impl Iterator<Item = &str> {
        self.blocks.0.iter().filter_map(|block| match block {
            Block::Tap { skip } => Some(skip.as_str()),
            _ => None,
        })
    }

    /// The chosen layers, or all where none is chosen, and the blocks up to the last of them.
    pub(super) fn until_last(&self, chosen: &[String]) -> Result<(Vec<String>, NetworkConfig)> {
        if let Some(unknown) = chosen.iter().find(|layer| !self.taps().any(|tap| tap == *layer)) {
            let taps: Vec<_> = self.taps().collect();
            bail!(
                "layers names `{unknown}`, the feature network `{}` has {}",
                self.name,
                taps.join(", ")
            );
        }
        let is_chosen = |tap: &str| chosen.is_empty() || chosen.iter().any(|layer| layer == tap);
        let layers = self.taps().filter(|tap| is_chosen(tap)).map(str::to_owned).collect();
        let tapped = |block: &Block| matches!(block, Block::Tap { skip } if is_chosen(skip));
        let last = self.blocks.0.iter().rposition(tapped).map_or(0, |last| last + 1);
        Ok((layers, NetworkConfig(self.blocks.0[..last].to_vec())))
    }

    /// What decides the distance besides the weights, as text: it goes into the hash.
    pub(super) fn canonical(&self, blocks: NetworkConfig, layers: &[String]) -> String {
        let weights = WeightsConfig { file: None, layers: vec![] };
        let used = Self { blocks, weights, ..self.clone() };
        format!("{}{}", used.to_toml(), layers.join("\n"))
    }

    /// The description as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a description is made of TOML's types")
    }
}
