//! The encoder's and the decoder's ONNX models.

use burn::module::Module;
use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
use vae_infer::ImageSpec;
use vae_infer::manifest::{FileSpec, GraphSpec, TensorSpec};
use vae_models::{Activation, Likelihood, Shape, ShapeError, Vae, VaeConfig};

use crate::nodes::{Deconvolution, Nodes, Wire};
use crate::proto::{entry, value};

/// The ONNX operator set of our graphs.
const OPSET: i64 = 17;
/// The ONNX intermediate representation that came with it.
const IR_VERSION: i64 = 8;

/// A graph with its signature.
pub struct Graph {
    model: ModelProto,
    /// Inputs in order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in order.
    pub outputs: Vec<TensorSpec>,
    /// An encoder's hidden layers, but for those that are outputs.
    pub layers: Vec<TensorSpec>,
}

/// The graph from `image` to `mean`, `log_var` (where there is a posterior) and the skips that the
/// decoder joins, in the order of their names.
///
/// # Shapes
///
/// image: `[C, H, W]`, without the batch axis
///
/// # Errors
///
/// The first block that does not fit.
pub fn encoder(vae: &Vae, config: &VaeConfig, image: [usize; 3]) -> Result<Graph, ShapeError> {
    encoder_with(Deconvolution::Transposed, vae, config, image)
}

/// [`encoder`], with transposed convolutions in a form.
pub(crate) fn encoder_with(
    deconvolution: Deconvolution,
    vae: &Vae,
    config: &VaeConfig,
    image: [usize; 3],
) -> Result<Graph, ShapeError> {
    let vae = vae.valid();
    let skips = config.check(image)?;
    let mut nodes = Nodes::new(deconvolution);
    let input = Wire { name: "image".into(), shape: Shape::Image(image) };
    let features = nodes.network("encoder", &vae.encoder, input)?;
    let hidden = nodes.layers.len();

    let mut outputs = vec![];
    for (name, head) in [("mean", Some(&vae.mean)), ("log_var", vae.log_var.as_ref())] {
        let Some(head) = head else { continue };
        let wire = nodes.network(name, head, features.clone())?;
        nodes.output(&wire.name, name);
        outputs.push(TensorSpec::new(name, wire.shape.dims()));
    }
    for (skip, shape) in &skips {
        let tensor = nodes.skips[skip].name.clone();
        nodes.output(&tensor, &skip_name(skip));
        outputs.push(TensorSpec::new(skip_name(skip), shape.dims()));
    }
    nodes.layers.truncate(hidden);
    nodes.layers.retain(|layer| outputs.iter().all(|output| output.name != layer.name));
    let layers = std::mem::take(&mut nodes.layers);
    let layers = layers.iter().map(|layer| TensorSpec::new(&layer.name, layer.shape.dims()));
    let layers = layers.collect();
    let graph = Graph::new("encoder", nodes, vec![TensorSpec::new("image", &image)], outputs);
    Ok(Graph { layers, ..graph })
}

/// The graph from `latent` and skips to `reconstruction`, in the image's values.
///
/// # Shapes
///
/// image: `[C, H, W]`, without the batch axis
///
/// # Errors
///
/// The first block that does not fit.
pub fn decoder(vae: &Vae, config: &VaeConfig, image: [usize; 3]) -> Result<Graph, ShapeError> {
    decoder_with(Deconvolution::Transposed, vae, config, image)
}

/// [`decoder`], with transposed convolutions in a form.
pub(crate) fn decoder_with(
    deconvolution: Deconvolution,
    vae: &Vae,
    config: &VaeConfig,
    image: [usize; 3],
) -> Result<Graph, ShapeError> {
    let vae = vae.valid();
    let mut nodes = Nodes::new(deconvolution);
    let mut inputs = vec![TensorSpec::new("latent", &[config.latent])];
    for (skip, shape) in config.check(image)? {
        inputs.push(TensorSpec::new(skip_name(&skip), shape.dims()));
        nodes.skips.insert(skip.clone(), Wire { name: skip_name(&skip), shape });
    }
    let latent = Wire { name: "latent".into(), shape: Shape::Flat(config.latent) };
    let decoded = nodes.network("decoder", &vae.decoder, latent)?;
    let reconstruction = match config.likelihood {
        Likelihood::Bernoulli => nodes.activation("mean", Activation::Sigmoid, decoded.name),
        Likelihood::SquaredError | Likelihood::Gaussian { .. } => decoded.name,
    };
    nodes.output(&reconstruction, "reconstruction");
    let outputs = vec![TensorSpec::new("reconstruction", &image)];
    Ok(Graph::new("decoder", nodes, inputs, outputs))
}

/// The name under which an encoder gives a skip and a decoder takes it.
pub(crate) fn skip_name(skip: &str) -> String {
    format!("skip_{skip}")
}

impl Graph {
    fn new(name: &str, nodes: Nodes, inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>) -> Self {
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            metadata_props: metadata(name),
            graph: Some(GraphProto {
                name: name.into(),
                node: nodes.nodes,
                initializer: nodes.constants,
                input: inputs.iter().map(value).collect(),
                output: outputs.iter().map(value).collect(),
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        Self { model, inputs, outputs, layers: vec![] }
    }

    /// A graph that someone else has made, under a signature of ours that its tensors' names fit.
    pub(crate) fn adopt(
        name: &str,
        model: ModelProto,
        graph: GraphProto,
        inputs: Vec<TensorSpec>,
        outputs: Vec<TensorSpec>,
    ) -> Self {
        let graph = GraphProto {
            input: inputs.iter().map(value).collect(),
            output: outputs.iter().map(value).collect(),
            ..graph
        };
        let model = ModelProto { metadata_props: metadata(name), graph: Some(graph), ..model };
        Self { model, inputs, outputs, layers: vec![] }
    }

    /// Adds to what the file says about itself.
    pub fn describe(&mut self, key: &str, value: impl ToString) {
        self.model.metadata_props.push(entry(key, value));
    }

    /// Adds the model's name and the range of its pixels.
    pub(crate) fn describe_model(&mut self, name: &str, image: &ImageSpec) {
        let [black, white] = image.range;
        self.describe("model", name);
        self.describe("pixel_range", format!("{black} to {white}"));
    }

    pub(crate) fn model(&self) -> &ModelProto {
        &self.model
    }

    /// Its signature, without a file.
    pub(crate) fn spec(&self) -> GraphSpec {
        let Self { inputs, outputs, layers, .. } = self;
        let file = FileSpec::of(String::new(), &[]);
        let [inputs, outputs, layers] = [inputs, outputs, layers].map(Clone::clone);
        GraphSpec { file, inputs, outputs, layers }
    }

    /// The nodes and weights, for a precision to rewrite.
    pub(crate) fn body(&mut self) -> &mut GraphProto {
        self.model.graph.as_mut().expect("a graph has its nodes")
    }

    /// The ONNX file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }
}

/// What a reader of the lone file would want to know beside the names and shapes that it declares.
fn metadata(name: &str) -> Vec<StringStringEntryProto> {
    let layout = "f32, row-major, batch first, images as channels, height, width";
    vec![entry("role", name), entry("layout", layout)]
}
