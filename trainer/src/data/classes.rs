//! Which classes of a source are taken.

use super::pictures::Split;
use super::{DataConfig, Error};

/// The classes that are taken, all where nothing is said.
pub(super) struct Classes {
    /// Their names.
    pub(super) names: Vec<String>,
    /// The place in `names` of every class of the source.
    places: Vec<Option<usize>>,
    /// Whether something was said.
    pub(super) chosen: bool,
}

impl Classes {
    /// Those of a source that `classes` names, where it is there, and `without` does not.
    pub(super) fn choose(source: Vec<String>, config: &DataConfig) -> Result<Self, Error> {
        let DataConfig { classes: kept, without, .. } = config;
        for (key, asked) in [("classes", kept), ("without", without)] {
            let Some(asked) = asked else { continue };
            let unknown = asked.iter().find(|name| !source.contains(name));
            let reason = match unknown {
                _ if source.is_empty() => {
                    format!("`{key}` names classes, and the images have no labels")
                }
                _ if asked.is_empty() => format!("`{key}` is empty, it must name a class"),
                Some(unknown) => {
                    let known = source.join(", ");
                    format!("`{key}` names `{unknown}`, and the classes are {known}")
                }
                None => continue,
            };
            return Err(Error::Config { reason });
        }
        let taken = |name: &&String| {
            let kept = kept.as_ref().is_none_or(|kept| kept.contains(name));
            kept && without.as_ref().is_none_or(|without| !without.contains(name))
        };
        let names: Vec<String> = source.iter().filter(taken).cloned().collect();
        let place = |name| names.iter().position(|taken| taken == name);
        let places = source.iter().map(place).collect();
        Ok(Self { places, names, chosen: kept.is_some() || without.is_some() })
    }

    /// The places of a split's images that are taken, and the class of each; there are no classes
    /// where the images have no labels.
    pub(super) fn of(&self, split: &Split) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let Split { pictures, labels } = split;
        if labels.is_empty() && self.chosen {
            let reason = "classes are named, and one of the splits has no labels".into();
            return Err(Error::Config { reason });
        }
        if labels.is_empty() {
            return Ok(((0..pictures.len()).collect(), vec![]));
        }
        let labels = labels.iter().enumerate();
        Ok(labels.filter_map(|(place, &label)| Some((place, self.places[label]?))).unzip())
    }
}
