//! Tensors that a program makes: constants, numbers in a row, random ones.

use kiln_graph::ops::{Expand, Reshape};
use kiln_graph::{DType, Data, Dim, Op, Tensor};

use super::{Function, Init, functions, shape};
use crate::python::methods::natives;
use crate::python::native::Native;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    T "zeros" ("*size, dtype=None, device=None, requires_grad=False") => |i, b| filled(i, b, 0.0),
    T "ones" ("*size, dtype=None, device=None, requires_grad=False") => |i, b| filled(i, b, 1.0),
    T "empty" ("*size, dtype=None, device=None, requires_grad=False") => |i, b| filled(i, b, 0.0),
    T "full" ("size, fill_value, *, dtype=None, device=None, requires_grad=False") => |i, b| {
        let value = b.float("fill_value")?;
        let shape = shape::sizes(i, b, "size")?;
        let dtype = dtype_of(b, match b.get("fill_value") {
            Value::Bool(_) => DType::Bool,
            Value::Int(_) => DType::I64,
            _ => DType::F32,
        })?;
        spread(i, shape, value, dtype)
    },
    T "zeros_like" ("input, *, dtype=None, device=None") => |i, b| like(i, b, 0.0),
    T "ones_like" ("input, *, dtype=None, device=None") => |i, b| like(i, b, 1.0),
    T "full_like" ("input, fill_value, *, dtype=None, device=None") => |i, b| {
        let value = b.float("fill_value")?;
        like(i, b, value)
    },
    T "arange" ("start, end=None, step=1, *, dtype=None, device=None") => arange,
    T "linspace" ("start, end, steps, *, dtype=None, device=None") => |i, b| {
        let (start, end, steps) = (b.float("start")?, b.float("end")?, b.count("steps")?);
        i.elements(steps)?;
        i.step(u64::try_from(steps).unwrap_or(u64::MAX) / 16)?;
        #[allow(clippy::as_conversions, reason = "counts are far below 2^53")]
        let at = |k: usize| (start + (end - start) * k as f64 / (steps.max(2) - 1) as f64) as f32;
        let tensor = i.tensor_of(&[steps], Data::F32((0..steps).map(at).collect()))?;
        typed(i, tensor, dtype_of(b, DType::F32)?)
    },
    T "eye" ("n, m=None, *, dtype=None, device=None") => |i, b| {
        let n = b.count("n")?;
        let m = if b.is_none("m") { n } else { b.count("m")? };
        i.elements(n.saturating_mul(m))?;
        let values = Init::Identity.values(&[n, m], 0, 0);
        let tensor = i.tensor_of(&[n, m], Data::F32(values))?;
        typed(i, tensor, dtype_of(b, DType::F32)?)
    },
    T "tensor" ("data, *, dtype=None, device=None, requires_grad=False") => |i, b| match i.optional_tensor_of(&b.get("data"))? {
        // A copy without gradient.
        Some(id) => {
            let (shape, id) = (i.shape(id), i.detached(id)?);
            let copy = i.op(Op::Reshape(Reshape { shape }), &[id])?;
            let dtype = dtype_of(b, i.dtype(copy))?;
            Ok(Value::tensor(i.as_type(copy, dtype)?))
        }
        None => nested(i, b, &b.get("data")),
    },
    T "as_tensor" ("data, *, dtype=None, device=None") => |i, b| {
        let data = b.get("data");
        match i.optional_tensor_of(&data)? {
            Some(id) if dtype_of(b, i.dtype(id))? != i.dtype(id) => {
                let dtype = dtype_of(b, i.dtype(id))?;
                Ok(Value::tensor(i.as_type(id, dtype)?))
            }
            Some(_) => Ok(data),
            None => nested(i, b, &data),
        }
    },
    M "new_zeros" ("input, *size, dtype=None, device=None, requires_grad=False") => |i, b| new(i, b, 0.0),
    M "new_ones" ("input, *size, dtype=None, device=None, requires_grad=False") => |i, b| new(i, b, 1.0),
    M "new_full" ("input, size, fill_value, *, dtype=None, device=None, requires_grad=False") => |i, b| {
        let value = b.float("fill_value")?;
        new(i, b, value)
    },
    TM "tril" ("input, diagonal=0") => |i, b| triangle(i, b, true),
    TM "triu" ("input, diagonal=0") => |i, b| triangle(i, b, false),
    T "randn" ("*size, dtype=None, device=None, requires_grad=False, generator=None") => |i, b| random(i, b, &Init::Normal(0.0, 1.0)),
    T "rand" ("*size, dtype=None, device=None, requires_grad=False, generator=None") => |i, b| random(i, b, &Init::Uniform(0.0, 1.0)),
    T "is_tensor" ("obj") => |_, b| Ok(Value::Bool(matches!(b.get("obj"), Value::Tensor(_) | Value::Parameter(_)))),
    T "randperm" ("n, *, generator=None, dtype=None, device=None, requires_grad=False") => |i, b| {
        if i.trace.is_running {
            return Err(Fault::unsupported(format!(
                "{}: random numbers in `forward` are not supported",
                b.callee
            ))
            .help("made in `__init__`, the order is the same in every step"));
        }
        let count = usize::try_from(b.int("n")?).map_err(|_| b.wrong("n", "at least zero"))?;
        i.elements(count)?;
        i.step(u64::try_from(count).unwrap_or(u64::MAX) / 4)?;
        let number = i.draws;
        i.draws += 1;
        // The order of random keys.
        let keys = Init::Uniform(0.0, 1.0).values(&[count], i.seed, number);
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
        let order = order.into_iter().filter_map(|at| i64::try_from(at).ok()).collect();
        let tensor = i.tensor_of(&[count], Data::I64(order))?;
        typed(i, tensor, dtype_of(b, DType::I64)?)
    },
    T "manual_seed" ("seed") => |_, _| Ok(Value::None),
    T "set_default_dtype" ("dtype") => |_, _| Ok(Value::None),
};

/// `torch.Tensor(...)`
pub(super) static TENSOR: Native = Native {
    name: "torch.Tensor",
    signature: "*data",
    call: |i, b| {
        let items = i.items(&b.get("data"))?;
        match &items[..] {
            [data @ (Value::List(_) | Value::Tuple(_))] => {
                let tensor = nested(i, b, &data.clone())?;
                let id = i.optional_tensor_of(&tensor)?.ok_or_else(|| b.wrong("data", "numbers"))?;
                Ok(Value::tensor(i.as_float(id)?))
            }
            _ => {
                let b = Bound { callee: b.callee.clone(), values: vec![("size".into(), b.get("data"))] };
                filled(i, &b, 0.0)
            }
        }
    },
};

/// `torch.device(...)`: where something would be; here it is in the plan.
pub(super) static DEVICE: Native = Native {
    name: "torch.device",
    signature: "type='cpu', index=None",
    call: |i, b| match b.get("type") {
        Value::Str(name) => {
            let (kind, index) = match name.split_once(':') {
                Some((kind, index)) => {
                    let index = index.parse().map_err(|_| b.wrong("type", "as 'cuda:0'"))?;
                    (kind, Value::Int(index))
                }
                None => (&*name, b.get("index")),
            };
            i.device(kind, index)
        }
        Value::Int(index) => i.device("cuda", Value::Int(index)),
        other @ Value::Object(_) => Ok(other),
        _ => Err(b.wrong("type", "a string")),
    },
};

impl Interpreter {
    /// A device by name.
    pub(crate) fn device(&mut self, kind: &str, index: Value) -> Result<Value> {
        let class = self.class("torch.device")?;
        let object = self.object(class);
        object.set("type", Value::str(kind));
        object.set("index", index);
        Ok(Value::Object(object))
    }
}

/// Functions and contexts that change nothing here: `@autocast()`, `with autocast():`.
fn same_or_decorator(b: &Bound) -> Value {
    match b.get("args") {
        Value::Tuple(items) if matches!(items.first(), Some(Value::Function(_) | Value::Wrapped(..))) => {
            items[0].clone()
        }
        _ => Value::Native(&SAME),
    }
}

static SAME: Native =
    Native { name: "torch.no_grad", signature: "function=None, /", call: |_, b| Ok(b.get("function")) };

/// `torch.Size(...)`
pub(super) static SIZE: Native = Native {
    name: "torch.Size",
    signature: "items=(), /",
    call: |i, b| Ok(Value::tuple(i.items(&b.get("items"))?)),
};

/// What is only looked at, and what does nothing here.
pub(super) static SUNDRY: &[Native] = natives! {
    "torch.cuda.is_available" "" => |_, _| Ok(Value::Bool(false)),
    "torch.cuda.device_count" "" => |_, _| Ok(Value::Int(0)),
    "torch.cuda.manual_seed" "seed" => |_, _| Ok(Value::None),
    "torch.cuda.manual_seed_all" "seed" => |_, _| Ok(Value::None),
    "torch.cuda.current_device" "" => |_, _| Ok(Value::Int(0)),
    "torch.cuda.empty_cache" "" => |_, _| Ok(Value::None),
    "torch.cuda.synchronize" "device=None" => |_, _| Ok(Value::None),
    "torch.cuda.set_device" "device" => |_, _| Ok(Value::None),
    "torch.backends.mps.is_available" "" => |_, _| Ok(Value::Bool(false)),
    "torch.autocast" "*args, **kwargs" => |_, b| Ok(same_or_decorator(b)),
    "torch.amp.autocast" "*args, **kwargs" => |_, b| Ok(same_or_decorator(b)),
    "torch.cuda.amp.autocast" "*args, **kwargs" => |_, b| Ok(same_or_decorator(b)),
    "torch.cuda.amp.custom_fwd" "*args, **kwargs" => |_, b| Ok(same_or_decorator(b)),
    "torch.compiler.disable" "*args, **kwargs" => |_, b| Ok(same_or_decorator(b)),
    "torch.fx.wrap" "function" => |_, b| Ok(b.get("function")),
    "torch.set_float32_matmul_precision" "precision" => |_, _| Ok(Value::None),
    "torch.set_printoptions" "*args, **kwargs" => |_, _| Ok(Value::None),
    "torch.compile" "model=None, *args, **kwargs" => |i, b| match b.get("model") {
        module if module.as_module().is_some() => {
            let class = i.class("torch.OptimizedModule")?;
            i.call(&Value::Class(class), crate::python::Args::of([module]))
        }
        Value::None => Ok(Value::Native(&COMPILE)),
        other => Ok(other),
    },
    "torch.utils.checkpoint.checkpoint" "function, *args, **kwargs" => |i, b| {
        let mut args = crate::python::rest(i, b)?;
        let of_its_own = ["use_reentrant", "preserve_rng_state", "context_fn", "determinism_check", "debug"];
        args.named.retain(|(name, _)| !of_its_own.contains(&&**name));
        i.call(&b.get("function"), args)
    },
    "torch.utils.checkpoint.checkpoint_sequential" "functions, segments, input, **kwargs" => |i, b| {
        let mut value = b.get("input");
        for function in i.items(&b.get("functions"))? {
            value = i.call(&function, crate::python::Args::of([value]))?;
        }
        Ok(value)
    },
    "torch.jit.script" "obj" => |_, b| Ok(b.get("obj")),
    "torch.jit.export" "obj" => |_, b| Ok(b.get("obj")),
    "torch.jit.ignore" "obj" => |_, b| Ok(b.get("obj")),
    "torch.jit.unused" "obj" => |_, b| Ok(b.get("obj")),
    "torch.jit._overload_method" "obj" => |_, b| Ok(b.get("obj")),
    "torch.jit.is_scripting" "" => |_, _| Ok(Value::Bool(false)),
    "torch.jit.is_tracing" "" => |_, _| Ok(Value::Bool(false)),
    "torch.jit.annotate" "type, value" => |_, b| Ok(b.get("value")),
};

/// `@torch.compile(...)` on a class or function.
static COMPILE: Native =
    Native { name: "torch.compile", signature: "model, /", call: |_, b| Ok(b.get("model")) };

/// The requested element type.
fn dtype_of(b: &Bound, default: DType) -> Result<DType> {
    match b.get("dtype") {
        Value::None => Ok(default),
        Value::DType(dtype) => Ok(dtype),
        _ => Err(b.wrong("dtype", "an element type such as torch.float32")),
    }
}

/// A number in a shape, which may have symbols in it.
fn spread(i: &mut Interpreter, shape: Vec<Dim>, value: f64, dtype: DType) -> Result<Value> {
    if shape.iter().any(|dim| dim.as_const().is_some_and(|n| n < 0)) {
        return Err(Fault::value("sizes cannot be negative"));
    }
    let known: Option<Vec<usize>> = shape.iter().map(Dim::as_usize).collect();
    let number = i.formula().number(value);
    let number = i.as_type(number, dtype)?;
    // Constructors work with values; in `forward` the number is stretched only where it is needed.
    if let (false, Some(sizes)) = (i.trace.is_running, known) {
        let count = sizes.iter().try_fold(1usize, |n, size| n.checked_mul(*size)).unwrap_or(usize::MAX);
        i.elements(count)?;
        if dtype == DType::F32 {
            let tensor = i.tensor_of(&sizes, Data::F32(vec![value as f32; count]))?;
            return i.constant(tensor);
        }
    }
    if shape.is_empty() {
        return Ok(Value::tensor(number));
    }
    Ok(Value::tensor(i.op(Op::Expand(Expand { shape }), &[number])?))
}

fn filled(i: &mut Interpreter, b: &Bound, value: f64) -> Result<Value> {
    let shape = shape::sizes(i, b, "size")?;
    let dtype = dtype_of(b, DType::F32)?;
    spread(i, shape, value, dtype)
}

fn like(i: &mut Interpreter, b: &Bound, value: f64) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let dtype = dtype_of(b, i.dtype(x))?;
    let shape = i.shape(x);
    spread(i, shape, value, dtype)
}

/// A number in a shape, of another tensor's element type.
fn new(i: &mut Interpreter, b: &Bound, value: f64) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let dtype = dtype_of(b, i.dtype(x))?;
    let shape = shape::sizes(i, b, "size")?;
    spread(i, shape, value, dtype)
}

/// A matrix with zeros above a diagonal, or below it.
fn triangle(i: &mut Interpreter, b: &Bound, lower: bool) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    let sizes = shape
        .len()
        .checked_sub(2)
        .and_then(|front| shape[front..].iter().map(Dim::as_usize).collect::<Option<Vec<usize>>>());
    let Some([rows, columns]) = sizes.as_deref() else {
        return Err(Fault::unsupported(format!("{} takes matrices of known size", b.callee)));
    };
    i.elements(rows.saturating_mul(*columns))?;
    let diagonal = b.int("diagonal")?;
    let kept = |row: usize, column: usize| {
        let ahead = i64::try_from(column).unwrap_or(0) - i64::try_from(row).unwrap_or(0);
        if lower { ahead <= diagonal } else { ahead >= diagonal }
    };
    let mask = (0..*rows).flat_map(|row| (0..*columns).map(move |column| (row, column)));
    let mask = Data::Bool(mask.map(|(row, column)| kept(row, column)).collect());
    let mask = i.tensor_of(&[*rows, *columns], mask)?;
    let mask = i.constant(mask)?;
    let mask = i.optional_tensor_of(&mask)?.ok_or_else(|| b.wrong("input", "a tensor"))?;
    let zero = i.formula().number_like(0.0, x);
    Ok(Value::tensor(i.op(Op::Select, &[mask, x, zero])?))
}

fn random(i: &mut Interpreter, b: &Bound, init: &Init) -> Result<Value> {
    if i.trace.is_running {
        return Err(Fault::unsupported(format!(
            "{}: random numbers in `forward` are not supported",
            b.callee
        ))
        .help("dropout layers are random in training"));
    }
    let shape = shape::sizes(i, b, "size")?;
    let sizes: Option<Vec<usize>> = shape.iter().map(Dim::as_usize).collect();
    let sizes = sizes.ok_or_else(|| b.wrong("size", "integers"))?;
    let count = sizes.iter().try_fold(1usize, |n, size| n.checked_mul(*size)).unwrap_or(usize::MAX);
    i.elements(count)?;
    let number = i.next_draw();
    let tensor = i.tensor_of(&sizes, Data::F32(init.values(&sizes, i.seed, number)))?;
    i.constant(tensor)
}

fn arange(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (start, end) =
        if b.is_none("end") { (0.0, b.float("start")?) } else { (b.float("start")?, b.float("end")?) };
    let step = b.float("step")?;
    if step == 0.0 {
        return Err(b.wrong("step", "other than zero"));
    }
    let count = ((end - start) / step).ceil().max(0.0);
    if !count.is_finite() || count > f64::from(1 << 24) {
        return Err(Fault::value(format!("{}: from {start} to {end} are too many numbers", b.callee)));
    }
    let is_whole =
        ["start", "end", "step"].iter().all(|name| b.is_none(name) || b.get(name).as_int().is_some());
    #[allow(clippy::as_conversions, reason = "checked just above")]
    let count = count as usize;
    i.elements(count)?;
    i.step(u64::try_from(count).unwrap_or(u64::MAX) / 16)?;
    let dtype = dtype_of(b, if is_whole { DType::I64 } else { DType::F32 })?;
    #[allow(clippy::as_conversions, reason = "counts are far below 2^53")]
    let values = (0..count).map(|k| start + step * k as f64);
    #[allow(clippy::as_conversions, reason = "numbers of the range asked for")]
    let data = if dtype.is_float() {
        Data::F32(values.map(|x| x as f32).collect())
    } else {
        Data::I64(values.map(|x| x as i64).collect())
    };
    let tensor = i.tensor_of(&[count], data)?;
    typed(i, tensor, dtype)
}

/// A constant of an element type.
fn typed(i: &mut Interpreter, tensor: Tensor, dtype: DType) -> Result<Value> {
    let value = i.constant(tensor)?;
    match i.optional_tensor_of(&value)? {
        Some(id) => Ok(Value::tensor(i.as_type(id, dtype)?)),
        None => Ok(value),
    }
}

/// Numbers in lists of lists.
fn nested(i: &mut Interpreter, b: &Bound, data: &Value) -> Result<Value> {
    let (mut shape, mut level) = (vec![], vec![data.clone()]);
    while level.iter().all(|item| matches!(item, Value::List(_) | Value::Tuple(_) | Value::Range(_)))
        && !level.is_empty()
    {
        let mut next = vec![];
        let mut length = None;
        for item in &level {
            let items = i.items(item)?;
            if *length.get_or_insert(items.len()) != items.len() {
                return Err(Fault::value(format!("{}: the rows are not equally long", b.callee)));
            }
            next.extend(items);
        }
        shape.push(length.unwrap_or(0));
        if shape.len() > 8 {
            return Err(Fault::value(format!("{}: lists are nested too deeply", b.callee)));
        }
        level = next;
    }
    let is_whole = level.iter().all(|item| matches!(item, Value::Int(_)));
    let is_bool = !level.is_empty() && level.iter().all(|item| matches!(item, Value::Bool(_)));
    let numbers: Option<Vec<f64>> = level.iter().map(Value::as_f64).collect();
    let numbers = numbers.ok_or_else(|| b.wrong("data", "numbers in lists"))?;
    i.elements(numbers.len())?;
    let dtype = dtype_of(
        b,
        if is_bool {
            DType::Bool
        } else if is_whole {
            DType::I64
        } else {
            DType::F32
        },
    )?;
    #[allow(clippy::as_conversions, reason = "PyTorch rounds, too")]
    let data = match dtype {
        DType::Bool => Data::Bool(numbers.iter().map(|x| *x != 0.0).collect()),
        DType::I64 | DType::I32 | DType::U8 | DType::I8 | DType::U16 | DType::I16 | DType::U32 => {
            let whole = level.iter().zip(&numbers).map(|(v, x)| v.as_int().unwrap_or(*x as i64));
            Data::I64(whole.collect())
        }
        DType::F32 | DType::F16 | DType::F64 => Data::F32(numbers.iter().map(|x| *x as f32).collect()),
    };
    let tensor = i.tensor_of(&shape, data)?;
    typed(i, tensor, dtype)
}
