//! Many images on one picture.

use image::DynamicImage;
use ndarray::{Array3, ArrayView4, Axis, Slice};

use crate::ImageSpec;

impl ImageSpec {
    /// Lays images out on one 8-bit picture, row by row and edge to edge, each as by
    /// [`ImageSpec::picture`]; what is left of the last row is black.
    ///
    /// # Shapes
    ///
    /// images: `[N, C, H, W]`; the picture is `columns W` wide and `ceil(N / columns) H` high
    pub fn sheet(&self, images: ArrayView4<f32>, columns: usize) -> DynamicImage {
        let (count, channels, height, width) = images.dim();
        let columns = columns.max(1);
        let size = (channels, count.div_ceil(columns) * height, columns * width);
        let mut sheet = Array3::from_elem(size, self.range[0]);
        for (i, image) in images.axis_iter(Axis(0)).enumerate() {
            let (y, x) = (i / columns * height, i % columns * width);
            let mut row = sheet.slice_axis_mut(Axis(1), Slice::from(y..y + height));
            row.slice_axis_mut(Axis(2), Slice::from(x..x + width)).assign(&image);
        }
        self.picture(sheet.view())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    #[test]
    fn images_follow_each_other_row_by_row_and_the_rest_is_black() {
        let spec = ImageSpec { range: [-1.0, 1.0], ..ImageSpec::new(1, 1, 2) };
        let values = [-1.0, 1.0, 0.0, 0.0, 1.0, -1.0];
        let images = Array4::from_shape_vec((3, 1, 1, 2), values.to_vec()).expect("six values");
        let sheet = spec.sheet(images.view(), 2).into_luma8();
        assert_eq!(sheet.dimensions(), (4, 2));
        assert_eq!(sheet.into_raw(), [0, 255, 128, 128, 255, 0, 0, 0]);
    }

    #[test]
    fn a_pixel_keeps_its_channels() {
        let spec = ImageSpec::new(3, 1, 1);
        let images = Array4::from_shape_fn((2, 3, 1, 1), |(n, c, ..)| ((n + c) % 2) as f32);
        let sheet = spec.sheet(images.view(), 1).into_rgb8();
        assert_eq!(sheet.dimensions(), (1, 2));
        assert_eq!(sheet.into_raw(), [0, 255, 0, 255, 0, 255]);
    }
}
