//! What the values of a foreign decoder are: probabilities, logits, or pixels.

use vae_infer::manifest::Likelihood;

use super::roles::Roles;
use super::source::Source;
use super::{Import, words};
use crate::error::Error;

/// How a decoder ends, and what follows from it.
pub(crate) struct Ending {
    /// Whether a sigmoid is added.
    pub(crate) logits: bool,
    /// The likelihood under which reconstructions are scored.
    pub(crate) likelihood: Likelihood,
    /// Why that likelihood, for people.
    pub(crate) because: String,
}

/// The operators that move values and leave them as they are.
const MOVES: [&str; 8] =
    ["Cast", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"];

impl Ending {
    /// Settles the decoder's last step and the likelihood, by what the caller says and by the
    /// operator that the decoder ends in.
    ///
    /// # Errors
    ///
    /// [`Error::Import`] where the two contradict each other.
    pub(crate) fn settle(
        decoder: &Source,
        roles: &Roles,
        import: &Import<'_>,
    ) -> Result<Self, Error> {
        let last = last(decoder, &roles.reconstruction.0.name);
        let named = words::is_logits(&roles.reconstruction.0.name);
        let logits = import.logits || (named && last != "Sigmoid");
        let wrong = |reason: String| Err(decoder.wrong(reason));
        if logits && matches!(last, "Sigmoid" | "Tanh") {
            return wrong(format!("it ends in {last}, and that gives no logits"));
        }
        if last == "Tanh" && import.range.is_none() {
            return wrong(
                "it ends in Tanh, and that gives -1 to 1 where pixels are 0 to 1 \
                          (hint: --range -1 1, or --range 0 1 if that is what it was trained on)"
                    .into(),
            );
        }
        let probabilities = logits || last == "Sigmoid";
        let outside = |pixel: f32| !(0.0..=1.0).contains(&pixel);
        if let Some([black, white]) = import.range.filter(|_| probabilities)
            && (outside(black) || outside(white))
        {
            let end = if logits { "gives logits" } else { "ends in Sigmoid" };
            return wrong(format!(
                "it {end}, and those become 0 to 1 where pixels are {black} to {white} (hint: \
                 leave --range out)"
            ));
        }
        let unit = import.range.is_none_or(|range| range == [0.0, 1.0]);
        let (likelihood, because) = match import.likelihood {
            Some(Likelihood::Bernoulli) if !unit => {
                return wrong("a Bernoulli likelihood needs pixels from 0 to 1".into());
            }
            Some(Likelihood::Bernoulli) if !probabilities && last != "Clip" => {
                return wrong(format!(
                    "it ends in {last}, and a Bernoulli likelihood needs probabilities (hint: \
                     --logits, if it gives logits)"
                ));
            }
            Some(likelihood) => (likelihood, "as you say".to_owned()),
            None if unit && logits => (Likelihood::Bernoulli, "the decoder gives logits".into()),
            None if unit && probabilities => {
                (Likelihood::Bernoulli, "the decoder ends in Sigmoid".into())
            }
            None => (Likelihood::SquaredError, format!("the decoder ends in {last}")),
        };
        Ok(Self { logits, likelihood, because })
    }
}

/// The operator that makes the values of an output.
fn last<'a>(source: &'a Source, output: &str) -> &'a str {
    let nodes = &source.graph.node;
    let maker = |name: &str| nodes.iter().find(|node| node.output.iter().any(|o| o == name));
    let mut tensor = output;
    // A chain of makers is no longer than the graph, unless the graph is a circle.
    for _ in 0..nodes.len() {
        match maker(tensor) {
            Some(node) if MOVES.contains(&node.op_type.as_str()) => {
                tensor = node.input.first().map_or("", String::as_str);
            }
            Some(node) => return &node.op_type,
            None => break,
        }
    }
    "its input"
}
