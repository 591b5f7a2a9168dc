//! Every operator, and chains of them, with the answers that tract gives.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::answers::agree;
use super::chain::{Chain, Form, Layer};

fn pair(low: i64, high: i64) -> impl Strategy<Value = [i64; 2]> {
    proptest::array::uniform2(low..=high)
}

/// Numbers of channels around the sizes of vectors.
fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![proptest::sample::select(vec![1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33]), 1..=40_usize]
}

/// Sides of images: small ones, and rows of several vectors.
pub(super) fn image() -> impl Strategy<Value = Vec<i64>> {
    let side = || prop_oneof![3 => 1..=14_i64, 1 => 15..=70_i64];
    (channels(), side(), side()).prop_map(|(c, h, w)| vec![c as i64, h, w])
}

pub(super) fn conv() -> impl Strategy<Value = Layer> {
    let pads = proptest::array::uniform4(0..=3_i64);
    (channels(), pair(1, 5), pair(1, 3), 1..=2_i64, pads).prop_map(
        |(outputs, kernel, strides, dilation, pads)| Layer::Conv {
            outputs,
            kernel,
            strides,
            dilation,
            pads,
        },
    )
}

pub(super) fn deconv() -> impl Strategy<Value = Layer> {
    (channels(), pair(1, 5), pair(1, 3), pair(0, 2), 0..=1_i64).prop_map(
        |(outputs, kernel, strides, pads, added)| Layer::Deconv {
            outputs,
            kernel,
            strides,
            pads,
            added,
        },
    )
}

pub(super) fn dense() -> impl Strategy<Value = Layer> {
    (channels(), 0..=6_u8).prop_map(|(outputs, form)| Layer::Dense { outputs, form })
}

fn pool() -> impl Strategy<Value = Layer> {
    let pool = (any::<bool>(), pair(1, 4), pair(1, 3), 0..=1_i64);
    let pool =
        pool.prop_map(|(max, kernel, strides, pad)| Layer::Pool { max, kernel, strides, pad });
    prop_oneof![5 => pool, 1 => Just(Layer::GlobalPool)]
}

pub(super) fn moved() -> impl Strategy<Value = Layer> {
    let order = Just(vec![1_i64, 2, 3]).prop_shuffle().prop_map(Layer::Transpose);
    let cut = proptest::array::uniform4(0..=2_i64).prop_map(Layer::Crop);
    let pads = proptest::array::uniform6(0..=2_i64).prop_map(Layer::Pad);
    let around = proptest::array::uniform4(0..=2_i64);
    let around = around.prop_map(|p| Layer::Pad([0, p[0], p[1], 0, p[2], p[3]]));
    let flat = any::<bool>().prop_map(|flatten| Layer::Vector { flatten });
    prop_oneof![
        order,
        cut,
        pads,
        around,
        flat,
        pair(1, 3).prop_map(Layer::Resize),
        Just(Layer::Image),
        Just(Layer::DepthToSpace),
        Just(Layer::Split),
    ]
}

pub(super) fn elementwise() -> impl Strategy<Value = Layer> {
    prop_oneof![
        4 => (0..=8_u8).prop_map(Layer::Activation),
        1 => Just(Layer::Norm),
        1 => (0..15_u8).prop_map(Layer::Constant),
        1 => Just(Layer::Shown),
    ]
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        2 => conv(),
        2 => deconv(),
        2 => dense(),
        1 => pool(),
        3 => moved(),
        3 => elementwise(),
        2 => (0..=10_u8).prop_map(Layer::Branch),
    ]
}

/// An image, or a vector of as many channels.
fn input() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![3 => image(), 1 => (1..=200_i64).prop_map(|size| vec![size])]
}

fn form() -> impl Strategy<Value = Form> {
    proptest::sample::select(vec![Form::Single, Form::Half, Form::Eight])
}

pub(super) fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(6),
        ..ProptestConfig::with_cases(count)
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn convolutions(x in image(), layer in conv(), after in elementwise(), form in form()) {
        agree(&Chain::of(&x, form, &[layer, after]).finish(), 2)?;
    }

    #[test]
    fn transposed_convolutions(x in image(), layer in deconv(), after in elementwise(), form in form()) {
        agree(&Chain::of(&x, form, &[layer, after]).finish(), 2)?;
    }

    #[test]
    fn dense_layers(size in 1..=300_i64, layers in proptest::collection::vec(prop_oneof![dense(), elementwise()], 1..=4), form in form()) {
        agree(&Chain::of(&[size], form, &layers).finish(), 3)?;
    }

    #[test]
    fn pooling(x in image(), layer in pool(), after in elementwise()) {
        agree(&Chain::of(&x, Form::Single, &[layer, after]).finish(), 2)?;
    }

    #[test]
    fn moved_numbers(x in image(), layers in proptest::collection::vec(moved(), 1..=2), after in conv()) {
        agree(&Chain::of(&x, Form::Single, &[&layers[..], &[after]].concat()).finish(), 2)?;
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn chains_of_layers(x in input(), layers in proptest::collection::vec(layer(), 2..=4), form in form()) {
        let chain = Chain::of(&x, form, &layers);
        // Some grow by one factor after the other.
        prop_assume!(chain.largest < 100_000);
        agree(&chain.finish(), 2)?;
    }
}

#[test]
fn joined_tensors_that_others_read() {
    for x in [&[4, 6, 5][..], &[1, 3, 3], &[16, 2, 2], &[7]] {
        for kind in 0..=10 {
            for end in [
                vec![],
                vec![Layer::Activation(2)],
                vec![Layer::Branch(0)],
                vec![Layer::Image],
                vec![Layer::Shown],
            ] {
                let layers = [&[Layer::Activation(3), Layer::Branch(kind)], &end[..]].concat();
                let outcome = agree(&Chain::of(x, Form::Single, &layers).finish(), 3);
                assert!(outcome.is_ok(), "{x:?}, {layers:?}: {outcome:?}");
            }
        }
    }
}
