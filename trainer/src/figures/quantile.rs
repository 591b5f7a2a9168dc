//! The inverse of the standard normal distribution function.

/// Coefficients of numerator and denominator near the middle of the distribution, highest power first.
const MIDDLE: [[f64; 8]; 2] = [
    [
        2.509_080_928_730_122_7e3,
        3.343_057_558_358_813e4,
        6.726_577_092_700_87e4,
        4.592_195_393_154_987e4,
        1.373_169_376_550_946e4,
        1.971_590_950_306_551_3e3,
        1.331_416_678_917_843_8e2,
        3.387_132_872_796_366_5,
    ],
    [
        5.226_495_278_852_854e3,
        2.872_908_573_572_194_3e4,
        3.930_789_580_009_271e4,
        2.121_379_430_158_659_7e4,
        5.394_196_021_424_751e3,
        6.871_870_074_920_579e2,
        4.231_333_070_160_091e1,
        1.0,
    ],
];

/// The same for the tails.
const TAILS: [[f64; 8]; 2] = [
    [
        7.745_450_142_783_414e-4,
        2.272_384_498_926_918_4e-2,
        2.417_807_251_774_506e-1,
        1.270_458_252_452_368_4,
        3.647_848_324_763_204_5,
        5.769_497_221_460_691,
        4.630_337_846_156_546,
        1.423_437_110_749_683_5,
    ],
    [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        1.519_866_656_361_645_7e-2,
        1.481_039_764_274_800_8e-1,
        6.897_673_349_851e-1,
        1.676_384_830_183_803_8,
        2.053_191_626_637_759,
        1.0,
    ],
];

/// The value below which a standard normal draw falls with probability `p`, from 1e-10 to 1 - 1e-10:
/// PPND16 of Wichura, Algorithm AS 241, Applied Statistics 37 (1988).
pub(super) fn standard_normal(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        q * ratio(&MIDDLE, 0.180_625 - q * q)
    } else {
        let r = (-p.min(1.0 - p).ln()).sqrt();
        q.signum() * ratio(&TAILS, r - 1.6)
    }
}

/// The ratio of two polynomials.
fn ratio(coefficients: &[[f64; 8]; 2], x: f64) -> f64 {
    let [numerator, denominator] = coefficients.map(|c| c.iter().fold(0.0, |sum, c| sum * x + c));
    numerator / denominator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let known = [
            (0.5, 0.0),
            (0.6, 0.253_347_103_135_799_8),
            (0.75, 0.674_489_750_196_081_7),
            (0.9, 1.281_551_565_544_600_4),
            (0.95, 1.644_853_626_951_472_2),
            (0.975, 1.959_963_984_540_054),
            (0.999, 3.090_232_306_167_813),
            (1e-8, -5.612_001_244_174_79),
        ];
        for (p, z) in known {
            assert!((standard_normal(p) - z).abs() < 1e-12, "{p}: {}", standard_normal(p));
            assert!((standard_normal(1.0 - p) + z).abs() < 1e-7, "1 - {p}");
        }
    }
}
