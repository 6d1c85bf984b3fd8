/*# The heart of the broadcast kernels: a tile of ${ p * S } rows and ${ q * S } columns of vectors, made by one subgroup.

   Lane l holds rows l, S + l, .. of one vec4 along k of the left matrix and hands them to the others by broadcast; it
   owns columns l, S + l, .. of the result as accumulators with names, because indexed private arrays do not stay in
   registers. Macros: accumulators() declares them, step(w, at) adds four products to each, with the rows of the right
   matrix `w_step` vectors apart (next to each other in weights, which are packed in panels as wide as the tile, since
   memory is fastest in a straight line), and finish() hands the results to the epilogue, one after the other so that
   it is compiled once.
   Holes: S the subgroup size, p row vectors and q column vectors of a lane. #*/
//% macro accumulators()
//% for r in range(p * S)
//% for j in range(q)
  var sum_${ r }_${ j } = vec4<f32>();
//% endfor
//% endfor
//% endmacro
//% macro step(w, at)
//% for j in range(q)
//% for k in range(4)
    let w_${ k }_${ j } = ${ w }[${ at } + ${ k }u * params.w_step + column_${ j }];
//% endfor
//% endfor
//% for r in range(p * S)
    let row_${ r } = subgroupBroadcast(a_${ r // S }, ${ r % S }u);
//% for j in range(q)
    sum_${ r }_${ j } += row_${ r }.x * w_0_${ j } + row_${ r }.y * w_1_${ j } + row_${ r }.z * w_2_${ j } + row_${ r }.w * w_3_${ j };
//% endfor
//% endfor
//% endmacro
//% macro finish()
  var sums: array<vec4<f32>, ${ p * S * q }>;
//% for r in range(p * S)
//% for j in range(q)
  sums[${ r * q + j }] = sum_${ r }_${ j };
//% endfor
//% endfor
  for (var t = 0u; t < ${ p * S * q }u; t++) {
    let row = first_row + t / ${ q }u;
    let column = first_column + t % ${ q }u * ${ S }u;
    if row < rows && column < columns_end {
      let i = row * params.inner + column;
      store(i, column, element(i, column, sums[t]));
    }
  }
//% endmacro
