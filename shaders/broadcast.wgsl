/*# The heart of the broadcast kernels: a tile of ${ p * S } rows and ${ q * S } columns of vectors, made by one subgroup.

   Lane l holds rows l, S + l, .. of one vec4 along k of the left matrix and hands them to the others by broadcast; it
   owns columns l, S + l, .. of the result as accumulators with names, because indexed private arrays do not stay in
   registers. Macros: accumulators() declares them, step(w, at) adds four products to each, with the rows of the right
   matrix `w_step` vectors apart (next to each other in weights, which are packed in panels as wide as the tile, since
   memory is fastest in a straight line), and finish() hands the results to the epilogue.
   The epilogue is written out for each accumulator: collecting them in a private array and looping over that made
   Mesa take five times as long to compile.
   Without subgroups (`alone`), each invocation makes a tile of its own: S is 1 and nothing has to be broadcast.
   Holes: S the subgroup size, phased whether rows go to places of their own (`target_0`, .. of a lane's rows), p row vectors and q column vectors of a lane; biased, whether sums start at `bias`. #*/
//% macro accumulators()
//% for j in range(q)
//% if biased
  let bias_${ j } = ${ wide[2] }(bias[min(first_column + ${ j * S }u, columns_end - 1u)]);
//% else
  let bias_${ j } = vec4<f32>();
//% endif
//% for r in range(p * S)
  var sum_${ r }_${ j } = bias_${ j };
//% endfor
//% endfor
//% endmacro
//% macro step(w, at)
//% for j in range(q)
//% for k in range(4)
    let w_${ k }_${ j } = ${ wide[1] }(${ w }[${ at } + ${ k }u * params.w_step + column_${ j }]);
//% endfor
//% endfor
//% for r in range(p * S)
//% if alone
    let row_${ r } = a_${ r };
//% else
    let row_${ r } = subgroupBroadcast(a_${ r // S }, ${ r % S }u);
//% endif
//% for j in range(q)
    sum_${ r }_${ j } += row_${ r }.x * w_0_${ j } + row_${ r }.y * w_1_${ j } + row_${ r }.z * w_2_${ j } + row_${ r }.w * w_3_${ j };
//% endfor
//% endfor
//% endmacro
//% macro finish()
//% if phased
//% for r in range(p * S)
  let goal_${ r } = ${ "target_" ~ r if alone else "subgroupBroadcast(target_" ~ (r // S) ~ ", " ~ (r % S) ~ "u)" };
//% endfor
//% endif
//% for j in range(q)
  let to_${ j } = first_column + ${ j * S }u;
  if to_${ j } < columns_end {
//% for r in range(p * S)
//% if phased
    if goal_${ r } != NOWHERE {
      let i = goal_${ r } * params.inner + to_${ j };
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
