//! What the journeys need: the two programs, a data set, ONNX Runtime and Python's `onnx`.

pub mod data;
pub mod fetch;
pub mod programs;
