//! Images as an input of a plan, as its metadata says.

use kiln_plan::{Channels, DType, InputSource, Pictures, Preprocessing, Resize};

use super::{MOST_PIXELS, Picture};
use crate::error::RuntimeError;
use crate::interface::Value;
use crate::session::Session;
use crate::tensor::{Data, HostTensor};

impl Session {
    /// An input of the first program that is a batch of images: each is resized, cut and normalized as the plan's metadata says.
    /// `kiln run` and data sets give the same numbers.
    ///
    /// Where the input has a size of its own and the metadata brings images to another one, they are stretched to it, or, after
    /// a resize by the shorter side, cut out of the middle.
    pub fn of_pictures(&self, input: &str, pictures: &[Picture]) -> Result<HostTensor, RuntimeError> {
        let inputs = self.inputs();
        let value = inputs.iter().find(|value| value.name == input);
        let value = value.ok_or_else(|| RuntimeError::NoSuchInput {
            wanted: input.to_string(),
            there: inputs.iter().map(|value| value.name.clone()).collect(),
        })?;
        let how = self.metadata().preprocessing.as_ref().ok_or_else(|| RuntimeError::Picture {
            name: input.to_string(),
            reason: "the metadata of the plan does not say that it holds pictures".into(),
        })?;
        value.of_pictures(pictures, how)
    }
}

impl Value {
    /// The same as [`Session::of_pictures`] with other preprocessing than the plan's. An input of bytes takes pixels as they
    /// are, from 0 to 255, if `how` has neither mean nor deviation.
    pub fn of_pictures(&self, pictures: &[Picture], how: &Preprocessing) -> Result<HostTensor, RuntimeError> {
        let refused = |reason: String| RuntimeError::Picture { name: self.name.clone(), reason };
        let InputSource::Pictures(asked) = &how.source else {
            return Err(refused("it takes a table or plain numbers".into()));
        };
        let [_, channels, height, width] = self.shape[..] else {
            return Err(refused(format!("it takes {self}, not [N, C, H, W]")));
        };
        let asked =
            Pictures { channels: channels_of(channels, asked.channels).map_err(refused)?, ..asked.clone() };
        let count = asked.channels.count();
        if [&how.mean, &how.std]
            .iter()
            .any(|numbers| !matches!(numbers.len(), 0 | 1) && numbers.len() != count)
        {
            return Err(refused(format!("mean and deviation are not for {count} channels")));
        }
        let fixed = height.zip(width);
        let mut size = fixed;
        let mut bytes = Vec::new();
        let mut numbers = Vec::new();
        for picture in pictures {
            let picture = fitted(picture, &asked, fixed).map_err(refused)?;
            let found = (picture.height(), picture.width());
            if *size.get_or_insert(found) != found {
                let (height, width) = size.unwrap_or_default();
                return Err(refused(format!(
                    "one is {} x {} pixels, those before it are {width} x {height}: give them one by one",
                    found.1, found.0
                )));
            }
            match self.dtype {
                DType::U8 if how.mean.is_empty() && how.std.is_empty() => {
                    bytes.extend(picture.planes(asked.channels))
                }
                DType::F32 | DType::F16 => numbers.extend(picture.numbers(&asked, how)),
                other => return Err(refused(format!("it takes {}, not f32", other.name()))),
            }
        }
        let (height, width) = size.unwrap_or((0, 0));
        let data = match self.dtype {
            DType::U8 => Data::U8(bytes),
            DType::F16 => Data::F16(numbers.into_iter().map(crate::f16::from_f32).collect()),
            _ => Data::F32(numbers),
        };
        HostTensor::new([pictures.len(), count, height, width], data)
    }
}

/// The channels of an input that has so many, of images of other channels, too.
fn channels_of(has: Option<usize>, asked: Channels) -> Result<Channels, String> {
    match (has, asked) {
        (None, asked) => Ok(asked),
        (Some(1), _) => Ok(Channels::Grey),
        (Some(3), Channels::Bgr) => Ok(Channels::Bgr),
        (Some(3), Channels::Rgb | Channels::Grey) => Ok(Channels::Rgb),
        (Some(other), _) => Err(format!("it has {other} channels; pictures have 1 or 3")),
    }
}

/// An image as it goes into an input of the size `(height, width)`, if that has one.
fn fitted(picture: &Picture, asked: &Pictures, size: Option<(usize, usize)>) -> Result<Picture, String> {
    let own = if asked.channels == Channels::Grey { picture.clone().grey() } else { picture.clone() };
    let (height, width) = (own.height(), own.width());
    let too_large = || format!("{width} x {height} would become more than {MOST_PIXELS} pixels");
    let prepared = own.prepared(asked).ok_or_else(too_large)?;
    let Some((height, width)) = size else {
        return if prepared.is_within_limits() { Ok(prepared) } else { Err(too_large()) };
    };
    if (prepared.height(), prepared.width()) == (height, width) {
        return Ok(prepared);
    }
    match (asked.resize, asked.crop) {
        (Some(Resize::Shorter(side)), None) => {
            if prepared.height() < height || prepared.width() < width {
                return Err(format!(
                    "it takes {width} x {height} pixels, more than a shorter side of {side} leaves"
                ));
            }
            Ok(prepared.middle(height, width))
        }
        _ => prepared.resized(height, width).ok_or_else(too_large),
    }
}

#[cfg(test)]
mod tests {
    use kiln_plan::Storage;

    use super::*;

    fn value(dtype: DType, shape: [Option<usize>; 4]) -> Value {
        Value::for_tests("image", dtype, Storage::F32, shape.to_vec())
    }

    fn how(pictures: Pictures, mean: Vec<f32>) -> Preprocessing {
        Preprocessing { source: InputSource::Pictures(pictures), mean, std: vec![] }
    }

    /// Two pixels side by side: red, and a dark blue.
    fn red_and_blue() -> Picture {
        Picture::new(1, 2, 3, vec![255, 0, 0, 0, 0, 51]).expect("two pixels")
    }

    #[test]
    fn channels_are_those_of_the_input() {
        let input = value(DType::F32, [None, Some(3), None, None]);
        let given = [red_and_blue(), red_and_blue()];
        let found = input.of_pictures(&given, &how(Pictures::default(), vec![0.5])).expect("numbers");
        assert_eq!(found.shape(), [2, 3, 1, 2]);
        assert_eq!(found.as_f32().expect("f32")[..6], [0.5, -0.5, -0.5, -0.5, -0.5, 0.2 - 0.5]);
        let bgr = Pictures { channels: Channels::Bgr, ..Pictures::default() };
        let found = input.of_pictures(&given[..1], &how(bgr, vec![])).expect("numbers");
        assert_eq!(found.as_f32().expect("f32"), [0.0, 0.2, 0.0, 0.0, 1.0, 0.0]);
        // Bytes for a network that takes bytes, and grey for one that takes one channel.
        let input = value(DType::U8, [None, Some(1), Some(1), Some(2)]);
        let found = input.of_pictures(&given[..1], &how(Pictures::default(), vec![])).expect("bytes");
        assert_eq!(found.as_u8().expect("u8"), [76, 6]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let input = value(DType::F32, [None, Some(3), None, None]);
        let other = Picture::new(2, 2, 1, vec![0; 4]).expect("four pixels");
        let told = |input: &Value, how: &Preprocessing, given: &[Picture]| {
            input.of_pictures(given, how).expect_err("an error").to_string()
        };
        let plain = how(Pictures::default(), vec![]);
        let error = told(&input, &plain, &[red_and_blue(), other]);
        assert!(error.contains("one is 2 x 2 pixels, those before it are 2 x 1"), "{error}");
        let error = told(&input, &how(Pictures::default(), vec![0.5, 0.5]), &[red_and_blue()]);
        assert!(error.contains("not for 3 channels"), "{error}");
        let error = told(&value(DType::F32, [None, Some(4), None, None]), &plain, &[red_and_blue()]);
        assert!(error.contains("4 channels; pictures have 1 or 3"), "{error}");
        let error = told(&value(DType::I64, [None, Some(3), None, None]), &plain, &[red_and_blue()]);
        assert!(error.contains("it takes i64, not f32"), "{error}");
        let shorter = Pictures { resize: Some(Resize::Shorter(4)), ..Pictures::default() };
        let error = told(
            &value(DType::F32, [None, Some(3), Some(9), Some(9)]),
            &how(shorter, vec![]),
            &[red_and_blue()],
        );
        assert!(error.contains("9 x 9 pixels, more than a shorter side of 4 leaves"), "{error}");
    }
}
