//! `vae-infer` from outside: the command, and the library under inputs that it must refuse.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests may stop at the first surprise")]

mod anomaly;
mod arrays;
mod backends;
mod bench;
mod commands;
mod dense;
mod determinism;
mod diff;
mod fixture;
mod formats;
mod images;
mod library;
mod masks;
#[cfg(target_os = "linux")]
mod memory;
mod models;
mod native;
mod onnx;
mod outputs;
mod packed;
mod pipe;
mod pipeline;
mod promise;
mod report;
mod schema;
mod selftest;
mod shapes;
#[cfg(unix)]
mod streams;
mod tiles;
mod tune;
mod watch;
