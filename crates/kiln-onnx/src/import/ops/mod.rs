//! The operators of ONNX, each written in core operators.
//!
//! [`TABLE`] lists them all: domain and name, the version of the operator set it came with, which inputs are weights and
//! which are numbers that have to be known, and the function that writes it.

mod activation;
mod attention;
mod conv;
mod data_dependent;
mod elementwise;
mod image;
mod indexing;
mod integers;
pub(super) mod left_out;
mod legacy;
mod linear;
mod loss;
mod masks;
mod movement;
mod normalization;
mod pool;
mod quantized;
mod random;
mod recurrent;
mod reduce;
mod resize;
mod sequence;
mod shape;
mod signal;
mod text;
mod training;

pub(crate) use attention::softmax_precision;

use super::cx::{Cx, Outputs};

/// An operator that can be imported.
#[derive(Debug)]
pub(crate) struct Operator {
    /// Whose operator it is; nothing for ONNX's own.
    pub domain: &'static str,
    pub name: &'static str,
    /// The first version of the operator set that has it.
    pub since: i64,
    /// The first version that no longer has it.
    pub until: Option<i64>,
    /// Inputs that are parameters of the model.
    pub weights: &'static [usize],
    /// Inputs that have to be known when the graph is built.
    pub constants: &'static [usize],
    /// Inputs that are no parameters, although they are floats and may be initializers: scales of quantized numbers.
    pub fixed: &'static [usize],
    pub import: fn(&mut Cx<'_>) -> Outputs,
}

const fn op(name: &'static str, since: i64, import: fn(&mut Cx<'_>) -> Outputs) -> Operator {
    Operator { domain: "", name, since, until: None, weights: &[], constants: &[], fixed: &[], import }
}

impl Operator {
    const fn of(self, domain: &'static str) -> Self {
        Self { domain, ..self }
    }

    const fn until(self, version: i64) -> Self {
        Self { until: Some(version), ..self }
    }

    const fn weights(self, weights: &'static [usize]) -> Self {
        Self { weights, ..self }
    }

    const fn constants(self, constants: &'static [usize]) -> Self {
        Self { constants, ..self }
    }

    const fn fixed(self, fixed: &'static [usize]) -> Self {
        Self { fixed, ..self }
    }
}

/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";

/// All operators, by domain and name.
pub(crate) const TABLE: &[Operator] = &[
    op("Abs", 1, elementwise::abs),
    op("Acos", 7, elementwise::acos),
    op("Acosh", 9, elementwise::acosh),
    op("Add", 1, elementwise::add),
    op("AffineGrid", 20, image::affine_grid).constants(&[1]),
    op("And", 1, elementwise::and),
    op("ArgMax", 1, reduce::arg_max),
    op("ArgMin", 1, reduce::arg_min),
    op("Asin", 7, elementwise::asin),
    op("Asinh", 9, elementwise::asinh),
    op("Atan", 7, elementwise::atan),
    op("Atanh", 9, elementwise::atanh),
    op("Attention", 23, attention::attention),
    op("AveragePool", 1, pool::average_pool),
    op("BatchNormalization", 1, normalization::batch_normalization).weights(&[1, 2, 3, 4]),
    op("Bernoulli", 15, random::bernoulli),
    op("BitCast", 26, integers::bit_cast),
    op("BitShift", 11, integers::bit_shift),
    op("BitwiseAnd", 18, integers::bitwise_and),
    op("BitwiseNot", 18, integers::bitwise_not),
    op("BitwiseOr", 18, integers::bitwise_or),
    op("BitwiseXor", 18, integers::bitwise_xor),
    op("BlackmanWindow", 17, signal::blackman_window).constants(&[0]),
    op("Cast", 1, elementwise::cast),
    op("CastLike", 15, elementwise::cast_like),
    op("CausalConvWithState", 27, sequence::causal_conv).weights(&[1, 2]),
    op("Ceil", 1, elementwise::ceil),
    op("Celu", 12, activation::celu),
    op("CenterCropPad", 18, image::center_crop_pad).constants(&[1]),
    op("Clip", 1, activation::clip).constants(&[1, 2]),
    op("Col2Im", 18, image::col2im).constants(&[1, 2]),
    op("Compress", 9, data_dependent::compress),
    op("Concat", 1, movement::concat),
    op("Constant", 1, shape::constant),
    op("ConstantOfShape", 9, shape::constant_of_shape).constants(&[0]),
    op("Conv", 1, conv::conv).weights(&[1, 2]),
    op("ConvInteger", 10, quantized::conv_integer),
    op("ConvTranspose", 1, conv::conv_transpose).weights(&[1, 2]),
    op("Cos", 7, elementwise::cos),
    op("Cosh", 9, elementwise::cosh),
    op("CumProd", 26, reduce::cum_prod).constants(&[1]),
    op("CumSum", 11, reduce::cum_sum).constants(&[1]),
    op("DFT", 17, signal::dft).constants(&[1, 2]),
    op("DeformConv", 19, image::deform_conv).weights(&[1, 3]),
    op("DepthToSpace", 1, movement::depth_to_space),
    op("DequantizeLinear", 10, quantized::dequantize_linear).fixed(&[1]),
    op("Det", 11, linear::det),
    op("Div", 1, elementwise::div),
    op("Dropout", 1, shape::dropout).constants(&[1, 2]),
    op("DynamicQuantizeLinear", 11, quantized::dynamic_quantize_linear),
    op("Einsum", 12, linear::einsum),
    op("Elu", 1, activation::elu),
    op("Equal", 1, elementwise::equal),
    op("Erf", 9, elementwise::erf),
    op("Exp", 1, elementwise::exp),
    op("Expand", 8, shape::expand).constants(&[1]),
    op("EyeLike", 9, masks::eye_like),
    op("Flatten", 1, shape::flatten),
    op("Floor", 1, elementwise::floor),
    op("GRU", 1, recurrent::gru).weights(&[1, 2, 3]),
    op("Gather", 1, movement::gather),
    op("GatherElements", 11, movement::gather_elements),
    op("GatherND", 11, indexing::gather_nd),
    op("Gelu", 20, activation::gelu),
    op("Gemm", 1, linear::gemm).weights(&[1, 2]),
    op("GlobalAveragePool", 1, pool::global_average_pool),
    op("GlobalMaxPool", 1, pool::global_max_pool),
    op("Greater", 1, elementwise::greater),
    op("GreaterOrEqual", 12, elementwise::greater_or_equal),
    op("GridSample", 16, image::grid_sample),
    op("GroupNormalization", 18, normalization::group_normalization).weights(&[1, 2]),
    op("HammingWindow", 17, signal::hamming_window).constants(&[0]),
    op("HannWindow", 17, signal::hann_window).constants(&[0]),
    op("HardSigmoid", 1, activation::hard_sigmoid),
    op("HardSwish", 14, activation::hard_swish),
    op("Hardmax", 1, reduce::hard_max),
    op("Identity", 1, shape::identity),
    op("InstanceNormalization", 1, normalization::instance_normalization).weights(&[1, 2]),
    op("IsInf", 10, elementwise::is_inf),
    op("IsNaN", 9, elementwise::is_nan),
    op("LRN", 1, normalization::lrn),
    op("LSTM", 1, recurrent::lstm).weights(&[1, 2, 3, 7]),
    op("LayerNormalization", 17, normalization::layer_normalization).weights(&[1, 2]),
    op("LeakyRelu", 1, activation::leaky_relu),
    op("Less", 1, elementwise::less),
    op("LessOrEqual", 12, elementwise::less_or_equal),
    op("LinearAttention", 27, sequence::linear_attention),
    op("Log", 1, elementwise::log),
    op("LogSoftmax", 1, reduce::log_softmax),
    op("LpNormalization", 1, normalization::lp_normalization),
    op("LpPool", 1, pool::lp_pool),
    op("MatMul", 1, linear::mat_mul).weights(&[1]),
    op("MatMulInteger", 10, quantized::mat_mul_integer),
    op("Max", 1, elementwise::max),
    op("MaxPool", 1, pool::max_pool),
    op("MaxUnpool", 9, pool::max_unpool).constants(&[2]),
    op("Mean", 1, elementwise::mean),
    op("MeanVarianceNormalization", 9, normalization::mean_variance_normalization),
    op("MelWeightMatrix", 17, signal::mel_weight_matrix).constants(&[0, 1, 2, 3, 4]),
    op("Min", 1, elementwise::min),
    op("Mish", 18, activation::mish),
    op("Mod", 10, elementwise::modulo),
    op("Mul", 1, elementwise::mul),
    op("Neg", 1, elementwise::neg),
    op("NegativeLogLikelihoodLoss", 12, loss::negative_log_likelihood),
    op("NonMaxSuppression", 10, data_dependent::non_max_suppression).constants(&[2, 3]),
    op("NonZero", 9, data_dependent::non_zero),
    op("Not", 1, elementwise::not),
    op("OneHot", 9, masks::one_hot).constants(&[1]),
    op("Or", 1, elementwise::or),
    op("PRelu", 1, activation::p_relu).weights(&[1]),
    op("Pad", 1, movement::pad).constants(&[1, 2, 3]),
    op("Pow", 1, elementwise::pow),
    op("QLinearConv", 10, quantized::q_linear_conv).fixed(&[1, 4, 6]),
    op("QLinearMatMul", 10, quantized::q_linear_mat_mul).fixed(&[1, 4, 6]),
    op("QuantizeLinear", 10, quantized::quantize_linear).fixed(&[1]),
    op("RMSNormalization", 23, normalization::rms_normalization).weights(&[1]),
    op("RNN", 1, recurrent::rnn).weights(&[1, 2, 3]),
    op("RandomNormal", 1, random::random_normal),
    op("RandomNormalLike", 1, random::random_normal_like),
    op("RandomUniform", 1, random::random_uniform),
    op("RandomUniformLike", 1, random::random_uniform_like),
    op("Range", 11, shape::range).constants(&[0, 1, 2]),
    op("Reciprocal", 1, elementwise::reciprocal),
    op("ReduceL1", 1, reduce::l1).constants(&[1]),
    op("ReduceL2", 1, reduce::l2).constants(&[1]),
    op("ReduceLogSum", 1, reduce::log_sum).constants(&[1]),
    op("ReduceLogSumExp", 1, reduce::log_sum_exp).constants(&[1]),
    op("ReduceMax", 1, reduce::max).constants(&[1]),
    op("ReduceMean", 1, reduce::mean).constants(&[1]),
    op("ReduceMin", 1, reduce::min).constants(&[1]),
    op("ReduceProd", 1, reduce::prod).constants(&[1]),
    op("ReduceSum", 1, reduce::sum).constants(&[1]),
    op("ReduceSumSquare", 1, reduce::sum_square).constants(&[1]),
    op("Relu", 1, activation::relu),
    op("Reshape", 1, shape::reshape).constants(&[1]),
    op("Resize", 10, resize::resize).constants(&[1, 2, 3]),
    op("ReverseSequence", 10, masks::reverse_sequence),
    op("RoiAlign", 10, image::roi_align),
    op("RotaryEmbedding", 23, sequence::rotary_embedding),
    op("Round", 11, elementwise::round),
    op("STFT", 17, signal::stft).constants(&[1, 3]),
    op("Scatter", 9, indexing::scatter_elements).until(11),
    op("ScatterElements", 11, indexing::scatter_elements),
    op("ScatterND", 11, indexing::scatter_nd),
    op("Selu", 1, activation::selu),
    op("Shape", 1, shape::shape),
    op("Shrink", 9, activation::shrink),
    op("Sigmoid", 1, elementwise::sigmoid),
    op("Sign", 9, elementwise::sign),
    op("Sin", 7, elementwise::sin),
    op("Sinh", 9, elementwise::sinh),
    op("Size", 1, shape::size),
    op("Slice", 1, movement::slice).constants(&[1, 2, 3, 4]),
    op("Softmax", 1, reduce::softmax),
    op("SoftmaxCrossEntropyLoss", 12, loss::softmax_cross_entropy),
    op("Softplus", 1, elementwise::softplus),
    op("Softsign", 1, activation::softsign),
    op("SpaceToDepth", 1, movement::space_to_depth),
    op("Split", 2, movement::split).constants(&[1]),
    op("Sqrt", 1, elementwise::sqrt),
    op("Squeeze", 1, shape::squeeze).constants(&[1]),
    op("Sub", 1, elementwise::sub),
    op("Sum", 1, elementwise::sum),
    op("SwiGLU", 28, activation::swi_glu),
    op("Swish", 24, activation::swish),
    op("Tan", 7, elementwise::tan),
    op("Tanh", 1, elementwise::tanh),
    op("TensorScatter", 24, sequence::tensor_scatter),
    op("TfIdfVectorizer", 9, text::tf_idf_vectorizer),
    op("ThresholdedRelu", 10, activation::thresholded_relu),
    op("Tile", 6, shape::tile).constants(&[1]),
    op("TopK", 1, indexing::top_k).constants(&[1]),
    op("Transpose", 1, shape::transpose),
    op("Trilu", 14, masks::trilu),
    op("Unique", 11, data_dependent::unique).constants(&[0]),
    op("Unsqueeze", 1, shape::unsqueeze).constants(&[1]),
    op("Upsample", 7, resize::upsample).until(10).constants(&[1]),
    op("Where", 9, elementwise::select),
    op("Xor", 1, elementwise::xor),
    op("ArrayFeatureExtractor", 1, indexing::array_feature_extractor).of("ai.onnx.ml"),
    op("Binarizer", 1, elementwise::binarizer).of("ai.onnx.ml"),
    op("Adagrad", 1, training::adagrad).of("ai.onnx.preview.training"),
    op("Adam", 1, training::adam).of("ai.onnx.preview.training"),
    op("Momentum", 1, training::momentum).of("ai.onnx.preview.training"),
    op("DequantizeLinear", 1, quantized::dequantize_linear).of(MICROSOFT).fixed(&[1]),
    op("DynamicQuantizeLSTM", 1, quantized::dynamic_quantize_lstm)
        .of(MICROSOFT)
        .weights(&[3, 7])
        .fixed(&[8, 10]),
    op("DynamicQuantizeMatMul", 1, quantized::dynamic_quantize_mat_mul)
        .of(MICROSOFT)
        .weights(&[4])
        .fixed(&[2]),
    op("MatMulIntegerToFloat", 1, quantized::mat_mul_integer_to_float)
        .of(MICROSOFT)
        .weights(&[6])
        .fixed(&[2, 3]),
    op("QGemm", 1, quantized::q_gemm).of(MICROSOFT).fixed(&[1, 4, 7]),
    op("QLinearAdd", 1, quantized::add).of(MICROSOFT).fixed(&[1, 4, 6]),
    op("QLinearAveragePool", 1, quantized::average_pool).of(MICROSOFT).fixed(&[1, 3]),
    op("QLinearConcat", 1, quantized::concat).of(MICROSOFT),
    op("QLinearGlobalAveragePool", 1, quantized::global_average_pool).of(MICROSOFT).fixed(&[1, 3]),
    op("QLinearLeakyRelu", 1, quantized::leaky_relu).of(MICROSOFT).fixed(&[1, 3]),
    op("QLinearMul", 1, quantized::mul).of(MICROSOFT).fixed(&[1, 4, 6]),
    op("QLinearSigmoid", 1, quantized::sigmoid).of(MICROSOFT).fixed(&[1, 3]),
    op("QLinearSoftmax", 1, quantized::softmax).of(MICROSOFT).fixed(&[1, 3]),
    op("QLinearWhere", 1, quantized::select).of(MICROSOFT).fixed(&[2, 5, 7]),
    op("QuantizeLinear", 1, quantized::quantize_linear).of(MICROSOFT).fixed(&[1]),
];

/// Whether an operator can be imported.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Support {
    Yes(&'static Operator),
    /// It came with this later version.
    TooNew(i64),
    /// It went with this earlier version.
    Gone(i64),
    /// It is deliberately left out, for this reason.
    LeftOut(&'static str),
    No,
}

impl Support {
    /// Why not.
    pub(crate) fn reason(self) -> String {
        match self {
            Support::Yes(_) => "is supported".into(),
            Support::TooNew(since) => {
                format!("the operator exists since version {since} of the operator set")
            }
            Support::Gone(until) => {
                format!("the operator no longer exists in version {until} of the operator set")
            }
            Support::LeftOut(why) => why.into(),
            Support::No => "the operator is not supported".into(),
        }
    }
}

/// Looks up an operator in version `opset` of its domain's operator set.
pub(crate) fn support(domain: &str, name: &str, opset: i64) -> Support {
    let domain = if super::is_standard(domain) { "" } else { domain };
    let found = TABLE.binary_search_by_key(&(domain, name), |o| (o.domain, o.name));
    let Ok(index) = found else {
        return left_out::reason(domain, name).map_or(Support::No, Support::LeftOut);
    };
    let Some(operator) = TABLE.get(index) else { return Support::No };
    match operator.until {
        // A query for the newest version asks whether the operator is known at all.
        Some(until) if opset >= until && opset < super::OPSETS.1 => Support::Gone(until),
        _ if opset < operator.since => Support::TooNew(operator.since),
        _ => Support::Yes(operator),
    }
}

#[cfg(test)]
mod tests {
    use super::{TABLE, left_out};

    #[test]
    fn nothing_is_both_there_and_left_out() {
        let there = |domain, name| TABLE.iter().any(|o| (o.domain, o.name) == (domain, name));
        assert!(left_out::all().all(|(domain, name, _)| !there(domain, name)));
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by_key(|o| (o.domain, o.name)));
    }
}
