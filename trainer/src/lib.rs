//! The offline trainer: data sets, the training loop, evaluation, and the way to a bundle.
//!
//! A [`RunConfig`](config::RunConfig) says what is trained on what; [`data::load`] brings the
//! images through the preprocessing of inference; [`fit::Loop`] trains; [`run::Run`] is the folder
//! that keeps it all, from which [`commands`] evaluate, draw [`figures`] and export.

#![warn(clippy::print_stderr)]

pub mod adamw;
pub mod anomaly;
pub mod batches;
pub mod benchmark;
pub mod checkpoint;
pub mod classifier;
pub mod cli;
pub mod commands;
pub mod config;
pub mod data;
pub mod device;
pub mod draws;
pub mod evaluation;
pub mod figures;
pub mod fit;
pub mod forward;
pub mod frames;
pub mod kept;
#[cfg(any(feature = "cuda", feature = "vulkan", feature = "metal"))]
mod kernels;
pub mod means;
mod moments;
pub mod objective;
pub mod pca;
pub mod perceptual;
pub mod precision;
pub mod progress;
pub mod report;
pub mod reproduce;
pub mod run;
pub mod saving;
pub mod say;
pub mod schedule;
pub mod shares;
pub mod signals;
pub mod speed;
pub mod split;
pub mod statistics;
#[cfg(feature = "flex")]
mod together;
pub mod trained;
pub mod training;
