//! A scale of colours from black over purple, red and orange to bright yellow, which keeps its order
//! in grey and for colour-blind eyes.
//!
//! It is a line in OKLCh, the polar form of OKLab (Ottosson, "A perceptual color space for image
//! processing", 2020): lightness and hue grow linearly with the value, and chroma is the most that
//! sRGB has room for along the line.

use std::f64::consts::TAU;

/// The number of colours.
pub(super) const STEPS: usize = 256;

/// Lightness at either end: a black that is not lost on a screen, and a yellow short of white.
const LIGHTNESS: [f64; 2] = [0.1, 0.97];
/// Hue at either end in degrees: blue, and yellow a turn further over purple and red.
const HUE: [f64; 2] = [280.0, 470.0];
/// Chroma over lightness, where the colours are dark.
const CHROMA_OVER_LIGHTNESS: f64 = 0.4;
/// Chroma where they are not.
const CHROMA: f64 = 0.15;

/// The colours from the lowest value to the highest, as 8-bit sRGB.
pub(super) fn palette() -> [[u8; 3]; STEPS] {
    std::array::from_fn(|step| {
        linear_srgb(place(step)).map(|v| (255.0 * companded(v)).round() as u8)
    })
}

/// The place in OKLab of a step of the scale.
fn place(step: usize) -> [f64; 3] {
    let share = step as f64 / (STEPS - 1) as f64;
    let between = |[low, high]: [f64; 2]| low + (high - low) * share;
    let (lightness, angle) = (between(LIGHTNESS), between(HUE) / 360.0 * TAU);
    let chroma = (CHROMA_OVER_LIGHTNESS * lightness).min(CHROMA);
    [lightness, chroma * libm::cos(angle), chroma * libm::sin(angle)]
}

/// From OKLab to linear sRGB, by the matrices of Ottosson.
fn linear_srgb([l, a, b]: [f64; 3]) -> [f64; 3] {
    let cones = [
        l + 0.396_337_777_4 * a + 0.215_803_757_3 * b,
        l - 0.105_561_345_8 * a - 0.063_854_172_8 * b,
        l - 0.089_484_177_5 * a - 1.291_485_548_0 * b,
    ];
    let [l, m, s] = cones.map(|v| v * v * v);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ]
}

/// The transfer function of sRGB (IEC 61966-2-1).
fn companded(intensity: f64) -> f64 {
    if intensity <= 0.003_130_8 {
        12.92 * intensity
    } else {
        1.055 * libm::pow(intensity, 1.0 / 2.4) - 0.055
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Luminance of sRGB, the weights of Rec. 709.
    const LUMINANCE: [f64; 3] = [0.2126, 0.7152, 0.0722];

    /// What is seen of linear RGB without one of the cones: Machado, Oliveira and Fernandes (IEEE
    /// Transactions on Visualization and Computer Graphics 15, 2009), severity 1.
    const BLINDNESS: [(&str, [[f64; 3]; 3]); 4] = [
        ("none", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
        ),
        (
            "deuteranopia",
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
        ),
        (
            "tritanopia",
            [
                [1.255528, -0.076749, -0.178779],
                [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ],
        ),
    ];

    fn linear(byte: u8) -> f64 {
        let value = f64::from(byte) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    }

    #[test]
    fn a_higher_value_is_lighter_to_every_eye() {
        for (name, seen) in BLINDNESS {
            let luminance = palette().map(|colour| {
                let rgb = colour.map(linear);
                let dot = |row: [f64; 3]| -> f64 { row.iter().zip(rgb).map(|(w, v)| w * v).sum() };
                seen.map(dot).iter().zip(LUMINANCE).map(|(v, w)| v.clamp(0.0, 1.0) * w).sum::<f64>()
            });
            // Steps of a byte are coarser than those of the scale: every fourth must be lighter.
            let falls = luminance.iter().zip(&luminance[4..]).filter(|(low, high)| low >= high);
            assert_eq!(falls.count(), 0, "{name}");
        }
    }

    #[test]
    fn lightness_is_even_from_black_to_yellow() {
        let colours = palette();
        assert!(colours[0].iter().all(|&v| v <= 16), "{:?}", colours[0]);
        let [r, g, b] = colours[STEPS - 1];
        assert!(r > 240 && g > 240 && b < 150, "{r} {g} {b}");
        // CIE 1976 L* over the whole scale: each quarter has a quarter, to a tenth of the whole.
        let lightness = [0, 64, 128, 191, 255].map(|i: usize| {
            let y: f64 = colours[i].iter().zip(LUMINANCE).map(|(&v, w)| linear(v) * w).sum();
            if y <= 0.008856 { 903.3 * y } else { 116.0 * y.cbrt() - 16.0 }
        });
        let whole = lightness[4] - lightness[0];
        for pair in lightness.windows(2) {
            let share = (pair[1] - pair[0]) / whole;
            assert!((share - 0.25).abs() < 0.1, "{lightness:?}");
        }
    }

    #[test]
    fn no_colour_is_cut_off_by_the_range() {
        for step in 0..STEPS {
            let rgb = linear_srgb(place(step));
            assert!(rgb.iter().all(|v| (0.0..=1.0).contains(v)), "{step}: {rgb:?}");
        }
    }
}
