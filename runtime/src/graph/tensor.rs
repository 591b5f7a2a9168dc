//! What a stored tensor must be: whole, inside the file, and made of finite numbers.

use half::f16;

use super::element::Element;
use super::proto::TensorProto;
use crate::finite::all_finite;

/// Checks a tensor.
pub(super) fn check(tensor: &TensorProto) -> Result<(), String> {
    let wrong = |reason: &str| Err(format!("tensor `{}` {reason}", tensor.name));
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return wrong("lies in another file, and a bundle's graphs hold their own weights");
    }
    let element = match Element::of(tensor.data_type) {
        Ok(element) => element,
        Err(reason) => return wrong(&reason),
    };
    let size = element.bytes();
    let elements = tensor
        .dims
        .iter()
        .try_fold(1_usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
        .filter(|n| n.checked_mul(size).is_some());
    let Some(elements) = elements else {
        return wrong(&format!("has the impossible shape {:?}", tensor.dims));
    };
    let stored = match element {
        _ if !tensor.raw_data.is_empty() => tensor.raw_data.len() / size,
        Element::F32 => tensor.float_data.len(),
        Element::F64 => tensor.double_data.len(),
        Element::I64 => tensor.int64_data.len(),
        _ => tensor.int32_data.len(),
    };
    if stored != elements || !tensor.raw_data.len().is_multiple_of(size) {
        return wrong(&format!(
            "has the shape {:?} and holds {stored} elements of {size} bytes",
            tensor.dims
        ));
    }
    if is_finite(tensor, element) { Ok(()) } else { wrong("holds a weight that is not finite") }
}

fn is_finite(tensor: &TensorProto, element: Element) -> bool {
    let raw = &tensor.raw_data;
    // Of both 16-bit formats, the numbers that are not finite have every bit of the exponent set.
    let exponent = if element == Element::F16 { 0x7c00 } else { 0x7f80 };
    let half = |bits: u16| bits & exponent != exponent;
    match element {
        Element::F32 => {
            let (values, _) = raw.as_chunks::<4>();
            all_finite(tensor.float_data.iter().copied())
                && all_finite(values.iter().map(|&bytes| f32::from_le_bytes(bytes)))
        }
        Element::F64 => {
            let (values, _) = raw.as_chunks::<8>();
            tensor.double_data.iter().all(|v| v.is_finite())
                && values.iter().all(|&b| f64::from_le_bytes(b).is_finite())
        }
        Element::F16 | Element::Bf16 => {
            let (values, _) = raw.as_chunks::<2>();
            tensor.int32_data.iter().all(|&v| half(v as u16))
                && values.iter().all(|&b| half(u16::from_le_bytes(b)))
        }
        _ => true,
    }
}

/// Whether one of a tensor's elements is the integer 0.
pub(super) fn holds_integer_zero(tensor: &TensorProto) -> bool {
    let Ok(element) = Element::of(tensor.data_type) else { return false };
    let integer = !element.is_floating() && element != Element::Bool;
    let mut raw = tensor.raw_data.chunks(element.bytes());
    integer
        && (raw.any(|bytes| bytes.iter().all(|&byte| byte == 0))
            || tensor.int32_data.contains(&0)
            || tensor.int64_data.contains(&0))
}

/// The numbers of a tensor of `i64`.
pub(super) fn integers(tensor: &TensorProto) -> Vec<i64> {
    let (values, _) = tensor.raw_data.as_chunks::<8>();
    tensor.int64_data.iter().copied().chain(values.iter().map(|&b| i64::from_le_bytes(b))).collect()
}

impl TensorProto {
    /// The numbers of a tensor of `f32` or `f16`, or of integers of up to 32 bits, rounded to `f32`.
    pub(crate) fn floats(&self) -> Vec<f32> {
        let raw = &self.raw_data;
        let stored = self.int32_data.iter();
        match Element::of(self.data_type) {
            Ok(Element::F16) => {
                let raw = raw.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes));
                let stored = stored.map(|&bits| f16::from_bits(bits as u16));
                stored.chain(raw).map(f32::from).collect()
            }
            Ok(Element::I8) => stored
                .copied()
                .chain(raw.iter().map(|&b| i32::from(b as i8)))
                .map(|v| v as f32)
                .collect(),
            Ok(Element::U8) => {
                stored.copied().chain(raw.iter().map(|&b| i32::from(b))).map(|v| v as f32).collect()
            }
            Ok(Element::I32) => {
                let raw = raw.as_chunks::<4>().0.iter().map(|&bytes| i32::from_le_bytes(bytes));
                stored.copied().chain(raw).map(|v| v as f32).collect()
            }
            _ => {
                let raw = raw.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
                self.float_data.iter().copied().chain(raw).collect()
            }
        }
    }
}
