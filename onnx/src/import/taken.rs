//! What was taken for what, for people.

use vae_infer::ImageSpec;
use vae_infer::manifest::Likelihood;

use super::ending::Ending;
use super::form::{Form, Layout};
use super::heads::Heads;
use super::roles::Roles;
use super::source::Source;
use super::words::Spread;

/// A bundle's terms, and what each of them was in the files.
pub(super) fn list(
    [encoder, decoder]: [&Source; 2],
    roles: &Roles,
    ending: &Ending,
    [encoder_opened, decoder_opened]: [usize; 2],
    image: &ImageSpec,
) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = vec![];
    let mut say = |term: &str, taken: String| lines.push((term.to_owned(), taken));
    say("encoder", file(encoder, roles.input.0.batch(), encoder_opened));
    say("decoder", file(decoder, roles.latent.batch(), decoder_opened));
    let (c, h, w, [black, white]) = (image.channels, image.height, image.width, image.range);
    let (input, form) = &roles.input;
    let how = layout(form, roles.image);
    say("image", format!("{input}{how}: {w}x{h}x{c}, {black} to {white}"));
    match &roles.heads {
        Heads::Point { mean } => say("mean", format!("{mean}, of a plain autoencoder")),
        Heads::Pair { mean, spread, kind: Spread::LogVar } => {
            say("mean", mean.to_string());
            say("log_var", spread.to_string());
        }
        Heads::Pair { mean, spread, kind } => {
            say("mean", mean.to_string());
            say("log_var", format!("of {spread}, {}", kind.noun()));
        }
        Heads::Joint { tensor, kind } => {
            say("mean", format!("the first half of {tensor}"));
            say("log_var", format!("the second half of {tensor}, {}", kind.noun()));
        }
    }
    say("latent", roles.latent.to_string());
    for skip in &roles.skips {
        say(&skip.name, format!("{} of the encoder, {} of the decoder", skip.from, skip.to));
    }
    let (decoded, form) = &roles.reconstruction;
    let how = layout(form, roles.image);
    let sigmoid = if ending.logits { ", through a sigmoid" } else { "" };
    say("reconstruction", format!("{decoded}{how}{sigmoid}"));
    let likelihood = match ending.likelihood {
        Likelihood::Bernoulli => "bernoulli".to_owned(),
        Likelihood::SquaredError => "squared error".to_owned(),
        Likelihood::Gaussian { sigma } => format!("gaussian with sigma {sigma}"),
    };
    say("likelihood", format!("{likelihood}: {}", ending.because));
    lines
}

fn file(source: &Source, batch: Option<usize>, opened: usize) -> String {
    let (name, version) = source.producer();
    let mut text = format!("{}, by {name} {version}", source.file());
    match (batch, opened) {
        (None, 0) => {}
        (Some(size), 0) => text += &format!("; its batch axis was fixed at {size}"),
        (Some(size), n) => {
            let plural = if n == 1 { "" } else { "s" };
            text += &format!("; its batch axis was fixed at {size}, in {n} operator{plural} too");
        }
        (None, n) => text += &format!("; {n} of its operators had a fixed batch size of 1"),
    }
    text
}

fn layout(form: &Form, image: [usize; 3]) -> &'static str {
    match (form.layout, form.dims.len()) {
        _ if form.dims == image => "",
        (Layout::Nhwc, 3) => ", channels last",
        (_, 1) if image[0] == 1 => ", flat",
        (Layout::Nhwc, _) => ", flat, channels last",
        (Layout::Nchw, 1) => ", flat, channels first",
        (Layout::Nchw, _) => ", one plane",
    }
}
