//! Whether numbers are finite.

/// Whether all of them are. It looks at every one, so that it can look at several at once.
pub(crate) fn all_finite(values: impl Iterator<Item = f32>) -> bool {
    // One that is not has all bits of its exponent, which the last of them carries into the sign's.
    const EXPONENT: u32 = 0x7f80_0000;
    const LAST: u32 = 0x0080_0000;
    let carry = |value: f32| (value.to_bits() & EXPONENT) + LAST;
    values.fold(0, |all, value| all | carry(value)) >> 31 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_and_what_is_no_number_are_found_anywhere() {
        let finite = [0.0, -0.0, 1.0, f32::MIN, f32::MAX, f32::MIN_POSITIVE, -1e-45];
        let values: Vec<f32> = finite.into_iter().cycle().take(100).collect();
        assert!(all_finite(values.iter().copied()));
        for wrong in
            [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)]
        {
            for place in [0, 50, 99] {
                let mut values = values.clone();
                values[place] = wrong;
                assert!(!all_finite(values.into_iter()), "{wrong} at {place}");
            }
        }
    }
}
