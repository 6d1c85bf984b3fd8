/*# The core of the broadcast kernels: a tile of row_vectors * lanes rows and column_vectors * lanes columns of vectors,
   computed by one subgroup.

   Lane l holds rows l, lanes + l, .. of one vec4 along k of the left matrix and broadcasts them to the others; it owns
   columns l, lanes + l, .. of the result as accumulators with names, because indexed private arrays do not stay in
   registers. Macros: accumulators() declares them, step(w, at) adds four products to each, with the rows of the right
   matrix `w_step` vectors apart (next to each other in weights, which are packed in panels as wide as the tile, since
   memory is fastest in a straight line), any(name, rest) says whether
   something holds for any row of the tile, and finish() hands the results to the epilogue.
   The epilogue is written out for each accumulator: collecting them in a private array and looping over that made
   Mesa take five times as long to compile.
   Without subgroups (`single_lane`), each invocation computes a tile of its own: `lanes` is 1 and nothing is broadcast.
   Values: lanes, the subgroup size; row_vectors and column_vectors of a lane; residue_classes, whether rows go to positions
   of their own (`output_0`, .. of a lane's rows); biased, whether sums start at `bias`. #*/
//% macro accumulators()
//% for j in range(column_vectors)
//% if biased
  let bias_${ j } = ${ wide[2] }(bias[min(first_column + ${ j * lanes }u, columns_end - 1u)]);
//% else
  let bias_${ j } = vec4<${ number }>();
//% endif
//% for r in range(row_vectors * lanes)
  var sum_${ r }_${ j } = bias_${ j };
//% endfor
//% endfor
//% endmacro
//% macro step(w, at)
//% for j in range(column_vectors)
//% for k in range(4)
    let w_${ k }_${ j } = ${ wide[1] }(${ w }[${ at } + ${ k }u * params.w_step + column_${ j }]);
//% endfor
//% endfor
//% for r in range(row_vectors * lanes)
//% if single_lane
    let row_${ r } = a_${ r };
//% else
    let row_${ r } = subgroupBroadcast(a_${ r // lanes }, ${ r % lanes }u);
//% endif
//% for j in range(column_vectors)
    sum_${ r }_${ j } += row_${ r }.x * w_0_${ j } + row_${ r }.y * w_1_${ j } + row_${ r }.z * w_2_${ j } + row_${ r }.w * w_3_${ j };
//% endfor
//% endfor
//% endmacro
/*% macro any(name, rest) %*/${ "" if single_lane else "subgroupAny" }(/*% for r in range(row_vectors) %*/(${ name ~ r ~ rest })${ "" if loop.last else " | " }/*% endfor %*/)/*% endmacro %*/
//% macro finish()
//% if residue_classes
//% for r in range(row_vectors * lanes)
  let output_position_${ r } = ${ "output_" ~ r if single_lane else "subgroupBroadcast(output_" ~ (r // lanes) ~ ", " ~ (r % lanes) ~ "u)" };
//% endfor
//% endif
//% for j in range(column_vectors)
  let to_${ j } = first_column + ${ j * lanes }u;
  if to_${ j } < columns_end {
//% for r in range(row_vectors * lanes)
//% if residue_classes
    if output_position_${ r } != OUTSIDE {
      let i = output_position_${ r } * params.inner + to_${ j };
//% else
    if first_row + ${ r }u < rows {
      let i = (first_row + ${ r }u) * params.inner + to_${ j };
//% endif
      store(i, to_${ j }, element(i, to_${ j }, sum_${ r }_${ j }));
    }
//% endfor
  }
//% endfor
//% endmacro
