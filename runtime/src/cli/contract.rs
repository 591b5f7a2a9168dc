//! Whether what is scored is still like what was calibrated on.

use std::env::{self, consts::EXE_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use vae_infer::anomaly::{Contract, Judge, State};

use super::say::say;

/// Options of the contract.
#[derive(Args)]
pub(super) struct Monitored {
    /// Test whether the images, in their order, are still like those of the calibration; RATE is the
    /// chance that images which are, however many, are ever said not to be
    #[arg(long, value_name = "RATE")]
    contract: Option<f64>,
    /// Start this program once when they are not, with the evidence as JSON for its argument; one that
    /// lies in this folder is written ./alarm.sh
    #[arg(long, value_name = "PROGRAM", requires = "contract")]
    on_broken: Option<PathBuf>,
}

/// A contract that says when it is broken.
pub(super) struct Monitor<'a> {
    contract: Contract,
    on_broken: Option<&'a PathBuf>,
    broken: bool,
    alarm: Option<Child>,
}

impl<'a> Monitor<'a> {
    pub(super) fn of(
        options: &'a Monitored,
        judge: Option<&Judge>,
        seed: u64,
    ) -> Result<Option<Self>> {
        let Some(rate) = options.contract else { return Ok(None) };
        let judge = judge.context(
            "a contract takes a calibration (hint: vae-infer calibrate, or --calibration FILE)",
        )?;
        let contract = Contract::new(judge.conformal(), rate, seed)?;
        if let Some(program) = options.on_broken.as_deref().filter(|program| !is_there(program)) {
            let hint = match is_bare(program) {
                true => format!(" (hint: ./{} for one in this folder)", program.display()),
                false => String::new(),
            };
            bail!("there is no program `{}`{hint}", program.display());
        }
        Ok(Some(Self {
            contract,
            on_broken: options.on_broken.as_ref(),
            broken: false,
            alarm: None,
        }))
    }

    /// Takes the score of the next image.
    pub(super) fn observe(&mut self, score: f64) -> Result<()> {
        let state = self.contract.observe(score);
        let State::Broken { at, drift, p_value, .. } = state else { return Ok(()) };
        if self.broken {
            return Ok(());
        }
        self.broken = true;
        say(format!(
            "contract broken at image {at}: scores are {drift} than at calibration, with p-values \
             about {p_value:.2} (hint: find the cause, or calibrate again)"
        ));
        let Some(program) = self.on_broken else { return Ok(()) };
        let started = Command::new(program)
            .arg(serde_json::to_string(&state)?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        match started {
            Ok(child) => self.alarm = Some(child),
            Err(error) => say(format!("cannot start `{}`: {error}", program.display())),
        }
        Ok(())
    }

    /// Says how it stands after the last image, and waits for a program that was started.
    pub(super) fn finish(mut self) -> Result<()> {
        if let State::Holding { frames, evidence } = self.contract.state() {
            say(format!(
                "contract holds after {frames} images, evidence against it 10^{evidence:.1}"
            ));
        }
        self.alarm.as_mut().map_or(Ok(()), |alarm| alarm.wait().map(drop))?;
        Ok(())
    }
}

/// Whether a program is named alone, and looked for on PATH.
fn is_bare(program: &Path) -> bool {
    program.components().count() == 1
}

/// Whether a program can be found, by its path or by a name on PATH.
fn is_there(program: &Path) -> bool {
    let is_file = |path: &Path| {
        let mut with_suffix = path.as_os_str().to_owned();
        with_suffix.push(EXE_SUFFIX);
        path.is_file() || Path::new(&with_suffix).is_file()
    };
    if !is_bare(program) {
        return is_file(program);
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| is_file(&folder.join(program)))
}
