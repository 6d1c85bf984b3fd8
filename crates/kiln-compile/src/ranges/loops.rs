//! Ranges in the body of a loop: what is carried may grow from step to step.

use kiln_graph::ops::Loop;
use kiln_graph::{Bindings, Graph};

use super::{ANY, Range, held, ranges_given, union};

/// Most nodes that are looked at while ranges grow.
const MOST_NODES: i64 = 1 << 20;

/// Ranges of all values of the body, for all steps together; `inputs` are those of the loop's inputs. A carried input has
/// those of all its values, the last one included.
pub(super) fn body_ranges(op: &Loop, inputs: &[Range], max: &Bindings) -> Vec<Range> {
    let steps = op.steps.eval(max).unwrap_or(i64::MAX);
    let most = MOST_NODES / i64::try_from(op.body.nodes().len()).unwrap_or(MOST_NODES).max(1);
    let mut given = inputs.to_vec();
    let mut step = 0;
    loop {
        let ranges = ranges_given(&op.body, &given, max);
        let becomes = op.body.outputs().iter().take(op.carried).map(|output| ranges[output.value.index()]);
        let grown: Vec<Range> =
            given.iter().zip(becomes).map(|(before, after)| union(*before, after)).collect();
        if grown == given[..op.carried] {
            return ranges;
        }
        step += 1;
        let known = steps <= most;
        if known && step >= steps {
            // The last step has been looked at: what it leaves is not read by another one.
            return with_last(op, ranges, &grown);
        }
        for (range, grown) in given.iter_mut().zip(grown) {
            if *range != grown {
                *range = if known || step < 8 { grown } else { ANY };
            }
        }
    }
}

/// The same with what the last step leaves where it is carried.
fn with_last(op: &Loop, mut ranges: Vec<Range>, grown: &[Range]) -> Vec<Range> {
    for (input, grown) in op.body.inputs().iter().zip(grown) {
        ranges[input.index()] = *grown;
    }
    ranges
}

/// The body of a loop with the element types that its values have on the device.
pub(crate) fn body_types(op: &Loop, inputs: &[Range], max: &Bindings) -> Graph {
    held(&op.body, &body_ranges(op, inputs, max))
}
