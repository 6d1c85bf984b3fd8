//! Frames of a camera go through a network and onto the screen without leaving the GPU, in a program that has opened the
//! device itself and submits everything itself. Both are textures here: the camera is drawn, and the screen is saved.
//!
//! `cargo run --release -p kiln-cnn --example camera -- out.png`

use std::error::Error;

use kiln::graph::ops::UnaryOp;
use kiln::graph::{Builder, Graph, GraphError, Tensor};
use kiln::plan::{InputSource, Pictures, Preprocessing};
use kiln::{Capabilities, Device, Input, Options, Plan, Session, wgpu};

const WIDTH: u32 = 192;
const HEIGHT: u32 = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: camera OUT.png")?;
    let mut app = App::new()?;
    for frame in 0..30 {
        app.frame(frame as f32 / 10.0)?;
    }
    let pixels = app.pixels(&app.screen)?;
    image::save_buffer(&path, &pixels, WIDTH, HEIGHT, image::ColorType::Rgba8)?;
    println!("{path}: {} on {}", app.session.plan().name, app.session.device().capabilities().name);
    Ok(())
}

/// Draws with ink: lines where brightness changes, on paper that keeps a little of the colour.
fn network() -> Result<Graph, GraphError> {
    let mut b = Builder::new("ink");
    let image = b.input("image", ["N".into(), 3.into(), "H".into(), "W".into()]);
    // Sobel's derivatives of brightness, one channel to the right and one down.
    let (side, middle) = ([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0]);
    let (mut lines, luma) = (Vec::new(), [0.299, 0.587, 0.114]);
    for right in [true, false] {
        for share in luma {
            for y in 0..3 {
                for x in 0..3 {
                    lines.push(share * if right { middle[x] * side[y] } else { side[x] * middle[y] });
                }
            }
        }
    }
    let constant = |b: &mut Builder, name: &str, shape: Vec<usize>, numbers: Vec<f32>| {
        let tensor = Tensor::f32(shape, numbers).unwrap_or_else(|_| Tensor::scalar(0.0));
        b.parameter(name, tensor)
    };
    let weight = constant(&mut b, "lines.weight", vec![2, 3, 3, 3], lines);
    let lines = b.conv2d("lines", image, weight, None, 1, 1);
    let ink = b.unary("ink", UnaryOp::Abs, lines);
    let weight =
        constant(&mut b, "strokes.weight", vec![3, 2, 1, 1], vec![-0.5, -0.5, -0.45, -0.45, -0.3, -0.3]);
    let bias = constant(&mut b, "strokes.bias", vec![3], vec![0.9, 0.85, 0.75]);
    let strokes = b.conv2d("strokes", ink, weight, Some(bias), 1, 0);
    let tint = vec![0.08, 0.0, 0.0, 0.0, 0.08, 0.0, 0.0, 0.0, 0.08];
    let weight = constant(&mut b, "tint.weight", vec![3, 3, 1, 1], tint);
    let tint = b.conv2d("tint", image, weight, None, 1, 0);
    let styled = b.add("styled", strokes, tint);
    b.output("styled", styled);
    b.finish()
}

/// The network for an adapter. Its metadata says how a pixel becomes a number: here from -1 to 1.
fn compile(adapter: &wgpu::Adapter) -> Result<Plan, Box<dyn Error>> {
    let sizes = [("N", 1), ("H", HEIGHT), ("W", WIDTH)];
    let max = sizes.into_iter().map(|(name, size)| (name.to_string(), size)).collect();
    let target = kiln::target_for(&Capabilities::of(adapter));
    let mut plan = kiln::compile(&network()?, &Options { target, max, ..Options::default() })?.plan;
    let source = InputSource::Pictures(Pictures::default());
    plan.metadata.preprocessing = Some(Preprocessing { source, mean: vec![0.5], std: vec![0.5] });
    Ok(plan)
}

/// A program with a device, a camera and a screen, and a network in between.
struct App {
    device: wgpu::Device,
    queue: wgpu::Queue,
    scene: wgpu::Buffer,
    camera: wgpu::Texture,
    screen: wgpu::Texture,
    draw_camera: wgpu::RenderPipeline,
    draw_screen: wgpu::RenderPipeline,
    session: Session,
}

impl App {
    fn new() -> Result<Self, Box<dyn Error>> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let adapter = adapters.into_iter().next().ok_or("no adapter")?;
        let plan = compile(&adapter)?;
        // What the plan needs, to which the program adds what it needs itself.
        let mut descriptor = Device::descriptor(&adapter, &plan.requirements)?;
        descriptor.label = Some("the program's own");
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        let session = Session::load(&Device::from_wgpu(device.clone(), queue.clone()), &plan)?;
        let texture = |label| {
            device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d { width: WIDTH, height: HEIGHT, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::Rgba8Unorm,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT
                    | wgpu::TextureUsages::TEXTURE_BINDING
                    | wgpu::TextureUsages::COPY_SRC,
                view_formats: &[],
            })
        };
        let scene = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("scene"),
            size: 16,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Ok(Self {
            camera: texture("camera"),
            screen: texture("screen"),
            draw_camera: pipeline(&device, "camera"),
            draw_screen: pipeline(&device, "drawing"),
            session,
            scene,
            device,
            queue,
        })
    }

    /// A frame: the camera, the network, the screen, in one submission.
    fn frame(&mut self, time: f32) -> Result<(), Box<dyn Error>> {
        let words = [time.to_bits(), WIDTH, HEIGHT, 0];
        self.queue.write_buffer(&self.scene, 0, &words.map(u32::to_ne_bytes).concat());
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.draw(&mut encoder, &self.draw_camera, &self.camera, None);
        let input = [("image", Input::Textures(&[&self.camera]))];
        let run = self.session.encode(&mut encoder, "inference", &input)?;
        self.draw(&mut encoder, &self.draw_screen, &self.screen, Some(run.output("styled")?.binding()));
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// Draws over all of a texture.
    fn draw(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::RenderPipeline,
        to: &wgpu::Texture,
        styled: Option<wgpu::BindingResource<'_>>,
    ) {
        let scene = wgpu::BindGroupEntry { binding: 0, resource: self.scene.as_entire_binding() };
        let styled = styled.map(|resource| wgpu::BindGroupEntry { binding: 1, resource });
        let entries: Vec<_> = std::iter::once(scene).chain(styled).collect();
        let layout = &pipeline.get_bind_group_layout(0);
        let bound = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout,
            entries: &entries,
        });
        let view = to.create_view(&Default::default());
        let attachment = wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations {
                load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                store: wgpu::StoreOp::Store,
            },
        };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(attachment)],
            ..Default::default()
        });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &bound, &[]);
        pass.draw(0..3, 0..1);
    }

    /// What a texture shows, for those who want a file of it: nothing above needs this.
    fn pixels(&self, texture: &wgpu::Texture) -> Result<Vec<u8>, Box<dyn Error>> {
        let size = u64::from(4 * WIDTH * HEIGHT);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("pixels"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * WIDTH), rows_per_image: None };
        let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        self.queue.submit([encoder.finish()]);
        buffer.map_async(wgpu::MapMode::Read, .., |_| {});
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(buffer.get_mapped_range(..)?.to_vec())
    }
}

/// A pipeline that draws one triangle over everything.
fn pipeline(device: &wgpu::Device, fragment: &str) -> wgpu::RenderPipeline {
    let source = wgpu::ShaderSource::Wgsl(include_str!("camera.wgsl").into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("camera"), source });
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(fragment),
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("screen"),
            compilation_options: Default::default(),
            buffers: &[],
        },
        primitive: Default::default(),
        depth_stencil: None,
        multisample: Default::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some(fragment),
            compilation_options: Default::default(),
            targets: &[Some(wgpu::TextureFormat::Rgba8Unorm.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kiln::graph::{evaluate, ops::Precision};

    use super::*;

    /// What the screen shows is what the network's definition makes of what the camera shows.
    #[test]
    fn the_screen_shows_what_the_evaluator_computes() {
        let mut app = App::new().unwrap();
        let mut earlier = None;
        for time in [0.0, 1.2] {
            app.frame(time).unwrap();
            let (seen, shown) = (app.pixels(&app.camera).unwrap(), app.pixels(&app.screen).unwrap());
            let image: Vec<f32> = (0..3)
                .flat_map(|c| seen.chunks_exact(4).map(move |pixel| f32::from(pixel[c]) / 127.5 - 1.0))
                .collect();
            let shape = [1, 3, HEIGHT as usize, WIDTH as usize];
            let inputs = BTreeMap::from([("image".to_string(), Tensor::f32(shape, image).unwrap())]);
            let evaluated = evaluate(&network().unwrap(), &inputs, Precision::F64).unwrap();
            let styled = evaluated.output("styled").unwrap().to_f64();
            let pixels = (WIDTH * HEIGHT) as usize;
            for (i, pixel) in shown.chunks_exact(4).enumerate() {
                for (c, value) in pixel.iter().take(3).enumerate() {
                    let expected = styled[c * pixels + i].clamp(0.0, 1.0) * 255.0;
                    // Half a step of rounding, and rounding errors.
                    assert!(
                        (f64::from(*value) - expected).abs() < 0.51,
                        "pixel {i}, {c}: {value}, {expected}"
                    );
                }
            }
            // There is something to see, and it moves.
            let lines = shown.chunks_exact(4).filter(|pixel| pixel[0] < 128).count();
            assert!((500..pixels / 2).contains(&lines), "{lines} dark pixels of {pixels}");
            assert_ne!(earlier.replace(shown.clone()), Some(shown));
        }
    }
}
