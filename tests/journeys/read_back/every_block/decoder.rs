// What burn-onnx makes of the decoder of every-block.toml.
extern crate alloc;
use burn::prelude::*;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::conv::Conv2dConfig;
use burn::nn::conv::ConvTranspose2d;
use burn::nn::conv::ConvTranspose2dConfig;
use burn::tensor::Bytes;
use burn_store::BurnpackStore;
use burn_store::ModuleSnapshot;


#[derive(Module, Debug)]
pub struct Model {
    constant1: burn::module::Param<Tensor<2>>,
    constant2: burn::module::Param<Tensor<1>>,
    convtranspose2d1: ConvTranspose2d,
    resize1: burn::nn::interpolate::Interpolate2d,
    conv2d1: Conv2d,
    convtranspose2d2: ConvTranspose2d,
    conv2d2: Conv2d,
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
            >::zeros([4, 128], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [4, 128].into(),
        );
        let constant2: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([128], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [128].into(),
        );
        let convtranspose2d1 = ConvTranspose2dConfig::new([8, 8], [3, 3])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .with_padding_out([1, 1])
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let resize1 = burn::nn::interpolate::Interpolate2dConfig::new()
            .with_output_size(None)
            .with_scale_factor(Some([2.0, 2.0]))
            .with_mode(burn::nn::interpolate::InterpolateMode::Nearest)
            .with_align_corners(false)
            .init();
        let conv2d1 = Conv2dConfig::new([12, 6], [3, 3])
            .with_stride([1, 1])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let convtranspose2d2 = ConvTranspose2dConfig::new([10, 4], [4, 4])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .with_padding_out([0, 0])
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let conv2d2 = Conv2dConfig::new([4, 1], [3, 3])
            .with_stride([1, 1])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        Self {
            constant1,
            constant2,
            convtranspose2d1,
            resize1,
            conv2d1,
            convtranspose2d2,
            conv2d2,
            device: device.clone(),
        }
    }

    #[allow(clippy::let_and_return, clippy::approx_constant)]
    pub fn forward(
        &self,
        latent: Tensor<2>,
        skip_narrow: Tensor<4>,
        skip_wide: Tensor<4>,
    ) -> Tensor<4> {
        let constant1_out1 = self.constant1.val();
        let constant2_out1 = self.constant2.val();
        let gemm1_out1 = latent.matmul(constant1_out1) + constant2_out1.unsqueeze();
        let relu1_out1 = burn::tensor::activation::relu(gemm1_out1);
        let reshape1_out1 = relu1_out1.reshape([0, 8, 4, 4]);
        let convtranspose2d1_out1 = self.convtranspose2d1.forward(reshape1_out1);
        let relu2_out1 = burn::tensor::activation::relu(convtranspose2d1_out1);
        let pad1_out1 = skip_narrow
            .pad(
                [(0usize, 0usize), (0usize, 0usize), (0usize, 1usize), (0usize, 1usize)],
                burn::tensor::ops::PadMode::Constant(0f32),
            );
        let concat1_out1 = burn::tensor::Tensor::cat([relu2_out1, pad1_out1].into(), 1);
        let resize1_out1 = self.resize1.forward(concat1_out1);
        let conv2d1_out1 = self.conv2d1.forward(resize1_out1);
        let sigmoid1_out1 = burn::tensor::activation::sigmoid(conv2d1_out1.clone());
        let mul1_out1 = conv2d1_out1.mul(sigmoid1_out1);
        let pad2_out1 = skip_wide
            .pad(
                [(0usize, 0usize), (0usize, 0usize), (1usize, 1usize), (1usize, 1usize)],
                burn::tensor::ops::PadMode::Constant(0f32),
            );
        let concat2_out1 = burn::tensor::Tensor::cat([mul1_out1, pad2_out1].into(), 1);
        let convtranspose2d2_out1 = self.convtranspose2d2.forward(concat2_out1);
        let relu3_out1 = burn::tensor::activation::relu(convtranspose2d2_out1);
        let slice1_out1 = relu3_out1.slice(s![.., .., 2..30, 2..30]);
        let conv2d2_out1 = self.conv2d2.forward(slice1_out1);
        let sigmoid2_out1 = burn::tensor::activation::sigmoid(conv2d2_out1);
        sigmoid2_out1
    }
}
