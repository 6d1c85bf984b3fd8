/**
 * Pictures become an input on the device, as the plan's metadata says: resized with all pixels that contribute, cut out of
 * the middle, normalized. Natively each pass of resizing rounds to 8 bits, which is not done here.
 */
import { fail } from "./errors.js";
import { STORAGES, type PlanTensor, type Preprocessing } from "./plan.js";
import { dtypeOf } from "./tensor.js";

/** Whatever a browser can draw. */
export type Picture =
  ImageData | ImageBitmap | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement | VideoFrame;

const is = (value: unknown, ...names: string[]) =>
  names.some((name) => {
    const type = (globalThis as any)[name];
    return type && value instanceof type;
  });
const isFrame = (value: unknown) => is(value, "HTMLVideoElement", "VideoFrame");

function sizeOf(picture: any): [number, number] {
  const width = picture.videoWidth ?? picture.displayWidth ?? picture.naturalWidth ?? picture.width;
  const height = picture.videoHeight ?? picture.displayHeight ?? picture.naturalHeight ?? picture.height;
  return width && height ? [width, height] : fail("input", "the picture has no pixels yet: wait until it is loaded");
}

const code = (type: string, load: string) => `
struct Params { size: vec2u, base: u32, channels: u32, source: vec2f, resized: vec2f, shift: vec2f, bgr: u32, scale: vec4f, offset: vec4f }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var picture: ${type};
@group(0) @binding(2) var<storage, read_write> input: array<f32>;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.size.x || id.y >= p.size.y) { return; }
  let at = vec2f(id.xy) + p.shift;
  var rgb = vec3f(0);
  if (all(at >= vec2f(0)) && all(at < p.resized)) {
    let scale = p.source / p.resized;
    let reach = max(scale, vec2f(1));
    let centre = (at + 0.5) * scale;
    let first = vec2i(max(centre - reach + 0.5, vec2f(0)));
    let end = min(vec2i(centre + reach + 0.5), vec2i(p.source));
    var sum = 0.0;
    for (var y = first.y; y < end.y; y++) {
      for (var x = first.x; x < end.x; x++) {
        let share = max(1 - abs((vec2f(f32(x), f32(y)) + 0.5 - centre) / reach), vec2f(0));
        let pixel = ${load}.rgb;
        rgb += share.x * share.y * pixel;
        sum += share.x * share.y;
      }
    }
    rgb /= sum;
  }
  if (p.bgr != 0) { rgb = rgb.bgr; }
  if (p.channels == 1) { rgb = vec3f(dot(rgb, vec3f(0.299, 0.587, 0.114))); }
  let place = p.base + id.y * p.size.x + id.x;
  let plane = p.size.x * p.size.y;
  for (var c = 0u; c < p.channels; c++) { input[place + c * plane] = rgb[c] * p.scale[c] + p.offset[c]; }
}`;

const PARAMS = 80;

/** Puts pictures into inputs of a plan. */
export class PictureReader {
  private pipelines: Record<string, GPUComputePipeline> = {};
  private texture?: GPUTexture;
  private params: GPUBuffer;

  constructor(private device: GPUDevice) {
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.params = device.createBuffer({ label: "picture", size: PARAMS, usage });
  }

  /** Frees what it has on the device. */
  dispose() {
    this.texture?.destroy();
    this.params.destroy();
  }

  /** Writes a picture where sample `index` of the input is. */
  put(
    picture: Picture,
    index: number,
    tensor: PlanTensor,
    shape: readonly number[],
    how: Preprocessing | undefined,
    to: GPUBuffer,
  ) {
    const { device } = this;
    const pictures = how?.pictures;
    const [, channels, height, width] = shape as readonly [number, number, number, number];
    if (!how || !pictures || shape.length != 4 || dtypeOf(tensor) != "f32" || STORAGES[tensor.storage] != "f32") {
      return fail("input", `\`${tensor.name}\` is not an input for pictures: give numbers`);
    }
    const [w, h] = sizeOf(picture);
    const [resized, shift] = placement(w, h, pictures.resize, pictures.crop);
    const cut = pictures.crop.length ? [...pictures.crop].reverse() : resized;
    const wanted = pictures.channels == "L" ? 1 : 3;
    if (cut[0] != width || cut[1] != height || wanted != channels) {
      fail(
        "input",
        `a picture of ${w}x${h} becomes ${cut[0]}x${cut[1]} with ${wanted} channels, but \`${tensor.name}\` is ${width}x${height} with ${channels}`,
      );
    }
    const words = new DataView(new ArrayBuffer(PARAMS));
    [width, height, index * channels * width * height, channels].forEach((n, i) => words.setUint32(4 * i, n, true));
    [w, h, ...resized, ...shift].forEach((n, i) => words.setFloat32(16 + 4 * i, n, true));
    words.setUint32(40, pictures.channels == "BGR" ? 1 : 0, true);
    for (let c = 0; c < channels; c++) {
      const [mean, std] = [how.mean[c] ?? how.mean[0] ?? 0, how.std[c] ?? how.std[0] ?? 1];
      words.setFloat32(48 + 4 * c, pictures.pixelMax / std, true);
      words.setFloat32(64 + 4 * c, -mean / std, true);
    }
    device.queue.writeBuffer(this.params, 0, words.buffer);
    const external = this.external(picture);
    const source = external ?? this.copied(picture, w, h).createView();
    const pipeline = this.pipeline(!!external);
    const { buffer, offset, size } = { buffer: to, ...{ offset: tensor.place.offset, size: tensor.place.size } };
    const bindGroup = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: this.params } },
        { binding: 1, resource: source },
        { binding: 2, resource: { buffer, offset, size } },
      ],
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(Math.ceil(width / 8), Math.ceil(height / 8));
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  /** A frame of a video without a copy, where the device can: not every format can be had so. */
  private external(picture: Picture): GPUExternalTexture | undefined {
    if (!isFrame(picture)) return;
    try {
      return this.device.importExternalTexture({ source: picture as VideoFrame });
    } catch {
      return;
    }
  }

  private pipeline(frame: boolean): GPUComputePipeline {
    const [type, load] = frame
      ? ["texture_external", "textureLoad(picture, vec2i(x, y))"]
      : ["texture_2d<f32>", "textureLoad(picture, vec2i(x, y), 0)"];
    const module = () => this.device.createShaderModule({ code: code(type!, load!) });
    return (this.pipelines[type!] ??= this.device.createComputePipeline({
      label: "picture",
      layout: "auto",
      compute: { module: module() },
    }));
  }

  private copied(source: Picture, width: number, height: number): GPUTexture {
    const { device } = this;
    if (this.texture?.width != width || this.texture.height != height) {
      this.texture?.destroy();
      const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT;
      this.texture = device.createTexture({ label: "picture", size: [width, height], format: "rgba8unorm", usage });
    }
    const to = { texture: this.texture, premultipliedAlpha: false };
    try {
      device.queue.copyExternalImageToTexture({ source }, to, [width, height]);
    } catch (error) {
      if (!isFrame(source)) throw error;
      // A frame that the device cannot have is drawn first.
      const canvas = new OffscreenCanvas(width, height);
      canvas.getContext("2d")!.drawImage(source as VideoFrame, 0, 0);
      device.queue.copyExternalImageToTexture({ source: canvas }, to, [width, height]);
    }
    return this.texture;
  }
}

/** What size a picture is brought to, and where in that what is cut out begins; as torchvision computes it. */
export function placement(
  w: number,
  h: number,
  resize: number[],
  crop: number[],
): [[number, number], [number, number]] {
  const [side, other] = resize as [number, number];
  const resized: [number, number] = !resize.length
    ? [w, h]
    : resize.length == 2
      ? [other, side]
      : w <= h
        ? [side, Math.floor((side * h) / w)]
        : [Math.floor((side * w) / h), side];
  const shift = (has: number, wants: number | undefined) => {
    if (wants === undefined) return 0;
    if (wants > has) return -Math.floor((wants - has) / 2);
    // Rounded to the even number, as Python rounds.
    const half = Math.floor((has - wants) / 2);
    return half + ((has - wants) % 2 && half % 2 ? 1 : 0);
  };
  return [resized, [shift(resized[0], crop[1]), shift(resized[1], crop[0])]];
}
