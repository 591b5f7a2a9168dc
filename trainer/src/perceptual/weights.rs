use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use burn::module::Param;
use burn::store::{ModuleStore, PytorchStore, SafetensorsStore, bridge, burn_pack};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};
use vae_models::{Layer, Network};

use super::LayerNames;

/// Where weights are read from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// From the program itself.
    BuiltIn(&'static [u8]),
    /// From a file.
    File(PathBuf),
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// The tensors of a file by name, read when they are asked for.
pub(super) struct Tensors {
    /// The file's name, for errors.
    name: String,
    store: Store,
    hasher: Sha256,
}

enum Store {
    Safetensors(Box<SafetensorsStore>),
    Pytorch(Box<PytorchStore>),
}

impl Tensors {
    /// # Errors
    ///
    /// Where there is no such file, or where its name is of no known format.
    pub(super) fn open(source: &Source) -> Result<Self> {
        let safetensors = |store| Store::Safetensors(Box::new(store));
        let (name, store) = match source {
            Source::BuiltIn(bytes) => {
                let store = SafetensorsStore::from_bytes(Some(bytes.to_vec()));
                ("the built-in weights".to_owned(), safetensors(store))
            }
            Source::File(path) => {
                std::fs::metadata(path)
                    .with_context(|| format!("cannot read `{}`", path.display()))?;
                let extension = path.extension().unwrap_or_default().to_string_lossy();
                let store = match extension.as_ref() {
                    "safetensors" => safetensors(SafetensorsStore::from_file(path)),
                    "pth" | "pt" => Store::Pytorch(Box::new(pytorch(path))),
                    _ => bail!(
                        "`{}` is no file of weights (.safetensors, .pth, .pt)",
                        path.display()
                    ),
                };
                (format!("`{}`", path.display()), store)
            }
        };
        Ok(Self { name, store, hasher: Sha256::new() })
    }

    /// Puts the tensors into a network's layers; `names` are those of its layers in order, and may
    /// be more.
    ///
    /// # Errors
    ///
    /// Where one is missing, or has another shape than its block.
    pub(super) fn load_into(
        &mut self,
        network: &mut Network,
        names: &[LayerNames],
        device: &Device,
    ) -> Result<()> {
        for (layer, names) in network.layers_mut().zip(names) {
            match (layer, names) {
                (Layer::Conv(conv), names) => {
                    let expected = conv.weight.lazy_shape().dims();
                    let (weight, bias) = self.convolution(names, expected, device)?;
                    (conv.weight, conv.bias) = (frozen(weight), Some(frozen(bias)));
                }
                // PyTorch keeps [units, F]
                (Layer::Dense(dense), LayerNames::One(name)) => {
                    let [inputs, units] = dense.weight.lazy_shape().dims();
                    let weight = self.read(&weight(name), [units, inputs], device)?;
                    let bias = self.read(&bias(name), [units], device)?;
                    dense.weight = frozen(weight.transpose());
                    dense.bias = Some(frozen(bias));
                }
                (Layer::Deconv(deconv), LayerNames::One(name)) => {
                    let expected: [usize; 4] = deconv.weight.lazy_shape().dims();
                    deconv.weight = frozen(self.read(&weight(name), expected, device)?);
                    deconv.bias = Some(frozen(self.read(&bias(name), [expected[1]], device)?));
                }
                (_, LayerNames::Parallel([first, second])) => {
                    bail!("only convolutions are parallel, `{first}` and `{second}` are none");
                }
            }
        }
        Ok(())
    }

    /// SHA-256 of the tensors that were read, in their order.
    pub(super) fn digest(self) -> [u8; 32] {
        self.hasher.finalize().into()
    }

    /// The weight and the bias of a convolution of a shape.
    fn convolution(
        &mut self,
        names: &LayerNames,
        expected: [usize; 4],
        device: &Device,
    ) -> Result<(Tensor<4>, Tensor<1>)> {
        let [channels, inputs, kernel, _] = expected;
        match names {
            LayerNames::One(name) => {
                let weight = self.read(&weight(name), expected, device)?;
                Ok((weight, self.read(&bias(name), [channels], device)?))
            }
            LayerNames::Parallel(names) => {
                let mut parts = vec![];
                for name in names {
                    let part = self.shape(&weight(name))?;
                    let fits = |side: usize| side <= kernel && (kernel - side).is_multiple_of(2);
                    match part[..] {
                        [o, i, h, w] if i == inputs && h == w && fits(h) => {
                            let weight = self.read(&weight(name), [o, i, h, w], device)?;
                            parts.push((weight, self.read(&bias(name), [o], device)?));
                        }
                        _ => bail!(
                            "`{}` of {} has the shape {part:?}, a part of {expected:?} cannot have it",
                            weight(name),
                            self.name
                        ),
                    }
                }
                let (weight, bias) = merged(parts, kernel);
                if weight.dims() != expected {
                    bail!(
                        "`{}` and `{}` of {} make {:?} together, their block takes {expected:?}",
                        names[0],
                        names[1],
                        self.name,
                        weight.dims()
                    );
                }
                Ok((weight, bias))
            }
        }
    }

    fn find(&mut self, name: &str) -> Result<&burn_pack::Tensor> {
        let file = &self.name;
        let unreadable = |error: String| anyhow!("{file} cannot be read: {error}");
        let found = match &mut self.store {
            Store::Safetensors(store) => {
                store.get_tensor(name).map_err(|e| unreadable(e.to_string()))?
            }
            Store::Pytorch(store) => {
                store.get_tensor(name).map_err(|e| unreadable(e.to_string()))?
            }
        };
        found.with_context(|| format!("{file} holds no tensor `{name}`"))
    }

    fn shape(&mut self, name: &str) -> Result<Vec<usize>> {
        Ok(self.find(name)?.shape.to_vec())
    }

    /// A tensor of a shape; other floating-point types become `f32`.
    fn read<const D: usize>(
        &mut self,
        name: &str,
        expected: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>> {
        let shape = self.shape(name)?;
        if shape != expected {
            let file = &self.name;
            bail!("`{name}` of {file} has the shape {shape:?}, its block takes {expected:?}");
        }
        let data = bridge::to_data(self.find(name)?).map_err(|e| e.to_string());
        let values = data.and_then(|d| d.try_into_vec_as::<f32>().map_err(|e| e.to_string()));
        let values = values.map_err(|e| anyhow!("`{name}` of {}: {e}", self.name))?;
        values.iter().for_each(|value| self.hasher.update(value.to_le_bytes()));
        Ok(Tensor::from_data(TensorData::new(values, expected), device))
    }
}

/// A file of PyTorch's whose names stay as they are.
fn pytorch(path: &Path) -> PytorchStore {
    PytorchStore::from_file(path).map_indices_contiguous(false)
}

fn weight(layer: &str) -> String {
    format!("{layer}.weight")
}

fn bias(layer: &str) -> String {
    format!("{layer}.bias")
}

fn frozen<const D: usize>(values: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(values).set_require_grad(false)
}

/// Convolutions of the same input as one: smaller kernels stand in the centre of zeros, and the
/// output channels follow each other.
fn merged(parts: Vec<(Tensor<4>, Tensor<1>)>, kernel: usize) -> (Tensor<4>, Tensor<1>) {
    let (weights, biases): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .map(|(weight, bias)| {
            let [.., side] = weight.dims();
            let edge = (kernel - side) / 2;
            (weight.pad([(edge, edge), (edge, edge)], PadMode::Constant(0.0)), bias)
        })
        .unzip();
    (Tensor::cat(weights, 0), Tensor::cat(biases, 0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use burn::tensor::Distribution;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use safetensors::tensor::{Dtype, TensorView, serialize};
    use vae_models::{Features, Initialization, NetworkConfig, Shape, Skips};

    use super::*;

    #[test]
    fn a_fire_module_is_one_convolution() {
        let device = Device::flex();
        let random =
            |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let x = random([2, 3, 5, 5]);
        let parts = [1, 3].map(|k| (random([4, 3, k, k]), random([4, 1, 1, 1]).flatten(0, 3)));
        let run = |(weight, bias): (Tensor<4>, Tensor<1>), padding: usize| {
            let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
            conv2d(x.clone(), weight, Some(bias), options)
        };
        let [small, large] = parts.clone();
        let apart = Tensor::cat(vec![run(small, 0), run(large, 1)], 1);
        let together = run(merged(parts.to_vec(), 3), 1);
        let difference = (apart - together).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
    }

    /// A file with the tensors of a convolution `a` from 1 to 2 channels and of a dense layer `b`.
    fn file(folder: &Path, channels: usize) -> PathBuf {
        let floats = |count: usize| -> Vec<u8> {
            (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
        };
        let shapes = BTreeMap::from([
            ("a.weight", vec![2, channels, 1, 1]),
            ("a.bias", vec![2]),
            ("b.weight", vec![3, 2]),
            ("b.bias", vec![3]),
        ]);
        let content: Vec<_> =
            shapes.iter().map(|(n, s)| (*n, s, floats(s.iter().product()))).collect();
        let views = content.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
            (*name, view.expect("the test's own tensor"))
        });
        let path = folder.join("weights.safetensors");
        std::fs::write(&path, serialize(views, None).expect("sound tensors")).expect("writable");
        path
    }

    fn load(path: PathBuf, layers: &[&str]) -> Result<Network> {
        let text = "n = [{ block = \"conv\", channels = 2, kernel = 1 }, { block = \"flatten\" }, \
                    { block = \"dense\", units = 3 }]";
        let config: BTreeMap<String, NetworkConfig> = toml::from_str(text)?;
        let (config, input, device) = (&config["n"], Shape::Image([1, 1, 1]), Device::flex());
        let shapes = config.shapes("n", input, &mut BTreeMap::new())?;
        let mut network = config.init(input, &shapes, Initialization::Kaiming, &device);
        let names: Vec<_> = layers.iter().map(|l| LayerNames::One((*l).to_owned())).collect();
        Tensors::open(&path.into())?.load_into(&mut network, &names, &device)?;
        Ok(network)
    }

    /// The same tensors as `torch.save` writes them: a zip archive of a pickle and of the storages.
    fn pytorch_file(folder: &Path) -> PathBuf {
        let path = folder.join("weights.pth");
        let file = std::fs::File::create(&path).expect("writable");
        let mut archive = zip::ZipWriter::new(file);
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        let mut add = |name: String, content: &[u8]| {
            archive.start_file(name, stored).expect("writable");
            archive.write_all(content).expect("writable");
        };
        let text =
            |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let tuple = |sizes: &[u8]| {
            let sizes: Vec<u8> = sizes.iter().flat_map(|&size| [b'K', size]).collect();
            [b"(", &sizes[..], b"t"].concat()
        };
        let tensors: [(&str, &[u8], &[u8]); 4] = [
            ("a.weight", &[2, 1, 1, 1], &[1, 1, 1, 1]),
            ("a.bias", &[2], &[1]),
            ("b.weight", &[3, 2], &[2, 1]),
            ("b.bias", &[3], &[1]),
        ];
        let mut pickle = b"\x80\x02}(".to_vec();
        for (number, (name, shape, strides)) in tensors.into_iter().enumerate() {
            let (key, count) = (number.to_string(), shape.iter().product());
            let floats = (0..count).flat_map(|i: u8| f32::from(i).to_le_bytes());
            add(format!("archive/data/{key}"), &floats.collect::<Vec<_>>());
            pickle.extend(text(name));
            pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            pickle.extend(text("storage"));
            pickle.extend(b"ctorch\nFloatStorage\n");
            pickle.extend([text(&key), text("cpu")].concat());
            pickle.extend([b'K', count, b't', b'Q', b'K', 0]);
            pickle.extend([tuple(shape), tuple(strides)].concat());
            pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        }
        pickle.extend(b"u.");
        add("archive/data.pkl".to_owned(), &pickle);
        add("archive/version".to_owned(), b"3\n");
        archive.finish().expect("writable");
        path
    }

    #[test]
    fn safetensors_and_pytorch_files_are_read_in_pytorch_layout() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for path in [file(folder.path(), 1), pytorch_file(folder.path())] {
            let network = load(path, &["a", "b"]).expect("it fits");
            let x = Features::Image(Tensor::full([1, 1, 1, 1], 10.0, &Device::flex()));
            // weights [0, 1] and [[0, 1], [2, 3], [4, 5]], biases [0, 1] and [0, 1, 2]
            let y = network.forward(x, &mut Skips::new()).flat().into_data_as::<f32>();
            assert_eq!(y.try_into_vec::<f32>().expect("asked for f32"), [11.0, 34.0, 57.0]);
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let garbage = folder.path().join("garbage.pth");
        std::fs::write(&garbage, b"not a pickle").expect("writable");
        let mut messages = vec![];
        for (path, layers, words) in [
            (file(folder.path(), 1), ["a", "c"], ["weights.safetensors", "no tensor `c.weight`"]),
            (file(folder.path(), 1), ["b", "a"], ["b.weight", "[3, 2]"]),
            (folder.path().join("missing.pt"), ["a", "b"], ["missing.pt", "cannot read"]),
            (folder.path().join("garbage.pth"), ["a", "b"], ["garbage.pth", "cannot be read"]),
            (folder.path().to_owned(), ["a", "b"], ["no file of weights", ".pth"]),
        ] {
            let message = format!("{:#}", load(path, &layers).expect_err("it does not fit"));
            if !words.iter().all(|word| message.contains(word)) {
                messages.push(message);
            }
        }
        assert!(messages.is_empty(), "{messages:?}");
        let message = format!("{:#}", load(file(folder.path(), 3), &["a", "b"]).expect_err("3"));
        assert!(message.contains("`a.weight`") && message.contains("[2, 3, 1, 1]"), "{message}");
    }
}
