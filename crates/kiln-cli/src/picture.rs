//! Images as tensors and back: `[C, H, W]`, red green blue or grey, usually from 0 to 1.

use std::path::Path;

use clap::Args;
use kiln::plan::{Channels, InputSource, Metadata, Pictures, Preprocessing, Resize};
use kiln::training::picture::{self as images, MOST_PIXELS};
use miette::{IntoDiagnostic, Result, bail, miette};

/// Preprocessing of images. Options that are not given are taken from the model's metadata.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PictureArguments {
    /// For images: mean subtracted from each channel, from 0 to 1, as in 0.485,0.456,0.406
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    pub mean: Vec<f32>,
    /// For images: standard deviation each channel is divided by, as in 0.229,0.224,0.225
    #[arg(long, value_delimiter = ',')]
    pub std: Vec<f32>,
    /// For images: resize the shorter side to this length and crop the center, instead of stretching
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub resize: Option<u32>,
    /// For images: crop a square of this side from the center, after --resize; missing pixels are black
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub crop: Option<u32>,
}

impl PictureArguments {
    /// Whether no option is given.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { mean, std, resize, crop } = self;
        mean.is_empty() && std.is_empty() && resize.is_none() && crop.is_none()
    }

    /// The preprocessing of images: from flags, else from the model's metadata. A note is printed if they differ.
    pub(crate) fn preprocessing(&self, metadata: &Metadata) -> Result<Preprocessing> {
        for (flag, values) in [("--mean", &self.mean), ("--std", &self.std)] {
            if let Some(wrong) = values.iter().find(|x| !x.is_finite() || (flag == "--std" && **x <= 0.0)) {
                let kind = if flag == "--std" { "positive " } else { "" };
                bail!("{flag} cannot be {wrong}; it should be a {kind}finite number");
            }
        }
        let known = metadata.preprocessing.clone();
        let is_known = known.is_some();
        let mut preprocessing = known.unwrap_or_else(|| Preprocessing {
            source: InputSource::Pictures(Pictures::default()),
            mean: vec![],
            std: vec![],
        });
        let mut pictures = match &preprocessing.source {
            InputSource::Pictures(pictures) => pictures.clone(),
            InputSource::Table { .. } | InputSource::Numbers => Pictures::default(),
        };
        if let Some(side) = self.resize {
            let resize = Some(Resize::Shorter(side));
            replaced("--resize", is_known && pictures.resize.is_some() && pictures.resize != resize);
            // The model's crop belongs to its own size.
            pictures = Pictures { resize, crop: None, ..pictures };
        }
        if let Some(side) = self.crop {
            let crop = Some([side, side]);
            replaced("--crop", is_known && pictures.crop.is_some() && pictures.crop != crop);
            pictures.crop = crop;
        }
        if !self.mean.is_empty() {
            replaced("--mean", is_known && !same(&preprocessing.mean, &self.mean, 0.0));
            preprocessing.mean.clone_from(&self.mean);
        }
        if !self.std.is_empty() {
            replaced("--std", is_known && !same(&preprocessing.std, &self.std, 1.0));
            preprocessing.std.clone_from(&self.std);
        }
        if self.resize.is_some() || self.crop.is_some() {
            preprocessing.source = InputSource::Pictures(pictures);
        }
        Ok(preprocessing)
    }

    /// Writes the flags into metadata.
    pub(crate) fn describe(&self, metadata: &mut Metadata) -> Result<()> {
        if !self.is_empty() {
            metadata.preprocessing = Some(self.preprocessing(metadata)?);
        }
        Ok(())
    }
}

/// Notes that a flag takes precedence over the model's metadata.
fn replaced(flag: &str, differs: bool) {
    if differs {
        note!("note: {flag} differs from the model's metadata and takes precedence");
    }
}

/// Whether two lists mean the same for each channel.
fn same(a: &[f32], b: &[f32], none: f32) -> bool {
    let of = |list: &[f32], n: usize| list.get(n).or(list.first()).copied().unwrap_or(none);
    (0..a.len().max(b.len()).max(1)).all(|n| (of(a, n) - of(b, n)).abs() <= 1e-4 * of(a, n).abs().max(1e-3))
}

/// An image of `channels` channels. With `size` (height, width) it is resized to that size: by a center
/// crop after resizing its shorter side, else by stretching.
pub(crate) fn read(
    path: &Path,
    channels: usize,
    size: Option<(u32, u32)>,
    preprocessing: &Preprocessing,
) -> Result<(Vec<f32>, [usize; 3])> {
    let mut pictures = match &preprocessing.source {
        InputSource::Pictures(pictures) => pictures.clone(),
        InputSource::Table { .. } | InputSource::Numbers => Pictures::default(),
    };
    pictures.channels = match (channels, pictures.channels) {
        (1, _) => Channels::Grey,
        (3, Channels::Bgr) => Channels::Bgr,
        (3, Channels::Rgb | Channels::Grey) => Channels::Rgb,
        (other, _) => bail!("an input of {other} channels is not an image; images have 1 or 3"),
    };
    for (flag, values) in [("--mean", &preprocessing.mean), ("--std", &preprocessing.std)] {
        if !matches!(values.len(), 0 | 1) && values.len() != channels {
            bail!("{flag} has {} numbers; the input has {channels} channels", values.len());
        }
    }
    let picture = images::read(path, pictures.channels).into_diagnostic()?;
    let too_large = |size: String| {
        miette!(
            "{size} would make more than {MOST_PIXELS} pixels of `{}`; reduce it with `--resize`",
            path.display()
        )
    };
    let picture = picture.prepared(&pictures).ok_or_else(|| {
        too_large(match (pictures.resize, pictures.crop) {
            (Some(Resize::Shorter(side)), _) => format!("--resize {side}"),
            (Some(Resize::Exact { height, width }), _) => format!("{width} x {height}"),
            (None, Some([height, _])) => format!("--crop {height}"),
            (None, None) => "its size".into(),
        })
    })?;
    let picture = match size.map(|(height, width)| (height as usize, width as usize)) {
        None => picture,
        Some((height, width)) => {
            let by_shorter = matches!(pictures.resize, Some(Resize::Shorter(_))) && pictures.crop.is_none();
            if by_shorter && (picture.height() < height || picture.width() < width) {
                bail!(
                    "the model takes {width} x {height} pixels, more than --resize leaves of `{}`",
                    path.display()
                );
            }
            if height.saturating_mul(width) > MOST_PIXELS {
                bail!("the model takes {width} x {height} pixels, more than an image is enlarged to");
            }
            match by_shorter {
                true => picture.middle(height, width),
                false => {
                    picture.resized(height, width).ok_or_else(|| too_large(format!("{width} x {height}")))?
                }
            }
        }
    };
    if !picture.is_within_limits() {
        return Err(too_large(format!("{} x {}", picture.width(), picture.height())));
    }
    let values = picture.numbers(&pictures, preprocessing);
    Ok((values, [channels, picture.height(), picture.width()]))
}

/// Writes `[C, H, W]` with values from 0 to 1 as a PNG; values outside are clipped.
pub(crate) fn write(path: &Path, data: &[f32], [channels, height, width]: [usize; 3]) -> Result<()> {
    let count = height * width;
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let interleaved: Vec<u8> =
        (0..count).flat_map(|i| (0..channels).map(move |c| byte(data[c * count + i]))).collect();
    let color = if channels == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
    let mut png = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut png, &interleaved, width, height, color, image::ImageFormat::Png)
        .map_err(|error| miette!("cannot write `{}`: {error}", path.display()))?;
    kiln_files::write(path, png.get_ref())
        .map_err(|error| miette!("cannot write `{}`: {error}", path.display()))
}
