//! Which outputs of a foreign encoder are the posterior.

use super::port::{Port, list};
use super::words::{self, Spread};

/// The tensors that the posterior is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heads {
    /// A plain autoencoder's code.
    Point {
        /// The code.
        mean: Port,
    },
    /// A mean and a spread.
    Pair {
        /// The mean.
        mean: Port,
        /// The spread.
        spread: Port,
        /// What the spread is.
        kind: Spread,
    },
    /// One tensor, whose first half is the mean and whose second half is a spread.
    Joint {
        /// The tensor.
        tensor: Port,
        /// What the second half is.
        kind: Spread,
    },
}

/// What the caller says about the posterior.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    pub(crate) mean: Option<&'a str>,
    pub(crate) spread: Option<&'a str>,
    pub(crate) kind: Option<Spread>,
}

impl Heads {
    /// Finds the posterior among an encoder's outputs, by what the caller says, by their names, and
    /// by the size of the latent vector that the decoder takes.
    pub(crate) fn find(
        outputs: &[Port],
        latent: Option<usize>,
        said: Said<'_>,
    ) -> Result<Self, String> {
        let mean = one(outputs, said.mean, "mean", |port| words::is_mean(&port.name))?;
        let (spread, kind) = match spread(outputs, said)? {
            Some((port, kind)) => (Some(port), kind),
            None => (None, said.kind.unwrap_or(Spread::LogVar)),
        };
        let rest = |port: &&Port| Some(*port) != mean && Some(*port) != spread;
        let sized = |factor: usize| {
            let size = latent.and_then(|latent| latent.checked_mul(factor));
            let ports = outputs.iter().filter(rest);
            ports.filter(move |port| size.is_some() && port.size() == size).collect::<Vec<_>>()
        };
        let codes: Vec<&Port> =
            sized(1).into_iter().filter(|port| !words::is_latent(&port.name)).collect();
        match (mean, spread) {
            (Some(mean), Some(spread)) => Self::pair(mean, spread, kind),
            (Some(mean), None) if is_joint(mean, latent) => {
                Ok(Self::Joint { tensor: mean.clone(), kind })
            }
            (Some(mean), None) if codes.is_empty() && said.kind.is_none() => {
                Ok(Self::Point { mean: mean.clone() })
            }
            (Some(_), None) => Err(unclear(outputs, "log-variance", "--log-var NAME")),
            (None, Some(spread)) => match codes.as_slice() {
                [mean] => Self::pair(mean, spread, kind),
                _ => Err(unclear(outputs, "mean", "--mean NAME")),
            },
            (None, None) => match (outputs, sized(1).as_slice(), sized(2).as_slice()) {
                (_, [], [tensor]) => Ok(Self::Joint { tensor: (*tensor).clone(), kind }),
                (_, [mean], []) if said.kind.is_none() => Ok(Self::Point { mean: (*mean).clone() }),
                ([mean], ..) if latent.is_none() => Ok(Self::Point { mean: mean.clone() }),
                ([only], ..) => Err(format!(
                    "it gives {only}, and the decoder takes a latent vector of {}",
                    latent.unwrap_or_default()
                )),
                _ => Err(unclear(outputs, "mean", "--mean NAME and --log-var NAME")),
            },
        }
    }

    fn pair(mean: &Port, spread: &Port, kind: Spread) -> Result<Self, String> {
        match (mean.size(), spread.size()) {
            _ if mean == spread => Err(format!("{mean} cannot be both the mean and the spread")),
            (Some(a), Some(b)) if a != b => Err(format!("{mean} and {spread} differ in size")),
            _ => Ok(Self::Pair { mean: mean.clone(), spread: spread.clone(), kind }),
        }
    }

    /// The outputs that the posterior is read from.
    pub(crate) fn ports(&self) -> Vec<&Port> {
        match self {
            Self::Point { mean } => vec![mean],
            Self::Pair { mean, spread, .. } => vec![mean, spread],
            Self::Joint { tensor, .. } => vec![tensor],
        }
    }
}

/// Whether a tensor is twice as large as the latent vector.
fn is_joint(port: &Port, latent: Option<usize>) -> bool {
    latent.and_then(|latent| latent.checked_mul(2)).is_some_and(|joint| port.size() == Some(joint))
}

/// The spread and its kind. Where several outputs say the same in another way, the one that needs
/// the least arithmetic.
fn spread<'a>(outputs: &'a [Port], said: Said<'_>) -> Result<Option<(&'a Port, Spread)>, String> {
    if let Some(name) = said.spread {
        let port = named(outputs, name)?;
        return match (said.kind, Spread::named(name)) {
            (Some(kind), _) => Ok(Some((port, kind))),
            (None, None | Some(Spread::LogVar)) => Ok(Some((port, Spread::LogVar))),
            (None, Some(kind)) => Err(format!(
                "`{name}` reads as {} (hint: --spread {}, or --spread log-var if it is the \
                 log-variance)",
                kind.noun(),
                kind.word()
            )),
        };
    }
    for kind in Spread::ALL {
        let is_kind = |port: &Port| Spread::named(&port.name) == Some(kind);
        if let Some(port) = one(outputs, None, "log-var", is_kind)? {
            return Ok(Some((port, said.kind.unwrap_or(kind))));
        }
    }
    Ok(None)
}

/// The port that the caller names, or the only one that a test holds for.
pub(crate) fn one<'a>(
    ports: &'a [Port],
    name: Option<&str>,
    option: &str,
    test: impl Fn(&Port) -> bool,
) -> Result<Option<&'a Port>, String> {
    if let Some(name) = name {
        return named(ports, name).map(Some);
    }
    let found: Vec<&Port> = ports.iter().filter(|port| test(port)).collect();
    match found.as_slice() {
        [] => Ok(None),
        [port] => Ok(Some(port)),
        _ => Err(format!("several could be meant, {} (hint: --{option} NAME)", list(found))),
    }
}

/// The port that the caller names.
pub(crate) fn named<'a>(ports: &'a [Port], name: &str) -> Result<&'a Port, String> {
    let found = ports.iter().find(|port| port.name == name);
    found.ok_or_else(|| format!("there is no `{name}` among {}", list(ports)))
}

fn unclear(outputs: &[Port], what: &str, option: &str) -> String {
    format!("it gives {}, which does not say what is the {what} (hint: {option})", list(outputs))
}
