//! An array as its file holds it.

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::Element;
use super::header::Header;
use crate::Error;

/// An array whose declared size was held against the file: a header of a few bytes may declare more than any memory holds.
pub(super) struct Stored<'a> {
    name: &'a str,
    header: Header,
    elements: &'a [u8],
}

impl<'a> Stored<'a> {
    pub(super) fn open(name: &'a str, file: &'a [u8]) -> Result<Self, Error> {
        let (header, elements) = Header::read(file).map_err(|reason| unusable(name, reason))?;
        let stored = Self { name, header, elements };
        let size = stored.header.size().ok_or_else(|| stored.unsupported())?;
        let (shape, present) = (&stored.header.shape, elements.len());
        match stored.header.declared() {
            None => Err(unusable(name, format!("its header declares the shape {shape:?}"))),
            Some(declared) if declared != present => Err(unusable(
                name,
                format!(
                    "its header declares {shape:?} elements of {size} bytes, and {present} bytes follow"
                ),
            )),
            Some(_) => Ok(stored),
        }
    }

    /// Kind and size in bytes of its elements, as `f4`.
    pub(super) fn kind(&self) -> &str {
        &self.header.kind
    }

    /// The array, of the type that its [kind](Self::kind) names.
    pub(super) fn array<A: Element>(&self) -> ArrayD<A> {
        let mut elements: Vec<A> = bytemuck::pod_collect_to_vec(self.elements);
        if self.header.swapped {
            let bytes = bytemuck::cast_slice_mut::<A, u8>(&mut elements);
            bytes.chunks_exact_mut(size_of::<A>()).for_each(<[u8]>::reverse);
        }
        let shape = IxDyn(&self.header.shape).set_f(self.header.fortran);
        ArrayD::from_shape_vec(shape, elements).expect("the shape was held against the elements")
    }

    /// What a reader says that takes other elements.
    pub(super) fn unsupported(&self) -> Error {
        let kind: String = self.kind().escape_debug().take(16).collect();
        unusable(self.name, format!("elements of type `{kind}` are not supported here"))
    }
}

fn unusable(name: &str, reason: String) -> Error {
    Error::Npy { name: name.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::MAGIC;

    /// An array `[2]` of elements that lie with their most significant byte first.
    fn read<A: Element>(bytes: &[u8]) -> Vec<A> {
        let dictionary =
            format!("{{'descr': '>{}', 'fortran_order': False, 'shape': (2,)}}", A::KIND);
        let length = [1, 0, dictionary.len() as u8, 0];
        let file = [MAGIC, &length, dictionary.as_bytes(), bytes].concat();
        let stored = Stored::open("x.npy", &file).expect("two elements");
        stored.array().into_raw_vec_and_offset().0
    }

    #[test]
    fn the_order_of_bytes_is_that_of_the_file() {
        assert_eq!(read::<u8>(&[1, 2]), [1, 2]);
        assert_eq!(read::<i8>(&[1, 255]), [1, -1]);
        assert_eq!(read::<u16>(&[1, 2, 0, 1]), [258, 1]);
        assert_eq!(read::<i16>(&[255, 254, 0, 1]), [-2, 1]);
        let pair = |a: &[u8], b: &[u8]| [a, b].concat();
        assert_eq!(read::<u32>(&pair(&7_u32.to_be_bytes(), &[0; 4])), [7, 0]);
        assert_eq!(read::<i32>(&pair(&(-7_i32).to_be_bytes(), &[0; 4])), [-7, 0]);
        assert_eq!(read::<i64>(&pair(&(-7_i64).to_be_bytes(), &[0; 8])), [-7, 0]);
        assert_eq!(read::<f32>(&pair(&1.5_f32.to_be_bytes(), &[0; 4])), [1.5, 0.0]);
        assert_eq!(read::<f64>(&pair(&(-0.1_f64).to_be_bytes(), &[0; 8])), [-0.1, 0.0]);
    }
}
