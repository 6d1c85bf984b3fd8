//! From tensors to the operators' loops and back.

use std::borrow::Cow;

use super::{Nonzero, Op, ResizeMode, UnaryOp, select};
use crate::array::Array;
use crate::dim::Bindings;
use crate::error::{EvalError, ShapeError};
use crate::number::Number;
use crate::tensor::{DType, Data, Tensor, TensorType};

/// The precision of floating point computations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As the graph's types say: f32 in `f32`, f64 in `f64`, f16 in `f32` and rounded when stored. What adds up many
    /// numbers (reductions, windows, products of matrices, statistics) does so in `f64` and rounds its result, so that it
    /// can be the reference for sums in any order.
    F32,
    /// Every floating point value is held and computed in `f64`, whatever its type.
    F64,
}

impl Precision {
    /// The type in which values of type `dtype` are held.
    pub fn held(self, dtype: DType) -> DType {
        if self == Precision::F64 && dtype.is_float() { DType::F64 } else { dtype }
    }

    /// The tensor as it is held in this precision.
    pub fn hold(self, tensor: &Tensor) -> Tensor {
        if self.held(tensor.dtype()) == tensor.dtype() {
            return tensor.clone();
        }
        Tensor::of_len(tensor.shape(), Data::F64(tensor.to_f64()))
    }
}

/// Evaluates `$body` with `$T` as the type that elements of `$dtype` are computed in.
macro_rules! with_number {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 | DType::F16 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            DType::I32
            | DType::I64
            | DType::U8
            | DType::I8
            | DType::U16
            | DType::I16
            | DType::U32
            | DType::Bool => {
                type $T = i64;
                $body
            }
        }
    };
}

/// As `with_number`, for operators that combine many numbers: every float in `f64`.
macro_rules! with_sum {
    ($dtype:expr, $T:ident => $body:expr) => {
        if $dtype.is_float() {
            type $T = f64;
            $body
        } else {
            type $T = i64;
            $body
        }
    };
}

/// As `with_number`, for operators that take floating point only.
macro_rules! with_real {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 | DType::F16 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            found @ (DType::I32
            | DType::I64
            | DType::U8
            | DType::I8
            | DType::U16
            | DType::I16
            | DType::U32
            | DType::Bool) => {
                let expected = "floating point".into();
                return Err(ShapeError::DType { operand: "the input", expected, found }.into());
            }
        }
    };
}

impl Op {
    /// Applies the operator to tensors. `symbols` gives numbers to the symbols in its attributes.
    ///
    /// The outputs are held as `precision` says; shapes and attributes are checked as in [`Op::infer`].
    pub fn evaluate(
        &self,
        inputs: &[&Tensor],
        precision: Precision,
        symbols: &Bindings,
    ) -> Result<Vec<Tensor>, EvalError> {
        if let Op::Loop(op) = self {
            return op.evaluate(inputs, precision, symbols);
        }
        let mut symbols = Cow::Borrowed(symbols);
        if let (Some(count), Some(input)) = (self.count(), inputs.first()) {
            let found = with_number!(input.dtype(), T => Nonzero::found(&Array::<T>::of(input).data).len());
            symbols.to_mut().insert(count.clone(), i64::from_size(found));
        }
        let op = self.bind(&symbols)?;
        let inputs: Vec<Tensor> = inputs.iter().map(|tensor| precision.hold(tensor)).collect();
        let types: Vec<TensorType> = inputs.iter().map(Tensor::ty).collect();
        let outputs: Vec<(DType, Vec<usize>)> = op
            .infer(&types.iter().collect::<Vec<_>>())?
            .into_iter()
            .map(|ty| match ty.static_shape() {
                Some(shape) => Ok((precision.held(ty.dtype), shape)),
                None => Err(ShapeError::Mismatch(format!("{ty} is not a valid tensor type")).into()),
            })
            .collect::<Result<_, EvalError>>()?;
        for (dtype, shape) in &outputs {
            check_memory(*dtype, shape)?;
        }
        let results = op.run(&inputs, &outputs)?;
        Ok(results.into_iter().zip(outputs).map(|(data, (_, shape))| Tensor::of_len(shape, data)).collect())
    }

    /// `self` has no symbols, and the inputs fit; `outputs` are element types and shapes.
    fn run(&self, inputs: &[Tensor], outputs: &[(DType, Vec<usize>)]) -> Result<Vec<Data>, EvalError> {
        let [(dtype, shape), ..] = outputs else { return Ok(vec![]) };
        let dtype = *dtype;
        // Of the first input; operators without inputs do not ask for it.
        let from = inputs.first().map_or(dtype, Tensor::dtype);
        let data = match self {
            Op::Conv(op) => with_sum!(dtype, T => {
                T::write(op.eval::<T>(&Array::of(&inputs[0]), &Array::of(&inputs[1]), shape), dtype)
            }),
            Op::Pool(op) => real_sum(dtype, || op.eval(&Array::of(&inputs[0]), shape))?,
            Op::MatMul(op) => with_sum!(dtype, T => {
                T::write(op.eval::<T>(&Array::of(&inputs[0]), &Array::of(&inputs[1]), shape), dtype)
            }),
            Op::BatchNorm(op) => {
                check_float(dtype)?;
                let arrays: Vec<Array<f64>> = inputs.iter().map(Array::of).collect();
                let results = op.eval::<f64>(&arrays);
                let written = results.into_iter().zip(outputs).map(|(v, (dtype, _))| f64::write(v, *dtype));
                return Ok(written.collect());
            }
            Op::Softmax(op) => real_sum(dtype, || op.eval(&Array::of(&inputs[0])))?,
            Op::Unary(op @ (UnaryOp::ToBits | UnaryOp::FromBits)) => {
                // An f32 is held in f64 if requested.
                let tensor = Tensor::of_len(shape.clone(), op.eval_bits(&inputs[0]));
                if tensor.dtype() == dtype { tensor.data().clone() } else { Data::F64(tensor.to_f64()) }
            }
            Op::Unary(op) if from.is_float() => with_real!(from, T => {
                T::write(op.eval_real::<T>(&Array::of(&inputs[0])), dtype)
            }),
            Op::Unary(op) => i64::write(op.eval_int(&Array::of(&inputs[0]))?, dtype),
            Op::Binary(op) if op.is_bitwise() => {
                i64::write(op.eval_bits(&Array::of(&inputs[0]), &Array::of(&inputs[1]), shape), dtype)
            }
            Op::Binary(op) => with_number!(from, T => {
                T::write(op.eval::<T>(&Array::of(&inputs[0]), &Array::of(&inputs[1]), shape)?, dtype)
            }),
            Op::Select => with_number!(dtype, T => {
                let condition = Array::of(&inputs[0]);
                T::write(select::eval::<T>(&condition, &Array::of(&inputs[1]), &Array::of(&inputs[2]), shape), dtype)
            }),
            Op::Cast(_) => with_number!(from, T => T::write(T::read(&inputs[0]).into_owned(), dtype)),
            Op::Reduce(op) => with_sum!(dtype, T => {
                T::write(op.eval::<T>(&Array::of(&inputs[0]), shape)?, dtype)
            }),
            Op::ArgReduce(op) => {
                with_number!(from, T => i64::write(op.eval::<T>(&Array::of(&inputs[0])), dtype))
            }
            Op::Reshape(_) => inputs[0].data().clone(),
            Op::Expand(_) => with_number!(dtype, T => {
                T::write(Array::<T>::of(&inputs[0]).broadcast(shape).into_owned(), dtype)
            }),
            Op::Transpose(op) => {
                with_number!(dtype, T => T::write(op.eval::<T>(&Array::of(&inputs[0])), dtype))
            }
            Op::Slice(op) => with_number!(dtype, T => T::write(op.eval::<T>(&Array::of(&inputs[0])), dtype)),
            Op::Concat(op) => with_number!(dtype, T => {
                let arrays: Vec<Array<T>> = inputs.iter().map(Array::of).collect();
                T::write(op.eval::<T>(&arrays), dtype)
            }),
            Op::Pad(op) => {
                with_number!(dtype, T => T::write(op.eval::<T>(&Array::of(&inputs[0]), shape), dtype))
            }
            Op::Gather(op) => with_number!(dtype, T => {
                T::write(op.eval::<T>(&Array::of(&inputs[0]), &Array::of(&inputs[1]))?, dtype)
            }),
            Op::GatherElements(op) => with_number!(dtype, T => {
                T::write(op.eval::<T>(&Array::of(&inputs[0]), &Array::of(&inputs[1]))?, dtype)
            }),
            Op::Scatter(op) => with_sum!(dtype, T => {
                let (data, indices) = (Array::<T>::of(&inputs[0]), Array::of(&inputs[1]));
                T::write(op.eval::<T>(&data, &indices, &Array::of(&inputs[2]))?, dtype)
            }),
            Op::ArgSort(op) => {
                with_number!(from, T => i64::write(op.eval::<T>(&Array::of(&inputs[0])), dtype))
            }
            Op::Nonzero(_) => {
                let size = shape.iter().product();
                with_number!(from, T => i64::write(Nonzero::eval(&Array::<T>::of(&inputs[0]).data, size), dtype))
            }
            Op::Suppress(op) => with_real!(from, T => {
                let alive = Array::<i64>::of(&inputs[1]);
                i64::write(op.eval::<T>(&Array::of(&inputs[0]), &alive.data), dtype)
            }),
            Op::Resize(op) => match op.mode {
                ResizeMode::Nearest(mode) => with_number!(dtype, T => {
                    T::write(op.eval_nearest::<T>(&Array::of(&inputs[0]), mode, shape), dtype)
                }),
                ResizeMode::Linear => real_sum(dtype, || op.eval_linear(&Array::of(&inputs[0]), shape))?,
            },
            Op::ShapeOf(op) => i64::write(op.eval(inputs[0].shape()), dtype),
            Op::Iota(op) => i64::write(op.eval(shape), dtype),
            Op::Size(op) => f64::write(vec![op.dim.as_const().unwrap_or(0) as f64], dtype),
            Op::Random(op) => {
                let Some(state) = inputs.first() else {
                    let message = "random numbers without a state are drawn in a training step only";
                    return Err(ShapeError::Mismatch(message.into()).into());
                };
                let numbers = op.eval(&Array::<i64>::of(state).data, shape);
                f64::write(numbers.into_iter().map(f64::from).collect(), dtype)
            }
            Op::Dropout(_) | Op::StopGradient => inputs[0].data().clone(),
            Op::ConvGradWeight(op) => {
                real_sum(dtype, || op.eval(&Array::of(&inputs[0]), &Array::of(&inputs[1]), shape))?
            }
            // It has been evaluated step by step.
            Op::Loop(_) => return Ok(vec![]),
            Op::PoolGrad(op) => real_sum(dtype, || {
                op.eval(&Array::of(&inputs[0]), inputs.get(1).map(Array::of).as_ref(), shape)
            })?,
        };
        Ok(vec![data])
    }
}

/// The results of an operator that takes floating point only and combines many numbers: in `f64`, whatever their type.
fn real_sum(dtype: DType, eval: impl FnOnce() -> Vec<f64>) -> Result<Data, EvalError> {
    check_float(dtype)?;
    Ok(f64::write(eval(), dtype))
}

fn check_float(found: DType) -> Result<(), EvalError> {
    if found.is_float() {
        return Ok(());
    }
    Err(ShapeError::DType { operand: "the input", expected: "floating point".into(), found }.into())
}

/// Sizes come from files: asking for too much has to be an error, not the end of the process.
fn check_memory(dtype: DType, shape: &[usize]) -> Result<(), EvalError> {
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let bytes = elements.and_then(|n| n.checked_mul(dtype.size()));
    let fits = bytes.is_some_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if fits { Ok(()) } else { Err(EvalError::OutOfMemory { dtype, shape: shape.to_vec() }) }
}
