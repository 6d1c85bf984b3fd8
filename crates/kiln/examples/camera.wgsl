// What a program that shows a camera draws itself: here the camera, too.

struct Corner {
  @builtin(position) position: vec4f,
  @location(0) at: vec2f,
}

@vertex fn screen(@builtin(vertex_index) index: u32) -> Corner {
  let at = vec2f(f32(index & 1u), f32(index >> 1u)) * 2.0;
  return Corner(vec4f(at * 2.0 - 1.0, 0.0, 1.0), vec2f(at.x, 1.0 - at.y));
}

struct Scene {
  time: f32,
  width: u32,
  height: u32,
  unused: u32,
}

@group(0) @binding(0) var<uniform> scene: Scene;

// A disc before a sky and a chequered ground.
@fragment fn camera(corner: Corner) -> @location(0) vec4f {
  let at = corner.at;
  var color = vec3f(0.35 + 0.4 * at.y, 0.55 + 0.3 * at.y, 0.9);
  if (at.y > 0.6) {
    let cell = vec2i(vec2f(at.x * 12.0, 6.0 / (at.y - 0.4)));
    color = select(vec3f(0.2, 0.45, 0.2), vec3f(0.75, 0.7, 0.5), ((cell.x + cell.y) & 1) == 0);
  }
  let centre = vec2f(0.5 + 0.3 * sin(scene.time), 0.4);
  if (distance(at, centre) < 0.2) {
    color = vec3f(0.9, 0.4 + at.y, 0.2);
  }
  return vec4f(color, 1.0);
}

@group(0) @binding(1) var<storage, read> styled: array<f32>;

// The network's output, a plane for each colour.
@fragment fn drawing(corner: Corner) -> @location(0) vec4f {
  let pixel = vec2u(corner.position.xy);
  let plane = scene.width * scene.height;
  let place = pixel.y * scene.width + pixel.x;
  return vec4f(styled[place], styled[place + plane], styled[place + 2u * plane], 1.0);
}
