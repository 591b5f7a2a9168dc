//! What a bundle's graphs cost, as commands report it.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use vae_infer::graph::{self, Element};
use vae_infer::manifest::GraphSpec;
use vae_infer::{Bundle, Error};

/// The cost of one image in both graphs, and of each.
#[derive(Serialize)]
pub(super) struct Costs {
    pub(super) parameters: u64,
    pub(super) flops: Option<u64>,
    /// The larger one of both graphs, which run one after the other.
    pub(super) peak_bytes: Option<u64>,
    pub(super) encoder: GraphCost,
    pub(super) decoder: GraphCost,
}

/// The cost of one graph.
#[derive(Serialize)]
pub(super) struct GraphCost {
    pub(super) parameters: u64,
    pub(super) flops: Option<u64>,
    pub(super) peak_bytes: Option<u64>,
    /// Why the two before are absent.
    pub(super) unknown: Option<String>,
    pub(super) weight_bytes: BTreeMap<Element, u64>,
    pub(super) file_bytes: u64,
}

impl Costs {
    pub(super) fn of(bundle: &Bundle) -> Result<Self, Error> {
        let spec = &bundle.manifest;
        let encoder = GraphCost::of("encoder", bundle.encoder(), &spec.encoder)?;
        let decoder = GraphCost::of("decoder", bundle.decoder(), &spec.decoder)?;
        Ok(Self {
            parameters: encoder.parameters + decoder.parameters,
            flops: encoder.flops.zip(decoder.flops).and_then(|(a, b)| a.checked_add(b)),
            peak_bytes: encoder.peak_bytes.zip(decoder.peak_bytes).map(|(a, b)| a.max(b)),
            encoder,
            decoder,
        })
    }

    /// The work on one image, in words.
    pub(super) fn work(&self) -> String {
        match (self.flops, self.peak_bytes) {
            (Some(flops), Some(peak)) => {
                format!("{flops} FLOPs an image, {peak} bytes of activations at the peak")
            }
            _ => {
                let reasons = [&self.encoder.unknown, &self.decoder.unknown];
                let reasons: Vec<_> = reasons.into_iter().flatten().map(String::as_str).collect();
                format!("unknown: {}", reasons.join("; "))
            }
        }
    }
}

impl GraphCost {
    fn of(name: &'static str, onnx: &[u8], spec: &GraphSpec) -> Result<Self, Error> {
        let graph::Cost { parameters, weights, work } = graph::cost(name, onnx, spec)?;
        Ok(Self {
            parameters,
            flops: work.as_ref().ok().map(|work| work.flops),
            peak_bytes: work.as_ref().ok().map(|work| work.peak),
            unknown: work.err(),
            weight_bytes: weights,
            file_bytes: spec.file.bytes,
        })
    }
}
