// Weights of a convolution by Winograd's algorithm, where they are not known when a plan is made: those of one input channel for
// four output channels an invocation.
//
// w is [3][3][channels in][channels out]; out is [${ size * size }][column tile][channels in, in fours][columns of the tile]. Rows that
// are missing to four are zeros.
// Values: params, and for bindings wide; those of winograd.wgsl.
//% from "winograd" import weights
//% include "params"
@group(0) @binding(1) var<storage, read> w: array<${ fours[0] }>;
@group(0) @binding(2) var<storage, read_write> out: array<${ fours[1] }>;

//% include "grid"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  let row = i / params.inner;
  let known = row < params.rows;
  let first = min(row, params.rows - 1u) * params.inner + c;
//% for b in range(3)
//% for a in range(3)
  let g_${ a }_${ b } = select(vec4<f32>(), ${ wide[0] }(w[first + ${ a * 3 + b }u * params.rows * params.inner]), known);
//% endfor
${ weights("h_" ~ b ~ "_", "g_", "_" ~ b) }
//% endfor
  let to = (c / params.tile_columns * params.depth + row) * params.tile_columns + c % params.tile_columns;
//% for a in range(size)
//% set row = "u_" ~ a ~ "_"
//% for b in range(3)
  let k_${ a }_${ b } = h_${ b }_${ a };
//% endfor
${ weights(row, "k_" ~ a ~ "_", "") }
//% for b in range(size)
  out[${ a * size + b }u * params.panels + to] = ${ row }${ b };
//% endfor
//% endfor
}
