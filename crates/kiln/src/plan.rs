//! Plans: what a program of kernels, buffers and dispatches consists of, and its file.

pub use kiln_plan::{
    Access, Buffer, BufferKind, Channels, DType, Dispatch, Expr, Factor, Fitting, Guard, InputSource, LIMITS,
    Layout, Limits, Measure, Metadata, OutputRef, OutputSize, Param, Pictures, Plan, PlanError,
    Preprocessing, Problem, Program, PropertyError, Provenance, Range, Relation, Requirements, Resize, Role,
    Segment, Shader, Storage, Symbol, Targets, Task, Tensor, Term, check, check_within, multiple_of,
};
