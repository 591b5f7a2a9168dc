use super::super::element::Element;
use super::super::proto::{AttributeProto, NodeProto};
use super::{Fact, Facts, Values};

/// An operator with what is known of its inputs.
pub(crate) struct Node<'a> {
    proto: &'a NodeProto,
    /// The version of the operator set.
    pub(super) opset: i64,
    inputs: Vec<Option<&'a Fact>>,
}

impl<'a> Node<'a> {
    pub(crate) fn new(proto: &'a NodeProto, opset: i64, facts: &'a Facts) -> Result<Self, String> {
        let fact = |name: &String| match facts.get(name) {
            _ if name.is_empty() => Ok(None),
            None => Err(format!("reads `{name}`, which nothing before it gives")),
            known => Ok(known),
        };
        let inputs = proto.input.iter().map(fact).collect::<Result<_, _>>()?;
        Ok(Self { proto, opset, inputs })
    }

    pub(crate) fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    /// The number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// The inputs that are there.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &'a Fact> {
        self.inputs.iter().copied().flatten()
    }

    pub(crate) fn optional(&self, place: usize) -> Option<&'a Fact> {
        self.inputs.get(place).copied().flatten()
    }

    pub(crate) fn input(&self, place: usize) -> Result<&'a Fact, String> {
        self.optional(place).ok_or_else(|| format!("lacks its input {place}"))
    }

    /// The integers at an input that must be constant; `None` where there is no such input.
    pub(crate) fn integers(&self, place: usize) -> Result<Option<&'a [i64]>, String> {
        match self.optional(place).map(|fact| &fact.values) {
            None => Ok(None),
            Some(Some(Values::Integers(values))) => Ok(Some(values)),
            Some(_) => Err(format!("has a shape that depends on its input {place}")),
        }
    }

    /// The floating-point numbers at an input that must be constant; `None` where there is no such
    /// input, or an empty one.
    pub(crate) fn floats(&self, place: usize) -> Result<Option<&'a [f32]>, String> {
        match self.optional(place) {
            None => Ok(None),
            Some(fact) if fact.is_empty() => Ok(None),
            Some(Fact { values: Some(Values::Floats(values)), .. }) => Ok(Some(values)),
            Some(_) => Err(format!("has a shape that depends on its input {place}")),
        }
    }

    /// A result that the operator computes, of one of its input's type.
    pub(crate) fn gives(&self, element: Element, dims: Vec<usize>) -> Result<Fact, String> {
        let constant = self.inputs().all(|fact| fact.constant);
        Ok(Fact { constant, ..Fact::new(element, dims)? })
    }

    /// The content of a `Constant`.
    pub(crate) fn constant(&self) -> Result<Fact, String> {
        let content = self.proto.attribute.iter().find_map(|attribute| {
            let AttributeProto { name, t, i, ints, f, floats, .. } = attribute;
            let float = |dims, values| Fact {
                constant: true,
                values: Some(Values::Floats(values)),
                element: Element::F32,
                dims,
            };
            match (name.as_str(), t) {
                ("value", Some(tensor)) => Some(Fact::stored(tensor)),
                ("value_int", _) => Some(Fact::integers(vec![], vec![*i])),
                ("value_ints", _) => Some(Fact::integers(vec![ints.len()], ints.clone())),
                ("value_float", _) => Some(Ok(float(vec![], vec![*f]))),
                ("value_floats", _) => Some(Ok(float(vec![floats.len()], floats.clone()))),
                _ => None,
            }
        });
        content.unwrap_or_else(|| Err("holds no numbers".into()))
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    /// The numbers of a `Constant` that are in its attributes, and whether they are a vector.
    pub(crate) fn given_floats(&self) -> Option<(Vec<f32>, bool)> {
        let number = self.attribute("value_float").map(|a| (vec![a.f], false));
        number.or_else(|| self.attribute("value_floats").map(|a| (a.floats.clone(), true)))
    }

    /// The text of an attribute, empty where it is absent.
    pub(crate) fn text(&self, name: &str) -> &'a [u8] {
        self.attribute(name).map_or(b"", |attribute| &attribute.s)
    }

    /// The axis that an attribute names, of a tensor with so many.
    pub(crate) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, String> {
        axis(self.int(name, default), rank)
    }

    /// The axes at an input that must be constant, or in an attribute as they were before.
    pub(crate) fn axes(&self, place: usize, rank: usize) -> Result<Option<Vec<usize>>, String> {
        let given = self.integers(place)?.or_else(|| self.ints("axes"));
        given.map(|given| distinct(given, rank)).transpose()
    }
}

/// An axis counted from the front, of a tensor with `rank` axes.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let counted =
        if axis < 0 { rank.checked_add_signed(axis as isize) } else { Some(axis as usize) };
    counted.filter(|&a| a < rank).ok_or_else(|| format!("has the axis {axis} of {rank}"))
}

/// Axes, none of them twice.
pub(super) fn distinct(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let axes: Vec<_> = axes.iter().map(|&a| axis(a, rank)).collect::<Result<_, _>>()?;
    let twice = (1..axes.len()).any(|i| axes[..i].contains(&axes[i]));
    if twice { Err(format!("names an axis twice: {axes:?}")) } else { Ok(axes) }
}
