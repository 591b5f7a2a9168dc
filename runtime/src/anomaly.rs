//! How abnormal an image is, and an alarm that keeps a promised rate of false ones.
//!
//! ```text
//! Method -> Scorer::score -> Judge::judge
//!           raw score        p-value; normal, unsure or anomaly
//!                         -> Contract::observe
//! ```
//!
//! A [`Method`] makes one number of an image and its reconstruction, the higher the more abnormal; of a
//! large image by its tiles ([`Tiling`]), and of what a mask leaves of it ([`Scorer::score_seen`]).
//! A [`Calibration`] turns it into a p-value against normal images that the model was not trained on
//! ([`Conformal`]), which holds the rate of false alarms whatever the model and the method are. A [`Contract`] watches whether
//! what comes is still like what was calibrated on.

mod calibration;
mod conformal;
mod contract;
mod label;
mod layers;
mod method;
mod scorer;
mod statistics;
mod tiling;

pub use calibration::{Audit, CALIBRATION_VERSION, Calibrated, Calibration, Judge, Verdict};
pub use conformal::{Achieved, Conformal, images_needed};
pub use contract::{Contract, Drift, State};
pub use label::{Band, Label};
pub use method::Method;
pub use scorer::{Examined, Scorer, path};
pub use statistics::{PathStatistics, Statistics, Whitening, hash, normal_score};
pub use tiling::{Tile, Tiled, Tiling};
