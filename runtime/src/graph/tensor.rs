//! What a stored tensor must be: whole, inside the file, and made of finite numbers.

use super::proto::TensorProto;

/// ONNX's codes of the element types that may be stored in a graph, with their size in bytes.
const FLOAT: i32 = 1;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;
const BFLOAT16: i32 = 16;
const SIZES: [(i32, usize); 11] = [
    (FLOAT, 4),
    (2, 1), // uint8
    (3, 1), // int8
    (4, 2), // uint16
    (5, 2), // int16
    (6, 4), // int32
    (7, 8), // int64
    (9, 1), // bool
    (FLOAT16, 2),
    (DOUBLE, 8),
    (BFLOAT16, 2),
];

/// Checks a tensor and gives the number of its floating-point elements, 0 for other types.
pub(super) fn check(tensor: &TensorProto) -> Result<u64, String> {
    let wrong = |reason: &str| Err(format!("tensor `{}` {reason}", tensor.name));
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return wrong("lies in another file, and a bundle's graphs hold their own weights");
    }
    let Some(&(_, size)) = SIZES.iter().find(|(code, _)| *code == tensor.data_type) else {
        return wrong(&format!("has the unsupported element type {}", tensor.data_type));
    };
    let elements = tensor
        .dims
        .iter()
        .try_fold(1_usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
        .filter(|n| n.checked_mul(size).is_some());
    let Some(elements) = elements else {
        return wrong(&format!("has the impossible shape {:?}", tensor.dims));
    };
    let stored = match tensor.data_type {
        _ if !tensor.raw_data.is_empty() => tensor.raw_data.len() / size,
        FLOAT => tensor.float_data.len(),
        DOUBLE => tensor.double_data.len(),
        7 => tensor.int64_data.len(),
        _ => tensor.int32_data.len(),
    };
    if stored != elements || !tensor.raw_data.len().is_multiple_of(size) {
        return wrong(&format!(
            "has the shape {:?} and holds {stored} elements of {size} bytes",
            tensor.dims
        ));
    }
    if !is_finite(tensor) {
        return wrong("holds a weight that is not finite");
    }
    let floating = matches!(tensor.data_type, FLOAT | FLOAT16 | DOUBLE | BFLOAT16);
    Ok(if floating { elements as u64 } else { 0 })
}

fn is_finite(tensor: &TensorProto) -> bool {
    let raw = &tensor.raw_data;
    // Of both 16-bit formats, the numbers that are not finite have every bit of the exponent set.
    let exponent = if tensor.data_type == FLOAT16 { 0x7c00 } else { 0x7f80 };
    let half = |bits: u16| bits & exponent != exponent;
    match tensor.data_type {
        FLOAT => {
            let (values, _) = raw.as_chunks::<4>();
            tensor.float_data.iter().all(|v| v.is_finite())
                && values.iter().all(|&b| f32::from_le_bytes(b).is_finite())
        }
        DOUBLE => {
            let (values, _) = raw.as_chunks::<8>();
            tensor.double_data.iter().all(|v| v.is_finite())
                && values.iter().all(|&b| f64::from_le_bytes(b).is_finite())
        }
        FLOAT16 | BFLOAT16 => {
            let (values, _) = raw.as_chunks::<2>();
            tensor.int32_data.iter().all(|&v| half(v as u16))
                && values.iter().all(|&b| half(u16::from_le_bytes(b)))
        }
        _ => true,
    }
}
