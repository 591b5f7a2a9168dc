// What burn-onnx makes of the decoder of the built-in model.
extern crate alloc;
use burn::prelude::*;
use burn::nn::conv::ConvTranspose2d;
use burn::nn::conv::ConvTranspose2dConfig;
use burn::tensor::Bytes;
use burn_store::BurnpackStore;
use burn_store::ModuleSnapshot;


#[derive(Module, Debug)]
pub struct Model {
    constant1: burn::module::Param<Tensor<2>>,
    constant2: burn::module::Param<Tensor<1>>,
    constant3: burn::module::Param<Tensor<2>>,
    constant4: burn::module::Param<Tensor<1>>,
    convtranspose2d1: ConvTranspose2d,
    convtranspose2d2: ConvTranspose2d,
    convtranspose2d3: ConvTranspose2d,
    #[module(skip)]
    device: Device,
}


impl Model {
    /// Load model weights from in-memory bytes.
    ///
    /// The bytes must be the contents of a `.bpk` file.
    pub fn from_bytes(bytes: Bytes, device: &Device) -> Self {
        let mut model = Self::new(device);
        let mut store = BurnpackStore::from_bytes(Some(bytes));
        model
            .load_from(&mut store)
            .unwrap_or_else(|e| panic!("Failed to load burnpack bytes: {e}"));
        model
    }
}

impl Model {
    #[allow(unused_variables)]
    pub fn new(device: &Device) -> Self {
        let constant1: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([10, 48], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [10, 48].into(),
        );
        let constant2: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([48], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [48].into(),
        );
        let constant3: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([48, 768], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [48, 768].into(),
        );
        let constant4: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([768], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [768].into(),
        );
        let convtranspose2d1 = ConvTranspose2dConfig::new([48, 24], [3, 3])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .with_padding_out([0, 0])
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let convtranspose2d2 = ConvTranspose2dConfig::new([24, 16], [4, 4])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .with_padding_out([0, 0])
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let convtranspose2d3 = ConvTranspose2dConfig::new([16, 1], [4, 4])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .with_padding_out([0, 0])
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        Self {
            constant1,
            constant2,
            constant3,
            constant4,
            convtranspose2d1,
            convtranspose2d2,
            convtranspose2d3,
            device: device.clone(),
        }
    }

    #[allow(clippy::let_and_return, clippy::approx_constant)]
    pub fn forward(&self, latent: Tensor<2>) -> Tensor<4> {
        let constant1_out1 = self.constant1.val();
        let constant2_out1 = self.constant2.val();
        let constant3_out1 = self.constant3.val();
        let constant4_out1 = self.constant4.val();
        let gemm1_out1 = latent.matmul(constant1_out1) + constant2_out1.unsqueeze();
        let relu1_out1 = burn::tensor::activation::relu(gemm1_out1);
        let gemm2_out1 = relu1_out1.matmul(constant3_out1) + constant4_out1.unsqueeze();
        let relu2_out1 = burn::tensor::activation::relu(gemm2_out1);
        let reshape1_out1 = relu2_out1.reshape([0, 48, 4, 4]);
        let convtranspose2d1_out1 = self.convtranspose2d1.forward(reshape1_out1);
        let relu3_out1 = burn::tensor::activation::relu(convtranspose2d1_out1);
        let convtranspose2d2_out1 = self.convtranspose2d2.forward(relu3_out1);
        let relu4_out1 = burn::tensor::activation::relu(convtranspose2d2_out1);
        let convtranspose2d3_out1 = self.convtranspose2d3.forward(relu4_out1);
        let sigmoid1_out1 = burn::tensor::activation::sigmoid(convtranspose2d3_out1);
        sigmoid1_out1
    }
}
