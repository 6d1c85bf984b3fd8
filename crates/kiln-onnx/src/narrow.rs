//! Tensors of types that nothing is computed in here: bfloat16 and 8-bit floats become 32-bit ones, which hold all of their
//! values, and integers of 4 bits become integers of 8.

use kiln_graph::{Data, DataLengthError, Tensor};

use crate::external::External;
use crate::proto::{DataLocation, DataType, TensorProto};
use crate::tensor::{TensorError, sizes};

/// An element type that is widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Narrow {
    Bfloat16,
    /// Floats of 8 bits.
    Float8(Float8),
    /// Two in a byte, the first one in the lower bits.
    Int4,
    Uint4,
}

/// The layout of 8-bit floats (Micikevicius et al., "FP8 formats for deep learning", 2022; Noune et al., "8-bit numerical
/// formats for deep neural networks", 2022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Float8 {
    /// Bits of the mantissa; those of the exponent are the rest but for the sign.
    mantissa: u8,
    /// What is added to the exponent.
    bias: i32,
    specials: Specials,
}

/// Which bits are no finite numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Specials {
    /// All ones are NaN, and there are no infinities (`fn`).
    OnesAreNan,
    /// The largest exponent, as in larger floats.
    LargestExponent,
    /// Minus zero is NaN, and there are no infinities (`fnuz`).
    MinusZeroIsNan,
}

const E4M3FN: Float8 = Float8 { mantissa: 3, bias: 7, specials: Specials::OnesAreNan };
const E4M3FNUZ: Float8 = Float8 { mantissa: 3, bias: 8, specials: Specials::MinusZeroIsNan };
const E5M2: Float8 = Float8 { mantissa: 2, bias: 15, specials: Specials::LargestExponent };
const E5M2FNUZ: Float8 = Float8 { mantissa: 2, bias: 16, specials: Specials::MinusZeroIsNan };

impl Float8 {
    /// The number that a byte stands for.
    fn value(self, bits: u8) -> f32 {
        let (negative, size) = (bits & 0x80 != 0, bits & 0x7f);
        let exponent = size >> self.mantissa;
        let fraction = size & ((1 << self.mantissa) - 1);
        let is_nan = match self.specials {
            Specials::OnesAreNan => size == 0x7f,
            Specials::MinusZeroIsNan => bits == 0x80,
            Specials::LargestExponent => size > 0x7c,
        };
        if is_nan {
            return f32::NAN;
        }
        let magnitude = if self.specials == Specials::LargestExponent && size == 0x7c {
            f32::INFINITY
        } else {
            // Without a leading one where the exponent is zero.
            let leading = if exponent == 0 { 0 } else { 1u8 << self.mantissa };
            let power = i32::from(exponent.max(1)) - self.bias - i32::from(self.mantissa);
            f32::from(leading + fraction) * 2f32.powi(power)
        };
        if negative { -magnitude } else { magnitude }
    }
}

impl Narrow {
    /// The type with a number of the format, if it is one of these.
    pub(crate) fn of(data_type: i32) -> Option<Self> {
        Some(match DataType::try_from(data_type).ok()? {
            DataType::Bfloat16 => Narrow::Bfloat16,
            DataType::Float8e4m3fn => Narrow::Float8(E4M3FN),
            DataType::Float8e4m3fnuz => Narrow::Float8(E4M3FNUZ),
            DataType::Float8e5m2 => Narrow::Float8(E5M2),
            DataType::Float8e5m2fnuz => Narrow::Float8(E5M2FNUZ),
            DataType::Int4 => Narrow::Int4,
            DataType::Uint4 => Narrow::Uint4,
            _ => return None,
        })
    }

    /// Whether it is a floating point type, which 32-bit floats hold.
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Narrow::Bfloat16 | Narrow::Float8(_))
    }

    fn bits(self) -> usize {
        match self {
            Narrow::Bfloat16 => 16,
            Narrow::Float8(_) => 8,
            Narrow::Int4 | Narrow::Uint4 => 4,
        }
    }

    /// `count` elements of bytes that are enough for them.
    fn widen(self, raw: &[u8], count: usize) -> Data {
        // Two of each byte; where the count is odd, the last one is none.
        let halves = raw.iter().flat_map(|byte| [byte & 0xf, byte >> 4]).take(count);
        match self {
            Narrow::Bfloat16 => {
                let pairs = raw.as_chunks::<2>().0.iter();
                Data::F32(
                    pairs.map(|pair| f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16)).collect(),
                )
            }
            Narrow::Float8(layout) => Data::F32(raw.iter().map(|byte| layout.value(*byte)).collect()),
            Narrow::Uint4 => Data::U8(halves.collect()),
            // The sign is the highest of the four bits.
            Narrow::Int4 => Data::I8(halves.map(|half| (half << 4).cast_signed() >> 4).collect()),
        }
    }
}

/// The tensor in a message, widened.
pub(crate) fn decode(
    narrow: Narrow,
    mut proto: TensorProto,
    external: &mut External,
) -> Result<Tensor, TensorError> {
    let (name, dims) = (proto.name.clone(), proto.dims.clone());
    let wrong_dims = || TensorError::Dims { name: name.clone(), dims: dims.clone() };
    let shape = sizes(&dims).ok_or_else(wrong_dims)?;
    let count: usize = shape.iter().product();
    let expected = count.checked_mul(narrow.bits()).ok_or_else(wrong_dims)?.div_ceil(8);
    let raw = if proto.data_location == i32::from(DataLocation::External) {
        let failed = |source| TensorError::External { name: name.clone(), source };
        let place = External::place(&proto.external_data, expected).map_err(failed)?;
        external.read(&place, expected).map_err(failed)?
    } else {
        match proto.raw_data.take() {
            Some(raw) => raw,
            // Bytes, or the two of a bfloat16, in numbers of their own.
            None => {
                let bytes = proto
                    .int32_data
                    .iter()
                    .flat_map(|x| x.to_le_bytes().into_iter().take(narrow.bits().div_ceil(8)));
                bytes.collect()
            }
        }
    };
    if raw.len() != expected {
        let (found, unit) = (raw.len(), "bytes");
        return Err(TensorError::Length { name, dims, expected, found, unit });
    }
    Tensor::new(shape, narrow.widen(&raw, count)).map_err(|DataLengthError { expected, found, .. }| {
        TensorError::Length { name: name.clone(), dims: dims.clone(), expected, found, unit: "elements" }
    })
}

#[cfg(test)]
mod tests {
    use kiln_graph::Data;

    use super::{E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, Narrow};

    /// The numbers of the tables in the specifications.
    #[test]
    fn floats_of_8_bits_are_what_the_tables_say() {
        for (layout, bits, value) in [
            (E4M3FN, 0x7e, 448.0),
            (E4M3FN, 0x08, 0.015_625),
            (E4M3FN, 0x01, 0.001_953_125),
            (E4M3FN, 0xbc, -1.5),
            (E4M3FNUZ, 0x7f, 240.0),
            (E4M3FNUZ, 0x01, 0.000_976_562_5),
            (E5M2, 0x7b, 57_344.0),
            (E5M2, 0x01, f32::powi(2.0, -16)),
            (E5M2, 0x7c, f32::INFINITY),
            (E5M2, 0xfc, f32::NEG_INFINITY),
            (E5M2FNUZ, 0x7f, 57_344.0),
            (E5M2FNUZ, 0x01, f32::powi(2.0, -17)),
        ] {
            assert_eq!(layout.value(bits), value, "{layout:?} {bits:#x}");
        }
        for (layout, bits) in [(E4M3FN, 0x7f), (E4M3FNUZ, 0x80), (E5M2, 0x7d), (E5M2FNUZ, 0x80)] {
            assert!(layout.value(bits).is_nan(), "{layout:?} {bits:#x}");
        }
        assert!(E4M3FN.value(0x80).is_sign_negative());
    }

    #[test]
    fn the_first_of_two_is_in_the_lower_bits() {
        assert_eq!(Narrow::Uint4.widen(&[0x2f, 0x08], 3), Data::U8(vec![15, 2, 8]));
        assert_eq!(Narrow::Int4.widen(&[0x2f, 0x08], 3), Data::I8(vec![-1, 2, -8]));
        assert_eq!(Narrow::Bfloat16.widen(&[0x80, 0xbf], 1), Data::F32(vec![-1.0]));
    }
}
