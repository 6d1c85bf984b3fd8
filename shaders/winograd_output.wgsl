// The results of a convolution by Winograd's algorithm: ${ size * size } products of a tile become ${ size - 2 } by ${ size - 2 } positions, of
// which those beyond the edge are left out. One tile of four channels an invocation.
//
// products is [${ size * size }][tile][channels].
// Values: params, operands, out_binding, element, store, stored; biased, whether results have a bias; those of winograd.wgsl.
//% from "winograd" import inverse
//% include "params"
@group(0) @binding(1) var<storage, read> products: array<${ fours[0] }>;
//% if biased
@group(0) @binding(2) var<storage, read> bias: array<${ fours[1] }>;
//% endif
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
//% include "invocation_entry"
  let own = grid_index(id, groups);
  if own >= params.vectors {
    return;
  }
  let c = own % params.inner;
  var tile = own / params.inner;
  let left = tile % params.tiles_w * ${ size - 2 }u;
  tile /= params.tiles_w;
  let top = tile % params.tiles_h * ${ size - 2 }u;
  let image = tile / params.tiles_h;
//% if biased
  let first = ${ wide[1] }(bias[c]);
//% endif
//% for b in range(size)
//% for a in range(size)
  let m_${ a }_${ b } = products[${ a * size + b }u * params.vectors + own];
//% endfor
${ inverse("s_" ~ b ~ "_", "m_", "_" ~ b) }
//% endfor
//% for a in range(size - 2)
//% set row = "y_" ~ a ~ "_"
  let there_${ a } = top + ${ a }u < params.out_h;
  let line_${ a } = ((image * params.out_h + top + ${ a }u) * params.out_w + left) * params.inner + c;
//% for b in range(size)
  let t_${ a }_${ b } = s_${ b }_${ a };
//% endfor
${ inverse(row, "t_" ~ a ~ "_", "") }
//% for b in range(size - 2)
  if there_${ a } & (left + ${ b }u < params.out_w) {
    let i = line_${ a } + ${ b }u * params.inner;
    store(i, c, element(i, c, ${ row }${ b }${ " + first" if biased else "" }));
  }
//% endfor
//% endfor
}
