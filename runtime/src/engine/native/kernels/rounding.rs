//! Numbers that are rounded to integers of a scale.

use pulp::Simd;

/// The nearest multiple of a scale, to even in the middle between two, from `low` to `high` of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Rounding {
    pub(in super::super) scale: f32,
    /// The least multiple and the greatest, integers of no more than nine bits and at most 255 apart.
    pub(in super::super) low: f32,
    pub(in super::super) high: f32,
}

/// Added to a small number, it leaves the nearest integer in the mantissa's last bits.
const ROUNDER: f32 = 12_582_912.0;

impl Rounding {
    /// The nearest multiple. A number that is none stays none.
    #[inline(always)]
    pub(super) fn of<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let [inverse, low, high, rounder, scale] =
            [1.0 / self.scale, self.low, self.high, ROUNDER, self.scale]
                .map(|value| simd.splat_f32s(value));
        let x = simd.mul_f32s(x, inverse);
        let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
        let x = simd.select_f32s(simd.less_than_f32s(high, x), high, x);
        let integer = simd.sub_f32s(simd.add_f32s(x, rounder), rounder);
        simd.mul_f32s(integer, scale)
    }

    /// The integer in the middle of the range: it is no further from the others than a byte holds.
    pub(in super::super) fn middle(self) -> i32 {
        self.low as i32 + 128
    }

    /// How many times the scale the nearest multiples are. A number that is none is the least.
    #[inline(always)]
    pub(super) fn integers<T>(self, values: &[f32], integers: &mut [T], narrow: impl Fn(i32) -> T) {
        let Self { scale, low, high } = self;
        let inverse = 1.0 / scale;
        for (integer, value) in integers.iter_mut().zip(values) {
            let multiple = (value * inverse).max(low).min(high);
            let bits = (multiple + ROUNDER).to_bits();
            *integer = narrow(bits.wrapping_sub(ROUNDER.to_bits()) as i32);
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;

    struct Round<'a>(Rounding, &'a mut [f32]);

    impl WithSimd for Round<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (vectors, rest) = S::as_mut_simd_f32s(self.1);
            assert!(rest.is_empty());
            vectors.iter_mut().for_each(|vector| *vector = self.0.of(simd, *vector));
        }
    }

    #[test]
    fn numbers_are_rounded_to_even_and_kept_in_their_range() {
        let rounding = Rounding { scale: 0.5, low: -3.0, high: 252.0 };
        let cases = [
            (0.0, 0.0),
            (0.25, 0.0),
            (0.75, 1.0),
            (-0.25, 0.0),
            (-0.75, -1.0),
            (1.25, 1.0),
            (0.26, 0.5),
            (0.74, 0.5),
            (-1.5, -1.5),
            (-1.76, -1.5),
            (-1e30, -1.5),
            (126.0, 126.0),
            (126.1, 126.0),
            (1e30, 126.0),
            (f32::INFINITY, 126.0),
            (7.3, 7.5),
        ];
        for arch in super::super::instruction_sets() {
            let mut values = cases.map(|(value, _)| value);
            arch.dispatch(Round(rounding, &mut values));
            assert_eq!(values, cases.map(|(_, expected)| expected), "{arch:?}");
        }
        let mut integers = [0; 16];
        rounding.integers(&cases.map(|(value, _)| value), &mut integers, |integer| integer as i16);
        assert_eq!(integers, cases.map(|(_, expected)| (2.0 * expected) as i16));
    }

    #[test]
    fn a_rounded_number_is_its_integer_again() {
        for scale in [0.003_921_569, 0.010_076_095, 1e-30, 3e20] {
            let rounding = Rounding { scale, low: -131.0, high: 124.0 };
            let expected: Vec<i16> = (-131..=124).collect();
            let values: Vec<f32> = expected.iter().map(|&i| f32::from(i) * scale).collect();
            let mut integers = vec![0; expected.len()];
            rounding.integers(&values, &mut integers, |integer| integer as i16);
            assert_eq!(integers, expected, "{scale}");
        }
    }
}
