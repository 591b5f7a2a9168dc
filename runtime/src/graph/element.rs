use std::fmt;

use serde::Serialize;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "a number's format and its width are the whole meaning")]
pub enum Element {
    F64,
    F32,
    F16,
    /// The upper half of an [`Element::F32`].
    Bf16,
    I64,
    I32,
    I16,
    U16,
    I8,
    U8,
    Bool,
}

/// Every type with ONNX's code of it, its size in bytes and its name.
const ELEMENTS: [(Element, i32, usize, &str); 11] = [
    (Element::F64, 11, 8, "f64"),
    (Element::F32, 1, 4, "f32"),
    (Element::F16, 10, 2, "f16"),
    (Element::Bf16, 16, 2, "bf16"),
    (Element::I64, 7, 8, "i64"),
    (Element::I32, 6, 4, "i32"),
    (Element::I16, 5, 2, "i16"),
    (Element::U16, 4, 2, "u16"),
    (Element::I8, 3, 1, "i8"),
    (Element::U8, 2, 1, "u8"),
    (Element::Bool, 9, 1, "bool"),
];

impl Element {
    /// The type behind ONNX's code.
    ///
    /// # Errors
    ///
    /// What a tensor has, for a code of no type that is supported.
    pub fn of(code: impl TryInto<i32>) -> Result<Self, String> {
        let code = code.try_into().unwrap_or(0);
        let known = ELEMENTS.iter().find(|(_, known, ..)| *known == code);
        let unsupported = || format!("has the unsupported element type {code}");
        known.map(|(element, ..)| *element).ok_or_else(unsupported)
    }

    /// ONNX's code of the type.
    pub fn code(self) -> i32 {
        ELEMENTS[self as usize].1
    }

    /// The size of one element in bytes.
    pub fn bytes(self) -> usize {
        ELEMENTS[self as usize].2
    }

    /// Whether elements are floating-point numbers.
    pub fn is_floating(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ELEMENTS[*self as usize].3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_types() {
        for (place, (element, code, ..)) in ELEMENTS.into_iter().enumerate() {
            assert_eq!(element as usize, place);
            assert_eq!((Element::of(code), element.code()), (Ok(element), code));
        }
        assert!(Element::of(8).is_err() && Element::of(i64::MAX).is_err(), "no text, no nonsense");
    }
}
