//! What was compiled and tuned for a GPU, kept for the next run.

use burn::cubecl::config::cache::CacheConfig;
use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

/// Keeps compiled kernels, and what trials of them have found, in the user's cache folder (of those in WGSL the latter alone:
/// the driver compiles them). Where a `cubecl.toml` in the working folder or above it differs from CubeCL's defaults, it
/// alone says what is kept and where. Once a device is open it is too late.
pub(crate) fn keep() {
    let said = CubeClRuntimeConfig::from_current_dir();
    let nothing = CubeClRuntimeConfig::default();
    let by_default = toml::to_string(&said).ok() == toml::to_string(&nothing).ok();
    let mut config = said.override_from_env();
    if by_default {
        config.compilation.cache = true;
        config.environment.path = CacheConfig::Global;
    }
    CubeClRuntimeConfig::try_set(config);
}
