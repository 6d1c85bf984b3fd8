/*# Winograd's minimal filtering along one axis: macros that transform `size` numbers (or vectors) of the input, three of a weight,
   and `size` products to results. Arguments are a prefix of the names that are made, and prefix and ending of those that
   are read: forward("e_", "d_", "_3") makes e_0, e_1, .. of d_0_3, d_1_3, ..

   Results along the axis are coefficients of the product of two polynomials, which is found by its values at 0, +-1 and infinity
   (two results), or at 0, +-p, +-1/p and infinity with p the square root of a half (four results). Points whose squares
   are 1/2 and 2 make coefficients of similar size, so that rounding errors are a quarter of those at the usual 0, +-1, +-2; see
   `memory/winograd.rs`, which transforms constant weights in the same way.
   Values: size, elements along an axis of a tile of the input: two more than results. #*/
//% set root = "0.70710678118654752"
//% set twice_root = "1.41421356237309505"
//% macro forward(to, from, end)
//% if size == 4
  let ${ to }0 = ${ from }0${ end } - ${ from }2${ end };
  let ${ to }1 = ${ from }2${ end } + ${ from }1${ end };
  let ${ to }2 = ${ from }2${ end } - ${ from }1${ end };
  let ${ to }3 = ${ from }3${ end } - ${ from }1${ end };
//% else
  let ${ to }0 = (${ from }0${ end } - 2.5 * ${ from }2${ end }) + ${ from }4${ end };
  let ${ to }even = ${ from }4${ end } - 2.0 * ${ from }2${ end };
  let ${ to }odd = ${ root } * (${ from }3${ end } - 2.0 * ${ from }1${ end });
  let ${ to }1 = ${ to }even + ${ to }odd;
  let ${ to }2 = ${ to }even - ${ to }odd;
  let ${ to }far_even = ${ from }4${ end } - 0.5 * ${ from }2${ end };
  let ${ to }far_odd = ${ twice_root } * (${ from }3${ end } - 0.5 * ${ from }1${ end });
  let ${ to }3 = ${ to }far_even + ${ to }far_odd;
  let ${ to }4 = ${ to }far_even - ${ to }far_odd;
  let ${ to }5 = (${ from }1${ end } - 2.5 * ${ from }3${ end }) + ${ from }5${ end };
//% endif
//% endmacro
//% macro weights(to, from, end)
  let ${ to }0 = ${ from }0${ end };
//% if size == 4
  let ${ to }even = 0.5 * (${ from }0${ end } + ${ from }2${ end });
  let ${ to }odd = 0.5 * ${ from }1${ end };
  let ${ to }1 = ${ to }even + ${ to }odd;
  let ${ to }2 = ${ to }even - ${ to }odd;
  let ${ to }3 = ${ from }2${ end };
//% else
  let ${ to }even = -(2.0 / 3.0) * (${ from }0${ end } + 0.5 * ${ from }2${ end });
  let ${ to }odd = -(2.0 / 3.0 * ${ root }) * ${ from }1${ end };
  let ${ to }1 = ${ to }even + ${ to }odd;
  let ${ to }2 = ${ to }even - ${ to }odd;
  let ${ to }far_even = (1.0 / 6.0) * (${ from }0${ end } + 2.0 * ${ from }2${ end });
  let ${ to }far_odd = (1.0 / 6.0 * ${ twice_root }) * ${ from }1${ end };
  let ${ to }3 = ${ to }far_even + ${ to }far_odd;
  let ${ to }4 = ${ to }far_even - ${ to }far_odd;
  let ${ to }5 = ${ from }2${ end };
//% endif
//% endmacro
//% macro inverse(to, from, end)
//% if size == 4
  let ${ to }0 = ${ from }0${ end } + (${ from }1${ end } + ${ from }2${ end });
  let ${ to }1 = (${ from }1${ end } - ${ from }2${ end }) + ${ from }3${ end };
//% else
  let ${ to }sum = ${ from }1${ end } + ${ from }2${ end };
  let ${ to }difference = ${ root } * (${ from }1${ end } - ${ from }2${ end });
  let ${ to }far_sum = ${ from }3${ end } + ${ from }4${ end };
  let ${ to }far_difference = ${ twice_root } * (${ from }3${ end } - ${ from }4${ end });
  let ${ to }0 = (${ from }0${ end } + ${ to }sum) + ${ to }far_sum;
  let ${ to }1 = ${ to }difference + ${ to }far_difference;
  let ${ to }2 = 0.5 * ${ to }sum + 2.0 * ${ to }far_sum;
  let ${ to }3 = (0.5 * ${ to }difference + 2.0 * ${ to }far_difference) + ${ from }5${ end };
//% endif
//% endmacro
