//! Graphs whose bytes were changed: an error or an answer, and no panic behind either.

use proptest::prelude::*;
use vae_infer::Engine;

use super::answers::{images, run};
use super::chain::{Chain, Form};
use super::operators::{cases, conv, deconv, dense, elementwise, moved};

/// Bytes to change, by their place, and what they become.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![0..=9_u8, Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    proptest::collection::vec((any::<prop::sample::Index>(), byte), 1..=4)
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn a_damaged_graph_is_refused_or_run(
        x in proptest::array::uniform3(1..=9_i64),
        first in prop_oneof![conv(), deconv(), moved()],
        second in prop_oneof![conv(), deconv(), dense(), elementwise()],
        damage in damage(),
    ) {
        let (mut onnx, spec) = Chain::of(&x, Form::Single, &[first, second]).finish();
        for (place, byte) in damage {
            let place = place.index(onnx.len());
            onnx[place] = byte;
        }
        let images = images(&spec, 1);
        if let Err(error) = run(Engine::Native, 1, &(onnx, spec), &images) {
            prop_assert!(!error.to_string().contains("gave up"), "{error}");
        }
    }
}
