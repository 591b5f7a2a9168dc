//! The numbers that arrays hold.

/// A number as an element of a `.npy` file: `i8` to `i64`, `u8` to `u32`, `f32` and `f64`.
pub trait Element: Sealed {}

/// What the name of an element's type and its bytes are.
pub trait Sealed: bytemuck::Pod {
    /// Its kind and its size in bytes, as NumPy writes them: `f4`.
    const KIND: &'static str;
}

macro_rules! elements {
    ($($number:ty: $kind:literal,)*) => {
        $(
            impl Element for $number {}
            impl Sealed for $number {
                const KIND: &'static str = $kind;
            }
        )*
    };
}

elements! {
    i8: "i1",
    i16: "i2",
    i32: "i4",
    i64: "i8",
    u8: "u1",
    u16: "u2",
    u32: "u4",
    f32: "f4",
    f64: "f8",
}
