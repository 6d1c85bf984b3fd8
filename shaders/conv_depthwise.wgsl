// Depthwise convolution: each channel by itself, ${ run } neighbouring positions of four channels an invocation.
//
// What neighbours read twice is loaded once. Where lines overlap, an invocation goes down a segment of lines (`lines`): a line of
// the input is loaded once, for the sums of all outputs that see it. x is channels last, w is [kernel_h][kernel_w][channels].
// Loop iterations of an invocation: kernel_h, or the lines of a segment and those before it that its first outputs see.
// Values: params, operands, out_binding, element, store, stored; run, how many positions; stride and step along the width;
// columns, what is loaded of a line: where it is beside the first position, and whether it may be outside; taps, for each tap along
// the width its products: which position, which column; tail, what the last run of a line is: exact, shifted to the
// left so that it ends with the line, or open; lines, outputs that see an input line (0: no segments); kernel_h and stride_h, with
// segments; meets_zeros: whether there are zeros between input elements; biased, whether sums start at `bias`.
//% include "product"

//% include "grid"
//% include "functions"
${ element }${ store }
//% if lines == 0
//% include "tap"
//% endif
/*% macro weight(row, k) %*/${ wide[1] }(w[u32(${ row } * ${ taps|length } + ${ k }) * params.inner + c])/*% endmacro %*/
/*% macro add(sum, x, w) %*//*% if number == "f32" %*/${ sum } = fma(${ x }, ${ w }, ${ sum });/*% else %*/${ sum } += ${ x } * ${ w };/*% endif %*//*% endmacro %*/
//% macro finish(sum)
//% for t in range(run)
//% if tail == "exact"
    {
//% elif tail == "shifted"
    if start + ${ t } >= number * ${ run } {
//% else
    if start + ${ t } < params.out_w {
//% endif
      let i = u32(row + ${ t }) * params.inner + c;
      store(i, c, element(i, c, ${ sum }${ t }));
    }
//% endfor
//% endmacro
//% include "invocation_entry"
  let index = grid_index(id, groups);
  if index >= params.runs * params.inner {
    return;
  }
  let c = index % params.inner;
  var rest = i32(index / params.inner);
  let number = rest % params.runs_w;
  rest /= params.runs_w;
  let line = rest % params.segments;
  let n = rest / params.segments;
//% if tail == "shifted"
  let start = min(number * ${ run }, params.out_w - ${ run });
//% else
  let start = number * ${ run };
//% endif
  let left = ${ "start / " ~ step if step > 1 else "start" } * ${ stride };
  let height = params.in_w * params.x_step;
//% for column in columns
//% set u = loop.index0
//% if column.masked
  let in_${ u } = (left + ${ column.at } >= 0) & (left + ${ column.at } < params.in_w);
  let at_${ u } = u32(select(0, left + ${ column.at }, in_${ u }) * params.x_step + params.x_base) + c;
//% else
  let at_${ u } = u32((left + ${ column.at }) * params.x_step + params.x_base) + c;
//% endif
//% endfor
//% if biased
  let first = ${ wide[2] }(bias[c]);
//% else
  let first = vec4<${ number }>();
//% endif
//% if lines == 0
//% for t in range(run)
  var sum_${ t } = first;
//% endfor
  for (var kh = 0; kh < params.kernel_h; kh++) {
    let h = tap(line * params.stride_h + kh * params.dilation_h - params.pad_h, params.step_h, params.in_h);
    if h >= 0 {
      let origin = u32((n * params.in_h + h) * height);
//% for column in columns
//% set u = loop.index0
//% if column.masked
      let x_${ u } = select(vec4<${ number }>(), ${ wide[0] }(x[origin + at_${ u }]), in_${ u });
//% else
      let x_${ u } = ${ wide[0] }(x[origin + at_${ u }]);
//% endif
//% endfor
//% for products in taps
//% set k = loop.index0
      let w_${ k } = ${ weight("kh", k) };
//% for product in products
      ${ add("sum_" ~ product[0], "x_" ~ product[1], "w_" ~ k) }
//% endfor
//% endfor
    }
  }
  let row = (n * params.out_h + line) * params.out_w + start;
${ finish("sum_") }
//% else
//% for kh in range(kernel_h)
//% for k in range(taps|length)
  let w_${ kh }_${ k } = ${ weight(kh, k) };
//% endfor
//% endfor
  // Sums of the outputs that end with this line of the input, and of those behind them.
//% for a in range(lines)
//% for t in range(run)
  var sum_${ a }_${ t } = first;
//% endfor
//% endfor
  let top = line * params.segment;
  let end = min(top + params.segment, params.out_h) + ${ lines - 1 };
  for (var at = top; at < end; at++) {
//% for j in range(stride_h)
    {
      let h = at * ${ stride_h } + ${ j } - params.pad_h;
      let inside = (h >= 0) & (h < params.in_h);
      let origin = u32((n * params.in_h + select(0, h, inside)) * height);
//% for column in columns
//% set u = loop.index0
      let x_${ u } = select(vec4<${ number }>(), ${ wide[0] }(x[origin + at_${ u }]), ${ "in_" ~ u ~ " & inside" if column.masked else "inside" });
//% endfor
//% for a in range(lines)
//% set kh = j + a * stride_h
//% if kh < kernel_h
//% for products in taps
//% set k = loop.index0
//% for product in products
      ${ add("sum_" ~ a ~ "_" ~ product[0], "x_" ~ product[1], "w_" ~ kh ~ "_" ~ k) }
//% endfor
//% endfor
//% endif
//% endfor
    }
//% endfor
    // The first lines begin outputs above the segment, which are not its own.
    if at >= top + ${ lines - 1 } {
      let row = (n * params.out_h + at - ${ lines - 1 }) * params.out_w + start;
${ finish("sum_" ~ (lines - 1) ~ "_") }
    }
//% for a in range(lines - 1)|reverse
//% for t in range(run)
    sum_${ a + 1 }_${ t } = sum_${ a }_${ t };
//% endfor
//% endfor
//% for t in range(run)
    sum_0_${ t } = first;
//% endfor
  }
//% endif
}
