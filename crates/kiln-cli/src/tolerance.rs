//! How far an output may be from what it should be. That depends on the coarsest numbers that the network computes with on
//! the way to it, whatever the type of the output itself.

use std::collections::BTreeMap;

use kiln::Plan;
use kiln::graph::ops::BinaryOp;
use kiln::graph::{DType, Graph, Op, ValueId};
use kiln::test_data::Difference;

/// What a network computes with, from fine to coarse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Numbers {
    /// 32-bit floats or more.
    #[default]
    Single,
    /// 16-bit floats, up to 5e-4 from what they stand for; a network rounds many times.
    Half,
    /// 8 bits: where a sum lies in the middle between two numbers, engines round to either.
    Quantized,
    /// Up to 4e-3 from what they stand for.
    Bfloat16,
}

/// What an output is computed with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Computed {
    /// The coarsest numbers on the way to it.
    pub numbers: Numbers,
    /// What it is a multiple of, where it is what integers of a quantization stand for; else 0.
    pub step: f64,
}

/// How far an output may be from what it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowed {
    /// Relative to the largest magnitude that is expected.
    pub relative: f64,
    /// Or in itself.
    pub absolute: f64,
    /// Why it is more than usual.
    pub why: &'static str,
}

impl Allowed {
    /// What a caller asks for.
    pub(crate) fn told(relative: f64) -> Self {
        Self { relative, absolute: 0.0, why: "" }
    }

    /// Of an output of type `dtype` that is computed so.
    pub(crate) fn of(Computed { numbers, step }: Computed, dtype: DType) -> Self {
        let relative = |relative, why| Self { relative, absolute: 0.0, why };
        let exact = !dtype.is_float();
        match numbers {
            Numbers::Quantized if matches!(dtype, DType::I8 | DType::U8) => {
                Self { absolute: 1.0, why: "one step of 8 bits", ..Self::told(1e-4) }
            }
            // All 255 steps reach over at most twice the largest magnitude, unless that is less than what they were made
            // for. Then the step itself tells, if it is known.
            Numbers::Quantized if !exact => {
                let usual = relative(2.0 / 255.0, "one step of 8 bits");
                Self { absolute: 1.001 * step, ..usual }
            }
            Numbers::Half if !exact => relative(5e-3, "computed with 16-bit floats"),
            Numbers::Bfloat16 if !exact => relative(2e-2, "computed with bfloat16"),
            _ if dtype == DType::F16 => relative(5e-3, "16-bit floats"),
            Numbers::Single | Numbers::Half | Numbers::Bfloat16 | Numbers::Quantized => Self::told(1e-4),
        }
    }

    /// Whether an output is near enough.
    pub(crate) fn admits(&self, difference: &Difference) -> bool {
        difference.relative <= self.relative || difference.absolute <= self.absolute
    }
}

/// What the outputs of a graph are computed with, by name.
pub(crate) fn of_graph(graph: &Graph) -> BTreeMap<String, Computed> {
    // Of values that depend on inputs; what follows from constants alone is as exact as they are.
    let mut found: Vec<Option<Numbers>> = vec![None; graph.values().len()];
    for id in graph.inputs() {
        found[id.index()] = Some(own(graph.ty(*id).dtype));
    }
    for node in graph.nodes() {
        let Some(before) = node.inputs.iter().filter_map(|id| found[id.index()]).max() else { continue };
        let from_float = node.inputs.iter().any(|id| graph.ty(*id).dtype.is_float());
        for id in &node.outputs {
            let dtype = graph.ty(*id).dtype;
            let quantizes =
                matches!(node.op, Op::Cast(_)) && from_float && matches!(dtype, DType::I8 | DType::U8);
            let here = if quantizes { Numbers::Quantized } else { own(dtype) };
            found[id.index()] = Some(before.max(here));
        }
    }
    let computed =
        |id: ValueId| Computed { numbers: found[id.index()].unwrap_or_default(), step: step(graph, id) };
    graph.outputs().iter().map(|output| (output.name.clone(), computed(output.value))).collect()
}

/// What a value is a multiple of, if it is integers times a constant; else 0.
fn step(graph: &Graph, mut id: ValueId) -> f64 {
    while let Some(node) = graph.producer(id).map(|id| graph.node(id)) {
        if let (Op::Binary(BinaryOp::Mul), &[a, b]) = (&node.op, &node.inputs[..]) {
            let constant = [(a, b), (b, a)].into_iter().find(|(numbers, _)| is_whole(graph, *numbers));
            return constant.map_or(0.0, |(_, constant)| largest(graph, constant));
        }
        let (Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Expand(_)) = node.op else { return 0.0 };
        let [x, ..] = node.inputs[..] else { return 0.0 };
        id = x;
    }
    0.0
}

/// Whether a value is integers, as floats.
fn is_whole(graph: &Graph, id: ValueId) -> bool {
    let Some(node) = graph.producer(id).map(|id| graph.node(id)) else { return false };
    let Op::Cast(_) = node.op else { return false };
    node.inputs.iter().all(|id| !graph.ty(*id).dtype.is_float())
}

/// The largest magnitude of a constant, or 0.
fn largest(graph: &Graph, id: ValueId) -> f64 {
    let numbers = graph.as_constant(id).map(|tensor| tensor.to_f64()).unwrap_or_default();
    numbers.into_iter().map(f64::abs).fold(0.0, f64::max)
}

/// What the outputs of a plan are computed with, as far as it says so: a plan does not know what it computes.
pub(crate) fn of_plan(plan: &Plan) -> BTreeMap<String, Computed> {
    let numbers = plan.tensors.iter().map(|tensor| tensor.dtype);
    let half = numbers.into_iter().any(|dtype| dtype == kiln::plan::DType::F16);
    let numbers = if half { Numbers::Half } else { Numbers::Single };
    let outputs = plan.programs.iter().flat_map(|program| &program.outputs);
    outputs.map(|output| (output.name.clone(), Computed { numbers, step: 0.0 })).collect()
}

fn own(dtype: DType) -> Numbers {
    if dtype == DType::F16 { Numbers::Half } else { Numbers::Single }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step is what integers are multiplied with, and no other factor.
    #[test]
    fn steps_of_quantized_outputs() {
        for (nodes, step) in [
            ("%w = cast(%q) to=i32\n%f = cast(%w) to=f32\n%y = mul(%f, @s)", 0.5),
            ("%f = cast(%q) to=f32\n%m = mul(@s, %f)\n%y = reshape(%m) shape=[4, 1]", 0.5),
            ("%f = cast(%q) to=f32\n%e = exp(%f)\n%y = mul(%e, @s)", 0.0),
            ("%f = cast(%q) to=f32\n%m = mul(%f, @s)\n%y = mul(%m, @s)", 0.0),
            ("%f = cast(%q) to=f32\n%y = mul(%f, %x)", 0.0),
        ] {
            let text = format!(
                "input %x : f32[4]\nconst @s : f32[] = [-0.5]\n%q = cast(%x) to=u8\n{nodes}\noutput y = %y"
            );
            let graph = kiln::graph::text::parse(&text).expect(&text);
            let computed = of_graph(&graph)["y"];
            assert_eq!(computed, Computed { numbers: Numbers::Quantized, step }, "{nodes}");
            let allowed = Allowed::of(computed, DType::F32).absolute;
            assert!((step..=1.01 * step).contains(&allowed), "{nodes}: {allowed}");
        }
    }
}
