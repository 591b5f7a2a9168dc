// What burn-onnx makes of the encoder of every-block.toml.
extern crate alloc;
use burn::prelude::*;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::AvgPool2d;
use burn::nn::pool::AvgPool2dConfig;
use burn::nn::pool::MaxPool2d;
use burn::nn::pool::MaxPool2dConfig;
use burn::tensor::Bytes;
use burn_store::BurnpackStore;
use burn_store::ModuleSnapshot;


#[derive(Module, Debug)]
pub struct Model {
    constant3: burn::module::Param<Tensor<2>>,
    constant4: burn::module::Param<Tensor<1>>,
    constant5: burn::module::Param<Tensor<2>>,
    constant6: burn::module::Param<Tensor<1>>,
    constant7: burn::module::Param<Tensor<2>>,
    constant8: burn::module::Param<Tensor<1>>,
    conv2d1: Conv2d,
    maxpool2d1: MaxPool2d,
    averagepool2d1: AvgPool2d,
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
        let constant3: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([36, 16], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [36, 16].into(),
        );
        let constant4: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([16], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [16].into(),
        );
        let constant5: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([16, 4], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [16, 4].into(),
        );
        let constant6: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([4], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [4].into(),
        );
        let constant7: burn::module::Param<Tensor<2>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                2,
            >::zeros([16, 4], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [16, 4].into(),
        );
        let constant8: burn::module::Param<Tensor<1>> = burn::module::Param::uninitialized(
            burn::module::ParamId::new(),
            move |device, _require_grad| Tensor::<
                1,
            >::zeros([4], (device, burn::tensor::DType::F32)),
            device.clone(),
            false,
            [4].into(),
        );
        let conv2d1 = Conv2dConfig::new([1, 4], [3, 3])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_dilation([1, 1])
            .with_groups(1)
            .with_bias(true)
            .init(device);
        let maxpool2d1 = MaxPool2dConfig::new([2, 2])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Valid)
            .with_dilation([1, 1])
            .with_ceil_mode(false)
            .init();
        let averagepool2d1 = AvgPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Valid)
            .with_count_include_pad(false)
            .with_ceil_mode(false)
            .init();
        Self {
            constant3,
            constant4,
            constant5,
            constant6,
            constant7,
            constant8,
            conv2d1,
            maxpool2d1,
            averagepool2d1,
            device: device.clone(),
        }
    }

    #[allow(clippy::let_and_return, clippy::approx_constant)]
    pub fn forward(
        &self,
        image: Tensor<4>,
    ) -> (Tensor<2>, Tensor<2>, Tensor<4>, Tensor<4>) {
        let constant3_out1 = self.constant3.val();
        let constant4_out1 = self.constant4.val();
        let constant5_out1 = self.constant5.val();
        let constant6_out1 = self.constant6.val();
        let constant7_out1 = self.constant7.val();
        let constant8_out1 = self.constant8.val();
        let conv2d1_out1 = self.conv2d1.forward(image);
        let sigmoid1_out1 = burn::tensor::activation::sigmoid(conv2d1_out1.clone());
        let mul1_out1 = conv2d1_out1.mul(sigmoid1_out1);
        let maxpool2d1_out1 = self.maxpool2d1.forward(mul1_out1.clone());
        let averagepool2d1_out1 = self.averagepool2d1.forward(maxpool2d1_out1.clone());
        let flatten1_out1 = {
            let leading_dim = averagepool2d1_out1.shape()[..1].iter().product::<usize>()
                as i32;
            averagepool2d1_out1.reshape::<2, _>([leading_dim, -1])
        };
        let gemm1_out1 = flatten1_out1.matmul(constant3_out1)
            + constant4_out1.unsqueeze();
        let leakyrelu1_out1 = burn::tensor::activation::leaky_relu(
            gemm1_out1,
            0.20000000298023224,
        );
        let gemm2_out1 = leakyrelu1_out1.clone().matmul(constant5_out1)
            + constant6_out1.unsqueeze();
        let gemm3_out1 = leakyrelu1_out1.matmul(constant7_out1)
            + constant8_out1.unsqueeze();
        (gemm2_out1, gemm3_out1, maxpool2d1_out1, mul1_out1)
    }
}
