//! Textures become an input on the device, as the plan's metadata says: resized with all pixels that contribute, cut out of
//! the middle, normalized. Where images are resized on the host, as commands and data sets do it, each pass rounds to 8
//! bits, which is not done here.

use kiln_plan::{Channels, InputSource, Preprocessing, Resize, Storage, Tensor};

use crate::adapters::Capabilities;
use crate::device::Device;
use crate::error::RuntimeError;
use crate::load::pipeline;
use crate::tensor::shape_text;

/// The formats of textures that hold colours as numbers; a pixel of 255, or 1, is the brightest.
const FORMATS: [wgpu::TextureFormat; 5] = [
    wgpu::TextureFormat::Rgba8Unorm,
    wgpu::TextureFormat::Bgra8Unorm,
    wgpu::TextureFormat::Rgb10a2Unorm,
    wgpu::TextureFormat::Rgba16Float,
    wgpu::TextureFormat::Rgba32Float,
];
/// Pixels of a workgroup in each direction.
const TILE: u32 = 8;
/// Words of `Params`.
const PARAMS: usize = 20;

/// The kernel that reads textures.
#[derive(Clone)]
pub(crate) struct Pictures {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroupLayout,
}

/// How one texture becomes numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conversion {
    /// Width and height of what comes out.
    pub size: [u32; 2],
    /// Width and height of the texture.
    source: [u32; 2],
    /// What the texture is brought to.
    resized: [u32; 2],
    /// Where in that what is cut out begins.
    shift: [i64; 2],
    channels: Channels,
    scale: [f32; 4],
    offset: [f32; 4],
}

impl Conversion {
    pub(crate) fn new(
        tensor: &Tensor,
        texture: &wgpu::Texture,
        how: Option<&Preprocessing>,
        capabilities: &Capabilities,
    ) -> Result<Self, RuntimeError> {
        let refused = |reason: String| RuntimeError::Picture { name: tensor.name.clone(), reason };
        if let Some(reason) = unusable(texture) {
            return Err(refused(reason));
        }
        let Some((how, InputSource::Pictures(pictures))) = how.map(|how| (how, &how.source)) else {
            return Err(refused("the metadata of the plan does not say that it holds pictures".into()));
        };
        if tensor.storage != Storage::F32 || tensor.shape.len() != 4 {
            let shape = tensor.shape.len();
            let storage = tensor.storage.name();
            return Err(refused(format!("it has {shape} dimensions of {storage}, not four of f32")));
        }
        let (source, cut) = ([texture.width(), texture.height()], pictures.crop.map(|[h, w]| [w, h]));
        let resized = resized(source, pictures.resize);
        let [x, y] = resized;
        let shift = [shift(x, cut.map(|cut| cut[0])), shift(y, cut.map(|cut| cut[1]))];
        let reach = |from: u32, to: u32| 2.0 * (f64::from(from) / f64::from(to.max(1))).max(1.0) + 1.0;
        let iterations = reach(source[0], resized[0]) * (reach(source[1], resized[1]) + 1.0);
        if x == 0 || y == 0 || iterations > capabilities.max_loop_iterations as f64 {
            return Err(refused(format!("{} is too large to become {}", text(source), text(resized))));
        }
        let of = |numbers: &[f32], c: usize, none: f32| {
            numbers.get(c).or(numbers.first()).copied().unwrap_or(none)
        };
        let (mut scale, mut offset) = ([0.0; 4], [0.0; 4]);
        for (c, (scale, offset)) in scale.iter_mut().zip(&mut offset).enumerate() {
            let (mean, std) = (of(&how.mean, c, 0.0), of(&how.std, c, 1.0));
            (*scale, *offset) = (pictures.pixel_max / std, -mean / std);
        }
        let channels = pictures.channels;
        Ok(Self { size: cut.unwrap_or(resized), source, resized, shift, channels, scale, offset })
    }

    /// The shape of an input of so many pictures.
    pub(crate) fn shape(&self, count: usize) -> Vec<usize> {
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        vec![count, self.channels.count(), size(self.size[1]), size(self.size[0])]
    }

    /// The parameters for picture `index` of an input.
    fn params(&self, index: usize) -> Result<[u32; PARAMS], RuntimeError> {
        let [width, height] = self.size;
        let channels = u32::try_from(self.channels.count()).unwrap_or(0);
        let elements = u64::from(width) * u64::from(height) * u64::from(channels);
        let base =
            u64::try_from(index).ok().and_then(|index| u32::try_from(elements.checked_mul(index)?).ok());
        let base = base.ok_or_else(|| RuntimeError::Elements {
            shape: shape_text(&self.shape(index + 1)),
            expected: usize::MAX,
            found: 0,
        })?;
        let mut words = [0; PARAMS];
        words[..4].copy_from_slice(&[width, height, base, channels]);
        let sides = [self.source, self.resized].concat().into_iter().map(|n| n as f32);
        let floats = sides.chain(self.shift.map(|n| n as f32));
        for (word, number) in words[4..10].iter_mut().zip(floats) {
            *word = number.to_bits();
        }
        words[10] = u32::from(self.channels == Channels::Bgr);
        for (word, number) in words[12..].iter_mut().zip(self.scale.iter().chain(&self.offset)) {
            *word = number.to_bits();
        }
        Ok(words)
    }
}

impl Pictures {
    pub(crate) fn new(device: &Device) -> Result<Self, RuntimeError> {
        let source = include_str!("picture.wgsl")
            .replace("${ type }", "texture_2d<f32>")
            .replace("${ load }", "textureLoad(picture, vec2i(x, y), 0)");
        let texture = wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        };
        let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
        let storage = wgpu::BufferBindingType::Storage { read_only: false };
        let types = [buffer(wgpu::BufferBindingType::Uniform), texture, buffer(storage)];
        let visibility = wgpu::ShaderStages::COMPUTE;
        let entry = |(binding, ty)| wgpu::BindGroupLayoutEntry { binding, visibility, ty, count: None };
        let entries: Vec<_> = (0..).zip(types).map(entry).collect();
        let made = device.scoped(|| pipeline(device, "picture", &source, &entries));
        let failed = |reason: String| RuntimeError::Shader { shader: "picture".into(), reason };
        let (pipeline, bindings) = made.map_err(|error| failed(error.to_string()))?;
        Ok(Self { pipeline, bindings })
    }

    /// Records that texture `index` of an input is read into `to`, where the input is.
    pub(crate) fn record(
        &self,
        device: &Device,
        pass: &mut wgpu::ComputePass<'_>,
        (index, texture): (usize, &wgpu::Texture),
        conversion: &Conversion,
        to: wgpu::BufferBinding<'_>,
    ) -> Result<(), RuntimeError> {
        let params = device.filled(
            "picture",
            wgpu::BufferUsages::UNIFORM,
            bytemuck::bytes_of(&conversion.params(index)?),
        )?;
        let view = texture
            .create_view(&wgpu::TextureViewDescriptor { mip_level_count: Some(1), ..Default::default() });
        let bound = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("picture"),
            layout: &self.bindings,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&view) },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::Buffer(to) },
            ],
        });
        let [width, height] = conversion.size;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &bound, &[]);
        pass.dispatch_workgroups(width.div_ceil(TILE), height.div_ceil(TILE), 1);
        Ok(())
    }
}

/// Why a texture cannot be read.
fn unusable(texture: &wgpu::Texture) -> Option<String> {
    let format = texture.format();
    if format.is_srgb() {
        // Its numbers become linear as they are read; networks learn from those that files have.
        return Some(format!("its texture is {format:?}; make it {:?}", format.remove_srgb_suffix()));
    }
    if !FORMATS.contains(&format) {
        return Some(format!("its texture is {format:?}; Rgba8Unorm or Bgra8Unorm can be read"));
    }
    if !texture.usage().contains(wgpu::TextureUsages::TEXTURE_BINDING) {
        return Some("its texture is without the usage TEXTURE_BINDING".into());
    }
    let plain = texture.dimension() == wgpu::TextureDimension::D2 && texture.depth_or_array_layers() == 1;
    (!plain || texture.sample_count() != 1).then(|| "its texture is not a single plane".into())
}

fn text([width, height]: [u32; 2]) -> String {
    format!("a picture of {width}x{height}")
}

/// The size that a picture is brought to, width first, as torchvision computes it.
fn resized([w, h]: [u32; 2], resize: Option<Resize>) -> [u32; 2] {
    let longer = |side: u32, long: u32, short: u32| {
        u32::try_from(u64::from(side) * u64::from(long) / u64::from(short.max(1))).unwrap_or(u32::MAX)
    };
    match resize {
        None => [w, h],
        Some(Resize::Exact { height, width }) => [width, height],
        Some(Resize::Shorter(side)) if w <= h => [side, longer(side, h, w)],
        Some(Resize::Shorter(side)) => [longer(side, w, h), side],
    }
}

/// Where what is cut out of the middle begins; negative if it is larger.
fn shift(has: u32, wants: Option<u32>) -> i64 {
    let Some(wants) = wants else { return 0 };
    let (has, wants) = (i64::from(has), i64::from(wants));
    if wants > has {
        return -((wants - has) / 2);
    }
    // Rounded to the even number, as Python rounds.
    let half = (has - wants) / 2;
    half + i64::from((has - wants) % 2 != 0 && half % 2 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torchvision.transforms.functional.resize` and `center_crop`, asked.
    #[test]
    fn sizes_are_torchvisions() {
        assert_eq!(resized([500, 375], Some(Resize::Shorter(256))), [341, 256]);
        assert_eq!(resized([375, 500], Some(Resize::Shorter(256))), [256, 341]);
        assert_eq!(resized([7, 7], Some(Resize::Exact { height: 5, width: 9 })), [9, 5]);
        let shifts = [(256, 224), (341, 224), (227, 224), (225, 224), (5, 8), (5, 9)];
        assert_eq!(shifts.map(|(has, wants)| shift(has, Some(wants))), [16, 58, 2, 0, -1, -2]);
    }

    /// The page's kernel is the same text, but for spaces.
    #[test]
    fn pages_have_the_same_kernel() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/src/pictures.ts");
        let page = std::fs::read_to_string(path).expect("the page's source");
        let begin = page.find("struct Params").expect("the page's kernel");
        let end = begin + page[begin..].find('`').expect("its end");
        let bare = |text: &str| {
            let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let code: String = code.concat().split_whitespace().collect();
            code.replace(",}", "}").replace("1.0-", "1-")
        };
        assert_eq!(bare(include_str!("picture.wgsl")), bare(&page[begin..end]));
    }
}
