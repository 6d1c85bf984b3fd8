//! Kernels made of elementwise operators alone, and copies between layouts.

use std::collections::HashMap;

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{DType, Dim, Graph, NodeId, Op, ValueId};
use kiln_plan::{Access, Layout};

use super::context::{Contents, Context, StorageId, View};
use super::expression::{Element, Ends, Finished};
use super::kernel::{Params, Request};
use super::operand::{Operand, Space, constant, literal, register_type};
use crate::error::CompileError;
use crate::fuse::{Group, is_size};
use crate::layout::{self, row_major};

/// Lowers a group of elementwise operators without an anchor.
pub fn lower(ctx: &mut Context<'_>, group: &Group) -> Result<(), CompileError> {
    let [output] = group.outputs[..] else {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: "a chain of elementwise operators has one result".into(),
        });
    };
    let shape = ctx.graph.ty(output).shape.clone();
    let layout = match ctx.layout_of_updated(output) {
        Some(layout) => layout,
        None => output_layout(ctx, group, &shape),
    };
    let space = Space::new(&shape, &layout);
    let flops = &space.count() * &Dim::from(space.width * group.nodes.len());
    let destination = ctx.destination(group, output, &layout)?;
    let ends = Ends { destination: destination.view(), ..Ends::default() };
    let finished = expression(ctx, group, space.clone(), None, &[], ends)?;
    let output = ctx.output(output, layout, destination, finished.in_place)?;
    let kernel = kernel_name(ctx, group);
    launch_map(
        ctx,
        Map { kernel, name: &group.name, space, finished, to: output.storage, placed: output.placed, flops },
    )?;
    ctx.complete(&output)
}

/// The layout of the first operand that has the shape of the result, else row-major.
fn output_layout(ctx: &Context<'_>, group: &Group, shape: &[Dim]) -> Layout {
    let like = group
        .inputs
        .iter()
        .filter(|id| ctx.graph.ty(**id).shape == shape)
        .filter_map(|id| ctx.stored_layout(*id))
        .max_by_key(|layout| layout.lanes);
    let order = like.map_or_else(|| row_major(shape.len(), 4).order, |layout| layout.order);
    // One column padded to four would quadruple the tensor.
    let single = order.last().is_none_or(|axis| shape[*axis].is(1));
    Layout { order, lanes: if single { 1 } else { 4 } }
}

/// What a map kernel is called in dumps: its operators.
fn kernel_name(ctx: &Context<'_>, group: &Group) -> String {
    let ops: Vec<&str> = group.nodes.iter().take(6).map(|id| ctx.graph.node(*id).op.name()).collect();
    format!("map_{}", ops.join("_"))
}

/// Copies a value into a new tensor of `layout`, from wherever it can be read.
pub fn copy(ctx: &mut Context<'_>, id: ValueId, layout: &Layout) -> Result<usize, CompileError> {
    let view = ctx.view(id)?;
    let value = ctx.graph.value(id);
    let (name, ty) = (format!("{} (layout)", value.name), value.ty.clone());
    let placed = ctx.place(id, layout.clone(), Contents::Activation)?;
    let operand = Operand::plain(view, ty.dtype);
    let to = ctx.placed[placed].storage;
    let space = Space::new(&ty.shape, layout);
    let copy = Copy {
        name: &name,
        kernel: "copy",
        operands: vec![operand],
        space,
        dtype: ty.dtype,
        to,
        placed: Some(placed),
        view: None,
    };
    launch_copy(ctx, copy)?;
    ctx.register(id, placed)?;
    Ok(placed)
}

/// A kernel that stores its last operand.
pub struct Copy<'a> {
    /// The layers it belongs to.
    pub name: &'a str,
    /// What the kernel is called.
    pub kernel: &'static str,
    /// What is read.
    pub operands: Vec<Operand>,
    /// What is walked.
    pub space: Space,
    /// The element type.
    pub dtype: DType,
    /// The memory that is written.
    pub to: StorageId,
    /// The tensor that is complete afterwards.
    pub placed: Option<usize>,
    /// Where in the memory, if not in the order of the space.
    pub view: Option<&'a View>,
}

/// Launches a copy.
pub fn launch_copy(ctx: &mut Context<'_>, copy: Copy<'_>) -> Result<(), CompileError> {
    let Copy { name, kernel, operands, space, dtype, to, placed, view } = copy;
    let ends = Ends { destination: view, ..Ends::default() };
    let mut element = Element::new(space.clone(), &operands, ends, 1, &[]);
    let mut result = format!("x{}", operands.len() - 1);
    if let Some(from) = operands.last().map(|operand| operand.dtype).filter(|from| *from != dtype) {
        // Parts of a concatenation may need fewer bits than the whole.
        result = element.define(dtype, &converted(&element, from, dtype, &result));
    }
    let finished = element.finish(&result, dtype, DType::F32, ends);
    let flops = Dim::from(0);
    launch_map(ctx, Map { kernel: kernel.into(), name, space, finished, to, placed, flops })
}

/// A map kernel about to be launched.
struct Map<'a> {
    kernel: String,
    name: &'a str,
    space: Space,
    finished: Finished,
    to: StorageId,
    placed: Option<usize>,
    flops: Dim,
}

fn launch_map(ctx: &mut Context<'_>, map: Map<'_>) -> Result<(), CompileError> {
    let Map { kernel, name, space, finished, to, placed, flops } = map;
    let count = space.count();
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("inner", space.inner());
    let holes = finished.holes();
    let mut bindings = finished.reads;
    let out_binding = bindings.len() + 1;
    bindings.push((to, Access::ReadWrite));
    params.extend(finished.params);
    let workgroups = ctx.grid(&count);
    ctx.request(Request {
        template: "map",
        kernel,
        name,
        holes: minijinja::context! { out_binding, ..holes },
        bindings,
        params,
        workgroups,
        writes: placed.into_iter().collect(),
        flops,
    })
}

/// The elementwise part of a group as a function; the value of the group's anchor, if it has one, is `acc`, and
/// `anchor_operands` is the memory the anchor reads: their bindings come first.
pub fn expression(
    ctx: &mut Context<'_>,
    group: &Group,
    space: Space,
    anchor: Option<ValueId>,
    anchor_operands: &[StorageId],
    ends: Ends<'_>,
) -> Result<Finished, CompileError> {
    let graph = ctx.graph;
    let width = space.width;
    let mut names: HashMap<ValueId, (String, DType)> = HashMap::new();
    let mut operands = Vec::new();
    let mut read = Vec::new();
    // The result itself may be an operand, where nothing is computed.
    let reads_in_expression: std::collections::HashSet<ValueId> = group
        .nodes
        .iter()
        .flat_map(|id| graph.node(*id).inputs.iter().copied())
        .chain(group.outputs.iter().copied())
        .collect();
    for id in group.inputs.iter().filter(|id| reads_in_expression.contains(id)) {
        let dtype = graph.ty(*id).dtype;
        if let Some(tensor) = graph.as_constant(*id).filter(|t| t.len() == 1) {
            names.insert(*id, (constant(dtype, tensor, width), dtype));
            continue;
        }
        let view = broadcast_view(ctx, *id, &space)?;
        operands.push(Operand::plain(view, dtype));
        read.push(*id);
    }
    let result = group.outputs.first().copied().or(anchor);
    let dying: Vec<usize> = (0..operands.len())
        .filter(|n| {
            let storage = operands[*n].view.storage;
            let others =
                operands.iter().enumerate().filter(|(m, o)| m != n && o.view.storage == storage).count();
            let same_type = result.is_some_and(|id| graph.ty(id).dtype == operands[*n].dtype);
            ends.destination.is_none()
                && !ends.transient
                && others == 0
                && same_type
                && !anchor_operands.contains(&storage)
                && result.is_some_and(|id| ctx.dies(storage, id))
        })
        .collect();
    let mut element = Element::new(space, &operands, ends, anchor_operands.len() + 1, &dying);
    for (n, id) in read.iter().enumerate() {
        names.insert(*id, (format!("x{n}"), graph.ty(*id).dtype));
    }
    if let Some(id) = anchor {
        names.insert(id, ("acc".into(), graph.ty(id).dtype));
    }
    for id in &group.nodes {
        let node = graph.node(*id);
        let mut arguments = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            if is_size(graph, *input) && !names.contains_key(input) {
                let number = size(graph, &mut element, *input);
                names.insert(*input, (number, DType::F32));
            }
            let known = names.get(input).cloned();
            arguments.push(known.ok_or_else(|| CompileError::Unsupported {
                node: node.name.clone(),
                message: format!("reads `{}` before it is made", graph.value(*input).name),
            })?);
        }
        let dtype = graph.ty(node.outputs[0]).dtype;
        let code = compute(ctx, &mut element, *id, &arguments, dtype)?;
        let name = element.define(dtype, &code);
        names.insert(node.outputs[0], (name, dtype));
    }
    let (result, dtype) = match group.outputs.first().and_then(|id| names.get(id)) {
        Some(result) => result.clone(),
        None => ("acc".into(), anchor.map_or(DType::F32, |id| graph.ty(id).dtype)),
    };
    let acc = anchor.map_or(DType::F32, |id| graph.ty(id).dtype);
    Ok(element.finish(&result, dtype, acc, ends))
}

/// A size as a parameter of the kernel.
fn size(graph: &Graph, element: &mut Element, id: ValueId) -> String {
    match graph.producer(id).map(|node| &graph.node(node).op) {
        Some(Op::Size(size)) => element.size(&size.dim),
        Some(_) | None => String::new(),
    }
}

/// A size that somebody reads from memory.
pub fn lower_size(ctx: &mut Context<'_>, group: &Group, node: NodeId) -> Result<(), CompileError> {
    let out = ctx.graph.node(node).outputs[0];
    let placed = ctx.place(out, row_major(0, 1), Contents::Activation)?;
    let space = Space { width: 1, ..Space::new(&[], &row_major(0, 1)) };
    let mut element = Element::new(space.clone(), &[], Ends::default(), 1, &[]);
    let number = size(ctx.graph, &mut element, out);
    let finished = element.finish(&number, DType::F32, DType::F32, Ends::default());
    let to = ctx.placed[placed].storage;
    let (kernel, flops) = ("size".to_owned(), Dim::from(0));
    launch_map(ctx, Map { kernel, name: &group.name, space, finished, to, placed: Some(placed), flops })?;
    ctx.register(out, placed)
}

/// A view of a value as operand of a space of larger or equal rank, stretched as NumPy does.
pub fn broadcast_view(ctx: &mut Context<'_>, id: ValueId, space: &Space) -> Result<View, CompileError> {
    let shape = ctx.graph.ty(id).shape.clone();
    let missing = space.shape.len() - shape.len();
    let mut view = if ctx.graph.as_constant(id).is_some() {
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.sort_by_key(|axis| space.order.iter().position(|a| *a == axis + missing));
        let single = order.last().is_none_or(|axis| shape[*axis].is(1));
        let layout = Layout { order, lanes: if single { 1 } else { 4 } };
        let placed = ctx.version(id, &layout)?;
        let tensor = &ctx.placed[placed];
        View { storage: tensor.storage, strides: layout::strides(&layout, &shape), ..ctx.view(id)? }
    } else {
        ctx.view(id)?
    };
    view.strides = stretch(&view.strides, &shape, &space.shape);
    Ok(view)
}

/// Strides for reading a tensor of `shape` as one of shape `to`.
pub fn stretch(strides: &[Dim], shape: &[Dim], to: &[Dim]) -> Vec<Dim> {
    let missing = to.len() - shape.len();
    (0..to.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(own) if !shape[own].is(1) || to[axis].is(1) => strides[own].clone(),
            Some(_) | None => Dim::from(0),
        })
        .collect()
}

/// WGSL for one elementwise operator.
fn compute(
    ctx: &Context<'_>,
    element: &mut Element,
    id: NodeId,
    arguments: &[(String, DType)],
    result: DType,
) -> Result<String, CompileError> {
    let node = ctx.graph.node(id);
    let wrong = |dtype| CompileError::DType { value: node.name.clone(), dtype };
    let arg = |i: usize| arguments.get(i).map_or("", |(name, _)| name.as_str());
    let dtype = arguments.first().map_or(result, |(_, dtype)| *dtype);
    match &node.op {
        Op::Unary(op) => {
            if dtype == DType::F64 && !in_doubles(*op) {
                return Err(wrong(dtype));
            }
            let common = wider(dtype, result);
            let x = converted(element, dtype, common, arg(0));
            let code = unary(element, *op, common, &x);
            Ok(match result {
                DType::I32 if common == DType::I64 => converted(element, common, result, &code),
                _ => wrapped(element, result, code),
            })
        }
        Op::Binary(op) => {
            if dtype == DType::F64 && matches!(op, BinaryOp::Pow) {
                return Err(wrong(dtype));
            }
            // What one of them needs 64 bits for is computed with so many.
            let types = arguments.iter().map(|(_, dtype)| *dtype);
            let common = types.chain([result]).reduce(wider).unwrap_or(dtype);
            let common = if common == DType::I64 { common } else { dtype };
            let operand = |i: usize| arguments.get(i).map_or(dtype, |(_, dtype)| *dtype);
            let a = converted(element, operand(0), common, arg(0));
            let b = converted(element, operand(1), common, arg(1));
            let code = binary(element, *op, common, &a, &b);
            Ok(match result {
                DType::Bool => code,
                DType::I32 if common == DType::I64 => converted(element, common, result, &code),
                _ => wrapped(element, result, code),
            })
        }
        Op::Select => {
            let operand = |i: usize| arguments.get(i).map_or(result, |(_, dtype)| *dtype);
            let a = converted(element, operand(1), result, arg(1));
            let b = converted(element, operand(2), result, arg(2));
            Ok(format!("select({b}, {a}, {})", arg(0)))
        }
        Op::Cast(_) => Ok(cast_to(element, dtype, result, arg(0))),
        Op::Conv(_)
        | Op::Pool(_)
        | Op::MatMul(_)
        | Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Reshape(_)
        | Op::Expand(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::Scatter(_)
        | Op::ArgSort(_)
        | Op::Resize(_)
        | Op::ShapeOf(_)
        | Op::Iota(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::Dropout(_)
        | Op::ConvGradWeight(_)
        | Op::PoolGrad(_) => Err(CompileError::Unsupported {
            node: node.name.clone(),
            message: format!("{} is no elementwise operator", node.op.name()),
        }),
    }
}

/// `x` of type `from` as `to`, where one of them is a 64-bit integer that the other is known to fit.
fn converted(element: &Element, from: DType, to: DType, x: &str) -> String {
    if from == to {
        return x.to_owned();
    }
    widened(from, to, format!("{}({x})", register_type(to, element.width())), element.width())
}

/// What has become a 64-bit integer, without the copies of the highest bit that naga lets an unsigned one have.
fn widened(from: DType, to: DType, code: String, width: usize) -> String {
    if from == DType::U32 && to == DType::I64 {
        return format!("({code} & {})", literal(to, f64::from(u32::MAX), width));
    }
    code
}

/// The type of two that holds both, where one is a 64-bit integer that is held in 32 bits and the other is not.
fn wider(a: DType, b: DType) -> DType {
    if b == DType::I64 && a == DType::I32 { b } else { a }
}

/// Whether devices have a function for 64-bit floats, too.
fn in_doubles(op: UnaryOp) -> bool {
    matches!(
        op,
        UnaryOp::Neg
            | UnaryOp::Abs
            | UnaryOp::Sign
            | UnaryOp::Reciprocal
            | UnaryOp::Sqrt
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Exp
            | UnaryOp::Log
    )
}

/// An integer that may have left the range of its type, back in it: it wraps around.
fn wrapped(element: &Element, dtype: DType, code: String) -> String {
    let spread = |n: u32| if element.width() == 4 { format!("vec4<u32>({n}u)") } else { format!("{n}u") };
    match dtype {
        DType::I8 => format!("(({code}) << {0}) >> {0}", spread(24)),
        DType::I16 => format!("(({code}) << {0}) >> {0}", spread(16)),
        DType::U8 => format!("({code}) & {}", spread(0xff)),
        DType::U16 => format!("({code}) & {}", spread(0xffff)),
        DType::F32 | DType::F16 | DType::F64 | DType::I32 | DType::I64 | DType::U32 | DType::Bool => code,
    }
}

/// As the evaluator casts: floats are truncated, and saturate; integers wrap around.
fn cast_to(element: &Element, from: DType, to: DType, x: &str) -> String {
    let width = element.width();
    let ty = register_type(to, width);
    if to == DType::Bool {
        return if from == DType::Bool {
            x.into()
        } else {
            format!("{x} != {}()", register_type(from, width))
        };
    }
    match (from.is_float(), to.is_float()) {
        _ if from == DType::Bool => format!("select({ty}(), {ty}({}), {x})", literal(to, 1.0, 1)),
        (true, true) if to == DType::F16 && from != to => {
            format!("quantizeToF16({}({x}))", register_type(DType::F32, width))
        }
        (_, true) if to == DType::F16 => format!("quantizeToF16({ty}({x}))"),
        (_, true) => format!("{ty}({x})"),
        (true, false) => match to.integer_range() {
            // The conversion itself saturates for the types that devices have.
            Some((low, high)) if matches!(to, DType::I8 | DType::I16 | DType::U8 | DType::U16) => {
                let limit = |n: i64| literal(from, n as f64, width);
                format!("{ty}(clamp({x}, {}, {}))", limit(low), limit(high))
            }
            Some(_) | None => format!("{ty}({x})"),
        },
        (false, false) => widened(from, to, wrapped(element, to, format!("{ty}({x})")), width),
    }
}

fn unary(element: &mut Element, op: UnaryOp, dtype: DType, x: &str) -> String {
    let mut call = |function: &'static str| {
        element.used.insert(function);
        format!("{function}({x})")
    };
    match op {
        UnaryOp::Neg if dtype.integer_range().is_some_and(|(low, _)| low == 0) => {
            format!("{}() - {x}", register_type(dtype, element.width()))
        }
        UnaryOp::Neg => format!("-{x}"),
        UnaryOp::Abs => format!("abs({x})"),
        UnaryOp::Sign if dtype.integer_range().is_some_and(|(low, _)| low == 0) => {
            format!("min({x}, {})", literal(dtype, 1.0, element.width()))
        }
        UnaryOp::Sign => format!("sign({x})"),
        UnaryOp::Reciprocal => format!("{} / {x}", literal(dtype, 1.0, element.width())),
        UnaryOp::Exp if dtype == DType::F64 => call("exp_double"),
        UnaryOp::Exp => format!("exp({x})"),
        UnaryOp::Log if dtype == DType::F64 => call("log_double"),
        UnaryOp::Log => format!("log({x})"),
        UnaryOp::Sqrt => format!("sqrt({x})"),
        UnaryOp::Sin => format!("sin({x})"),
        UnaryOp::Cos => format!("cos({x})"),
        UnaryOp::Tan => format!("tan({x})"),
        UnaryOp::Asin => call("arc_sine"),
        UnaryOp::Acos => call("arc_cosine"),
        UnaryOp::Atan => format!("atan({x})"),
        UnaryOp::Sinh => format!("sinh({x})"),
        UnaryOp::Cosh => format!("cosh({x})"),
        UnaryOp::Tanh => call("tanh_safe"),
        UnaryOp::Asinh => format!("asinh({x})"),
        UnaryOp::Acosh => format!("acosh({x})"),
        UnaryOp::Atanh => format!("atanh({x})"),
        UnaryOp::Relu if !dtype.is_float() => format!("max({x}, {})", literal(dtype, 0.0, element.width())),
        UnaryOp::Relu => call("relu"),
        UnaryOp::Sigmoid => call("sigmoid"),
        UnaryOp::Softplus => call("softplus"),
        UnaryOp::Erf => call("erf"),
        UnaryOp::Floor => format!("floor({x})"),
        UnaryOp::Ceil => format!("ceil({x})"),
        UnaryOp::Round => format!("round({x})"),
        UnaryOp::Not => format!("!{x}"),
        UnaryOp::IsNan => call("is_nan"),
        UnaryOp::IsInf => call("is_inf"),
        UnaryOp::BitNot => format!("~{x}"),
        UnaryOp::ToBits => format!("bitcast<{}>({x})", register_type(DType::I32, element.width())),
        UnaryOp::FromBits => format!("bitcast<{}>({x})", register_type(DType::F32, element.width())),
    }
}

/// Whether an operand is a number written into the kernel, and finite.
fn number(operand: &str) -> bool {
    let scalar = operand.strip_prefix("vec4<f32>(").unwrap_or(operand);
    scalar.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

fn binary(element: &mut Element, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
    let float = dtype.is_float();
    let is_bool = dtype == DType::Bool;
    let mut call = |function: &'static str| {
        element.used.insert(function);
        format!("{function}({a}, {b})")
    };
    match op {
        BinaryOp::Add => format!("{a} + {b}"),
        BinaryOp::Sub => format!("{a} - {b}"),
        BinaryOp::Mul => format!("{a} * {b}"),
        BinaryOp::Div => format!("{a} / {b}"),
        BinaryOp::Pow if float => call("power"),
        BinaryOp::Pow if dtype == DType::I64 => call("power_long"),
        BinaryOp::Pow if dtype.integer_range().is_some_and(|(low, _)| low == 0) => call("power_unsigned"),
        BinaryOp::Pow => call("power_int"),
        BinaryOp::Mod if dtype == DType::F64 => call("floor_mod_double"),
        BinaryOp::Mod if float => call("floor_mod"),
        BinaryOp::Mod if dtype == DType::I64 => call("floor_mod_long"),
        BinaryOp::Mod if dtype.integer_range().is_some_and(|(low, _)| low == 0) => format!("{a} % {b}"),
        BinaryOp::Mod => call("floor_mod_int"),
        BinaryOp::Rem if dtype == DType::F64 => call("remainder_double"),
        BinaryOp::Rem if float => call("remainder"),
        BinaryOp::Rem => format!("{a} % {b}"),
        // A number that is no NaN needs only one comparison, which is false for NaN.
        BinaryOp::Min if float && number(b) => format!("select({a}, {b}, {a} > {b})"),
        BinaryOp::Max if float && number(b) => format!("select({a}, {b}, {a} < {b})"),
        BinaryOp::Min if dtype == DType::F64 => {
            format!("select(min({a}, {b}), {a} + {b}, {a} + {b} != {a} + {b})")
        }
        BinaryOp::Max if dtype == DType::F64 => {
            format!("select(max({a}, {b}), {a} + {b}, {a} + {b} != {a} + {b})")
        }
        BinaryOp::Min if float => call("minimum"),
        BinaryOp::Min => format!("min({a}, {b})"),
        BinaryOp::Max if float => call("maximum"),
        BinaryOp::Max => format!("max({a}, {b})"),
        BinaryOp::Equal => format!("{a} == {b}"),
        BinaryOp::Less => format!("{a} < {b}"),
        BinaryOp::LessOrEqual => format!("{a} <= {b}"),
        BinaryOp::Greater => format!("{a} > {b}"),
        BinaryOp::GreaterOrEqual => format!("{a} >= {b}"),
        BinaryOp::And => format!("{a} & {b}"),
        BinaryOp::Or => format!("{a} | {b}"),
        BinaryOp::Xor if is_bool => format!("{a} != {b}"),
        BinaryOp::Xor | BinaryOp::BitXor => format!("{a} ^ {b}"),
        BinaryOp::BitAnd => format!("{a} & {b}"),
        BinaryOp::BitOr => format!("{a} | {b}"),
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight => shift(op, dtype, a, b, element.width()),
    }
}

/// By as many places as there can be at most: to the right of a signed number that leaves copies of the sign, which is
/// what more places, or less than none, leave too. Of other numbers they leave zero.
fn shift(op: BinaryOp, dtype: DType, a: &str, b: &str, width: usize) -> String {
    let zero = literal(dtype, 0.0, width);
    let signed = dtype.integer_range().is_some_and(|(low, _)| low < 0);
    let counted = if signed { DType::I32 } else { DType::U32 };
    let (b, most) = if dtype == DType::I64 {
        // Counted with 32 bits, as places are.
        let [low, high] = [-1.0, 64.0].map(|n| literal(dtype, n, width));
        (format!("{}(clamp({b}, {low}, {high}))", register_type(counted, width)), 63.0)
    } else {
        (b.to_owned(), 31.0)
    };
    let (none, limit) = (literal(counted, 0.0, width), literal(counted, most, width));
    let inside =
        if signed { format!("({b} >= {none}) & ({b} <= {limit})") } else { format!("{b} <= {limit}") };
    let places = format!("{}(select({limit}, {b}, {inside}))", register_type(DType::U32, width));
    match op {
        BinaryOp::ShiftRight if signed => format!("{a} >> {places}"),
        BinaryOp::ShiftRight => format!("select({zero}, {a} >> {places}, {inside})"),
        _ => format!("select({zero}, {a} << {places}, {inside})"),
    }
}
