//! How long a model takes on this machine, over the inputs that are recorded in its bundle.
//!
//! ```
//! use vae_infer::measure::{Batch, Latency, Length, Loaded, Part};
//! use vae_infer::{Bundle, EngineOptions};
//!
//! # fn main() -> Result<(), vae_infer::Error> {
//! let bundle = Bundle::embedded();
//! let mut model = Loaded::load(&bundle, &EngineOptions::default(), Part::Reconstruct)?;
//! let batch = Batch::recorded(&bundle, 8)?;
//! let latency = Latency::measure(Length::Runs(20), || model.run(&batch))?;
//!
//! assert!(latency.p50 <= latency.p99);
//! # Ok(())
//! # }
//! ```

mod batch;
mod latency;
mod loaded;

pub use batch::Batch;
pub use latency::{Latency, Length};
pub use loaded::{Loaded, Part, Profile};
