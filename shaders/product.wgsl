/*# What a product of x and w is declared with; its sums may start at `bias`. #*/
//% include "params"
@group(0) @binding(1) var<storage, read> x: array<${ fours[0] }>;
@group(0) @binding(2) var<storage, read> w: array<${ fours[1] }>;
//% if biased
@group(0) @binding(3) var<storage, read> bias: array<${ fours[2] }>;
//% endif
${ operands }@group(0) @binding(${ out_binding }) var<storage, read_write> out: array<${ stored }>;
