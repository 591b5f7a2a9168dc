//! What is trained, on what, and how: one TOML file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vae_infer::{ImageSpec, manifest};
use vae_models::{Block, Likelihood, VaeConfig, Warmup};

use crate::data::DataConfig;
use crate::objective::{KlEstimate, TermWeights};
use crate::perceptual::PerceptualConfig;
use crate::precision::Precision;
use crate::schedule::Schedule;

/// The presets by name, as TOML.
pub const PRESETS: [(&str, &str); 11] = [
    ("mnist-mlp", include_str!("../presets/mnist-mlp.toml")),
    ("mnist-conv", include_str!("../presets/mnist-conv.toml")),
    ("patterns", include_str!("../presets/patterns.toml")),
    ("eyes-ae", include_str!("../presets/eyes-ae.toml")),
    ("eyes-vae", include_str!("../presets/eyes-vae.toml")),
    ("eyes-spatial", include_str!("../presets/eyes-spatial.toml")),
    ("digits", include_str!("../presets/digits.toml")),
    ("anomaly-mlp", include_str!("../presets/anomaly-mlp.toml")),
    ("anomaly-mixed", include_str!("../presets/anomaly-mixed.toml")),
    ("anomaly-patches", include_str!("../presets/anomaly-patches.toml")),
    ("emnist-perceptual", include_str!("../presets/emnist-perceptual.toml")),
];

/// Everything that decides a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The run's name; it becomes the bundle's.
    pub name: String,
    /// The source of every random draw.
    pub seed: u64,
    /// The images that the network takes.
    pub image: ImageSpec,
    /// Where the images come from.
    #[serde(default)]
    pub data: DataConfig,
    /// The network and its likelihood.
    pub model: VaeConfig,
    /// The training loop.
    pub train: TrainConfig,
}

/// The training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// How the learning rate changes over the steps.
    #[serde(default)]
    pub schedule: Schedule,
    /// Decoupled weight decay (AdamW); 0 is Adam.
    #[serde(default)]
    pub weight_decay: f32,
    /// The largest norm of one tensor's gradient; absent, gradients are taken as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f32>,
    /// Weight of the KL term.
    #[serde(default = "one")]
    pub beta: f64,
    /// Epochs over which that weight rises from 0.
    #[serde(default)]
    pub beta_warmup: f64,
    /// How the KL term is found.
    #[serde(default, skip_serializing_if = "KlEstimate::is_default")]
    pub kl: KlEstimate,
    /// What the layers compute in while they are trained.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// The perceptual term; absent, there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perceptual: Option<PerceptualConfig>,
    /// Training images held out for validation, chosen by the seed: this many, and at most a fifth.
    pub validation: usize,
    /// Epochs without a better validation loss after which training stops; absent, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Epochs whose weights are kept for `--epoch`, beside the best one's and the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<usize>,
    /// Largest set, in MiB, that is kept on the device; of a larger one batches are copied.
    #[serde(default = "four_gib")]
    pub resident_mib: usize,
    /// Minutes between two checkpoints within an epoch.
    #[serde(default = "ten", skip_serializing_if = "is_ten")]
    pub save_minutes: f64,
}

fn one() -> f64 {
    1.0
}

fn four_gib() -> usize {
    4096
}

fn ten() -> f64 {
    10.0
}

fn is_ten(minutes: &f64) -> bool {
    *minutes == ten()
}

/// Names the block that is none; the reader of the whole configuration names its list alone.
fn blocks_are_blocks(table: &toml::Table) -> Result<()> {
    let model = table.get("model").and_then(toml::Value::as_table);
    for network in ["encoder", "decoder"] {
        let blocks = model.and_then(|model| model.get(network)).and_then(toml::Value::as_array);
        for (place, block) in blocks.into_iter().flatten().enumerate() {
            let read: Result<Block, _> = block.clone().try_into();
            read.with_context(|| format!("block {} of the {network}", place + 1))?;
        }
    }
    Ok(())
}

impl RunConfig {
    /// A preset by name or a TOML file by path, with `key=value` settings laid over it. Relative
    /// paths in it are those of the working folder, and become absolute.
    ///
    /// # Errors
    ///
    /// Where there is no such preset or file, where a key is unknown, or where the parts do not fit.
    pub fn load(source: &str, settings: &[String]) -> Result<Self> {
        let text = match PRESETS.iter().find(|(name, _)| *name == source) {
            Some((_, preset)) => (*preset).to_owned(),
            None if Path::new(source).extension().is_some_and(|e| e == "toml") => {
                std::fs::read_to_string(source)
                    .with_context(|| format!("cannot read `{source}`"))?
            }
            None => {
                let names: Vec<_> = PRESETS.iter().map(|(name, _)| *name).collect();
                bail!("`{source}` is neither a .toml file nor a preset ({})", names.join(", "));
            }
        };
        let mut config = Self::parse(&text, settings).with_context(|| format!("in `{source}`"))?;
        if let Some(perceptual) = &mut config.train.perceptual {
            perceptual.make_paths_absolute()?;
        }
        Ok(config)
    }

    /// The configuration in a TOML text, with `key=value` settings laid over it.
    ///
    /// # Errors
    ///
    /// As [`RunConfig::load`].
    pub fn parse(text: &str, settings: &[String]) -> Result<Self> {
        let mut table: toml::Table = toml::from_str(text)?;
        for setting in settings {
            set(&mut table, setting)?;
        }
        blocks_are_blocks(&table)?;
        let config: Self = table.try_into()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let train = &self.train;
        manifest::check_name(&self.name).map_err(anyhow::Error::msg)?;
        self.image.check().map_err(anyhow::Error::msg).context("in [image]")?;
        self.model.check(self.image.shape()).context("in [model]")?;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        match self.model.likelihood {
            Likelihood::Bernoulli if self.image.range != [0.0, 1.0] => {
                bail!("a Bernoulli likelihood takes pixels from 0 to 1: set image.range = [0, 1]");
            }
            Likelihood::Gaussian { sigma } if !positive(sigma.into()) => {
                bail!("model.likelihood.sigma is {sigma}, it must be above 0");
            }
            _ => {}
        }
        let (keep, epochs) = (&train.keep, train.epochs);
        if keep.iter().any(|epoch| !(1..=epochs).contains(epoch)) {
            bail!(
                "train.keep is {keep:?}, and the epochs are 1 to {epochs} (hint: --set train.keep=[])"
            );
        }
        for (key, ok) in [
            ("epochs", train.epochs > 0),
            ("batch_size", train.batch_size > 0),
            ("learning_rate", positive(train.learning_rate)),
            ("weight_decay", train.weight_decay.is_finite() && train.weight_decay >= 0.0),
            ("clip_norm", train.clip_norm.is_none_or(|v| positive(v.into()))),
            ("beta", train.beta.is_finite() && train.beta >= 0.0),
            ("beta_warmup", train.beta_warmup.is_finite() && train.beta_warmup >= 0.0),
            ("perceptual.weight", self.weights().perceptual.is_finite()),
            ("perceptual.weight", self.weights().perceptual >= 0.0),
            ("patience", train.patience != Some(0)),
            ("save_minutes", train.save_minutes >= 0.0),
            ("schedule", train.schedule.is_sound()),
        ] {
            if !ok {
                let path = key.split('.');
                let table = toml::Value::try_from(train).ok();
                let value = path.fold(table, |table, key| table?.get(key).cloned());
                let value = value.map_or(String::new(), |value| format!(" {value},"));
                bail!("train.{key} is{value} out of its range");
            }
        }
        Ok(())
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is made of TOML's types")
    }

    /// The weight of the KL term over the epochs.
    pub fn warmup(&self) -> Warmup {
        Warmup { beta: self.train.beta, epochs: self.train.beta_warmup }
    }

    /// The final weights of the loss's terms.
    pub fn weights(&self) -> TermWeights {
        let perceptual = self.train.perceptual.as_ref();
        TermWeights {
            beta: self.train.beta,
            perceptual: perceptual.map_or(0.0, |perceptual| perceptual.weight),
        }
    }

    /// The preset that this configuration is, to the letter.
    pub fn preset(&self) -> Option<&'static str> {
        let mut names = PRESETS.iter().map(|(name, _)| *name);
        names.find(|name| Self::load(name, &[]).is_ok_and(|preset| preset == *self))
    }

    /// This configuration with another one's settings that no result depends on: where images are kept, and how
    /// often weights are saved.
    pub fn stored_like(&self, other: &Self) -> Self {
        let mut stored = self.clone();
        stored.data.memory_mib = other.data.memory_mib;
        stored.train.resident_mib = other.train.resident_mib;
        stored.train.save_minutes = other.train.save_minutes;
        stored
    }

    /// The values in which two configurations differ, those of this one with `-` and those of the other with `+`.
    pub fn diff(&self, other: &Self) -> String {
        let (mine, theirs) = (self.values(), other.values());
        let only = |a: &Values, b: &Values, sign: char| -> Vec<String> {
            let other = a.iter().filter(|(path, value)| b.get(*path) != Some(*value));
            other.map(|(path, value)| format!("{sign} {path} = {value}")).collect()
        };
        [only(&mine, &theirs, '-'), only(&theirs, &mine, '+')].concat().join("; ")
    }

    /// Its values by their paths: `model.encoder[0].channels`.
    fn values(&self) -> Values {
        let mut values = Values::new();
        let table = toml::Value::try_from(self).expect("it is written so");
        flatten(String::new(), &table, &mut values);
        values
    }
}

/// Values as TOML has them, by their paths.
type Values = BTreeMap<String, String>;

/// Gives every value in a table or an array its path.
fn flatten(path: String, value: &toml::Value, values: &mut Values) {
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            flatten(path, value, values);
        }),
        toml::Value::Array(array) => array.iter().enumerate().for_each(|(place, value)| {
            flatten(format!("{path}[{place}]"), value, values);
        }),
        value => {
            values.insert(path, value.to_string());
        }
    }
}

/// Lays `train.epochs=3` over a table; a value that is not TOML is taken as a string.
fn set(table: &mut toml::Table, setting: &str) -> Result<()> {
    let Some((key, value)) = setting.split_once('=') else {
        bail!("`{setting}` is not of the form key=value");
    };
    let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
        Ok(mut parsed) => parsed.remove("value").expect("it was just parsed"),
        Err(_) => toml::Value::String(value.to_owned()),
    };
    let mut path: Vec<&str> = key.trim().split('.').collect();
    let last = path.pop().unwrap_or_default();
    let mut place = table;
    for part in path {
        let next = place.entry(part).or_insert_with(|| toml::Table::new().into());
        let Some(next) = next.as_table_mut() else { bail!("`{part}` in `{key}` is not a table") };
        place = next;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_are_named_where_others_are_alike() {
        let preset = RunConfig::load("mnist-conv", &[]).expect("a preset");
        let text = preset.to_toml().replacen("channels = 32", "channels = 64", 1);
        let other = RunConfig::parse(&text, &["train.epochs=11".to_owned()]).expect("it fits");
        let difference = preset.diff(&other);
        for words in ["- model.encoder[0].channels = 32", "+ model.encoder[0].channels = 64"] {
            assert!(difference.contains(words), "`{words}` is not in `{difference}`");
        }
        assert!(difference.contains("+ train.epochs = 11") && !difference.contains("[1]"));
        assert_eq!(preset.diff(&preset), "");
    }

    #[test]
    fn every_preset_fits_together_and_survives_the_way_through_toml() {
        for (name, _) in PRESETS {
            let config = RunConfig::load(name, &[]).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            assert_eq!(config.name, name);
            let again = RunConfig::parse(&config.to_toml(), &[]).expect("its own words");
            assert_eq!(config, again, "{}", config.diff(&again));
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_block() {
        let (_, preset) = PRESETS.iter().find(|(name, _)| *name == "mnist-conv").expect("there");
        let words = ["filters = 64, kernel", "block 2 of the encoder", "`filters`"];
        for (from, to, words) in [
            ("channels = 64, kernel", words[0], &words[1..]),
            (
                "units = 1568, activation = \"relu\"",
                "units = 1568, activation = \"gelu\"",
                &["block 1 of the decoder", "`gelu`", "`silu`"],
            ),
        ] {
            let text = preset.replacen(from, to, 1);
            let error = format!("{:#}", RunConfig::parse(&text, &[]).expect_err("it is wrong"));
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn settings_reach_every_depth_and_unknown_keys_are_refused() {
        let settings = ["train.epochs=3", "model.likelihood.kind=bernoulli", "name=mine"];
        let config = RunConfig::load("patterns", &settings.map(String::from)).expect("known keys");
        assert_eq!((config.train.epochs, config.name.as_str()), (3, "mine"));
        for wrong in [
            "name=",
            "model.likelihood={kind=\"gaussian\",sigma=0.0}",
            "image.range=[-1,1]",
            "train.schedule={kind=\"exponential\",decay=-1.0}",
            "model.latent=0",
            "train.epoch=3",
            "train.epochs=-1",
            "epochs",
            "train.batch_size=0",
            "train.kl=guessed",
            "train.precision=f16",
            "train.perceptual.weight=-1.0",
            "train.perceptual.feature=letters",
            "a.b=1",
        ] {
            let result = RunConfig::load("patterns", &[wrong.to_owned()]);
            assert!(result.is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn a_network_that_does_not_fit_is_named_by_its_block() {
        let error = RunConfig::load("mnist-conv", &["image.height=20".to_owned()]).expect_err("20");
        let message = format!("{error:#}");
        assert!(message.contains("block 5 of the decoder"), "{message}");
    }
}
