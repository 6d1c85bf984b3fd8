//! Textures as inputs, beside the same on the host in double precision.

use kiln_plan::{
    BufferKind, Channels, DType, InputSource, Pictures, Plan, Preprocessing, Program, Resize, Role, Symbol,
};
use kiln_runtime::{Input, RuntimeError, wgpu};

use crate::embedding::App;
use crate::plans::{buffer, c, empty, n, output, range, tensor};

/// Gives back pictures of some size, as they reach it.
fn seen([channels, height, width]: [i64; 3], pictures: Pictures, mean: &[f32], std: &[f32]) -> Plan {
    let place = range(0, 0, (4 * 4 * channels * height * width).cast_unsigned());
    let mut plan = Plan {
        symbols: vec![Symbol { name: "N".into(), max: 4 }],
        buffers: vec![buffer("pictures", BufferKind::Arena, place.size.next_multiple_of(256))],
        tensors: vec![tensor("image", DType::F32, vec![n(), c(channels), c(height), c(width)], place)],
        programs: vec![Program {
            name: "inference".into(),
            inputs: vec![0],
            roles: vec![Role::Data],
            outputs: vec![output("seen", 0)],
            guards: vec![],
            dispatches: vec![],
            repeats: vec![],
        }],
        ..empty("pictures")
    };
    let source = InputSource::Pictures(pictures);
    plan.metadata.preprocessing = Some(Preprocessing { source, mean: mean.to_vec(), std: std.to_vec() });
    plan
}

struct Picture {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
}

impl Picture {
    /// Smooth and not, and other in each channel.
    fn new(width: u32, height: u32, seed: u32) -> Self {
        let pixel = |i: u32| {
            let (x, y) = (i % width, i / width);
            let noise = i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24;
            [x * 255 / width, y * 255 / height, noise, noise / 2].map(|v| u8::try_from(v).unwrap())
        };
        Self { width, height, rgba: (0..width * height).flat_map(pixel).collect() }
    }

    fn texture(&self, app: &App, format: wgpu::TextureFormat) -> wgpu::Texture {
        let size = wgpu::Extent3d { width: self.width, height: self.height, depth_or_array_layers: 1 };
        let texture = app.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let mut bytes = self.rgba.clone();
        if format == wgpu::TextureFormat::Bgra8Unorm {
            bytes.chunks_exact_mut(4).for_each(|pixel| pixel.swap(0, 2));
        }
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(4 * self.width),
            rows_per_image: None,
        };
        app.queue.write_texture(texture.as_image_copy(), &bytes, layout, size);
        texture
    }

    /// A pixel of the picture brought to a size, from 0 to 1; black outside.
    fn sample(&self, [w, h]: [f64; 2], x: f64, y: f64) -> [f64; 3] {
        if x < 0.0 || y < 0.0 || x >= w || y >= h {
            return [0.0; 3];
        }
        let axis = |at: f64, from: f64, to: f64| {
            let scale = from / to;
            let (reach, centre) = (scale.max(1.0), (at + 0.5) * scale);
            (0..from as usize).filter_map(move |i| {
                let share = 1.0 - ((i as f64 + 0.5 - centre) / reach).abs();
                (share > 0.0).then_some((i, share))
            })
        };
        let (mut sum, mut all) = ([0.0; 3], 0.0);
        for (j, v) in axis(y, self.height.into(), h) {
            for (i, u) in axis(x, self.width.into(), w) {
                let at = 4 * (j * self.width as usize + i);
                for (sum, value) in sum.iter_mut().zip(&self.rgba[at..]) {
                    *sum += u * v * f64::from(*value) / 255.0;
                }
                all += u * v;
            }
        }
        sum.map(|sum| sum / all)
    }
}

/// What an input has to hold: of the picture brought to a size, what is cut out from `x`, `y` on.
fn expected(
    picture: &Picture,
    resized: [f64; 2],
    [x, y]: [f64; 2],
    [height, width]: [usize; 2],
    numbers: impl Fn([f64; 3]) -> Vec<f64>,
) -> Vec<f64> {
    let pixels: Vec<Vec<f64>> = (0..height * width)
        .map(|i| numbers(picture.sample(resized, x + (i % width) as f64, y + (i / width) as f64)))
        .collect();
    (0..pixels[0].len()).flat_map(|c| pixels.iter().map(move |pixel| pixel[c])).collect()
}

fn check(found: &[f32], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let worst = found.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst < 2e-5, "{what}: off by {worst}");
}

#[test]
fn textures_are_preprocessed_as_the_plan_says() {
    let picture = Picture::new(37, 23, 1);
    let rgb = |mean: [f64; 3], std: [f64; 3], max: f64| {
        move |p: [f64; 3]| (0..3).map(|c| (p[c] * max - mean[c]) / std[c]).collect::<Vec<_>>()
    };
    let bgr = |p: [f64; 3]| vec![p[2] * 255.0, p[1] * 255.0, p[0] * 255.0];
    let grey = |p: [f64; 3]| vec![(0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] - 0.5) / 0.25];
    let plain = Pictures::default();
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let cut = Pictures { resize: Some(Resize::Shorter(12)), crop: Some([10, 11]), ..plain };
    let exact = Pictures { resize: Some(Resize::Exact { height: 60, width: 50 }), ..plain };
    let padded = Pictures { crop: Some([29, 30]), channels: Channels::Grey, ..plain };
    type Numbers = Box<dyn Fn([f64; 3]) -> Vec<f64>>;
    type Case<'a> = (&'a str, Plan, [f64; 2], [f64; 2], [usize; 2], Numbers);
    let cases: [Case<'_>; 5] = [
        (
            "as it is",
            seen([3, 23, 37], plain.clone(), &[], &[]),
            [37.0, 23.0],
            [0.0; 2],
            [23, 37],
            Box::new(rgb([0.0; 3], [1.0; 3], 1.0)),
        ),
        (
            "blue first, up to 255",
            seen([3, 23, 37], Pictures { channels: Channels::Bgr, pixel_max: 255.0, ..plain }, &[], &[]),
            [37.0, 23.0],
            [0.0; 2],
            [23, 37],
            Box::new(bgr),
        ),
        // 19 of 12 x 19: the shorter side is 12; (19 - 11) / 2 = 4, (12 - 10) / 2 = 1.
        (
            "smaller and cut",
            seen([3, 10, 11], cut, &mean, &std),
            [19.0, 12.0],
            [4.0, 1.0],
            [10, 11],
            Box::new(rgb(mean.map(f64::from), std.map(f64::from), 1.0)),
        ),
        (
            "larger",
            seen([3, 60, 50], exact, &[0.5], &[0.5]),
            [50.0, 60.0],
            [0.0; 2],
            [60, 50],
            Box::new(rgb([0.5; 3], [0.5; 3], 1.0)),
        ),
        (
            "grey, with a border above and below",
            seen([1, 29, 30], padded, &[0.5], &[0.25]),
            [37.0, 23.0],
            [4.0, -3.0],
            [29, 30],
            Box::new(grey),
        ),
    ];
    for (what, plan, resized, from, size, numbers) in cases {
        let app = App::new(&plan.requirements);
        let mut session = app.session(&plan);
        for format in [wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureFormat::Bgra8Unorm] {
            let texture = picture.texture(&app, format);
            let outputs = session.run_with("inference", &[("image", Input::Textures(&[&texture]))]).unwrap();
            let found = outputs.get("seen").unwrap().as_f32().unwrap();
            let scale = if what.contains("255") { 255.0 } else { 1.0 };
            let wanted: Vec<f64> = expected(&picture, resized, from, size, &numbers);
            let scaled: Vec<f64> = wanted.iter().map(|x| x / scale).collect();
            check(&found.iter().map(|x| x / scale as f32).collect::<Vec<_>>(), &scaled, what);
        }
    }
}

/// The pictures of a batch differ in size, and one of two recorded runs is for other preprocessing.
#[test]
fn batches_are_recorded() {
    let small = Pictures { resize: Some(Resize::Exact { height: 8, width: 9 }), ..Pictures::default() };
    let plan = seen([3, 8, 9], small.clone(), &[], &[]);
    let app = App::new(&plan.requirements);
    let mut session = app.session(&plan);
    let pictures = [Picture::new(20, 10, 3), Picture::new(9, 8, 4), Picture::new(5, 31, 5)];
    let textures = pictures.each_ref().map(|picture| picture.texture(&app, wgpu::TextureFormat::Rgba8Unorm));
    let [a, b, c] = &textures;
    let source = InputSource::Pictures(small);
    let how = Preprocessing { source, mean: vec![1.0], std: vec![-0.5] };
    let mut encoder = app.encoder();
    let inputs = [("image", Input::Preprocessed(&[c], &how))];
    let first = session.encode(&mut encoder, "inference", &inputs).unwrap();
    let place = first.output("seen").unwrap();
    let mut other = app.session(&plan);
    let kept = [("image", Input::Buffer(place.slice(), &place.shape))];
    let kept = other.encode(&mut encoder, "inference", &kept).unwrap();
    let inputs = [("image", Input::Textures(&[a, b, c]))];
    let last = session.encode(&mut encoder, "inference", &inputs).unwrap();
    app.queue.submit([encoder.finish()]);
    let wanted = |numbers: fn(f64) -> f64, pictures: &[Picture]| -> Vec<f64> {
        let each = |picture| {
            let all = move |p: [f64; 3]| p.map(numbers).to_vec();
            expected(picture, [9.0, 8.0], [0.0; 2], [8, 9], all)
        };
        pictures.iter().flat_map(each).collect()
    };
    let outputs = session.read(&last).unwrap().wait().unwrap();
    check(outputs.get("seen").unwrap().as_f32().unwrap(), &wanted(|x| x, &pictures), "the batch");
    let outputs = other.read(&kept).unwrap().wait().unwrap();
    let changed = wanted(|x| (x - 1.0) / -0.5, &pictures[2..]);
    check(outputs.get("seen").unwrap().as_f32().unwrap(), &changed, "the first run");
}

#[test]
fn textures_that_cannot_be_read_are_refused() {
    let plan = seen([3, 8, 8], Pictures::default(), &[], &[]);
    let app = App::new(&plan.requirements);
    let mut session = app.session(&plan);
    let mut refusal = |textures: &[&wgpu::Texture]| {
        let error = session.run_with("inference", &[("image", Input::Textures(textures))]).unwrap_err();
        error.to_string().replace("input `image` cannot be made of pictures: ", "")
    };
    let picture = |w, h| Picture::new(w, h, 0);
    let of = |format| picture(8, 8).texture(&app, format);
    let (fits, other) =
        (of(wgpu::TextureFormat::Rgba8Unorm), picture(9, 8).texture(&app, wgpu::TextureFormat::Rgba8Unorm));
    assert_eq!(
        refusal(&[&of(wgpu::TextureFormat::Rgba8UnormSrgb)]),
        "its texture is Rgba8UnormSrgb; make it Rgba8Unorm"
    );
    assert_eq!(
        refusal(&[&of(wgpu::TextureFormat::R32Uint)]),
        "its texture is R32Uint; Rgba8Unorm or Bgra8Unorm can be read"
    );
    assert_eq!(refusal(&[]), "no texture is given");
    assert_eq!(refusal(&[&fits, &other]), "one picture becomes 8x8, another one 9x8");
    assert!(refusal(&[&other]).contains("has shape [1, 3, 8, 9], [N, 3, 8, 8] (N up to 4) is expected"));
    assert!(refusal(&[&fits; 5]).contains("N = 5"));
    let error = app
        .session(&crate::plans::vector_add())
        .run_with("inference", &[("x", Input::Textures(&[&fits])), ("y", Input::InPlace(&[1, 3]))]);
    let text =
        "input `x` cannot be made of pictures: the metadata of the plan does not say that it holds pictures";
    assert_eq!(error.unwrap_err().to_string(), text);
    let tiny = seen(
        [3, 1, 1],
        Pictures { resize: Some(Resize::Exact { height: 1, width: 1 }), ..Pictures::default() },
        &[],
        &[],
    );
    let large = Picture::new(2000, 1000, 0).texture(&app, wgpu::TextureFormat::Rgba8Unorm);
    let error = app.session(&tiny).run_with("inference", &[("image", Input::Textures(&[&large]))]);
    if let Err(error) = error {
        // On software drivers, which stop long loops.
        assert!(
            matches!(&error, RuntimeError::Picture { reason, .. } if reason.contains("is too large")),
            "{error}"
        );
    }
}
