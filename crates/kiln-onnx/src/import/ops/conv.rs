//! Convolution and transposed convolution, and what they share with pooling: windows and their padding.

use kiln_graph::functions::convolution::{self, ConvTranspose};
use kiln_graph::functions::padding;
use kiln_graph::ops::Conv;
use kiln_graph::{Bounds, Dim, Op, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, deciding, invalid, unsupported};

/// The window of a convolution or pooling, one entry for each spatial dimension.
pub(super) struct Window {
    pub kernel: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilations: Vec<usize>,
    pub pads: Vec<[i64; 2]>,
    /// Padding that depends on sizes: before the window is applied, these amounts go on the spatial axes.
    pub symbolic: Vec<[Dim; 2]>,
}

impl Window {
    /// That no padding depends on sizes, which `what` needs to know.
    pub(super) fn known(&self, what: &str) -> Result<()> {
        if self.symbolic.is_empty() {
            return Ok(());
        }
        let flags = deciding(self.symbolic.iter().flatten());
        unsupported(format!("{what} need automatic padding of a known size; {flags}"))
    }

    /// `x` with the padding that depends on sizes, filled with `value`.
    pub(super) fn padded(&self, cx: &mut Cx<'_>, x: ValueId, value: f64) -> Result<ValueId> {
        if self.symbolic.is_empty() {
            return Ok(x);
        }
        let amounts = [vec![[0.into(), 0.into()]; 2], self.symbolic.clone()].concat();
        Ok(padding::pad(&mut cx.formula(), x, &amounts, value)?)
    }
}

/// The integer list `name` with one positive entry for each spatial dimension.
pub(super) fn sizes(cx: &Cx<'_>, name: &str, spatial: usize) -> Result<Option<Vec<usize>>> {
    let Some(list) = cx.attributes.ints(name)? else { return Ok(None) };
    let sizes: Option<Vec<usize>> =
        list.iter().map(|n| usize::try_from(*n).ok().filter(|n| *n > 0)).collect();
    match sizes {
        Some(sizes) if sizes.len() == spatial => Ok(Some(sizes)),
        Some(_) | None => invalid(format!(
            "`{name}` is {list:?}; {spatial} spatial dimensions need as many positive numbers"
        )),
    }
}

/// `pads` as the file has it: all beginnings, then all ends.
fn explicit_pads(cx: &Cx<'_>, spatial: usize) -> Result<Vec<[i64; 2]>> {
    let Some(list) = cx.attributes.ints("pads")? else { return Ok(vec![[0, 0]; spatial]) };
    if list.len() != 2 * spatial {
        return invalid(format!(
            "`pads` is {list:?}; {spatial} spatial dimensions need {} numbers",
            2 * spatial
        ));
    }
    let (begin, end) = list.split_at(spatial);
    Ok(begin.iter().zip(end).map(|(b, e)| [*b, *e]).collect())
}

/// The window over the spatial dimensions of `x`.
pub(super) fn window(cx: &Cx<'_>, x: ValueId, kernel: Vec<usize>) -> Result<Window> {
    let spatial = cx.spatial(x)?;
    if kernel.len() != spatial {
        return invalid(format!("a kernel of {} dimensions cannot move over {}", kernel.len(), cx.ty(x)));
    }
    let strides = sizes(cx, "strides", spatial)?.unwrap_or_else(|| vec![1; spatial]);
    let dilations = sizes(cx, "dilations", spatial)?.unwrap_or_else(|| vec![1; spatial]);
    let auto_pad = cx.attributes.string_or("auto_pad", "NOTSET")?;
    let mut symbolic = Vec::new();
    let pads = match auto_pad {
        "NOTSET" | "" => explicit_pads(cx, spatial)?,
        "VALID" => vec![[0, 0]; spatial],
        "SAME_UPPER" | "SAME_LOWER" => {
            for i in 0..spatial {
                let reach = dilations[i].saturating_mul(kernel[i] - 1).saturating_add(1);
                let total = same_padding(&cx.dim(x, i + 2)?, reach, strides[i])?;
                let small = total.floor_div(2);
                let large = total - small.clone();
                symbolic.push(if auto_pad == "SAME_UPPER" { [small, large] } else { [large, small] });
            }
            let fixed = |[before, after]: &[Dim; 2]| Some([before.as_const()?, after.as_const()?]);
            match symbolic.iter().map(fixed).collect::<Option<Vec<_>>>() {
                Some(pads) => {
                    symbolic.clear();
                    pads
                }
                None => vec![[0, 0]; spatial],
            }
        }
        other => return unsupported(format!("`auto_pad` = \"{other}\" is not supported")),
    };
    Ok(Window { kernel, strides, dilations, pads, symbolic })
}

/// The padding for which there are `ceil(input / stride)` places: `max((ceil(input / stride) - 1) * stride + reach - input, 0)`.
fn same_padding(input: &Dim, reach: usize, stride: usize) -> Result<Dim> {
    let wide =
        |n: usize| i64::try_from(n).map_err(|_| OpError::Invalid(format!("a window of {n} is too large")));
    let (reach, stride) = (wide(reach)?, wide(stride)?);
    let places = input.ceil_div(stride);
    let needed = (places - 1.into()) * stride.into() + reach.into() - input.clone();
    // Of a stride up to the reach it is never negative.
    Ok(if needed.never_below(&0.into(), Bounds::default()) { needed } else { needed.larger(&0.into()) })
}

/// The number of groups.
pub(super) fn groups(cx: &Cx<'_>) -> Result<usize> {
    let groups = cx.attributes.int_or("group", 1)?;
    usize::try_from(groups)
        .ok()
        .filter(|g| *g > 0)
        .ok_or_else(|| OpError::Invalid(format!("`group` is {groups}, but should be positive")))
}

/// The kernel's size, from the weight; the attribute may repeat it.
pub(super) fn kernel_of(cx: &Cx<'_>, w: ValueId) -> Result<Vec<usize>> {
    let spatial = cx.spatial(w)?;
    let shape = cx.ty(w).static_shape();
    let Some(shape) = shape.filter(|shape| shape.iter().all(|n| *n > 0)) else {
        return unsupported(format!(
            "a weight of type {} is not supported; its sizes have to be numbers",
            cx.ty(w)
        ));
    };
    match sizes(cx, "kernel_shape", spatial)? {
        Some(kernel) if kernel != shape[2..] => {
            invalid(format!("`kernel_shape` is {kernel:?}, but the weight has {:?}", &shape[2..]))
        }
        Some(_) | None => Ok(shape[2..].to_vec()),
    }
}

fn with_bias(cx: &mut Cx<'_>, y: ValueId, spatial: usize) -> Outputs {
    let Some(bias) = cx.optional(2) else { return Ok(vec![y]) };
    Ok(vec![convolution::conv_bias(&mut cx.formula(), y, bias, spatial)?])
}

pub(crate) fn conv(cx: &mut Cx<'_>) -> Outputs {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let kernel = kernel_of(cx, w)?;
    let window = window(cx, x, kernel)?;
    let spatial = window.kernel.len();
    let x = window.padded(cx, x, 0.0)?;
    let conv = Conv {
        strides: window.strides,
        pads: window.pads,
        dilations: window.dilations,
        input_dilations: vec![1; spatial],
        groups: groups(cx)?,
    };
    let y = cx.op(Op::Conv(conv), &[x, w])?;
    with_bias(cx, y, spatial)
}

pub(crate) fn conv_transpose(cx: &mut Cx<'_>) -> Outputs {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let kernel = kernel_of(cx, w)?;
    let spatial = cx.spatial(x)?;
    if kernel.len() != spatial {
        return invalid(format!("a kernel of {} dimensions cannot move over {}", kernel.len(), cx.ty(x)));
    }
    let groups = groups(cx)?;
    let strides = sizes(cx, "strides", spatial)?.unwrap_or_else(|| vec![1; spatial]);
    let dilations = sizes(cx, "dilations", spatial)?.unwrap_or_else(|| vec![1; spatial]);
    let extra = cx.attributes.ints("output_padding")?.map_or_else(|| vec![0; spatial], <[i64]>::to_vec);
    if extra.len() != spatial {
        return invalid(format!("`output_padding` is {extra:?}; {spatial} numbers are needed"));
    }
    let pads = transposed_pads(cx, x, &kernel, &strides, &dilations, &extra)?;
    let how = ConvTranspose { strides, pads, dilations, output_padding: extra, groups };
    let y = convolution::conv_transpose(&mut cx.formula(), x, w, &how)?;
    with_bias(cx, y, spatial)
}

/// The elements cropped at either end.
fn transposed_pads(
    cx: &Cx<'_>,
    x: ValueId,
    kernel: &[usize],
    strides: &[usize],
    dilations: &[usize],
    extra: &[i64],
) -> Result<Vec<[i64; 2]>> {
    let spatial = kernel.len();
    let auto_pad = cx.attributes.string_or("auto_pad", "NOTSET")?;
    let wanted = cx.attributes.ints("output_shape")?;
    let same = matches!(auto_pad, "SAME_UPPER" | "SAME_LOWER");
    if wanted.is_none() && !same {
        return match auto_pad {
            "NOTSET" | "" => explicit_pads(cx, spatial),
            "VALID" => Ok(vec![[0, 0]; spatial]),
            other => unsupported(format!("`auto_pad` = \"{other}\" is not supported")),
        };
    }
    (0..spatial)
        .map(|i| {
            let input = cx.dim(x, i + 2)?;
            let output = match wanted {
                Some(shape) => shape
                    .get(i + shape.len().saturating_sub(spatial))
                    .map(|n| Dim::from(*n))
                    .ok_or_else(|| OpError::Invalid(format!("`output_shape` is {shape:?}, too short")))?,
                None => &input * &Dim::from(strides[i]),
            };
            let full = (input - 1.into()) * strides[i].into()
                + Dim::from(extra[i])
                + Dim::from(dilations[i].saturating_mul(kernel[i] - 1))
                + 1.into();
            let total = (full - output).as_const().ok_or_else(|| {
                OpError::Unsupported("the padding that gives `output_shape` is not a fixed number".into())
            })?;
            let (small, large) = (total.div_euclid(2), total - total.div_euclid(2));
            Ok(if auto_pad == "SAME_UPPER" { [small, large] } else { [large, small] })
        })
        .collect()
}
