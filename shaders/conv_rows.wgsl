/*# Where the rows of a convolution's left matrix fall in its input. Macros for row s of an invocation: position(s, row), the place of
   the window's first tap: `ow_s`, `oh_s` and `od_s`, and `image_s`, the first line of the image; at_depth(s), at_height(s) and
   at_width(s), the input coordinates `d_s`, `h_s` and `v_s` of the tap `kd`, `kh`, `kw`, negative outside; line(s), the first
   element of their line.
   Values: deep; residue_classes, for which `first` and `begin` are where the first tap is. #*/
//% macro position(s, row)
//% if residue_classes
  let place_${ s } = position_in_class(${ row });
  let ow_${ s } = place_${ s }.z + begin.z;
  let oh_${ s } = place_${ s }.y + begin.y;
//% if deep
  let od_${ s } = place_${ s }.x + begin.x;
  let image_${ s } = place_${ s }.w * params.in_d;
//% else
  let image_${ s } = place_${ s }.w * params.in_h;
//% endif
//% else
  var place_${ s } = i32(${ row });
  let ow_${ s } = place_${ s } % params.out_w * params.stride_w - params.pad_w;
  place_${ s } /= params.out_w;
  let oh_${ s } = place_${ s } % params.out_h * params.stride_h - params.pad_h;
  place_${ s } /= params.out_h;
//% if deep
  let od_${ s } = place_${ s } % params.out_d * params.stride_d - params.pad_d;
  place_${ s } /= params.out_d;
  let image_${ s } = place_${ s } * params.in_d;
//% else
  let image_${ s } = place_${ s } * params.in_h;
//% endif
//% endif
//% endmacro
//% macro at_depth(s)
    let d_${ s } = tap(od_${ s } + ${ "(kd - first.x) / params.step_d" if residue_classes else "kd * params.dilation_d" }, params.step_d, params.in_d);
//% endmacro
//% macro at_height(s)
    let h_${ s } = tap(oh_${ s } + ${ "(kh - first.y) / params.step_h" if residue_classes else "kh * params.dilation_h" }, params.step_h, params.in_h);
//% endmacro
//% macro at_width(s)
      let v_${ s } = tap(ow_${ s } + ${ "(kw - first.z) / params.step_w" if residue_classes else "kw * params.dilation_w" }, params.step_w, params.in_w);
//% endmacro
//% macro line(s)
//% if deep
    let line_${ s } = ((image_${ s } + d_${ s }) * params.in_h + h_${ s }) * params.in_w;
//% else
    let line_${ s } = (image_${ s } + h_${ s }) * params.in_w;
//% endif
//% endmacro
