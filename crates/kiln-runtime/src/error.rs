//! Errors of running a plan, and what to do about them.

use std::time::Duration;

use kiln_plan::{Fitting, PlanError};

/// Why a plan cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the messages print")]
pub enum RuntimeError {
    #[error(transparent)]
    Plan(Box<PlanError>),

    #[error(
        "no GPU adapter was found (backends searched: {backends}); install a driver with Vulkan, Metal or DirectX 12. \
         Without a GPU, on Debian and Ubuntu: `apt-get install mesa-vulkan-drivers` runs plans on the processor"
    )]
    NoAdapter { backends: String },
    #[error(
        "no adapter's name contains {wanted:?}; there are: {}. Set WGPU_ADAPTER_NAME to a part of one of \
         these names, or unset it",
        list(.there)
    )]
    NoSuchAdapter { wanted: String, there: Vec<String> },
    #[error("{wanted:?} is not a backend; use `vulkan`, `metal` or `dx12` (WGPU_BACKEND)")]
    NoSuchBackend { wanted: String },
    #[error("adapter `{adapter}` opened no device: {reason}")]
    Open { adapter: String, reason: String },
    #[error(
        "the plan needs {needs} {what}, adapter `{adapter}` has {has} ({} too few): use another adapter or compile for this one",
        .needs.saturating_sub(*.has)
    )]
    Limit { what: &'static str, needs: u64, has: u64, adapter: String },
    #[error(
        "the plan needs {needs} {what}, the device was opened with {has}: open it with what `Device::descriptor` says"
    )]
    OpenedLimit { what: &'static str, needs: u64, has: u64 },
    #[error(
        "the plan needs {feature}, which the device was opened without: open it with what `Device::descriptor` says"
    )]
    OpenedFeature { feature: &'static str },
    #[error(
        "the plan was compiled for subgroups of {needs}, adapter `{adapter}` has {min} to {max}: compile for this one"
    )]
    Subgroup { needs: u32, min: u32, max: u32, adapter: String },
    #[error("the plan needs {feature}, which adapter `{adapter}` lacks: compile for this one")]
    Feature { feature: &'static str, adapter: String },
    #[error(
        "the plan needs {needs} bytes on the device, {available} are available: reduce the maximum batch \
         (`kiln compile --max N=...`)"
    )]
    Memory { needs: u64, available: u64 },
    #[error(
        "the device is out of memory while {doing} ({needs} bytes in all): reduce the maximum batch (`kiln \
         compile --max N=...`)"
    )]
    OutOfMemory { doing: &'static str, needs: u64 },
    #[error("the device was lost: {reason}. Open a new device and load the plan again")]
    Lost { reason: String },
    #[error("no answer from the device within {0:?}: it hangs, or the limit is too short")]
    Timeout(Duration),
    #[error("shader `{shader}` was refused: {reason}")]
    Shader { shader: String, reason: String },
    #[error("the device failed while {doing}: {reason}")]
    Device { doing: &'static str, reason: String },

    #[error("there is no program {wanted:?}; the plan has {}", list(.there))]
    NoSuchProgram { wanted: String, there: Vec<String> },
    #[error("there is no dispatch {wanted}, program `{program}` has {count}")]
    NoSuchDispatch { wanted: usize, program: String, count: usize },
    #[error("there is no tensor {wanted}, the plan has {count}")]
    NoSuchTensor { wanted: usize, count: usize },
    #[error("there is no input {wanted:?}; the program takes {}", list(.there))]
    NoSuchInput { wanted: String, there: Vec<String> },
    #[error("there is no output {wanted:?}; the program gives {}", list(.there))]
    NoSuchOutput { wanted: String, there: Vec<String> },
    #[error("input `{name}` is missing; it takes {expected}")]
    MissingInput { name: String, expected: String },
    #[error("input `{name}` is given twice")]
    InputTwice { name: String },
    #[error("input `{name}` is {found}, {expected} is expected")]
    InputType { name: String, found: &'static str, expected: &'static str },
    #[error("input `{name}` has shape {found}, {expected} is expected")]
    InputShape { name: String, found: String, expected: String },
    #[error("input `{name}` cannot be read from its buffer: {reason}")]
    Buffer { name: String, reason: String },
    #[error("input `{name}` cannot be made of pictures: {reason}")]
    Picture { name: String, reason: String },
    #[error(
        "another run of the session has taken the place of these outputs: read them before it is recorded"
    )]
    Overwritten,
    #[error("the run was cancelled")]
    Cancelled,
    #[error("the commands of this run were not submitted before its outputs were read")]
    NotSubmitted,
    #[error("input `{name}` has {symbol} = {value}, but input `{other}` has {symbol} = {other_value}")]
    Contradiction { name: String, symbol: String, value: i64, other: String, other_value: i64 },
    #[error(
        "input `{name}` has {symbol} = {value}, the plan was made for {symbol} of at most {max}: \
         compile the model again with a larger maximum (`kiln compile --max {symbol}={value}`)"
    )]
    TooLarge { name: String, symbol: String, value: i64, max: u32 },
    #[error("input `{name}` has {symbol} = {value}; it must be at least 1")]
    TooSmall { name: String, symbol: String, value: i64 },
    #[error("{}", guard_text(.node, .condition, .symbol, *.value, .fitting))]
    Guard { node: String, condition: String, symbol: String, value: i64, fitting: Fitting },
    #[error(
        "`{node}` needs {condition}, which {symbols} do not meet, and no other value of one of them does: compile the \
         model for these sizes"
    )]
    NothingFits { node: String, condition: String, symbols: String },
    #[error("the size of {symbol} does not follow from the shapes of the inputs")]
    Unbound { symbol: String },
    #[error("{what} is {value} for {symbols}, which cannot be: the plan is wrong for these sizes")]
    Size { what: String, value: i64, symbols: String },
    #[error("input `{name}`, element {index}: {value} does not fit the {storage} that the device stores")]
    Range { name: String, index: usize, value: i64, storage: &'static str },
    #[error(
        "{count} workgroups in a run up to `{dispatch}`, at most {limit} are allowed; a host program can raise \
         `SessionOptions::limits`"
    )]
    Work { dispatch: String, count: u128, limit: u64 },
    #[error("a tensor of shape {shape} has {expected} elements, {found} are given")]
    Elements { shape: String, expected: usize, found: usize },
    #[error("adapter `{adapter}` has no timestamps, so there is no profile")]
    NoTimestamps { adapter: String },
    #[error("a tensor is {found}, it was read as {wanted}")]
    ReadAs { found: &'static str, wanted: &'static str },
}

impl From<PlanError> for RuntimeError {
    fn from(error: PlanError) -> Self {
        Self::Plan(Box::new(error))
    }
}

/// Which size does not fit, and which would: `` `add` needs `H` to be a multiple of 32; 333 is not, 320 and 352 are``.
fn guard_text(node: &str, condition: &str, symbol: &str, value: i64, fitting: &Fitting) -> String {
    let verb = if fitting.below.is_some() && fitting.above.is_some() { "are" } else { "is" };
    let condition = if condition.chars().count() <= 60 { condition } else { "sizes that agree" };
    match fitting.multiple_of {
        Some(number) => {
            format!(
                "`{node}` needs `{symbol}` to be a multiple of {number}; {value} is not, {fitting} {verb}"
            )
        }
        None => {
            let verb = if verb == "are" { "do" } else { "does" };
            format!("`{node}` needs {condition}; `{symbol}` = {value} does not fit, {fitting} {verb}")
        }
    }
}

/// How many names a message lists.
const MOST_LISTED: usize = 50;

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_string();
    }
    let mut listed: Vec<_> = names.iter().take(MOST_LISTED).map(|name| format!("`{name}`")).collect();
    if let Some(more @ 1..) = names.len().checked_sub(MOST_LISTED) {
        listed.push(format!("and {more} more"));
    }
    listed.join(", ")
}
