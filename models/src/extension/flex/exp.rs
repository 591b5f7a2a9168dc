use std::f32::consts::LOG2_E;

/// 1 / (1 + e^-x), and e^-|x|, which it is made of.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> (f32, f32) {
    let small = exp(-x.abs());
    (if x >= 0.0 { 1.0 } else { small } / (1.0 + small), small)
}

/// e^x of a number that is not positive, within 1e-7 of it, in steps that a processor takes on many at once: a
/// power of two times the polynomial of Cephes (Moshier) for the rest. Below -87 it stays where it is, above 0.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    /// A number's last bits are an integer's once this is added.
    const ROUND: f32 = 12_582_912.0;

    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = x - power * LN_2[0] - power * LN_2[1];
    let sum = POLYNOMIAL.iter().fold(0.0, |sum, factor| sum * rest + factor);
    let sum = sum * rest * rest + rest + 1.0;
    sum * f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}
