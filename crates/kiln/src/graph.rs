//! Graphs of core operators: how they are built, printed, evaluated and compared.

pub use kiln_graph::{
    Bindings, Builder, Cluster, DType, Data, DataLengthError, Def, Dim, EvalError, EvaluateOptions,
    Evaluation, Formula, Graph, GraphError, MAX_ELEMENTS, Made, Node, NodeId, Op, Output, OutputSize,
    Precision, Rewriter, ShapeDisplay, ShapeError, Tensor, TensorType, Update, Value, ValueId, Var, compare,
    evaluate, evaluate_with, functions, ops, product, text,
};
