//! An evaluation as a table for people.

use std::fmt;

use vae_models::Likelihood;

use super::{Evaluation, Fidelity, Latents, Measured, Protocol, Statistic, Targets, latents};

/// The most dimensions whose KL is written out.
const DIMENSIONS: usize = 8;

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, latents, .. } = self;
        write!(f, "{protocol}")?;
        let unit = match protocol.likelihood {
            Likelihood::SquaredError => "squared error summed over pixels, KL in nats",
            Likelihood::Bernoulli | Likelihood::Gaussian { .. } => "sums over pixels, in nats",
        };
        writeln!(f, "\nmean ± standard error over the images, {unit}")?;
        let mut terms = format!("reconstruction + {} x KL", protocol.beta);
        if let Some(weight) = protocol.perceptual_weight {
            terms += &format!(" + {weight} x perceptual");
        }
        line(f, "loss", &error(&self.loss), &terms)?;
        let drawn = "one draw of z";
        line(f, "reconstruction", &error(&self.reconstruction), drawn)?;
        line(f, "KL", &error(&self.kl), "closed form")?;
        if let Some(perceptual) = self.perceptual.value() {
            line(f, "perceptual", &error(perceptual), "mean squared difference of features")?;
        }
        let samples = format!("importance-sampled, {} draws of z", protocol.samples);
        for (name, figure, remark) in
            [("ELBO", &self.elbo, drawn), ("NLL", &self.nll, samples.as_str())]
        {
            match figure {
                Measured::Value(value) => line(f, name, &error(value), remark)?,
                Measured::Absent { reason } => line(f, name, "-", reason)?,
            }
        }
        match latents {
            Measured::Value(latents) => write!(f, "{latents}")?,
            Measured::Absent { reason } => line(f, "active units", "-", reason)?,
        }
        self.reconstructions(f)
    }
}

impl Evaluation {
    fn reconstructions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peak = self.protocol.peak;
        writeln!(
            f,
            "\nreconstructions from the posterior mean, peak {peak}, mean (sd) over images"
        )?;
        let pca = self.pca.value();
        let title = pca.map_or(String::new(), |pca| format!("PCA-{}", pca.components));
        pair(f, "", "model", &title)?;
        let pca = pca.map(|pca| &pca.fidelity);
        let mut row = |name: &str, figure: fn(&Fidelity) -> String| {
            pair(f, name, &figure(&self.fidelity), &pca.map_or(String::new(), figure))
        };
        row("MSE a pixel", |of| format!("{:.6}", of.mse))?;
        row("PSNR pooled, dB", |of| format!("{:.2}", of.psnr_pooled))?;
        row("PSNR, dB", |of| spread(&of.psnr, 2))?;
        let side = self.fidelity.ssim_window;
        row(&format!("SSIM {side}x{side}"), |of| spread(&of.ssim, 4))?;
        row("SSIM global", |of| spread(&of.ssim_global, 4))?;
        if side < 11 {
            let [_, h, w] = self.protocol.image;
            writeln!(f, "note: {w}x{h} pixels have no room for the standard window of 11x11")?;
        }
        match &self.pca {
            Measured::Value(pca) => writeln!(f, "PCA fitted on {} train images", pca.fitted_on),
            Measured::Absent { reason } => writeln!(f, "PCA: {reason}"),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = match (self.targets, self.threshold) {
            (Targets::Binarized, Some(threshold)) => format!("targets binarized at {threshold}"),
            (Targets::Binarized | Targets::Binary, _) => "binary targets".to_owned(),
            (Targets::Grey, _) => "grey targets".to_owned(),
        };
        let likelihood = serde_json::to_value(self.likelihood).map_err(|_| fmt::Error)?;
        let kind = likelihood["kind"].as_str().unwrap_or_default().replace('_', " ");
        let sigma = likelihood.get("sigma").map(|sigma| format!(" (sigma {sigma})"));
        let Self { name, epoch, part, images, images_in_part, source_sha256, seed, .. } = self;
        writeln!(f, "{name}, epoch {epoch}, seed {seed}")?;
        writeln!(f, "{images} of {images_in_part} {part} images, source sha256 {source_sha256}")?;
        writeln!(f, "{kind} likelihood{}, {targets}", sigma.unwrap_or_default())?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl fmt::Display for Latents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, active_units, kl_per_dimension, .. } = self;
        line(
            f,
            "active units",
            &format!("{active_units} of {size}"),
            "variance of the mean > 0.01",
        )?;
        let first = kl_per_dimension.iter().take(DIMENSIONS);
        let mut list: Vec<String> = first.map(|kl| format!("{kl:.3}")).collect();
        if *size > DIMENSIONS {
            list.push(format!("… {:.3}", kl_per_dimension[size - 1]));
        }
        writeln!(f, "KL a dimension   {}", list.join(" "))?;
        match latents::collapse(kl_per_dimension) {
            Some(warning) => writeln!(f, "warning: {warning}"),
            None => Ok(()),
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str, remark: &str) -> fmt::Result {
    let line = format!("{name:16} {value:>20}   {remark}");
    writeln!(f, "{}", line.trim_end())
}

/// A figure of the model beside that of the PCA.
fn pair(f: &mut fmt::Formatter<'_>, name: &str, model: &str, pca: &str) -> fmt::Result {
    let line = format!("{name:16} {model:>20} {pca:>18}");
    writeln!(f, "{}", line.trim_end())
}

fn error(statistic: &Statistic) -> String {
    format!("{:.4} ± {:.4}", statistic.mean, statistic.standard_error)
}

fn spread(statistic: &Statistic, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$})", statistic.mean, statistic.standard_deviation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{Baseline, PartName};

    fn example() -> Evaluation {
        let of = |mean: f64| Statistic { mean, standard_deviation: 1.5, standard_error: 1.0 };
        let fidelity = Fidelity {
            mse: 0.025,
            psnr_pooled: 16.0206,
            psnr: of(16.5),
            ssim: of(0.7),
            ssim_window: 3,
            ssim_global: of(0.8),
        };
        let kl = vec![2.0, 1.0, 0.005, 0.004, 0.003, 0.002, 0.001, 0.0, 0.0];
        Evaluation {
            protocol: Protocol {
                name: "parts".into(),
                epoch: 3,
                part: PartName::Validation,
                images: 2,
                images_in_part: 5,
                source_sha256: "abc123".into(),
                image: [1, 4, 4],
                targets: Targets::Grey,
                threshold: None,
                likelihood: Likelihood::Gaussian { sigma: 0.5 },
                beta: 2.0,
                perceptual_weight: None,
                latent: 9,
                samples: 0,
                seed: 7,
                peak: 1.0,
                clamp: [0.0, 1.0],
                notes: vec!["these are the validation images".into()],
            },
            loss: of(11.0),
            reconstruction: of(5.0),
            kl: of(3.0),
            perceptual: Measured::absent("the loss has no perceptual term"),
            elbo: Measured::Value(of(-8.0)),
            nll: Measured::absent("not asked for (--samples K)"),
            latents: Measured::Value(Latents {
                size: 9,
                active_units: 2,
                collapsed_share: 0.75,
                collapsed: true,
                kl_per_dimension: kl,
            }),
            pca: Measured::Value(Baseline {
                components: 9,
                fitted_on: 20,
                fidelity: fidelity.clone(),
            }),
            fidelity,
        }
    }

    #[test]
    fn the_table_says_everything() {
        let text = example().to_string();
        for words in [
            "parts, epoch 3, seed 7\n2 of 5 validation images, source sha256 abc123\n",
            "gaussian likelihood (sigma 0.5), grey targets\nnote: these are the validation images\n",
            "\nloss                 11.0000 ± 1.0000   reconstruction + 2 x KL\n",
            "\nELBO                 -8.0000 ± 1.0000   one draw of z\n",
            "\nNLL                                 -   not asked for (--samples K)\n",
            "\nactive units                   2 of 9   variance of the mean > 0.01\n",
            "\nKL a dimension   2.000 1.000 0.005 0.004 0.003 0.002 0.001 0.000 … 0.000\n",
            "\nwarning: posterior collapse: 7 of 9",
            "\nPSNR, dB                 16.50 (1.50)       16.50 (1.50)\n",
            "\nSSIM 3x3              0.7000 (1.5000)    0.7000 (1.5000)\n",
            "note: 4x4 pixels have no room",
            "PCA fitted on 20 train images\n",
        ] {
            assert!(text.contains(words), "no `{words}` in\n{text}");
        }
    }

    #[test]
    fn json_brings_everything_back() {
        let example = example();
        let json = serde_json::to_string(&example).expect("it is plain data");
        assert_eq!(example, serde_json::from_str(&json).expect("its own words"), "{json}");
    }
}
