//! What the library registers for a provider.

use ort::ep::{self, ExecutionProviderDispatch};

use super::super::Provider;
use crate::{cache, sha256};

/// What the library registers for a provider that runs a graph. Whatever it cannot place runs on the processor,
/// which needs no registration.
pub(super) fn dispatch(provider: Provider, onnx: &[u8]) -> Option<ExecutionProviderDispatch> {
    match provider {
        Provider::Auto | Provider::Cpu => None,
        // TF32 has 10 bits of mantissa: enough for training, not for a tolerance of 1e-5.
        Provider::Cuda => Some(
            ep::CUDA::default()
                .with_tf32(false)
                .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
                .build(),
        ),
        Provider::TensorRt => Some(tensor_rt(onnx).build()),
        Provider::OpenVino => Some(ep::OpenVINO::default().build()),
    }
}

/// TensorRT, which keeps the engines that it has built, and the times that it has measured for them, in the
/// user's cache: building them takes minutes.
///
/// The folder is of the graph, by its SHA-256, and of ONNX Runtime's version; the files in it are of the GPU and of
/// TensorRT's version, by their names, and are built anew where these change.
fn tensor_rt(onnx: &[u8]) -> ep::TensorRT {
    let provider = ep::TensorRT::default();
    let made = cache::of_user("tensorrt").and_then(|folder| {
        let folder = folder.join(engine_key(onnx, ort::info()));
        std::fs::create_dir_all(&folder).ok()?;
        folder.into_os_string().into_string().ok()
    });
    match made {
        Some(folder) => provider
            .with_engine_cache(true)
            .with_engine_cache_path(&folder)
            .with_timing_cache(true)
            .with_timing_cache_path(&folder),
        // It is no error to have no cache.
        None => provider,
    }
}

fn engine_key(onnx: &[u8], library: &str) -> String {
    sha256(format!("{} {library}", sha256(onnx)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_of_its_graph_and_of_the_library() {
        let key = engine_key(b"graph", "1.31.1");
        assert_eq!(key, engine_key(b"graph", "1.31.1"));
        assert_ne!(key, engine_key(b"graph ", "1.31.1"));
        assert_ne!(key, engine_key(b"graph", "1.32.0"));
    }
}
