//! The shape in which a foreign graph takes or gives images.

use ndarray::{Array4, ArrayD, ArrayView4, ArrayViewD};

use super::port::Port;

/// The order of an image's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Channels, rows, columns: PyTorch's.
    Nchw,
    /// Rows, columns, channels: TensorFlow's.
    Nhwc,
}

/// How one example of a tensor holds an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    /// The tensor's axes without the batch's.
    pub(crate) dims: Vec<usize>,
    /// The order of its values.
    pub(crate) layout: Layout,
}

/// Why a tensor has no form of an image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// Its shape is not that of such an image.
    Another,
    /// It can be read in both layouts.
    Layout,
}

impl Form {
    /// Finds how a tensor holds images of `[C, H, W]`: as they are, channels last, flat, or as one
    /// plane. Where there is one channel, both layouts are the same values.
    pub(crate) fn find(
        port: &Port,
        image: [usize; 3],
        layout: Option<Layout>,
    ) -> Result<Self, Unclear> {
        let [c, h, w] = image;
        let values = c.saturating_mul(h).saturating_mul(w);
        let mut forms = vec![
            (vec![c, h, w], Layout::Nchw),
            (vec![h, w, c], Layout::Nhwc),
            (vec![values], Layout::Nchw),
            (vec![values], Layout::Nhwc),
        ];
        if c == 1 {
            forms.push((vec![h, w], Layout::Nchw));
        }
        let known = |dims: &[usize]| {
            let port = port.dims();
            dims.len() == port.len()
                && dims.iter().zip(port).all(|(a, b)| b.is_none_or(|b| *a == b))
        };
        forms.retain(|(dims, _)| known(dims));
        if forms.is_empty() {
            return Err(Unclear::Another);
        }
        let said = |(_, order): &(Vec<usize>, Layout)| layout == Some(*order);
        if forms.iter().any(said) {
            forms.retain(said);
        } else if layout.is_some() && c > 1 {
            return Err(Unclear::Another);
        }
        if c == 1 {
            forms.dedup_by(|a, b| a.0 == b.0);
        }
        match forms.as_slice() {
            [] => Err(Unclear::Another),
            [(dims, layout)] => Ok(Self { dims: dims.clone(), layout: *layout }),
            _ => Err(Unclear::Layout),
        }
    }

    /// Whether the axes have to change places.
    pub(crate) fn transposes(&self, channels: usize) -> bool {
        self.layout == Layout::Nhwc && channels > 1
    }

    /// The shape of `[C, H, W]` in this layout, before it is reshaped to `dims`.
    pub(crate) fn ordered(&self, [c, h, w]: [usize; 3]) -> [usize; 3] {
        if self.transposes(c) { [h, w, c] } else { [c, h, w] }
    }

    /// Images as the graph takes them.
    ///
    /// # Shapes
    ///
    /// images: `[B, C, H, W]`, output: `[B, dims…]`
    pub(crate) fn take(&self, images: ArrayView4<f32>) -> ArrayD<f32> {
        let (batch, channels) = (images.dim().0, images.dim().1);
        let axes = if self.transposes(channels) { [0, 2, 3, 1] } else { [0, 1, 2, 3] };
        let ordered = images.permuted_axes(axes).as_standard_layout().into_owned();
        let shape: Vec<usize> = std::iter::once(batch).chain(self.dims.iter().copied()).collect();
        ordered.into_shape_with_order(shape).expect("a form has as many values as its image")
    }

    /// Images as the graph gives them.
    ///
    /// # Shapes
    ///
    /// tensor: `[B, dims…]`, output: `[B, C, H, W]`
    pub(crate) fn give(&self, tensor: ArrayViewD<f32>, image: [usize; 3]) -> Array4<f32> {
        let [a, b, c] = self.ordered(image);
        let shape = (tensor.shape()[0], a, b, c);
        let tensor = tensor.as_standard_layout().into_owned();
        let ordered =
            tensor.into_shape_with_order(shape).expect("a form has as many values as its image");
        let axes = if self.transposes(image[0]) { [0, 3, 1, 2] } else { [0, 1, 2, 3] };
        ordered.permuted_axes(axes).as_standard_layout().into_owned()
    }
}
