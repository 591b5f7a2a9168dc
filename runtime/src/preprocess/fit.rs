//! From a picture of any size to one of the network's.

use std::borrow::Cow;

use image::DynamicImage;
use image::imageops::FilterType;

use super::{ImageSpec, Resize};
use crate::Error;
use crate::images::MAX_IMAGE_BYTES;

impl ImageSpec {
    /// An image at the network's size: of bytes where it has the network's channels in them, or else of 16 bits.
    pub(super) fn fitted<'a>(
        &self,
        name: &str,
        image: &'a DynamicImage,
    ) -> Result<Cow<'a, DynamicImage>, Error> {
        // Before it is scaled: what is transparent has a colour, which must not mix with that of its neighbours.
        let opaque = match image.color().has_alpha() {
            true => Cow::Owned(over_black(image)),
            false => Cow::Borrowed(image),
        };
        let (width, height) = (self.width as u32, self.height as u32);
        let fitted = match self.resize {
            _ if (image.width(), image.height()) == (width, height) => opaque,
            Resize::Refuse => {
                return Err(self.wrong_size(name, image.width() as usize, image.height() as usize));
            }
            Resize::Stretch => Cow::Owned(opaque.resize_exact(width, height, FilterType::Triangle)),
            Resize::Crop => {
                self.check_cover(name, &opaque)?;
                Cow::Owned(opaque.resize_to_fill(width, height, FilterType::Triangle))
            }
        };
        Ok(match (&*fitted, self.channels) {
            (DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_), 1)
            | (DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgb16(_), 3) => fitted,
            (_, 1) => Cow::Owned(fitted.to_luma16().into()),
            (_, _) => Cow::Owned(fitted.to_rgb16().into()),
        })
    }

    /// Refuses a picture so long and narrow that it would be enormous where it covers the network's size.
    fn check_cover(&self, name: &str, image: &DynamicImage) -> Result<(), Error> {
        let [wide, high] = [image.width(), image.height()].map(f64::from);
        let scale = (self.width as f64 / wide).max(self.height as f64 / high);
        let (covering_wide, covering_high) = (wide * scale, high * scale);
        let bytes = covering_wide * covering_high * f64::from(image.color().bytes_per_pixel());
        if bytes > MAX_IMAGE_BYTES as f64 {
            let reason = format!(
                "to be cropped, its {wide}x{high} pixels would first be scaled to \
                 {covering_wide:.0}x{covering_high:.0} (hint: --resize stretch)"
            );
            return Err(Error::Image { name: name.to_owned(), reason });
        }
        Ok(())
    }
}

fn over_black(image: &DynamicImage) -> DynamicImage {
    let mut rgba = image.to_rgba16();
    for pixel in rgba.pixels_mut() {
        let [r, g, b, alpha] = pixel.0.map(u32::from);
        let over = |v: u32| ((v * alpha + 32_767) / 65_535) as u16;
        pixel.0 = [over(r), over(g), over(b), u16::MAX];
    }
    let opaque = DynamicImage::from(rgba);
    if image.color().has_color() { opaque.to_rgb16().into() } else { opaque.to_luma16().into() }
}
