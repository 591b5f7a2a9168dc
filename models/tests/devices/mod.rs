//! The devices for which there are layers and losses of our own.

use burn::tensor::Device;

/// `flex`, and in a build with it libtorch's processor and its first NVIDIA GPU where it has one.
pub(crate) fn devices() -> Vec<Device> {
    #[cfg_attr(not(feature = "libtorch"), allow(unused_mut))]
    let mut devices = vec![Device::flex()];
    #[cfg(feature = "libtorch")]
    #[allow(deprecated, reason = "Burn deprecates its way to libtorch")]
    {
        devices.push(Device::libtorch());
        if tch::Cuda::is_available() {
            devices.push(Device::libtorch_cuda(0));
        }
    }
    devices
}
