/*# Convolution without the products with zeros: those between input elements (transposed convolution), and those of
   padding.

   Output places of one residue modulo the step between input
   elements (a phase) meet the same taps, so they are rows of tiles of their own, and only these taps are walked.
   Where much is padding, rows count images first (`by_image`): the rows of a tile are then of one place and meet
   padding together, so that a tap can be left out.
   Params: step_d, step_h, step_w; images; phase_rows, rows of a phase; phase_d, phase_h, phase_w, its sizes; out and pad. #*/
const NOWHERE = 0xffffffffu;

// Residues of a phase.
fn residues(phase: u32) -> vec3<i32> {
  let number = i32(phase);
  let planes = number / params.step_w;
  return vec3<i32>(planes / params.step_h, planes % params.step_h, number % params.step_w);
}

fn steps_between() -> vec3<i32> {
  return vec3<i32>(params.step_d, params.step_h, params.step_w);
}

// The first tap that meets input elements.
fn first_taps(residue: vec3<i32>) -> vec3<i32> {
  let step = steps_between();
  return ((vec3<i32>(params.pad_d, params.pad_h, params.pad_w) - residue) % step + step) % step;
}

// The place in its phase of a row: d, h, w, and the image.
fn place_in_phase(row: u32) -> vec4<i32> {
  var rest = i32(row);
//% if by_image
  let image = rest % params.images;
  rest /= params.images;
//% endif
  let w = rest % params.phase_w;
  rest /= params.phase_w;
  let h = rest % params.phase_h;
  rest /= params.phase_h;
//% if by_image
  return vec4<i32>(rest, h, w, image);
//% else
  return vec4<i32>(rest % params.phase_d, h, w, rest / params.phase_d);
//% endif
}

// The output place of a row, or NOWHERE.
fn goal(row: u32, residue: vec3<i32>) -> u32 {
  let place = place_in_phase(row);
  let at = place.xyz * steps_between() + residue;
  let there = row < params.phase_rows && at.x < params.out_d && at.y < params.out_h && at.z < params.out_w;
  return select(NOWHERE, u32(((place.w * params.out_d + at.x) * params.out_h + at.y) * params.out_w + at.z), there);
}
