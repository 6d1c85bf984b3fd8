// The input of a convolution by Winograd's algorithm: tiles of ${ size } by ${ size } positions, which overlap by two, transformed along
// both axes. One tile of ${ lanes } channels an invocation.
//
// x is channels last; out is [${ size * size }][tile][channels].
// Values: params; lanes, channels of an invocation; type_in, their type in memory, and load, what makes floats of it; those of
// winograd.wgsl.
//% from "winograd" import forward
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ type_in }>;
@group(0) @binding(2) var<storage, read_write> out: array<vec${ lanes }<f32>>;

//% include "grid"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i32(i % params.inner);
  var tile = i32(i / params.inner);
  let left = tile % params.tiles_w * ${ size - 2 } - params.pad_w;
  tile /= params.tiles_w;
  let top = tile % params.tiles_h * ${ size - 2 } - params.pad_h;
  let image = tile / params.tiles_h;
//% for b in range(size)
  // Negative numbers are large ones without a sign.
  let inside_${ b } = u32(left + ${ b }) < u32(params.in_w);
//% endfor
//% for a in range(size)
  let there_${ a } = u32(top + ${ a }) < u32(params.in_h);
  let line_${ a } = ((image * params.in_h + top + ${ a }) * params.in_w + left) * params.x_step + params.x_base + c;
//% endfor
//% for b in range(size)
//% for a in range(size)
  let use_${ a }_${ b } = there_${ a } & inside_${ b };
  let d_${ a }_${ b } = select(vec${ lanes }<f32>(), ${ load }(x[select(0, line_${ a } + ${ b } * params.x_step, use_${ a }_${ b })]), use_${ a }_${ b });
//% endfor
${ forward("e_" ~ b ~ "_", "d_", "_" ~ b) }
//% endfor
//% for a in range(size)
//% set row = "v_" ~ a ~ "_"
//% for b in range(size)
  let f_${ a }_${ b } = e_${ b }_${ a };
//% endfor
${ forward(row, "f_" ~ a ~ "_", "") }
//% for b in range(size)
  out[${ a * size + b }u * params.count + i] = ${ row }${ b };
//% endfor
//% endfor
}
