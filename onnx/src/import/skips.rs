//! What an encoder hands to a decoder beside the latent vector.

use std::iter;

use super::Names;
use super::heads::{Heads, named};
use super::port::{Port, list};

/// A tensor that the encoder hands to the decoder.
#[derive(Debug, Clone)]
pub(crate) struct Skip {
    /// Its name in a bundle, `skip_…`.
    pub(crate) name: String,
    pub(crate) from: Port,
    pub(crate) to: Port,
    pub(crate) dims: Vec<usize>,
}

/// What the encoder hands over: pairs that the caller names, that have one name, or that alone
/// have one shape.
pub(crate) fn find(
    outputs: &[Port],
    inputs: &[Port],
    latent: &Port,
    heads: &Heads,
    names: &Names,
) -> Result<Vec<Skip>, String> {
    let posterior = heads.ports();
    let free: Vec<&Port> = outputs.iter().filter(|port| !posterior.contains(port)).collect();
    if let Some((_, to)) = names.skips.iter().find(|(_, to)| !inputs.iter().any(|p| p.name == *to))
    {
        return Err(format!("there is no `{to}` among {}", list(inputs)));
    }
    let wanting: Vec<&Port> = inputs.iter().filter(|port| *port != latent).collect();
    let mut skips: Vec<Skip> = vec![];
    for to in &wanting {
        to.check()?;
        let said = names.skips.iter().find(|(_, name)| *name == to.name);
        let alike = |a: &&&Port| a.dims() == to.dims();
        let from = match said {
            Some((from, _)) => named(outputs, from)?,
            None => match free.iter().find(|from| from.name == to.name) {
                Some(from) => from,
                None => match free.iter().filter(alike).collect::<Vec<_>>().as_slice() {
                    [from] if wanting.iter().filter(alike).count() == 1 => from,
                    _ => {
                        let free = list(free.iter().copied());
                        return Err(format!(
                            "it takes {to}, and the encoder gives {free} beside the posterior \
                             (hint: --skip ENCODER_OUTPUT={})",
                            to.name
                        ));
                    }
                },
            },
        };
        let pairs = from.dims().iter().zip(to.dims());
        let dims: Option<Vec<usize>> = pairs.map(|(a, b)| a.or(*b)).collect();
        let fits = from.dims().len() == to.dims().len()
            && from.dims().iter().zip(to.dims()).all(|(a, b)| a.is_none() || b.is_none() || a == b);
        let Some(dims) = dims.filter(|_| fits) else {
            return Err(format!("it takes {to}, which is not the encoder's {from}"));
        };
        let name = skip_name(&from.name, |name| skips.iter().any(|skip| skip.name == name));
        skips.push(Skip { name, from: from.clone(), to: (*to).clone(), dims });
    }
    Ok(skips)
}

/// `skip_` and what of a name is a letter or a digit, with a number where that is taken.
fn skip_name(from: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name = format!("skip_{}", from.chars().map(plain).collect::<String>());
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_skips_have_one_name() {
        let mut taken: Vec<String> = vec![];
        for from in ["a.b", "a_b_1", "a/b", "a b"] {
            let name = skip_name(from, |name| taken.iter().any(|other| other == name));
            taken.push(name);
        }
        assert_eq!(taken, ["skip_a_b", "skip_a_b_1", "skip_a_b_2", "skip_a_b_3"]);
    }
}
