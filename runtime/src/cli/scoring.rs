//! From images to lines: what `score` and `watch` share.

use std::iter;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use vae_infer::anomaly::{Calibration, Judge, Method};
use vae_infer::tuning::Goal;
use vae_infer::{Bundle, usage};

use super::calibrated::Calibrated;
use super::contract::{Monitor, Monitored};
use super::counts::Counts;
use super::examine::{Examiner, Scored};
use super::heatmaps::{Heatmaps, Mapped, Where};
use super::line::{Line, SCHEMA};
use super::lines::Lines;
use super::measure::{Measure, Measured};
use super::options::{Format, Options};
use super::say::say;
use super::signals::Signals;
use super::source::Source;

/// Options of scores and verdicts.
#[derive(Args)]
pub(super) struct Scoring {
    #[command(flatten)]
    measure: Measure,
    #[command(flatten)]
    calibrated: Calibrated,
    /// Call images `unsure` up to this larger rate
    #[arg(long, value_name = "RATE")]
    unsure_band: Option<f64>,
    /// What becomes of an image that cannot be scored [default: fail; in `watch` skip]
    #[arg(long, value_enum)]
    on_error: Option<OnError>,
    #[command(flatten)]
    pub(super) place: Where,
    #[command(flatten)]
    monitored: Monitored,
}

/// What becomes of an image that cannot be scored.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnError {
    /// the command ends there
    Fail,
    /// it is named and counted, and the next one follows
    Skip,
}

/// What is done with an image that was scored.
struct Take<'a> {
    method: Method,
    engine: String,
    judge: Option<Judge>,
    heatmaps: Option<Heatmaps>,
    monitor: Option<Monitor<'a>>,
    lines: Lines,
    counts: Counts,
}

impl Scoring {
    /// Scores what a source gives, to its end or a signal, with a model that is good at one image or at many.
    /// The source is opened when it is known what becomes of its images, and that they can be scored.
    pub(super) fn run<S: Source>(
        &self,
        source: impl FnOnce(&Measured) -> Result<S>,
        goal: Goal,
        on_error: OnError,
        options: &Options,
    ) -> Result<ExitCode> {
        let on_error = self.on_error.unwrap_or(on_error);
        let bundle = options.bundle()?;
        let calibration = self.calibration(&bundle)?;
        let judge = calibration.as_ref().map(Calibration::judge).transpose()?;
        let measured = self.measure.settled(calibration.as_ref(), &bundle, options)?;
        let monitor = Monitor::of(&self.monitored, judge.as_ref(), options.seed)?;
        let signals = Signals::watch()?;
        let maps = self.place.folder().is_some();
        let examiner = Examiner::load(&bundle, &measured, goal, maps, options)?;
        // What is left behind, or said, is so when nothing before it can fail any more.
        let heatmaps = Heatmaps::open(&self.place, judge.as_ref(), &measured, S::ENDLESS, options)?;
        let mut source = source(&measured)?;
        let (method, engine) = (measured.method, examiner.engine());
        let (lines, counts) = (Lines::new(options.format(Format::Json)), Counts::default());
        let mut take = Take { method, engine, judge, heatmaps, monitor, lines, counts };

        let ended = take.all(&mut source, examiner, on_error, &signals);
        if ended.is_err() && !(S::ENDLESS && take.counts.images() > 0) {
            if let Some(heatmaps) = take.heatmaps {
                heatmaps.abandon();
            }
            return ended.map(|()| ExitCode::SUCCESS);
        }
        let (anomaly, stopped) = (take.counts.anomalies > 0, signals.received());
        let (images, skipped) = (take.counts.images(), take.counts.skipped);
        take.finish(stopped.is_some() || ended.is_err(), source.dropped())?;
        ended?;
        if !S::ENDLESS && stopped.is_none() && skipped > 0 && skipped == images {
            bail!("none of {images} images could be scored");
        }
        Ok(stopped.unwrap_or(ExitCode::from(u8::from(anomaly))))
    }

    fn calibration(&self, bundle: &Bundle) -> Result<Option<Calibration>> {
        let Some((_, mut calibration)) = self.calibrated.open(bundle)? else {
            if self.unsure_band.is_some() {
                bail!("--unsure-band takes a calibration (hint: vae-infer calibrate)");
            }
            return Ok(None);
        };
        if let (None, Some(unsure)) = (self.unsure_band, calibration.unsure)
            && unsure < calibration.rate
        {
            bail!(
                "the calibration calls images unsure up to {unsure}, less than --far {} (hint: --unsure-band RATE)",
                calibration.rate
            );
        }
        calibration.unsure = self.unsure_band.or(calibration.unsure);
        Ok(Some(calibration))
    }
}

impl Take<'_> {
    /// Whether there is anyone left for whom images are scored.
    fn is_wanted(&self) -> bool {
        self.lines.wanted() || self.heatmaps.is_some() || self.monitor.is_some()
    }

    /// Takes what a source gives, to its end or a signal. Of images that arrive, each is told of before the
    /// next is waited for.
    fn all<S: Source>(
        &mut self,
        source: &mut S,
        mut examiner: Examiner,
        on_error: OnError,
        signals: &Signals,
    ) -> Result<()> {
        if !S::ENDLESS {
            let workers = examiner.workers(source.about());
            let most = workers.most;
            let batches = iter::from_fn(|| source.batch(most, signals).transpose());
            let examine = |examiner: &mut Examiner, batch| Ok(examiner.examine(batch));
            return workers.run(batches, examine, |batch| {
                self.batch(batch, on_error)?;
                Ok(self.is_wanted())
            });
        }
        while self.is_wanted()
            && let Some(batch) = source.batch(examiner.batch, signals)?
        {
            self.batch(examiner.examine(batch), on_error)?;
        }
        Ok(())
    }

    fn batch(&mut self, batch: Vec<Result<Scored>>, on_error: OnError) -> Result<()> {
        let scored = batch.iter().take_while(|it| it.is_ok() || on_error == OnError::Skip);
        let scored: Vec<_> = scored.flatten().collect();
        let maps = self.heatmaps.as_ref().map_or(vec![], |heatmaps| heatmaps.take(&scored));
        let mut maps = maps.into_iter();
        for scored in batch {
            match scored {
                Err(error) if on_error == OnError::Skip => self.skip(&error),
                scored => self.take(&scored?, maps.next().transpose()?)?,
            }
        }
        self.lines.flush()
    }

    fn take(&mut self, scored: &Scored, mapped: Option<Mapped>) -> Result<()> {
        let Scored { item, score, parts, worst, .. } = scored;
        let verdict = self.judge.as_ref().map(|judge| judge.judge(*score));
        self.counts.add(verdict);
        self.monitor.as_mut().map_or(Ok(()), |monitor| monitor.observe(*score))?;
        let (map, regions) = mapped.unzip();
        let vae_infer::Score { mse, nll, kl, elbo } = *parts;
        let line = Line {
            name: &item.picture.name,
            schema: SCHEMA,
            method: self.method,
            score: *score,
            verdict,
            mse,
            nll,
            kl,
            elbo,
            tiles: worst.map(|(_, tiles)| tiles),
            tile: worst.map(|(tile, _)| tile),
            map,
            regions,
            engine: &self.engine,
        };
        self.lines.print(&line, Line::text)
    }

    fn skip(&mut self, error: &anyhow::Error) {
        self.counts.skipped += 1;
        say(usage::joined(&format!("skipped: {error:#}")));
    }

    fn finish(self, stopped: bool, dropped: Option<usize>) -> Result<()> {
        self.heatmaps.map_or(Ok(()), Heatmaps::publish)?;
        self.counts.report(self.judge.is_some(), stopped, dropped);
        self.monitor.map_or(Ok(()), Monitor::finish)
    }
}
