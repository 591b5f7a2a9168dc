//! Elementwise functions of one number.

use pulp::{Simd, WithSimd, bytemuck};

use super::rounding::Rounding;

/// What is applied to a layer's sums before they are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Activation {
    Identity,
    Relu,
    LeakyRelu(f32),
    Clip(f32, f32),
    Sigmoid,
    Silu,
    Tanh,
    Round(Rounding),
}

impl Activation {
    /// What several functions, one after the other, make of vectors.
    ///
    /// Those that most layers have take less time than a call, and are compiled into every kernel, as one: the larger one of
    /// a number and of so many times that, or of zero.
    #[inline(always)]
    pub(super) fn each<S: Simd>(activations: &[Self], simd: S, values: &mut [S::f32s]) {
        let (slope, kept) = match *activations {
            [] => return,
            [Self::Relu] => (0.0, 0),
            [Self::LeakyRelu(slope)] if slope > 0.0 && slope <= 1.0 => (slope, u32::MAX),
            _ => {
                let values = bytemuck::cast_slice_mut(values);
                return simd.vectorize(Activate { activations, values });
            }
        };
        let [slope, kept] = [slope, f32::from_bits(kept)].map(|number| simd.splat_f32s(number));
        for value in values {
            let sloped = simd.and_f32s(simd.mul_f32s(*value, slope), kept);
            // What is no number stays none: x86 gives the second one then, and NEON none; portable code the other.
            *value = match S::IS_SCALAR {
                true => simd.select_f32s(simd.less_than_f32s(*value, sloped), sloped, *value),
                false => simd.max_f32s(sloped, *value),
            };
        }
    }

    /// The function of every number in a vector. A number that is none stays none.
    #[inline(always)]
    pub(super) fn of<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        match self {
            Self::Identity => x,
            Self::Relu => simd.select_f32s(simd.less_than_f32s(x, zero), zero, x),
            Self::LeakyRelu(slope) => {
                let sloped = simd.mul_f32s(x, simd.splat_f32s(slope));
                simd.select_f32s(simd.less_than_f32s(x, zero), sloped, x)
            }
            Self::Clip(low, high) => {
                let [low, high] = [low, high].map(|bound| simd.splat_f32s(bound));
                let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
                simd.select_f32s(simd.less_than_f32s(high, x), high, x)
            }
            Self::Sigmoid => sigmoid(simd, x),
            Self::Silu => simd.mul_f32s(x, sigmoid(simd, x)),
            Self::Round(rounding) => rounding.of(simd, x),
            Self::Tanh => tanh(simd, x),
        }
    }
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let minus_x = simd.sub_f32s(simd.splat_f32s(0.0), x);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, minus_x)))
}

/// The hyperbolic tangent to about 4 units in the last place: by the exponential function, and near 0, where that loses
/// what is small beside 1, `x` times a polynomial of `x^2` with the coefficients of Cephes' `tanhf`.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const NEAR: f32 = 0.625;
    const COEFFICIENTS: [f32; 6] =
        [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1, 1.0];
    let near = simd.mul_f32s(x, polynomial(simd, simd.mul_f32s(x, x), &COEFFICIENTS));
    let two = simd.splat_f32s(2.0);
    let half = sigmoid(simd, simd.mul_f32s(two, x));
    let far = simd.sub_f32s(simd.mul_f32s(two, half), simd.splat_f32s(1.0));
    simd.select_f32s(simd.less_than_f32s(simd.abs_f32s(x), simd.splat_f32s(NEAR)), near, far)
}

/// A polynomial, from its highest coefficient to that without `x`.
#[inline(always)]
fn polynomial<S: Simd>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut y = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        y = simd.mul_add_e_f32s(y, x, simd.splat_f32s(*coefficient));
    }
    y
}

/// The exponential function to about 2 units in the last place, where neither it nor its inverse
/// overflows; outside, its value at the end of that range.
///
/// `exp(x) = 2^n exp(r)` with `r` in half an interval of `ln 2` around 0, and a polynomial of `r`: the
/// coefficients of Cephes' `expf`.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Added to a small number, it leaves the nearest integer in the mantissa's last bits.
    const ROUNDER: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const COEFFICIENTS: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let [low, high, rounder] = [-87.3, 88.3, ROUNDER].map(|v| simd.splat_f32s(v));
    let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    let x = simd.select_f32s(simd.less_than_f32s(high, x), high, x);
    let log2_e = simd.splat_f32s(std::f32::consts::LOG2_E);
    let shifted = simd.mul_add_e_f32s(x, log2_e, rounder);
    let n = simd.sub_f32s(shifted, rounder);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[0]), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[1]), r);
    let y = polynomial(simd, r, &COEFFICIENTS);
    let y = simd.mul_add_e_f32s(y, simd.mul_f32s(r, r), r);
    let y = simd.add_f32s(y, simd.splat_f32s(1.0));
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(y), exponent))
}

/// Functions applied to numbers where they lie, one after the other.
pub(in super::super) struct Activate<'a> {
    pub(in super::super) activations: &'a [Activation],
    pub(in super::super) values: &'a mut [f32],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for &activation in self.activations {
            let (vectors, rest) = S::as_mut_simd_f32s(self.values);
            for vector in vectors {
                *vector = activation.of(simd, *vector);
            }
            if !rest.is_empty() {
                let last = activation.of(simd, simd.partial_load_f32s(rest));
                simd.partial_store_f32s(rest, last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_of_double_precision() {
        let x: Vec<f32> = (-9_000..9_000).map(|i| i as f32 * 0.01).collect();
        type Exact = fn(f64) -> f64;
        let exact: [(Activation, Exact); 6] = [
            (Activation::Relu, |x| x.max(0.0)),
            (Activation::LeakyRelu(0.125), |x| if x < 0.0 { 0.125 * x } else { x }),
            (Activation::Clip(-1.5, 6.0), |x| x.clamp(-1.5, 6.0)),
            (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
            (Activation::Silu, |x| x / (1.0 + (-x).exp())),
            (Activation::Tanh, f64::tanh),
        ];
        for arch in super::super::instruction_sets() {
            for (activation, exact) in exact {
                let mut y = x.clone();
                arch.dispatch(Activate { activations: &[activation], values: &mut y });
                for (x, y) in x.iter().zip(&y) {
                    let expected = exact(f64::from(*x));
                    let error = (f64::from(*y) - expected).abs();
                    assert!(
                        error <= 2.5e-7 * expected.abs().max(1.0),
                        "{activation:?} of {x}: {y}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_hyperbolic_tangent_is_as_exact_near_zero() {
        let magnitudes = (-3_000..=131).map(|i| 10_f32.powf(i as f32 * 0.01));
        let around: Vec<f32> = (0..2_000).map(|i| 0.5 + i as f32 * 1.25e-4).collect();
        let x: Vec<f32> = magnitudes.chain(around).flat_map(|x| [x, -x]).collect();
        for arch in super::super::instruction_sets() {
            let mut y = x.clone();
            arch.dispatch(Activate { activations: &[Activation::Tanh], values: &mut y });
            for (x, y) in x.iter().zip(&y) {
                let expected = f64::from(*x).tanh();
                let error = (f64::from(*y) - expected).abs() / expected.abs();
                assert!(error < 4e-7, "{arch:?}: {y} of {x}, off by {error:.1e}");
            }
        }
    }

    struct Each<'a>(&'a [Activation], &'a mut [f32]);

    impl WithSimd for Each<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            Activation::each(self.0, simd, S::as_mut_simd_f32s(self.1).0);
        }
    }

    #[test]
    fn kernels_apply_the_same_functions() {
        let x = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.5,
            -1e-45,
            -0.0,
            0.0,
            1e-45,
            2.5,
            f32::MAX,
            f32::INFINITY,
        ];
        let x: Vec<f32> = x.into_iter().chain([f32::NAN, -f32::NAN]).cycle().take(48).collect();
        let slopes = [-0.5, 0.0, 0.01, 1.0, 1.5].map(|slope| vec![Activation::LeakyRelu(slope)]);
        let others = [vec![], vec![Activation::Relu], vec![Activation::Relu, Activation::Tanh]];
        for activations in slopes.into_iter().chain(others) {
            for arch in super::super::instruction_sets() {
                let [mut in_kernels, mut called] = [x.clone(), x.clone()];
                arch.dispatch(Each(&activations, &mut in_kernels));
                arch.dispatch(Activate { activations: &activations, values: &mut called });
                for (a, b) in in_kernels.iter().zip(&called) {
                    assert!(
                        a == b || a.is_nan() && b.is_nan(),
                        "{arch:?} {activations:?}: {a}, {b}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for activation in [Activation::Relu, Activation::Clip(0.0, 1.0), Activation::Sigmoid] {
            for arch in super::super::instruction_sets() {
                let mut values = [f32::NAN; 3];
                arch.dispatch(Activate { activations: &[activation], values: &mut values });
                assert!(values.iter().all(|v| v.is_nan()), "{activation:?} gives {values:?}");
            }
        }
    }
}
