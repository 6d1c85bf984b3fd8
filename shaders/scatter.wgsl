// Elements changed along an axis, one output an invocation.
//
// An element looks for the indices that mean it: so nothing is written by several invocations, and what is combined is
// combined in the order of the indices. The cost is that of looking at all indices of a line for each of its elements.
// A launch looks at `most` indices from `begin` on.
// Values: params, rank, axis, combine (of acc and update); element_type: what is combined.
//% include "params"
@group(0) @binding(1) var<storage, read> data: array<${ types[0] }>;
@group(0) @binding(2) var<storage, read> indices: array<${ types[1] }>;
@group(0) @binding(3) var<storage, read> updates: array<${ types[2] }>;
@group(0) @binding(4) var<storage, read_write> out: array<${ types[3] }>;

//% include "grid"
//% include "functions"
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  var rest = i32(i);
  var data_at = params.data_base;
  var index_at = params.index_base;
  var update_at = params.update_base;
  var inside = true;
//% for d in range(rank)|reverse
  let k${ d } = rest % params.size_${ d };
  rest = rest / params.size_${ d };
  data_at += k${ d } * params.data_${ d };
//% if d != axis
  index_at += k${ d } * params.index_${ d };
  update_at += k${ d } * params.update_${ d };
  inside &= k${ d } < params.taken_${ d };
//% endif
//% endfor
  var acc = ${ element_type }(data[u32(data_at)]);
  if inside {
    let end = min(params.begin + params.most, params.taken_${ axis });
    for (var j = params.begin; j < end; j++) {
      let index = indices[u32(index_at + j * params.index_${ axis })];
      let own = ${ types[1] }(k${ axis });
      if index == own || index + ${ types[1] }(params.size_${ axis }) == own {
        let update = ${ element_type }(updates[u32(update_at + j * params.update_${ axis })]);
        acc = ${ combine };
      }
    }
  }
  out[i] = ${ types[3] }(acc);
}
