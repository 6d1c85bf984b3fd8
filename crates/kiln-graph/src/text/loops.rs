//! Loops in the text form: a node whose line ends in `{`, followed by the lines of its body up to a line `}`.
//!
//! ```text
//! %last, %all = loop(%first, %x, @w) steps=T carried=1 scanned=[[0, forward]] stacked=[[0, forward]] : .. {
//!   graph step
//!   input %h : f32[N, 8]
//!   ..
//! }
//! ```

use super::attributes::{Attribute, Reader, Writer, word};
use super::dims;
use crate::graph::Graph;
use crate::ops::{Along, Loop, Op};

/// The attributes of a loop, without its body.
pub(super) fn write(mut w: Writer, op: &Loop) -> Writer {
    w = w.word("steps", &op.steps).word("carried", op.carried);
    for (name, list) in [("scanned", &op.scanned), ("stacked", &op.stacked)] {
        if list.is_empty() {
            continue;
        }
        let along = |along: &Along| {
            let direction = if along.reverse { "reverse" } else { "forward" };
            Attribute::List(vec![
                Attribute::Word(along.axis.to_string()),
                Attribute::Word(direction.to_owned()),
            ])
        };
        w.push(name, Attribute::List(list.iter().map(along).collect()));
    }
    w
}

/// The loop with these attributes and this body.
pub(super) fn read(r: &mut Reader, body: Graph) -> Result<Op, String> {
    let along = |item: &Attribute| match item {
        Attribute::List(two) => match two.as_slice() {
            [axis, direction] => Some(Along {
                axis: word(axis)?.parse().ok()?,
                reverse: match word(direction)? {
                    "forward" => false,
                    "reverse" => true,
                    _ => return None,
                },
            }),
            _ => None,
        },
        Attribute::Flag | Attribute::Word(_) => None,
    };
    Ok(Op::Loop(Loop {
        body: body.into(),
        steps: r.parsed("steps", None, dims::parse)?,
        carried: r.size("carried")?,
        scanned: r.list("scanned", along)?.unwrap_or_default(),
        stacked: r.list("stacked", along)?.unwrap_or_default(),
    }))
}
