//! The devices for which there are layers and losses of our own.

use burn::tensor::Device;

pub(crate) fn devices() -> Vec<Device> {
    vec![
        Device::flex(),
        #[cfg(feature = "libtorch")]
        #[allow(deprecated, reason = "Burn's way to libtorch is deprecated")]
        Device::libtorch(),
    ]
}
