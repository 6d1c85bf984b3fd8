// A chain of elementwise operators, a copy between layouts, or both.
//
// An invocation makes 4 or 1 neighbours along the output's fastest dimension.
// Values: params, operands, out_binding, and of lower/expression: element, store, stored.
//% include "params"
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;

//% include "grid"
//% include "functions"
${ element }${ store }
//% include "invocation_entry"
  let i = grid_index(id, groups);
  if i >= params.count {
    return;
  }
  let c = i % params.inner;
  store(i, c, element(i, c, ${ T }()));
}
