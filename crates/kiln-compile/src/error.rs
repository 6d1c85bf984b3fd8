//! What can go wrong between a graph and a plan.

use kiln_graph::{DType, GraphError};

/// Why a graph cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The graph, or what a pass made of it, is not right.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A pass cannot be done.
    #[error(transparent)]
    Pass(#[from] crate::passes::PassError),
    /// A layer needs something that the target or Kiln does not support.
    #[error("`{node}`: {message}")]
    Unsupported {
        /// The layer.
        node: String,
        /// What it needs, and what would help.
        message: String,
    },
    /// A value has a type that the device does not compute with.
    #[error(
        "`{value}` is {dtype}, which the device cannot compute without losing precision; use a 32-bit type"
    )]
    DType {
        /// The value.
        value: String,
        /// Its type.
        dtype: DType,
    },
    /// Weights and activations should be kept in 16 bits on a target that has none.
    #[error(
        "precision f16 needs a device with 16-bit floats (SHADER_F16), which `{target}` has not or does not promise; use \
         precision f32, or compile for another device"
    )]
    NoHalves {
        /// The target.
        target: String,
    },
    /// Symbolic dimensions have no maximum.
    #[error("{}", unbound(.symbols))]
    UnboundSymbols {
        /// The symbols.
        symbols: Vec<String>,
    },
    /// A maximum was given for a symbol that does not occur.
    #[error("there is no dimension `{symbol}` in the model; its symbolic dimensions are: {known}")]
    UnknownSymbol {
        /// The name given.
        symbol: String,
        /// The symbols there are.
        known: String,
    },
    /// A tensor is larger than the target can bind.
    #[error("`{tensor}` takes {bytes} bytes, but the target binds at most {limit} at once{hint}")]
    TooLarge {
        /// The tensor.
        tensor: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
        /// What would help.
        hint: String,
    },
    /// A training takes more memory than it may, whatever is computed again.
    #[error(
        "the training takes at least {:.1} MiB on the device, {:.1} MiB of it parameters and what the optimizer keeps, but may \
         take {:.1} MiB (`--memory`); allow more, or take smaller batches",
        mebibytes(*least), mebibytes(*states), mebibytes(*budget)
    )]
    Memory {
        /// Bytes that it may take.
        budget: u64,
        /// Bytes that it takes with as much computed again as pays.
        least: u64,
        /// Those of states.
        states: u64,
    },
    /// An invariant of the compiler does not hold: a defect in Kiln, whatever the graph.
    #[error("{place}: {message} (this is a defect in Kiln)")]
    Defect {
        /// The layer or the part of the compiler.
        place: String,
        /// The invariant.
        message: String,
    },
    /// A generated kernel is invalid: a defect in Kiln.
    #[error(
        "kernel `{kernel}` does not pass validation (this is a defect in Kiln): {message}\n{source_text}"
    )]
    Shader {
        /// The kernel.
        kernel: String,
        /// The validator's words.
        message: String,
        /// The WGSL.
        source_text: String,
    },
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn unbound(symbols: &[String]) -> String {
    let flags: Vec<String> = symbols.iter().map(|symbol| format!("--max {symbol}=..")).collect();
    let flags = flags.join(" ");
    match symbols {
        [one] => format!(
            "the dimension `{one}` is symbolic; give the maximum that the plan must support (`{flags}`)"
        ),
        many => format!(
            "the dimensions `{}` are symbolic; give the maxima that the plan must support (`{flags}`)",
            many.join("`, `")
        ),
    }
}
