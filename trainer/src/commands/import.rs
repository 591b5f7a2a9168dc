use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use vae_infer::Resize;
use vae_infer::images::{self, Picture};
use vae_onnx::{Imported, Layout, Names, Spread};

use super::{agreement, print};
use crate::cli::{Import, LayoutName, ResizeName, SpreadName};
use crate::say::say;

/// The most real images that engines are compared on.
const IMAGES: usize = 64;

pub(super) fn run(options: Import) -> Result<ExitCode> {
    let Imported { manifest, taken, without_onnx_runtime, without_native } = import(&options)?;
    if let Some(reason) = without_onnx_runtime {
        say(format!("note: not compared with ONNX Runtime: {reason}"));
    }
    if let Some(reason) = without_native {
        say(format!("note: tract will run it: {reason}"));
    }
    let mut text: String =
        taken.iter().map(|(term, taken)| format!("{term:<15} {taken}\n")).collect();
    text += &agreement(&options.out, &manifest, "the files");
    print(&text)
}

fn import(options: &Import) -> Result<Imported> {
    let pictures = options.images.as_deref().map(pictures).transpose()?.unwrap_or_default();
    let folder = options.out.file_name().map(|name| name.to_string_lossy().into_owned());
    let names = Names {
        mean: options.mean.clone(),
        log_var: options.log_var.clone(),
        spread: options.spread.map(Spread::from),
        latent: options.latent.clone(),
        reconstruction: options.reconstruction.clone(),
        skips: options.skips.clone(),
    };
    let import = vae_onnx::Import {
        name: &options.name.clone().or(folder).unwrap_or_else(|| "imported".to_owned()),
        encoder: &options.encoder,
        decoder: &options.decoder,
        image: options.image,
        layout: options.layout.map(Layout::from),
        range: options.range.as_deref().and_then(|range| range.try_into().ok()),
        resize: options.resize.into(),
        names: &names,
        logits: options.logits,
        likelihood: options.likelihood,
        beta: options.beta,
        classes: &options.classes,
        pictures: &pictures,
        versions: BTreeMap::from([("vae-train".into(), env!("CARGO_PKG_VERSION").into())]),
    };
    let (out, force) = (&options.out, options.force);
    Ok(vae_onnx::import(&import, out, force, options.ort_lib.as_deref())?)
}

/// At most [`IMAGES`] pictures of a folder, from files spread evenly over it.
fn pictures(folder: &Path) -> Result<Vec<Picture>> {
    let files = images::expand(&[folder.into()])?;
    let step = files.len().div_ceil(IMAGES).max(1);
    let mut pictures = vec![];
    for file in files.iter().step_by(step) {
        pictures.extend(images::read(file)?);
        pictures.truncate(IMAGES);
    }
    Ok(pictures)
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Self {
        match name {
            LayoutName::Nchw => Self::Nchw,
            LayoutName::Nhwc => Self::Nhwc,
        }
    }
}

impl From<SpreadName> for Spread {
    fn from(name: SpreadName) -> Self {
        match name {
            SpreadName::LogVar => Self::LogVar,
            SpreadName::LogStd => Self::LogStd,
            SpreadName::Var => Self::Var,
            SpreadName::Std => Self::Std,
        }
    }
}

impl From<ResizeName> for Resize {
    fn from(name: ResizeName) -> Self {
        match name {
            ResizeName::Refuse => Self::Refuse,
            ResizeName::Stretch => Self::Stretch,
            ResizeName::Crop => Self::Crop,
        }
    }
}
