//! Where tensors are put.

use super::super::kernels::Activation;
use super::super::step::{Fill, Function, Map, Op};
use super::super::view::{Factor, View};
use super::{Join, Place, Planner};
use crate::graph::Node;

/// The most channels of an image that is left in planes, as it arrives.
const FEW: usize = 4;

impl<'a> Planner<'a> {
    /// Finds out, from the last operator to the first, how many zeros the readers of every image want
    /// around it, and what is joined to what.
    pub(super) fn look_ahead(&mut self) -> Result<(), String> {
        for proto in self.parsed.graph.node.iter().rev() {
            let computed = |name: &&String| self.facts.get(*name).is_some_and(|f| !f.constant);
            let Some(output) = proto.output.first().filter(computed) else { continue };
            let node = Node::new(proto, self.parsed.summary.opset, self.facts)?;
            let wanted = match node.operator() {
                "Conv" | "ConvTranspose" => self.reach(proto, &node)?,
                "MaxPool" | "AveragePool" | "Reshape" | "Flatten" | "Transpose" => [0; 4],
                _ => self.halos.get(output.as_str()).copied().unwrap_or_default(),
            };
            for name in &proto.input {
                let halo = self.halos.entry(name).or_default();
                *halo = std::array::from_fn(|side| halo[side].max(wanted[side]));
            }
            if node.operator() == "Concat" {
                let axis = node.axis("axis", 0, self.facts[output].dims.len())?;
                let mut first = 0;
                for name in proto.input.iter().filter(|name| !name.is_empty()) {
                    let join = Join { joined: output, axis: axis.saturating_sub(1), first };
                    first += self.facts[name].dims[axis];
                    self.joins.insert(name, join);
                }
            }
        }
        Ok(())
    }

    /// A place for a tensor that a step is about to write. `scatters` says that the step can write images
    /// in planes.
    pub(super) fn produce(&mut self, name: &'a str, scatters: bool) -> Result<View, String> {
        if let Some(Join { joined, axis, first }) = self.joins.get(name).copied() {
            let size = self.dims(name)?[axis];
            let joined = self.joined(joined)?;
            if let Some(part) = joined.part(axis, first, size) {
                return Ok(part);
            }
        }
        self.fresh(name, scatters)
    }

    /// [`produce`](Self::produce) for a step that reads some views and writes to none of their values.
    pub(super) fn produce_beside(
        &mut self,
        name: &'a str,
        read: &[&View],
        scatters: bool,
    ) -> Result<View, String> {
        let view = self.produce(name, scatters)?;
        match read.iter().any(|read| read.value == view.value) {
            true => self.fresh(name, scatters),
            false => Ok(view),
        }
    }

    /// The place of a joined tensor, of which parts may be written before the others.
    pub(super) fn joined(&mut self, name: &'a str) -> Result<View, String> {
        if let Some(view) = self.views.get(name) {
            return Ok(view.clone());
        }
        let view = self.produce(name, false)?;
        self.views.insert(name, view.clone());
        Ok(view)
    }

    fn fresh(&mut self, name: &'a str, scatters: bool) -> Result<View, String> {
        let dims = self.dims(name)?;
        let len = dims.iter().product();
        let readers = self.readers.get(name).cloned().unwrap_or_default();
        if let (Some(&output), []) = (self.outputs.get(name), &readers[..])
            && (dims.len() != 3 || dims[0] == 1 || scatters)
        {
            let value = self.value(len, Place::Output(output));
            return Ok(View::row_major(value, &dims));
        }
        if let &[channels, height, width] = &dims[..] {
            let halo = self.halos.get(name).copied().unwrap_or_default();
            return Ok(self.image([channels, height, width], halo));
        }
        let value = self.value(len, Place::Memory);
        // A vector that becomes an image is written as one, unless it is written part by part.
        let whole = self.joins.values().all(|join| join.joined != name);
        if let ([_], &[reader], true) = (&dims[..], &readers[..], whole) {
            let output = &self.parsed.graph.node[reader].output[0];
            if let &[_, channels, height, width] = &self.facts[output].dims[..]
                && channels * height * width == len
            {
                let image = View::channels_last(value, [channels, height, width], [0; 4]);
                return image.reshaped(&dims).ok_or_else(|| "joins no axes".into());
            }
        }
        Ok(View::row_major(value, &dims))
    }

    /// Memory for an image with the channels of a pixel side by side, and the zeros around it.
    pub(super) fn image(&mut self, dims: [usize; 3], halo: [usize; 4]) -> View {
        let value = self.value(View::image_len(dims, halo), Place::Memory);
        self.surrounded(View::channels_last(value, dims, halo))
    }

    /// Writes the zeros around an image.
    fn surrounded(&mut self, view: View) -> View {
        let views = border(&view);
        if !views.is_empty() {
            self.step("zeros around".into(), Op::Fill(Fill::zeros(views)), 0);
        }
        view
    }

    /// A tensor as an image that a window can be moved over: channels or pixels side by side, and zeros as
    /// far as the window reaches. It is copied where it does not lie so.
    pub(super) fn window_input(
        &mut self,
        name: &'a str,
        halo: [usize; 4],
        planes: bool,
    ) -> Result<View, String> {
        let view = self.view(name)?;
        let &[channels, height, width] = &self.dims(name)?[..] else {
            return Err(format!("moves a window over {:?}", self.dims(name)?));
        };
        let covered = (0..4).all(|side| view.halo[side] >= halo[side]);
        let strides = view.picture().map(|picture| picture.strides);
        let [last, in_planes] = match strides {
            Some([channel, row, pixel]) if row > 0 && pixel > 0 => {
                [channel == 1 || channels == 1, pixel == 1]
            }
            _ => [false; 2],
        };
        let planes = planes || in_planes && channels <= FEW;
        if covered && if planes { in_planes } else { last } {
            return Ok(view);
        }
        let wanted = self.halos.get(name).copied().unwrap_or_default();
        let halo = std::array::from_fn(|side| wanted[side].max(halo[side]));
        let dims = [channels, height, width];
        let image = match planes {
            true => {
                let value = self.value(View::image_len(dims, halo), Place::Memory);
                self.surrounded(View::planes(value, dims, halo))
            }
            false => self.image(dims, halo),
        };
        self.copy(&view, &image)?;
        if !(planes && last) {
            self.views.insert(name, image.clone());
        }
        Ok(image)
    }

    /// A tensor whose numbers fill a stretch of memory, in any order. It is copied where they do not.
    pub(super) fn dense_input(&mut self, name: &'a str) -> Result<View, String> {
        let view = self.view(name)?;
        if view.places().is_some() {
            return Ok(view);
        }
        let dense = self.ordered(&view)?;
        self.views.insert(name, dense.clone());
        Ok(dense)
    }

    /// A copy in row-major order.
    pub(super) fn ordered(&mut self, view: &View) -> Result<View, String> {
        let value = self.value(view.len(), Place::Memory);
        let ordered = View::row_major(value, &view.dims());
        self.copy(view, &ordered)?;
        Ok(ordered)
    }

    pub(super) fn copy(&mut self, from: &View, to: &View) -> Result<(), String> {
        if from.value == to.value {
            // A step reads no value that it writes to.
            let between = self.ordered(from)?;
            return self.copy(&between, to);
        }
        let function = Function::Activation(Activation::Identity);
        let map =
            Map::new(function, from, to).ok_or("moves numbers in a way that is not covered")?;
        self.step(format!("copy {:?}", to.dims()), Op::Map(map), 0);
        Ok(())
    }

    /// Copies to the graph's outputs what was not written there.
    pub(super) fn outputs(&mut self) -> Result<(), String> {
        for (i, output) in self.parsed.graph.output.iter().enumerate() {
            let view = self.view(&output.name)?;
            if self.values[view.value].place != Place::Output(i) {
                let dims = self.dims(&output.name)?;
                let value = self.value(dims.iter().product(), Place::Output(i));
                self.copy(&view, &View::row_major(value, &dims))?;
            }
        }
        Ok(())
    }
}

/// Strips above, below, left and right of an image, as far as its halo reaches.
pub(super) fn border(image: &View) -> Vec<View> {
    let [above, left, below, right] = image.halo;
    let (Some(picture), true) = (image.picture(), image.halo != [0; 4]) else { return vec![] };
    let [channels, height, width] = picture.dims;
    let [plane, row, pixel] = picture.strides;
    let corner = image.offset - above * row - left * pixel;
    let strip = |y: usize, x: usize, rows: usize, columns: usize| {
        let axes = [(channels, plane), (rows, row), (columns, pixel)];
        let axes = axes.map(|(size, stride)| vec![Factor { size, stride }]).to_vec();
        View { value: image.value, offset: corner + y * row + x * pixel, axes, halo: [0; 4] }
    };
    let whole = left + width + right;
    let strips = [
        strip(0, 0, above, whole),
        strip(above + height, 0, below, whole),
        strip(above, 0, height, left),
        strip(above, left + width, height, right),
    ];
    strips.into_iter().filter(|strip| strip.len() > 0).collect()
}
