use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use vae_infer::write::Staged;
use vae_infer::{ImageSpec, Resize};

use super::print;
use crate::classifier::{self, Recipe};
use crate::cli::Features;
use crate::data::{self, DataConfig};
use crate::device::Chosen;
use crate::draws::{self, Purpose};
use crate::say::say;
use crate::split::Part;

pub(super) fn run(options: Features) -> Result<ExitCode> {
    let Features { data, out, epochs, seed, channels, size, device } = options;
    check_vacant(&out)?;
    let made = Staged::new(&out)?;
    let chosen = device.open()?;
    let image = ImageSpec { resize: Resize::Stretch, ..ImageSpec::new(channels, size, size) };
    let loaded = data::load(&DataConfig::default(), Some(&data), &image)?;
    let (classes, hash) = (loaded.train.classes.len(), loaded.train.hash.clone());
    let images = Part::from(loaded.train);
    if images.labels.is_empty() || classes < 2 || images.len() < 5 {
        bail!("`{}` holds no labelled images of two classes or more", data.display());
    }
    super::tell(chosen.note().into_iter().chain(loaded.notes));
    let Chosen { device, name: device_name, .. } = chosen;
    let place = draws::seed(seed, Purpose::Validation, 0);
    let order = draws::permutation(place, images.len());
    let (held_out, rest) = order.split_at(images.len() / 5);
    let [train, held_out] = [rest, held_out].map(|places| images.select(places));
    say(format!(
        "{classes} classes; {} images to train on, {} held out; device {device_name}",
        train.len(),
        held_out.len()
    ));

    let recipe = Recipe { epochs: epochs.into(), seed, classes };
    let network = classifier::train(&train, recipe, &device, |epoch, loss| {
        say(format!("epoch {epoch}: {loss:.4} nats"));
    })?;
    let accuracy = |part| classifier::accuracy(&network, part, &device);
    let accuracy = [accuracy(&train)?, accuracy(&held_out)?];
    let [of_train, of_held_out] = accuracy.map(|part| format!("{:.2} %", 100.0 * part));

    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let description = classifier::description(&name, &image).to_toml();
    let made_of = format!(
        "# The layers of a classifier: {classes} classes, {} images, {epochs} epochs, seed {seed};\n\
         # accuracy {of_train} of them, {of_held_out} of {} held out. Data {hash}.\n",
        train.len(),
        held_out.len()
    );
    let text = (made_of + &description).into_bytes();
    made.write("features.toml", &text)?;
    made.write(classifier::WEIGHTS, &classifier::weights(&network)?)?;
    check_vacant(&out)?;
    made.publish(false)?;
    print(&format!("{}: accuracy {of_train} trained on, {of_held_out} held out\n", out.display()))
}

fn check_vacant(folder: &Path) -> Result<()> {
    if folder.exists() {
        bail!("`{}` exists already, nothing is written over it", folder.display());
    }
    Ok(())
}
