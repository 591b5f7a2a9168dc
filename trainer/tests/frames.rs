//! The picture of epoch 0 and the weights that it shows. The device's random generator is shared by
//! the process, so this test has a process of its own.

use burn::module::Module as _;
use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use vae_models::Vae;
use vae_train::config::RunConfig;
use vae_train::draws::{self, Purpose};
use vae_train::forward::Forward;
use vae_train::frames::fresh;
use vae_train::objective::Objective;

/// The weights as the first step of a run draws them.
fn first_step(config: &RunConfig, device: &Device) -> Vae {
    let training = device.clone().autodiff();
    let vae = config.model.init(config.image.shape(), &training).expect("a preset fits");
    let place = draws::seed(config.seed, Purpose::Training, 0);
    let epsilon = draws::epsilon(place, 32, config.model.latent, device);
    let images = Tensor::ones([32, 1, 4, 4], &training);
    let objective = Objective::new(config, device).expect("it needs no features");
    let terms = objective.terms(&vae, images, epsilon.to_device(&training));
    drop(terms.reconstruction.into_data());
    vae.valid()
}

#[test]
fn frame_0_shows_the_weights_of_the_first_step_and_does_not_change_them() {
    let device = Device::flex();
    for initialization in ["kaiming", "glorot"] {
        let setting = format!("model.initialization={initialization}");
        let config = RunConfig::load("patterns", &[setting]).expect("a preset");
        let decode = |vae: &Vae| {
            let latents = Array2::from_elem((3, 2), 0.5);
            Forward { vae, device: &device }.decode(latents.view())
        };
        let before = decode(&first_step(&config, &device));
        assert_eq!(before, decode(&fresh(&config, 32, &device).expect("it fits")));
        assert_eq!(before, decode(&first_step(&config, &device)));
    }
}
