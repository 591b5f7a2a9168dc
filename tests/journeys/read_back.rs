//! Our graphs, read back into Burn by `burn-onnx`.
//!
//! `read_back/` holds the Rust that `burn-onnx` makes of the built-in model and of a network with
//! every block. A journey makes it anew, demands the same text, and runs it with the weights that
//! `burn-onnx` has read. It takes graphs in 32 and in 16 bits; those of `int8` it does not take.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Bytes, Device, Tensor, TensorData};
use burn_onnx::{LoadStrategy, ModelGen};
use ndarray::ArrayD;
use tempfile::TempDir;
use vae_infer::Bundle;
use vae_infer::verify::{TOLERANCE, difference};
use vae_tests::programs::{expect, root, target};

use crate::export::{EVERY_BLOCK, export, train};
use crate::{Journey, Needs};

pub(crate) const JOURNEYS: &[Journey] = &[
    ("read_back::burn_agrees_with_the_embedded_model", Needs::Nothing, digits),
    ("read_back::burn_agrees_with_every_block", Needs::Nothing, every_block),
];

/// Modules as `burn-onnx` writes them, which are not held to the rules of the house.
macro_rules! written {
    ($name:ident, $file:literal) => {
        #[allow(clippy::all, unused, missing_docs, unreachable_pub)]
        mod $name {
            pub(super) const SOURCE: &str = include_str!($file);
            include!($file);
        }
    };
}

written!(digits_encoder, "read_back/digits/encoder.rs");
written!(digits_decoder, "read_back/digits/decoder.rs");
written!(every_block_encoder, "read_back/every_block/encoder.rs");
written!(every_block_decoder, "read_back/every_block/decoder.rs");

fn digits(_: PathBuf) -> Result<(), String> {
    let bundle = root().join("runtime").join("assets").join("digits");
    let made = Made::of(&bundle, "digits");
    let record = Record::of(&bundle)?;
    let weights = made.weights("encoder", digits_encoder::SOURCE)?;
    let encoder = digits_encoder::Model::from_bytes(weights, &record.device);
    let (mean, log_var) = encoder.forward(record.tensor("image"));
    let weights = made.weights("decoder", digits_decoder::SOURCE)?;
    let decoder = digits_decoder::Model::from_bytes(weights, &record.device);
    let reconstruction = decoder.forward(record.tensor("latent"));
    record.agrees("mean", mean)?;
    record.agrees("log_var", log_var)?;
    record.agrees("reconstruction", reconstruction)
}

fn every_block(_: PathBuf) -> Result<(), String> {
    let config = TempDir::new().map_err(|e| e.to_string())?;
    let path = config.path().join("every-block.toml");
    std::fs::write(&path, EVERY_BLOCK).map_err(|e| e.to_string())?;
    let folder = train(&path.to_string_lossy(), &[])?;
    expect(&mut export(folder.path())?, 0)?;

    let bundle = folder.path().join("bundle");
    let made = Made::of(&bundle, "every_block");
    let record = Record::of(&bundle)?;
    let weights = made.weights("encoder", every_block_encoder::SOURCE)?;
    let encoder = every_block_encoder::Model::from_bytes(weights, &record.device);
    let (mean, log_var, narrow, wide) = encoder.forward(record.tensor("image"));
    let weights = made.weights("decoder", every_block_decoder::SOURCE)?;
    let decoder = every_block_decoder::Model::from_bytes(weights, &record.device);
    let reconstruction = decoder.forward(
        record.tensor("latent"),
        record.tensor("skip_narrow"),
        record.tensor("skip_wide"),
    );
    record.agrees("mean", mean)?;
    record.agrees("log_var", log_var)?;
    record.agrees("skip_narrow", narrow)?;
    record.agrees("skip_wide", wide)?;
    record.agrees("reconstruction", reconstruction)
}

/// The folder in which `burn-onnx` has put source and weights of a bundle's graphs.
struct Made {
    folder: PathBuf,
    name: &'static str,
}

impl Made {
    fn of(bundle: &Path, name: &'static str) -> Self {
        let folder = target().join("tmp").join("read_back").join(name);
        let graph = |file: &str| bundle.join(file).to_string_lossy().into_owned();
        let mut generator = ModelGen::new();
        // From then on it prints the records of every library, whichever journey they come from.
        log::set_max_level(log::LevelFilter::Off);
        generator.input(&graph("encoder.onnx")).input(&graph("decoder.onnx"));
        generator.out_dir(&folder.to_string_lossy()).load_strategy(LoadStrategy::Bytes);
        generator.run_from_cli();
        Self { folder, name }
    }

    /// The weights for a source that must be the one made, but for its first line, which names the
    /// graph's path.
    fn weights(&self, graph: &str, kept: &str) -> Result<Bytes, String> {
        let source = self.folder.join(graph).with_extension("rs");
        let made = std::fs::read_to_string(&source).map_err(|e| e.to_string())?;
        if !made.lines().skip(1).eq(kept.lines().skip(1)) {
            let (source, name) = (source.display(), self.name);
            return Err(format!(
                "burn-onnx makes another source of the {graph} \
                 (hint: copy {source} to tests/journeys/read_back/{name}/)"
            ));
        }
        let weights = std::fs::read(source.with_extension("bpk")).map_err(|e| e.to_string())?;
        Ok(Bytes::from_bytes_vec(weights))
    }
}

/// A bundle's golden vectors, and the device to replay them on.
struct Record {
    golden: BTreeMap<String, ArrayD<f32>>,
    device: Device,
}

impl Record {
    fn of(bundle: &Path) -> Result<Self, String> {
        let golden = Bundle::open(bundle).and_then(|bundle| bundle.golden());
        Ok(Self { golden: golden.map_err(|e| e.to_string())?, device: Device::flex() })
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let array = &self.golden[name];
        let data = TensorData::new(array.iter().copied().collect(), array.shape().to_vec());
        Tensor::from_data(data, &self.device)
    }

    fn agrees<const D: usize>(&self, output: &str, got: Tensor<D>) -> Result<(), String> {
        let shape = got.dims().to_vec();
        let values = got.into_data().try_into_vec::<f32>().map_err(|e| format!("{e:?}"))?;
        let got = ArrayD::from_shape_vec(shape, values).map_err(|e| e.to_string())?;
        let worst = difference(got.view(), self.golden[output].view());
        eprintln!("read back: {output} is at most {worst:.1e} from the record");
        match worst <= TOLERANCE {
            true => Ok(()),
            false => Err(format!("Burn gives another {output}: {worst:.1e}")),
        }
    }
}
