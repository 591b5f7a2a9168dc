//! The commands: one file each, and what they share.

mod arrivals;
mod bench;
mod bundle;
mod calibrate;
mod calibrated;
mod completions;
mod contract;
mod costs;
mod counts;
mod decode;
mod diff;
mod doctor;
mod encode;
mod examine;
mod failure;
mod heatmaps;
mod ids;
mod info;
mod inputs;
mod interpolate;
mod line;
mod lines;
mod man;
mod measure;
mod options;
mod output;
mod pack;
mod perturb;
mod pictures;
mod pipeline;
mod progress;
mod raw;
mod reconstruct;
mod report;
mod results;
mod sample;
mod say;
mod score;
mod scoring;
mod signals;
mod source;
mod tune;
mod units;
mod unpack;
mod verify;
mod watch;
mod workers;
mod writers;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub(crate) use failure::failure;
use options::Options;

/// Run variational autoencoders at the edge: reconstruct, sample, perturb and score images
///
/// Without --model, the model inside the program is used: the one that `vae-infer bundle` put
/// there, or else `digits`. Data goes to standard output, everything else to standard error; the
/// exit code is 0, or 2 after an error; `score` and `watch` have 1 where an image is an anomaly,
/// `diff` where models do not give the same answers, `bench` where an --assert does not hold.
#[derive(Parser)]
#[command(name = "vae-infer", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Reconstruct(reconstruct::Reconstruct),
    Encode(encode::Encode),
    Decode(decode::Decode),
    Sample(sample::Sample),
    Perturb(perturb::Perturb),
    Interpolate(interpolate::Interpolate),
    Score(score::Score),
    Watch(watch::Watch),
    Calibrate(calibrate::Calibrate),
    Report(report::Report),
    Info(info::Info),
    Verify(verify::Verify),
    Diff(diff::Diff),
    Pack(pack::Pack),
    Unpack(unpack::Unpack),
    Bundle(bundle::Bundle),
    Doctor(doctor::Doctor),
    Bench(bench::Bench),
    Tune(tune::Tune),
    Completions(completions::Completions),
    Man(man::Man),
}

pub(crate) fn run() -> Result<ExitCode> {
    let Cli { options, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return Ok(failure::refusal(&error)),
    };
    match command {
        Command::Reconstruct(command) => command.run(&options),
        Command::Encode(command) => command.run(&options),
        Command::Decode(command) => command.run(&options),
        Command::Sample(command) => command.run(&options),
        Command::Perturb(command) => command.run(&options),
        Command::Interpolate(command) => command.run(&options),
        Command::Score(command) => return command.run(&options),
        Command::Watch(command) => return command.run(&options),
        Command::Calibrate(command) => command.run(&options),
        Command::Report(command) => command.run(&options),
        Command::Info(command) => command.run(&options),
        Command::Verify(command) => command.run(&options),
        Command::Diff(command) => return command.run(&options),
        Command::Pack(command) => command.run(&options),
        Command::Unpack(command) => command.run(&options),
        Command::Bundle(command) => command.run(&options),
        Command::Doctor(command) => command.run(&options),
        Command::Bench(command) => return command.run(&options),
        Command::Tune(command) => command.run(&options),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(&options),
    }?;
    Ok(ExitCode::SUCCESS)
}
