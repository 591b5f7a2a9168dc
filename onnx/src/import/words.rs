//! What people call the tensors of an autoencoder.

/// What a head that is not the mean says about the spread of the posterior.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// log(sigma^2)
    LogVar,
    /// log(sigma)
    LogStd,
    /// sigma^2
    Var,
    /// sigma
    Std,
}

impl Spread {
    /// Every kind, those that need the least arithmetic first.
    pub(crate) const ALL: [Self; 4] = [Self::LogVar, Self::LogStd, Self::Var, Self::Std];

    /// What it is, for people.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::LogVar => "a log-variance",
            Self::LogStd => "the logarithm of a standard deviation",
            Self::Var => "a variance",
            Self::Std => "a standard deviation",
        }
    }

    /// The word that the command line has for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::LogVar => "log-var",
            Self::LogStd => "log-std",
            Self::Var => "var",
            Self::Std => "std",
        }
    }

    /// What a tensor's name says it is.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match stem(name).as_str() {
            "logvar" | "logvariance" | "logvars" | "lnvar" | "lv" | "logsigma2" | "logsigmasq"
            | "logsigmasquared" | "logstd2" => Self::LogVar,
            "logstd" | "logsigma" | "logstddev" | "logscale" => Self::LogStd,
            "var" | "variance" | "sigma2" | "sigmasq" | "sigmasquared" => Self::Var,
            "std" | "stddev" | "sigma" | "scale" => Self::Std,
            _ => return None,
        })
    }
}

/// Whether a name is one of the posterior's mean.
pub(crate) fn is_mean(name: &str) -> bool {
    matches!(stem(name).as_str(), "mean" | "means" | "mu" | "loc")
}

/// Whether a name is one of a latent vector.
pub(crate) fn is_latent(name: &str) -> bool {
    let words = words(name);
    stem(name).is_empty() && words.iter().any(|w| LATENT.contains(&w.as_str()))
}

/// Whether a name is one of a decoded image.
pub(crate) fn is_reconstruction(name: &str) -> bool {
    const STEMS: [&str; 11] = [
        "recon",
        "reconstruction",
        "reconstructed",
        "reconx",
        "xrecon",
        "xhat",
        "decoded",
        "image",
        "images",
        "logits",
        "probs",
    ];
    STEMS.contains(&stem(name).as_str())
}

/// Whether a name is one of logits.
pub(crate) fn is_logits(name: &str) -> bool {
    words(name).iter().any(|word| word == "logits" || word == "logit")
}

/// The words for a latent vector.
const LATENT: [&str; 6] = ["z", "latent", "latents", "code", "codes", "embedding"];
/// The words which say whose a tensor is, not what.
const PLACES: [&str; 12] = [
    "q",
    "posterior",
    "encoder",
    "decoder",
    "enc",
    "dec",
    "fc",
    "head",
    "out",
    "output",
    "layer",
    "input",
];

/// A name without the words which only say whose it is: `z_log_var`, `fc.logvar` and
/// `encoder/LatentLogVar:0` are all `logvar`.
fn stem(name: &str) -> String {
    let mut words = words(name);
    words.retain(|word| !LATENT.contains(&word.as_str()) && !PLACES.contains(&word.as_str()));
    words.concat()
}

/// The words of a name, in lower case, without a number after a colon.
fn words(name: &str) -> Vec<String> {
    let name = name.split(':').next().unwrap_or_default();
    let mut words = vec![String::new()];
    let mut before = '_';
    for letter in name.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_what_they_say_and_not_by_whose_they_are() {
        for name in ["mean", "mu", "z_mean", "fc_mu", "encoder/mu", "zMean:0", "q_z_loc"] {
            assert!(is_mean(name), "{name}");
        }
        for (name, spread) in [
            ("log_var", Spread::LogVar),
            ("z_log_var:0", Spread::LogVar),
            ("fc_logvar", Spread::LogVar),
            ("latentLogVar", Spread::LogVar),
            ("log_sigma_sq", Spread::LogVar),
            ("log_sigma2", Spread::LogVar),
            ("z_log_sigma", Spread::LogStd),
            ("variance", Spread::Var),
            ("sigma", Spread::Std),
        ] {
            assert_eq!(Spread::named(name), Some(spread), "{name}");
        }
        for name in ["z", "linear_1", "42", "meaning", "x_hat"] {
            assert!(!is_mean(name) && Spread::named(name).is_none(), "{name}");
        }
        assert!(is_latent("z") && is_latent("latent_input") && !is_latent("z_mean"));
        assert!(is_reconstruction("x_hat") && is_reconstruction("decoder_output_image"));
        assert!(is_logits("decoder_logits") && !is_logits("logistic"));
    }
}
