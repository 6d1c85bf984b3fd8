/*# Convolution without the products with zeros: those between input elements (transposed convolution), and those of
   padding.

   Output positions of one residue class modulo the step between input elements meet the same taps, so they are rows of
   tiles of their own, and only these taps are iterated over. A line of inputs a b c with a step of 2 is a 0 b 0 c; with a
   window of three taps w0 w1 w2 and padding of 1:

     output  0            1            2            3            4
     taps    w1*a         w0*a + w2*b  w1*b         w0*b + w2*c  w1*c
     class   0            1            0            1            0

   Class 0 meets only w1, class 1 meets w0 and w2: of 15 products 7 are left.
   Where much is padding, rows count images first (`batch_innermost`): the rows of a tile are then of one position and meet
   padding together, so that a tap can be skipped.
   Params: step_d, step_h, step_w; images; class_rows, rows of a class; class_d, class_h, class_w, its sizes; out and pad. #*/
const OUTSIDE = 0xffffffffu;

// Residues of a class.
fn residues(class_number: u32) -> vec3<i32> {
  let number = i32(class_number);
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

// The position of a row in its class: d, h, w, and the image.
fn position_in_class(row: u32) -> vec4<i32> {
  var rest = i32(row);
//% if batch_innermost
  let image = rest % params.images;
  rest /= params.images;
//% endif
  let w = rest % params.class_w;
  rest /= params.class_w;
  let h = rest % params.class_h;
  rest /= params.class_h;
//% if batch_innermost
  return vec4<i32>(rest, h, w, image);
//% else
  return vec4<i32>(rest % params.class_d, h, w, rest / params.class_d);
//% endif
}

// The output position of a row, or OUTSIDE.
fn output_position(row: u32, residue: vec3<i32>) -> u32 {
  let place = position_in_class(row);
  let at = place.xyz * steps_between() + residue;
  let there = (row < params.class_rows) & (at.x < params.out_d) & (at.y < params.out_h) & (at.z < params.out_w);
  return select(OUTSIDE, u32(((place.w * params.out_d + at.x) * params.out_h + at.y) * params.out_w + at.z), there);
}
