//! The numbers evaluation computes with.
//!
//! Each operator's loops are written once, over [`Number`] or [`Real`]. Element types map to three Rust types: f16 and
//! f32 compute in `f32`, f64 in `f64`, everything else in `i64` and wraps to its type when it is stored.

use std::borrow::Cow;

use half::f16;

use crate::tensor::{DType, Data, Tensor};

/// Operations needed for sums, products, comparisons and data movement.
pub(crate) trait Number: Copy + PartialOrd + 'static {
    const ZERO: Self;
    const ONE: Self;
    /// The elements of a tensor, converted where they have to be.
    fn read(tensor: &Tensor) -> Cow<'_, [Self]>;
    /// Elements as the data of a tensor of type `dtype`.
    fn write(values: Vec<Self>, dtype: DType) -> Data;
    /// The least value of an element type, minus infinity for floats.
    fn lowest(dtype: DType) -> Self;
    /// The greatest value of an element type, infinity for floats.
    fn highest(dtype: DType) -> Self;
    fn from_f64(value: f64) -> Self;
    fn from_size(value: usize) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Integers: truncated towards zero; `None` for a division by zero.
    fn div(self, other: Self) -> Option<Self>;
    /// Remainder with the sign of `self`; `None` for an integer division by zero.
    fn rem(self, other: Self) -> Option<Self>;
    /// `None` for zero to a negative integer power.
    fn pow(self, exponent: Self) -> Option<Self>;
    fn is_nan(self) -> bool;

    /// NaN if either is NaN, as GPU kernels and NumPy have it.
    fn larger(self, other: Self) -> Self {
        if self.is_nan() || self > other { self } else { other }
    }

    /// NaN if either is NaN.
    fn smaller(self, other: Self) -> Self {
        if self.is_nan() || self < other { self } else { other }
    }

    fn neg(self) -> Self {
        Self::ZERO.sub(self)
    }

    fn abs(self) -> Self {
        if self < Self::ZERO { self.neg() } else { self }
    }

    /// -1, 0 or 1; NaN stays NaN.
    fn sign(self) -> Self {
        if self > Self::ZERO {
            Self::ONE
        } else if self < Self::ZERO {
            Self::ONE.neg()
        } else {
            self
        }
    }
}

/// Additional operations for transcendental functions.
pub(crate) trait Real: Number {
    fn to_f64(self) -> f64;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn sqrt(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn atanh(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn round_ties_even(self) -> Self;
    fn is_infinite(self) -> bool;
    /// The quotient; unlike [`Number::div`] it always exists.
    fn over(self, other: Self) -> Self;
}

macro_rules! real {
    ($t:ident, $own:ident) => {
        impl Number for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            fn read(tensor: &Tensor) -> Cow<'_, [Self]> {
                match tensor.data() {
                    Data::$own(v) => Cow::Borrowed(v),
                    // Going by way of f64 rounds once: f64 holds every value of the narrower types.
                    _ => tensor.to_f64().into_iter().map(|x| x as $t).collect(),
                }
            }

            fn write(values: Vec<Self>, dtype: DType) -> Data {
                match dtype {
                    DType::F32 => Data::F32(values.into_iter().map(|x| x as f32).collect()),
                    DType::F64 => Data::F64(values.into_iter().map(|x| x as f64).collect()),
                    DType::F16 => Data::F16(values.into_iter().map(|x| f16::from_f64(x as f64)).collect()),
                    // `as` truncates and saturates, which is what a cast is to do; NaN becomes zero.
                    DType::I32 => Data::I32(values.into_iter().map(|x| x as i32).collect()),
                    DType::I64 => Data::I64(values.into_iter().map(|x| x as i64).collect()),
                    DType::U8 => Data::U8(values.into_iter().map(|x| x as u8).collect()),
                    DType::I8 => Data::I8(values.into_iter().map(|x| x as i8).collect()),
                    DType::U16 => Data::U16(values.into_iter().map(|x| x as u16).collect()),
                    DType::I16 => Data::I16(values.into_iter().map(|x| x as i16).collect()),
                    DType::U32 => Data::U32(values.into_iter().map(|x| x as u32).collect()),
                    DType::Bool => Data::Bool(values.into_iter().map(|x| x != 0.0).collect()),
                }
            }

            fn lowest(_: DType) -> Self {
                $t::NEG_INFINITY
            }
            fn highest(_: DType) -> Self {
                $t::INFINITY
            }
            fn from_f64(value: f64) -> Self {
                value as $t
            }
            fn from_size(value: usize) -> Self {
                value as $t
            }
            fn add(self, other: Self) -> Self {
                self + other
            }
            fn sub(self, other: Self) -> Self {
                self - other
            }
            fn mul(self, other: Self) -> Self {
                self * other
            }
            fn div(self, other: Self) -> Option<Self> {
                Some(self / other)
            }
            fn rem(self, other: Self) -> Option<Self> {
                Some(self % other)
            }
            fn pow(self, exponent: Self) -> Option<Self> {
                Some(self.powf(exponent))
            }
            fn is_nan(self) -> bool {
                $t::is_nan(self)
            }
            fn neg(self) -> Self {
                -self
            }

            fn abs(self) -> Self {
                // By its sign: the absolute value of -0.0 is 0.0.
                <$t>::abs(self)
            }
        }

        real!(@functions $t: exp ln ln_1p sqrt sin cos tan asin acos atan sinh cosh tanh atanh
              floor ceil round_ties_even);
    };
    (@functions $t:ident: $($function:ident)*) => {
        impl Real for $t {
            $(fn $function(self) -> Self {
                $t::$function(self)
            })*
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn is_infinite(self) -> bool {
                $t::is_infinite(self)
            }
            fn over(self, other: Self) -> Self {
                self / other
            }
        }
    };
}

real!(f32, F32);
real!(f64, F64);

impl Number for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn read(tensor: &Tensor) -> Cow<'_, [Self]> {
        match tensor.data() {
            Data::I64(v) => Cow::Borrowed(v),
            Data::I32(_)
            | Data::U8(_)
            | Data::I8(_)
            | Data::U16(_)
            | Data::I16(_)
            | Data::U32(_)
            | Data::Bool(_)
            | Data::F32(_)
            | Data::F16(_)
            | Data::F64(_) => {
                // Floats truncate; only a cast reads them so.
                let of_floats = || tensor.to_f64().into_iter().map(|x| x as i64).collect();
                Cow::Owned(tensor.to_ints().unwrap_or_else(of_floats))
            }
        }
    }

    fn write(values: Vec<Self>, dtype: DType) -> Data {
        // `as` wraps, which is what integer arithmetic on the device does.
        match dtype {
            DType::I64 => Data::I64(values),
            DType::I32 => Data::I32(values.into_iter().map(|x| x as i32).collect()),
            DType::U8 => Data::U8(values.into_iter().map(|x| x as u8).collect()),
            DType::I8 => Data::I8(values.into_iter().map(|x| x as i8).collect()),
            DType::U16 => Data::U16(values.into_iter().map(|x| x as u16).collect()),
            DType::I16 => Data::I16(values.into_iter().map(|x| x as i16).collect()),
            DType::U32 => Data::U32(values.into_iter().map(|x| x as u32).collect()),
            DType::Bool => Data::Bool(values.into_iter().map(|x| x != 0).collect()),
            DType::F32 => Data::F32(values.into_iter().map(|x| x as f32).collect()),
            DType::F64 => Data::F64(values.into_iter().map(|x| x as f64).collect()),
            DType::F16 => Data::F16(values.into_iter().map(|x| f16::from_f64(x as f64)).collect()),
        }
    }

    fn lowest(dtype: DType) -> Self {
        dtype.integer_range().map_or(i64::MIN, |(low, _)| low)
    }
    fn highest(dtype: DType) -> Self {
        dtype.integer_range().map_or(i64::MAX, |(_, high)| high)
    }
    fn from_f64(value: f64) -> Self {
        value as i64
    }
    fn from_size(value: usize) -> Self {
        i64::try_from(value).unwrap_or(i64::MAX)
    }
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn sub(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
    fn mul(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    fn div(self, other: Self) -> Option<Self> {
        (other != 0).then(|| self.wrapping_div(other))
    }
    fn rem(self, other: Self) -> Option<Self> {
        (other != 0).then(|| self.wrapping_rem(other))
    }
    fn pow(self, exponent: Self) -> Option<Self> {
        if exponent < 0 {
            let odd = exponent % 2 != 0;
            return 1i64.checked_div(self).map(|_| match self {
                1 => 1,
                -1 => {
                    if odd {
                        -1
                    } else {
                        1
                    }
                }
                _ => 0,
            });
        }
        let (mut power, mut base, mut left) = (1i64, self, exponent);
        while left > 0 {
            if left % 2 == 1 {
                power = power.wrapping_mul(base);
            }
            base = base.wrapping_mul(base);
            left /= 2;
        }
        Some(power)
    }
    fn is_nan(self) -> bool {
        false
    }
}
