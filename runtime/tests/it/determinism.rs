//! The same bytes, whatever the batch, the number of threads or the time of day.

use std::fs;

use ndarray::{Array4, Axis, Slice};
use vae_infer::{Bundle, EngineOptions, Model};

use crate::fixture::{rings, succeed};

#[test]
fn files_are_the_same_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let images = rings(folder.path(), 5);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let runs = ["1", "1", "2", "5"].map(|threads| {
        let shared = ["--threads", threads, "--force", "-o", &at("x.npy")];
        let latents = at("z.npy");
        let reconstruct =
            ["reconstruct"].into_iter().chain(images.iter().map(|i| i.to_str().unwrap()));
        let lines = succeed(reconstruct.chain(shared));
        let reconstructed = fs::read(at("x.npy")).unwrap();
        let sample = ["sample", "-n", "70", "--seed", "7", "--out-latents", &latents];
        succeed(sample.into_iter().chain(shared));
        (lines, reconstructed, fs::read(at("x.npy")).unwrap(), fs::read(&latents).unwrap())
    });
    assert!(runs.iter().all(|run| *run == runs[0]));
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let bundle = Bundle::embedded();
    let mut model = Model::load(&bundle, &EngineOptions::default()).unwrap();
    let images =
        Array4::from_shape_fn((7, 1, 28, 28), |(n, _, y, x)| ((n + x * y) % 9) as f32 / 8.0);
    let together = model.reconstruct(images.view()).unwrap();
    for n in 0..7 {
        let alone = images.slice_axis(Axis(0), Slice::from(n..n + 1));
        let alone = model.reconstruct(alone).unwrap();
        assert_eq!(alone.images.index_axis(Axis(0), 0), together.images.index_axis(Axis(0), n));
    }
    let nothing = model.reconstruct(Array4::zeros((0, 1, 28, 28)).view()).unwrap();
    assert_eq!(nothing.images.dim(), (0, 1, 28, 28));
}
