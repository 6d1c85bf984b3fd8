// The yardstick for the convolution kernels: implicit GEMM by subgroup broadcast, tiles of 32 places by 64 channels, in its
// simplest form. 3x3, stride 1, padding 1, channels last, channels a multiple of 64; weights [tap][in][out]; no epilogue.
// It is kept as it was first measured, so that `cargo bench` compares today's kernels with it in the same run.
struct Params {
  size: i32,
  channels: i32,
  rows: u32,
  spare: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let first = group.x * 32u;
  let depth = params.channels / 4;
  let stride = u32(depth);
  let column = group.y * 16u + lane;
  let place_0 = i32(min(first + 0u + lane, params.rows - 1u));
  let v_0 = place_0 % params.size;
  let h_0 = place_0 / params.size % params.size;
  let n_0 = place_0 / (params.size * params.size);
  let place_1 = i32(min(first + 8u + lane, params.rows - 1u));
  let v_1 = place_1 % params.size;
  let h_1 = place_1 / params.size % params.size;
  let n_1 = place_1 / (params.size * params.size);
  let place_2 = i32(min(first + 16u + lane, params.rows - 1u));
  let v_2 = place_2 % params.size;
  let h_2 = place_2 / params.size % params.size;
  let n_2 = place_2 / (params.size * params.size);
  let place_3 = i32(min(first + 24u + lane, params.rows - 1u));
  let v_3 = place_3 % params.size;
  let h_3 = place_3 / params.size % params.size;
  let n_3 = place_3 / (params.size * params.size);
  var c_0_0 = vec4<f32>();
  var c_0_1 = vec4<f32>();
  var c_1_0 = vec4<f32>();
  var c_1_1 = vec4<f32>();
  var c_2_0 = vec4<f32>();
  var c_2_1 = vec4<f32>();
  var c_3_0 = vec4<f32>();
  var c_3_1 = vec4<f32>();
  var c_4_0 = vec4<f32>();
  var c_4_1 = vec4<f32>();
  var c_5_0 = vec4<f32>();
  var c_5_1 = vec4<f32>();
  var c_6_0 = vec4<f32>();
  var c_6_1 = vec4<f32>();
  var c_7_0 = vec4<f32>();
  var c_7_1 = vec4<f32>();
  var c_8_0 = vec4<f32>();
  var c_8_1 = vec4<f32>();
  var c_9_0 = vec4<f32>();
  var c_9_1 = vec4<f32>();
  var c_10_0 = vec4<f32>();
  var c_10_1 = vec4<f32>();
  var c_11_0 = vec4<f32>();
  var c_11_1 = vec4<f32>();
  var c_12_0 = vec4<f32>();
  var c_12_1 = vec4<f32>();
  var c_13_0 = vec4<f32>();
  var c_13_1 = vec4<f32>();
  var c_14_0 = vec4<f32>();
  var c_14_1 = vec4<f32>();
  var c_15_0 = vec4<f32>();
  var c_15_1 = vec4<f32>();
  var c_16_0 = vec4<f32>();
  var c_16_1 = vec4<f32>();
  var c_17_0 = vec4<f32>();
  var c_17_1 = vec4<f32>();
  var c_18_0 = vec4<f32>();
  var c_18_1 = vec4<f32>();
  var c_19_0 = vec4<f32>();
  var c_19_1 = vec4<f32>();
  var c_20_0 = vec4<f32>();
  var c_20_1 = vec4<f32>();
  var c_21_0 = vec4<f32>();
  var c_21_1 = vec4<f32>();
  var c_22_0 = vec4<f32>();
  var c_22_1 = vec4<f32>();
  var c_23_0 = vec4<f32>();
  var c_23_1 = vec4<f32>();
  var c_24_0 = vec4<f32>();
  var c_24_1 = vec4<f32>();
  var c_25_0 = vec4<f32>();
  var c_25_1 = vec4<f32>();
  var c_26_0 = vec4<f32>();
  var c_26_1 = vec4<f32>();
  var c_27_0 = vec4<f32>();
  var c_27_1 = vec4<f32>();
  var c_28_0 = vec4<f32>();
  var c_28_1 = vec4<f32>();
  var c_29_0 = vec4<f32>();
  var c_29_1 = vec4<f32>();
  var c_30_0 = vec4<f32>();
  var c_30_1 = vec4<f32>();
  var c_31_0 = vec4<f32>();
  var c_31_1 = vec4<f32>();
  var at = 0u;
  for (var kh = -1; kh <= 1; kh++) {
    for (var kw = -1; kw <= 1; kw++) {
      let in_0 = h_0 + kh >= 0 && h_0 + kh < params.size && v_0 + kw >= 0 && v_0 + kw < params.size;
      let from_0 = select(0, ((n_0 * params.size + h_0 + kh) * params.size + v_0 + kw) * depth, in_0);
      let in_1 = h_1 + kh >= 0 && h_1 + kh < params.size && v_1 + kw >= 0 && v_1 + kw < params.size;
      let from_1 = select(0, ((n_1 * params.size + h_1 + kh) * params.size + v_1 + kw) * depth, in_1);
      let in_2 = h_2 + kh >= 0 && h_2 + kh < params.size && v_2 + kw >= 0 && v_2 + kw < params.size;
      let from_2 = select(0, ((n_2 * params.size + h_2 + kh) * params.size + v_2 + kw) * depth, in_2);
      let in_3 = h_3 + kh >= 0 && h_3 + kh < params.size && v_3 + kw >= 0 && v_3 + kw < params.size;
      let from_3 = select(0, ((n_3 * params.size + h_3 + kh) * params.size + v_3 + kw) * depth, in_3);
      for (var k = 0; k < depth; k++) {
        let a_0 = select(vec4<f32>(), x[from_0 + k], in_0);
        let a_1 = select(vec4<f32>(), x[from_1 + k], in_1);
        let a_2 = select(vec4<f32>(), x[from_2 + k], in_2);
        let a_3 = select(vec4<f32>(), x[from_3 + k], in_3);
        let w_0_0 = w[at + 0u * stride + column + 0u];
        let w_1_0 = w[at + 1u * stride + column + 0u];
        let w_2_0 = w[at + 2u * stride + column + 0u];
        let w_3_0 = w[at + 3u * stride + column + 0u];
        let w_0_1 = w[at + 0u * stride + column + 8u];
        let w_1_1 = w[at + 1u * stride + column + 8u];
        let w_2_1 = w[at + 2u * stride + column + 8u];
        let w_3_1 = w[at + 3u * stride + column + 8u];
        let r_0 = subgroupBroadcast(a_0, 0u);
        c_0_0 += r_0.x * w_0_0 + r_0.y * w_1_0 + r_0.z * w_2_0 + r_0.w * w_3_0;
        c_0_1 += r_0.x * w_0_1 + r_0.y * w_1_1 + r_0.z * w_2_1 + r_0.w * w_3_1;
        let r_1 = subgroupBroadcast(a_0, 1u);
        c_1_0 += r_1.x * w_0_0 + r_1.y * w_1_0 + r_1.z * w_2_0 + r_1.w * w_3_0;
        c_1_1 += r_1.x * w_0_1 + r_1.y * w_1_1 + r_1.z * w_2_1 + r_1.w * w_3_1;
        let r_2 = subgroupBroadcast(a_0, 2u);
        c_2_0 += r_2.x * w_0_0 + r_2.y * w_1_0 + r_2.z * w_2_0 + r_2.w * w_3_0;
        c_2_1 += r_2.x * w_0_1 + r_2.y * w_1_1 + r_2.z * w_2_1 + r_2.w * w_3_1;
        let r_3 = subgroupBroadcast(a_0, 3u);
        c_3_0 += r_3.x * w_0_0 + r_3.y * w_1_0 + r_3.z * w_2_0 + r_3.w * w_3_0;
        c_3_1 += r_3.x * w_0_1 + r_3.y * w_1_1 + r_3.z * w_2_1 + r_3.w * w_3_1;
        let r_4 = subgroupBroadcast(a_0, 4u);
        c_4_0 += r_4.x * w_0_0 + r_4.y * w_1_0 + r_4.z * w_2_0 + r_4.w * w_3_0;
        c_4_1 += r_4.x * w_0_1 + r_4.y * w_1_1 + r_4.z * w_2_1 + r_4.w * w_3_1;
        let r_5 = subgroupBroadcast(a_0, 5u);
        c_5_0 += r_5.x * w_0_0 + r_5.y * w_1_0 + r_5.z * w_2_0 + r_5.w * w_3_0;
        c_5_1 += r_5.x * w_0_1 + r_5.y * w_1_1 + r_5.z * w_2_1 + r_5.w * w_3_1;
        let r_6 = subgroupBroadcast(a_0, 6u);
        c_6_0 += r_6.x * w_0_0 + r_6.y * w_1_0 + r_6.z * w_2_0 + r_6.w * w_3_0;
        c_6_1 += r_6.x * w_0_1 + r_6.y * w_1_1 + r_6.z * w_2_1 + r_6.w * w_3_1;
        let r_7 = subgroupBroadcast(a_0, 7u);
        c_7_0 += r_7.x * w_0_0 + r_7.y * w_1_0 + r_7.z * w_2_0 + r_7.w * w_3_0;
        c_7_1 += r_7.x * w_0_1 + r_7.y * w_1_1 + r_7.z * w_2_1 + r_7.w * w_3_1;
        let r_8 = subgroupBroadcast(a_1, 0u);
        c_8_0 += r_8.x * w_0_0 + r_8.y * w_1_0 + r_8.z * w_2_0 + r_8.w * w_3_0;
        c_8_1 += r_8.x * w_0_1 + r_8.y * w_1_1 + r_8.z * w_2_1 + r_8.w * w_3_1;
        let r_9 = subgroupBroadcast(a_1, 1u);
        c_9_0 += r_9.x * w_0_0 + r_9.y * w_1_0 + r_9.z * w_2_0 + r_9.w * w_3_0;
        c_9_1 += r_9.x * w_0_1 + r_9.y * w_1_1 + r_9.z * w_2_1 + r_9.w * w_3_1;
        let r_10 = subgroupBroadcast(a_1, 2u);
        c_10_0 += r_10.x * w_0_0 + r_10.y * w_1_0 + r_10.z * w_2_0 + r_10.w * w_3_0;
        c_10_1 += r_10.x * w_0_1 + r_10.y * w_1_1 + r_10.z * w_2_1 + r_10.w * w_3_1;
        let r_11 = subgroupBroadcast(a_1, 3u);
        c_11_0 += r_11.x * w_0_0 + r_11.y * w_1_0 + r_11.z * w_2_0 + r_11.w * w_3_0;
        c_11_1 += r_11.x * w_0_1 + r_11.y * w_1_1 + r_11.z * w_2_1 + r_11.w * w_3_1;
        let r_12 = subgroupBroadcast(a_1, 4u);
        c_12_0 += r_12.x * w_0_0 + r_12.y * w_1_0 + r_12.z * w_2_0 + r_12.w * w_3_0;
        c_12_1 += r_12.x * w_0_1 + r_12.y * w_1_1 + r_12.z * w_2_1 + r_12.w * w_3_1;
        let r_13 = subgroupBroadcast(a_1, 5u);
        c_13_0 += r_13.x * w_0_0 + r_13.y * w_1_0 + r_13.z * w_2_0 + r_13.w * w_3_0;
        c_13_1 += r_13.x * w_0_1 + r_13.y * w_1_1 + r_13.z * w_2_1 + r_13.w * w_3_1;
        let r_14 = subgroupBroadcast(a_1, 6u);
        c_14_0 += r_14.x * w_0_0 + r_14.y * w_1_0 + r_14.z * w_2_0 + r_14.w * w_3_0;
        c_14_1 += r_14.x * w_0_1 + r_14.y * w_1_1 + r_14.z * w_2_1 + r_14.w * w_3_1;
        let r_15 = subgroupBroadcast(a_1, 7u);
        c_15_0 += r_15.x * w_0_0 + r_15.y * w_1_0 + r_15.z * w_2_0 + r_15.w * w_3_0;
        c_15_1 += r_15.x * w_0_1 + r_15.y * w_1_1 + r_15.z * w_2_1 + r_15.w * w_3_1;
        let r_16 = subgroupBroadcast(a_2, 0u);
        c_16_0 += r_16.x * w_0_0 + r_16.y * w_1_0 + r_16.z * w_2_0 + r_16.w * w_3_0;
        c_16_1 += r_16.x * w_0_1 + r_16.y * w_1_1 + r_16.z * w_2_1 + r_16.w * w_3_1;
        let r_17 = subgroupBroadcast(a_2, 1u);
        c_17_0 += r_17.x * w_0_0 + r_17.y * w_1_0 + r_17.z * w_2_0 + r_17.w * w_3_0;
        c_17_1 += r_17.x * w_0_1 + r_17.y * w_1_1 + r_17.z * w_2_1 + r_17.w * w_3_1;
        let r_18 = subgroupBroadcast(a_2, 2u);
        c_18_0 += r_18.x * w_0_0 + r_18.y * w_1_0 + r_18.z * w_2_0 + r_18.w * w_3_0;
        c_18_1 += r_18.x * w_0_1 + r_18.y * w_1_1 + r_18.z * w_2_1 + r_18.w * w_3_1;
        let r_19 = subgroupBroadcast(a_2, 3u);
        c_19_0 += r_19.x * w_0_0 + r_19.y * w_1_0 + r_19.z * w_2_0 + r_19.w * w_3_0;
        c_19_1 += r_19.x * w_0_1 + r_19.y * w_1_1 + r_19.z * w_2_1 + r_19.w * w_3_1;
        let r_20 = subgroupBroadcast(a_2, 4u);
        c_20_0 += r_20.x * w_0_0 + r_20.y * w_1_0 + r_20.z * w_2_0 + r_20.w * w_3_0;
        c_20_1 += r_20.x * w_0_1 + r_20.y * w_1_1 + r_20.z * w_2_1 + r_20.w * w_3_1;
        let r_21 = subgroupBroadcast(a_2, 5u);
        c_21_0 += r_21.x * w_0_0 + r_21.y * w_1_0 + r_21.z * w_2_0 + r_21.w * w_3_0;
        c_21_1 += r_21.x * w_0_1 + r_21.y * w_1_1 + r_21.z * w_2_1 + r_21.w * w_3_1;
        let r_22 = subgroupBroadcast(a_2, 6u);
        c_22_0 += r_22.x * w_0_0 + r_22.y * w_1_0 + r_22.z * w_2_0 + r_22.w * w_3_0;
        c_22_1 += r_22.x * w_0_1 + r_22.y * w_1_1 + r_22.z * w_2_1 + r_22.w * w_3_1;
        let r_23 = subgroupBroadcast(a_2, 7u);
        c_23_0 += r_23.x * w_0_0 + r_23.y * w_1_0 + r_23.z * w_2_0 + r_23.w * w_3_0;
        c_23_1 += r_23.x * w_0_1 + r_23.y * w_1_1 + r_23.z * w_2_1 + r_23.w * w_3_1;
        let r_24 = subgroupBroadcast(a_3, 0u);
        c_24_0 += r_24.x * w_0_0 + r_24.y * w_1_0 + r_24.z * w_2_0 + r_24.w * w_3_0;
        c_24_1 += r_24.x * w_0_1 + r_24.y * w_1_1 + r_24.z * w_2_1 + r_24.w * w_3_1;
        let r_25 = subgroupBroadcast(a_3, 1u);
        c_25_0 += r_25.x * w_0_0 + r_25.y * w_1_0 + r_25.z * w_2_0 + r_25.w * w_3_0;
        c_25_1 += r_25.x * w_0_1 + r_25.y * w_1_1 + r_25.z * w_2_1 + r_25.w * w_3_1;
        let r_26 = subgroupBroadcast(a_3, 2u);
        c_26_0 += r_26.x * w_0_0 + r_26.y * w_1_0 + r_26.z * w_2_0 + r_26.w * w_3_0;
        c_26_1 += r_26.x * w_0_1 + r_26.y * w_1_1 + r_26.z * w_2_1 + r_26.w * w_3_1;
        let r_27 = subgroupBroadcast(a_3, 3u);
        c_27_0 += r_27.x * w_0_0 + r_27.y * w_1_0 + r_27.z * w_2_0 + r_27.w * w_3_0;
        c_27_1 += r_27.x * w_0_1 + r_27.y * w_1_1 + r_27.z * w_2_1 + r_27.w * w_3_1;
        let r_28 = subgroupBroadcast(a_3, 4u);
        c_28_0 += r_28.x * w_0_0 + r_28.y * w_1_0 + r_28.z * w_2_0 + r_28.w * w_3_0;
        c_28_1 += r_28.x * w_0_1 + r_28.y * w_1_1 + r_28.z * w_2_1 + r_28.w * w_3_1;
        let r_29 = subgroupBroadcast(a_3, 5u);
        c_29_0 += r_29.x * w_0_0 + r_29.y * w_1_0 + r_29.z * w_2_0 + r_29.w * w_3_0;
        c_29_1 += r_29.x * w_0_1 + r_29.y * w_1_1 + r_29.z * w_2_1 + r_29.w * w_3_1;
        let r_30 = subgroupBroadcast(a_3, 6u);
        c_30_0 += r_30.x * w_0_0 + r_30.y * w_1_0 + r_30.z * w_2_0 + r_30.w * w_3_0;
        c_30_1 += r_30.x * w_0_1 + r_30.y * w_1_1 + r_30.z * w_2_1 + r_30.w * w_3_1;
        let r_31 = subgroupBroadcast(a_3, 7u);
        c_31_0 += r_31.x * w_0_0 + r_31.y * w_1_0 + r_31.z * w_2_0 + r_31.w * w_3_0;
        c_31_1 += r_31.x * w_0_1 + r_31.y * w_1_1 + r_31.z * w_2_1 + r_31.w * w_3_1;
        at += 4u * stride;
      }
    }
  }
  if first + 0u < params.rows {
    out[(first + 0u) * stride + column + 0u] = c_0_0;
    out[(first + 0u) * stride + column + 8u] = c_0_1;
  }
  if first + 1u < params.rows {
    out[(first + 1u) * stride + column + 0u] = c_1_0;
    out[(first + 1u) * stride + column + 8u] = c_1_1;
  }
  if first + 2u < params.rows {
    out[(first + 2u) * stride + column + 0u] = c_2_0;
    out[(first + 2u) * stride + column + 8u] = c_2_1;
  }
  if first + 3u < params.rows {
    out[(first + 3u) * stride + column + 0u] = c_3_0;
    out[(first + 3u) * stride + column + 8u] = c_3_1;
  }
  if first + 4u < params.rows {
    out[(first + 4u) * stride + column + 0u] = c_4_0;
    out[(first + 4u) * stride + column + 8u] = c_4_1;
  }
  if first + 5u < params.rows {
    out[(first + 5u) * stride + column + 0u] = c_5_0;
    out[(first + 5u) * stride + column + 8u] = c_5_1;
  }
  if first + 6u < params.rows {
    out[(first + 6u) * stride + column + 0u] = c_6_0;
    out[(first + 6u) * stride + column + 8u] = c_6_1;
  }
  if first + 7u < params.rows {
    out[(first + 7u) * stride + column + 0u] = c_7_0;
    out[(first + 7u) * stride + column + 8u] = c_7_1;
  }
  if first + 8u < params.rows {
    out[(first + 8u) * stride + column + 0u] = c_8_0;
    out[(first + 8u) * stride + column + 8u] = c_8_1;
  }
  if first + 9u < params.rows {
    out[(first + 9u) * stride + column + 0u] = c_9_0;
    out[(first + 9u) * stride + column + 8u] = c_9_1;
  }
  if first + 10u < params.rows {
    out[(first + 10u) * stride + column + 0u] = c_10_0;
    out[(first + 10u) * stride + column + 8u] = c_10_1;
  }
  if first + 11u < params.rows {
    out[(first + 11u) * stride + column + 0u] = c_11_0;
    out[(first + 11u) * stride + column + 8u] = c_11_1;
  }
  if first + 12u < params.rows {
    out[(first + 12u) * stride + column + 0u] = c_12_0;
    out[(first + 12u) * stride + column + 8u] = c_12_1;
  }
  if first + 13u < params.rows {
    out[(first + 13u) * stride + column + 0u] = c_13_0;
    out[(first + 13u) * stride + column + 8u] = c_13_1;
  }
  if first + 14u < params.rows {
    out[(first + 14u) * stride + column + 0u] = c_14_0;
    out[(first + 14u) * stride + column + 8u] = c_14_1;
  }
  if first + 15u < params.rows {
    out[(first + 15u) * stride + column + 0u] = c_15_0;
    out[(first + 15u) * stride + column + 8u] = c_15_1;
  }
  if first + 16u < params.rows {
    out[(first + 16u) * stride + column + 0u] = c_16_0;
    out[(first + 16u) * stride + column + 8u] = c_16_1;
  }
  if first + 17u < params.rows {
    out[(first + 17u) * stride + column + 0u] = c_17_0;
    out[(first + 17u) * stride + column + 8u] = c_17_1;
  }
  if first + 18u < params.rows {
    out[(first + 18u) * stride + column + 0u] = c_18_0;
    out[(first + 18u) * stride + column + 8u] = c_18_1;
  }
  if first + 19u < params.rows {
    out[(first + 19u) * stride + column + 0u] = c_19_0;
    out[(first + 19u) * stride + column + 8u] = c_19_1;
  }
  if first + 20u < params.rows {
    out[(first + 20u) * stride + column + 0u] = c_20_0;
    out[(first + 20u) * stride + column + 8u] = c_20_1;
  }
  if first + 21u < params.rows {
    out[(first + 21u) * stride + column + 0u] = c_21_0;
    out[(first + 21u) * stride + column + 8u] = c_21_1;
  }
  if first + 22u < params.rows {
    out[(first + 22u) * stride + column + 0u] = c_22_0;
    out[(first + 22u) * stride + column + 8u] = c_22_1;
  }
  if first + 23u < params.rows {
    out[(first + 23u) * stride + column + 0u] = c_23_0;
    out[(first + 23u) * stride + column + 8u] = c_23_1;
  }
  if first + 24u < params.rows {
    out[(first + 24u) * stride + column + 0u] = c_24_0;
    out[(first + 24u) * stride + column + 8u] = c_24_1;
  }
  if first + 25u < params.rows {
    out[(first + 25u) * stride + column + 0u] = c_25_0;
    out[(first + 25u) * stride + column + 8u] = c_25_1;
  }
  if first + 26u < params.rows {
    out[(first + 26u) * stride + column + 0u] = c_26_0;
    out[(first + 26u) * stride + column + 8u] = c_26_1;
  }
  if first + 27u < params.rows {
    out[(first + 27u) * stride + column + 0u] = c_27_0;
    out[(first + 27u) * stride + column + 8u] = c_27_1;
  }
  if first + 28u < params.rows {
    out[(first + 28u) * stride + column + 0u] = c_28_0;
    out[(first + 28u) * stride + column + 8u] = c_28_1;
  }
  if first + 29u < params.rows {
    out[(first + 29u) * stride + column + 0u] = c_29_0;
    out[(first + 29u) * stride + column + 8u] = c_29_1;
  }
  if first + 30u < params.rows {
    out[(first + 30u) * stride + column + 0u] = c_30_0;
    out[(first + 30u) * stride + column + 8u] = c_30_1;
  }
  if first + 31u < params.rows {
    out[(first + 31u) * stride + column + 0u] = c_31_0;
    out[(first + 31u) * stride + column + 8u] = c_31_1;
  }
}
