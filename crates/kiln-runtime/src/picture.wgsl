// A pixel of a picture as numbers of an input: resized with all pixels that contribute, cut out of the middle, normalized. What is
// missing of a picture is black. `web/src/pictures.ts` has it, too.
struct Params {
  size: vec2u,
  base: u32,
  channels: u32,
  source: vec2f,
  resized: vec2f,
  shift: vec2f,
  bgr: u32,
  scale: vec4f,
  offset: vec4f,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var picture: ${ type };
@group(0) @binding(2) var<storage, read_write> input: array<f32>;

@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.size.x || id.y >= p.size.y) {
    return;
  }
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
        let share = max(1.0 - abs((vec2f(f32(x), f32(y)) + 0.5 - centre) / reach), vec2f(0));
        let pixel = ${ load }.rgb;
        rgb += share.x * share.y * pixel;
        sum += share.x * share.y;
      }
    }
    rgb /= sum;
  }
  if (p.bgr != 0) {
    rgb = rgb.bgr;
  }
  if (p.channels == 1) {
    rgb = vec3f(dot(rgb, vec3f(0.299, 0.587, 0.114)));
  }
  let place = p.base + id.y * p.size.x + id.x;
  let plane = p.size.x * p.size.y;
  for (var c = 0u; c < p.channels; c++) {
    input[place + c * plane] = rgb[c] * p.scale[c] + p.offset[c];
  }
}
