//! What the tensors of two foreign graphs are in a bundle's terms.

use std::collections::BTreeSet;

use vae_infer::ImageSpec;

use super::form::{Form, Layout, Unclear};
use super::heads::{Heads, Said, named, one};
use super::port::{Port, list};
use super::prune::prune;
use super::skips::{self, Skip};
use super::source::Source;
use super::{Names, words};
use crate::error::Error;

/// What every tensor is that a bundle needs.
#[derive(Debug, Clone)]
pub(crate) struct Roles {
    /// `[C, H, W]`
    pub(crate) image: [usize; 3],
    pub(crate) input: (Port, Form),
    pub(crate) heads: Heads,
    pub(crate) latent: Port,
    /// The latent vector's axes in the decoder's input.
    pub(crate) latent_dims: Vec<usize>,
    /// In the order of the decoder's inputs.
    pub(crate) skips: Vec<Skip>,
    pub(crate) reconstruction: (Port, Form),
}

/// What the caller says about the graphs.
pub(crate) struct Question<'a> {
    /// `[C, H, W]`
    pub(crate) image: Option<[usize; 3]>,
    pub(crate) layout: Option<Layout>,
    pub(crate) names: &'a Names,
}

impl Roles {
    /// Finds out what is what, by what the caller says, by names and by shapes.
    ///
    /// # Errors
    ///
    /// [`Error::Import`] for the file whose tensors do not fit, or where they do not say what they are.
    pub(crate) fn find(
        encoder: &Source,
        decoder: &Source,
        question: &Question<'_>,
    ) -> Result<Self, Error> {
        let Question { names, layout, .. } = *question;
        let in_encoder = |reason: String| encoder.wrong(reason);
        let in_decoder = |reason: String| decoder.wrong(reason);
        if !takes_images(encoder, question) && takes_images(decoder, question) {
            let takes = list(&encoder.inputs());
            return Err(in_encoder(format!(
                "the encoder takes {takes} and the decoder takes images (hint: swap the two files)"
            )));
        }

        let gives = decoder.outputs();
        let decoded = reconstruction(&gives, question).map_err(in_decoder)?;
        let takes = needed(decoder, &[&decoded.name])?;
        let given: BTreeSet<&str> = names.skips.iter().map(|(_, to)| to.as_str()).collect();
        let latent = latent(&takes, names, &given).map_err(in_decoder)?;

        let outputs = encoder.outputs();
        let said = Said {
            mean: names.mean.as_deref(),
            spread: names.log_var.as_deref(),
            kind: names.spread,
        };
        let heads = Heads::find(&outputs, latent.size(), said).map_err(in_encoder)?;
        let input = input(encoder, &heads)?;
        for port in heads.ports().into_iter().chain([&input]) {
            port.check().map_err(in_encoder)?;
        }
        for port in [&latent, &decoded] {
            port.check().map_err(in_decoder)?;
        }

        let latent_dims = latent_dims(&latent, &heads).map_err(in_decoder)?;
        let image = match question.image {
            Some(image) => image,
            None => size(&input, layout).map_err(in_encoder)?,
        };
        let [channels, height, width] = image;
        ImageSpec::new(channels, height, width).check().map_err(in_encoder)?;
        let form = |port: &Port, layout| {
            form(port, image, layout).map_err(|reason| format!("{port}, {reason}"))
        };
        let input_form =
            form(&input, layout).map_err(|reason| in_encoder(format!("it takes {reason}")))?;
        // Where the decoder's axes have no sizes, they stand as the encoder's do; that they do is
        // seen when it runs.
        let open = decoded.dims().len() == 3 && decoded.size().is_none();
        let layout = layout.or(open.then_some(input_form.layout));
        let decoded_form =
            form(&decoded, layout).map_err(|reason| in_decoder(format!("it gives {reason}")))?;
        let skips = skips::find(&outputs, &takes, &latent, &heads, names).map_err(in_decoder)?;
        Ok(Self {
            image,
            input: (input, input_form),
            heads,
            latent,
            latent_dims,
            skips,
            reconstruction: (decoded, decoded_form),
        })
    }

    /// Size `Z` of the latent vector.
    pub(crate) fn latent_size(&self) -> usize {
        self.latent_dims.iter().product()
    }

    /// The encoder's outputs that are needed.
    pub(crate) fn encoder_outputs(&self) -> Vec<&str> {
        let skips = self.skips.iter().map(|skip| &skip.from);
        self.heads.ports().into_iter().chain(skips).map(|port| port.name.as_str()).collect()
    }

    /// The shape in which a head holds its values: its own, where it is declared.
    pub(crate) fn head_dims(&self, port: &Port) -> Vec<usize> {
        let declared: Option<Vec<usize>> = port.dims().iter().copied().collect();
        declared.unwrap_or_else(|| match port.dims().len() == self.latent_dims.len() {
            true => self.latent_dims.clone(),
            false => vec![self.latent_size()],
        })
    }

    /// The axis along which a joint head is split, the batch's being axis 0: the one that is twice
    /// the latent vector's, the only one, the one that stacks both halves, or, where the latent
    /// vector is no picture, a picture's channels.
    ///
    /// # Errors
    ///
    /// One sentence on a tensor that several axes may split.
    pub(crate) fn joint_axis(&self, tensor: &Port) -> Result<usize, String> {
        let (dims, latent) = (self.head_dims(tensor), self.latent_dims.as_slice());
        let doubled = |axis: usize| {
            let halved = |at: usize| if at == axis { dims[at] / 2 } else { dims[at] };
            dims[axis].is_multiple_of(2) && (0..dims.len()).map(halved).eq(latent.iter().copied())
        };
        let is_vector = latent.iter().filter(|&&size| size > 1).count() <= 1;
        let even = |axis: usize| dims[axis].is_multiple_of(2).then_some(axis);
        let found = (0..dims.len()).find(|&axis| doubled(axis)).or_else(|| match dims.as_slice() {
            [_] => even(0),
            // Where the next axis is of size 2 as well, either could hold the halves.
            [2, one @ ..] if one == latent && one[0] != 2 => Some(0),
            [_, _, _] if is_vector && self.input.1.layout == Layout::Nhwc => even(2),
            [_, _, _] if is_vector => even(0),
            _ => None,
        });
        found.map(|axis| 1 + axis).ok_or_else(|| {
            format!(
                "it gives {tensor}, which does not say along which axis the mean ends and the \
                 spread begins (hint: export them as two outputs)"
            )
        })
    }
}

/// Whether one of a graph's inputs has the shape of an image.
fn takes_images(source: &Source, question: &Question<'_>) -> bool {
    let is_image = |port: &Port| match question.image {
        Some(image) => !matches!(Form::find(port, image, question.layout), Err(Unclear::Another)),
        None => size(port, question.layout).is_ok(),
    };
    source.inputs().iter().any(is_image)
}

/// The inputs that some outputs of a graph are computed from.
fn needed(source: &Source, outputs: &[&str]) -> Result<Vec<Port>, Error> {
    let pruned = prune(&source.graph, outputs).map_err(|reason| source.wrong(reason))?;
    let mut inputs = source.inputs();
    inputs.retain(|port| pruned.input.iter().any(|value| value.name == port.name));
    if inputs.is_empty() {
        let outputs = outputs.join("`, `");
        return Err(source.wrong(format!("its `{outputs}` depends on no input")));
    }
    Ok(inputs)
}

/// The one input that the posterior is computed from.
fn input(encoder: &Source, heads: &Heads) -> Result<Port, Error> {
    let wanted: Vec<&str> = heads.ports().iter().map(|port| port.name.as_str()).collect();
    let mut inputs = needed(encoder, &wanted)?;
    match inputs.pop() {
        Some(only) if inputs.is_empty() => Ok(only),
        last => {
            let inputs = list(inputs.iter().chain(&last));
            Err(encoder.wrong(format!("it takes {inputs} where one image belongs")))
        }
    }
}

/// The decoder's output that is the image: named, the only one, called so, or shaped so.
fn reconstruction(outputs: &[Port], question: &Question<'_>) -> Result<Port, String> {
    if let Some(name) = &question.names.reconstruction {
        return named(outputs, name).cloned();
    }
    if let [only] = outputs {
        return Ok(only.clone());
    }
    let called = |port: &Port| words::is_reconstruction(&port.name);
    if let Some(port) = one(outputs, None, "reconstruction", called)? {
        return Ok(port.clone());
    }
    let shaped: Vec<&Port> = match question.image {
        Some(image) => {
            let fits = |port: &&Port| Form::find(port, image, question.layout).is_ok();
            outputs.iter().filter(fits).collect()
        }
        None => vec![],
    };
    match shaped.as_slice() {
        [port] => Ok((*port).clone()),
        _ => Err(format!(
            "it gives {}, which does not say what is the image (hint: --reconstruction NAME)",
            list(outputs)
        )),
    }
}

/// The decoder's input that is the latent vector: named, the only one that is no skip, or called so.
fn latent(inputs: &[Port], names: &Names, skips: &BTreeSet<&str>) -> Result<Port, String> {
    if let Some(name) = &names.latent {
        return named(inputs, name).cloned();
    }
    let rest: Vec<Port> =
        inputs.iter().filter(|port| !skips.contains(port.name.as_str())).cloned().collect();
    if let [only] = rest.as_slice() {
        return Ok(only.clone());
    }
    match one(&rest, None, "latent", |port| words::is_latent(&port.name))? {
        Some(port) => Ok(port.clone()),
        None => Err(format!(
            "it takes {}, which does not say what is the latent vector (hint: --latent NAME)",
            list(inputs)
        )),
    }
}

/// The largest latent vector that is imported.
const MAX_LATENT: usize = 1 << 24;

/// The latent vector's axes: the decoder's own, or the encoder's where the decoder leaves them open.
fn latent_dims(latent: &Port, heads: &Heads) -> Result<Vec<usize>, String> {
    let all = |port: &Port| port.dims().iter().copied().collect::<Option<Vec<usize>>>();
    let sizes = || format!("it takes {latent}, and a latent vector has 1 to {MAX_LATENT} values");
    let open = latent.dims().len() == 1;
    let dims = match (all(latent), heads) {
        (Some(dims), _) => dims,
        (None, Heads::Point { mean } | Heads::Pair { mean, .. })
            if open || mean.dims().len() == latent.dims().len() =>
        {
            let dims = all(mean).ok_or_else(|| {
                format!("it takes {latent}, and nothing declares the size of the latent vector")
            })?;
            if open { vec![product(&dims).ok_or_else(sizes)?] } else { dims }
        }
        _ => return Err(format!("it takes {latent}, a latent vector of no declared size")),
    };
    let size = product(&dims).filter(|size| (1..=MAX_LATENT).contains(size)).ok_or_else(sizes)?;
    let expected = match heads {
        Heads::Joint { .. } => 2 * size,
        _ => size,
    };
    match heads.ports().into_iter().find(|port| port.size().is_some_and(|size| size != expected)) {
        None => Ok(dims),
        Some(port) => Err(format!("it takes {latent}, and the encoder gives {port}")),
    }
}

fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
}

/// The size of the images that an encoder takes, `[C, H, W]`, where its shape tells.
fn size(input: &Port, layout: Option<Layout>) -> Result<[usize; 3], String> {
    let channels = |size: usize| matches!(size, 1 | 3);
    let found = match *input.dims() {
        [Some(a), Some(b), Some(c)] => match (layout, channels(a), channels(c)) {
            (Some(Layout::Nchw), ..) | (None, true, false) => Some([a, b, c]),
            (Some(Layout::Nhwc), ..) | (None, false, true) => Some([c, a, b]),
            _ => None,
        },
        [Some(rows), Some(columns)] => Some([1, rows, columns]),
        _ => None,
    };
    found.ok_or_else(|| {
        format!(
            "it takes {input}, which does not say how large its images are (hint: --image WxHxC)"
        )
    })
}

/// How a tensor holds images, or why it does not.
fn form(port: &Port, image: [usize; 3], layout: Option<Layout>) -> Result<Form, String> {
    let [c, h, w] = image;
    Form::find(port, image, layout).map_err(|unclear| match unclear {
        Unclear::Another => format!("which is no image of {w}x{h}x{c} (width x height x channels)"),
        Unclear::Layout => {
            "which can be read with the channels first or last (hint: --layout nchw or --layout \
             nhwc)"
                .into()
        }
    })
}
