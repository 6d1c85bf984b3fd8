//! Help for misused layers and sizes that do not fit.

use std::rc::Rc;

use kiln_graph::Dim;

use super::{loss, names};
use crate::python::format::repr;
use crate::python::native::Layer;
use crate::python::value::Class;
use crate::python::{Args, Bound, Fault, Object, Result, Value, nearest};

/// A class without `forward` was called.
pub(super) fn no_forward(class: &Class) -> Fault {
    let fault = Fault::python("NotImplementedError", format!("`{}` has no `forward`", class.name));
    let own = class.attributes.borrow();
    match nearest("forward", own.keys().map(|key| &**key)) {
        Some(near) => fault.help(format!("it has a `{near}`: is `def forward` meant?")),
        None => fault
            .help("`def forward(self, x):` belongs in the class, indented exactly as far as `def __init__`"),
    }
}

/// `nn.ReLU(x)`: what the class makes has to be called, not the class.
pub(super) fn not_a_function(layer: &Layer, args: &Args) -> Result<()> {
    if loss::is_loss(layer) || !matches!(args.positional.first(), Some(Value::Tensor(_))) {
        return Ok(());
    }
    let lower = layer.name.to_lowercase();
    let mut help =
        format!("`self.{lower} = nn.{}(...)` in `__init__` and `self.{lower}(x)` here", layer.name);
    if names("torch.nn.functional").iter().any(|name| *name == lower) && !lower.starts_with("conv") {
        help = format!("`F.{lower}(x)`, or {}", help.replace("(...)", "()"));
    }
    Err(Fault::type_error(format!("`nn.{}` makes a layer, but is given a tensor", layer.name)).help(help))
}

/// A layer with parameters belongs into the constructor.
pub(super) fn not_in_forward(layer: &Layer, object: &Rc<Object>, args: &Args) -> Result<()> {
    if !object.attributes.borrow().values().any(|value| matches!(value, Value::Parameter(_))) {
        return Ok(());
    }
    let mut written: Vec<String> = args.positional.iter().map(repr).collect();
    written.extend(args.named.iter().map(|(name, value)| format!("{name}={}", repr(value))));
    Err(Fault::unsupported(format!(
        "`nn.{}` is made in `forward`: it would be initialized again in every step and learn nothing",
        layer.name
    ))
    .help(format!(
        "`self.layer = nn.{}({})` in `__init__` and `self.layer(x)` here",
        layer.name,
        written.join(", ")
    )))
}

/// What `--input` should have been for a layer that takes images.
pub(super) fn input_for_images(b: &Bound, shape: &[Dim], spatial: usize) -> Option<String> {
    let channels = b.given("in_channels").and_then(Value::as_int).unwrap_or(1);
    let list = |sizes: &[Dim]| sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    if shape.len() == spatial + 1 {
        let sizes = list(&shape[1..]);
        return Some(format!("the channels come first, even if there is one: `--input {channels},{sizes}`"));
    }
    if shape.len() == spatial + 3 {
        let sizes = list(&shape[2..]);
        return Some(format!("`--input` is one sample, the batch dimension is added: `--input {sizes}`"));
    }
    let [_, all] = shape else { return None };
    let pixels = all.as_const()?.checked_div(channels)?;
    let side = (1..=4096).find(|side| side * side >= pixels)?;
    (spatial == 2 && side * side * channels == all.as_const()?)
        .then(|| format!("an image is not flat: `--input {channels},{side},{side}`"))
}

/// How to make two added shapes fit.
pub(super) fn to_fit(a: &[Dim], b: &[Dim]) -> String {
    let rule = "from the last dimension backwards, sizes have to be equal or one of them 1".to_owned();
    let ([_, c, rest @ ..], [_, d, others @ ..]) = (a, b) else { return rule };
    if rest.is_empty() || rest.len() != others.len() || c.is(1) || d.is(1) {
        return rule;
    }
    let ratio = |from: &[Dim], to: &[Dim]| {
        let ratios: Option<Vec<i64>> =
            from.iter().zip(to).map(|(x, y)| x.exact_div(y).and_then(|ratio| ratio.as_const())).collect();
        let ratios = ratios?;
        ratios.iter().all(|r| *r == ratios[0]).then_some(ratios[0])
    };
    if c == d
        && let Some(help) = smaller(rest, others)
    {
        return help;
    }
    // The shortcut of a residual block is the larger image, or that with fewer channels.
    let (from, to, stride) = match (ratio(rest, others), ratio(others, rest)) {
        (Some(1), _) if c.as_const() <= d.as_const() => (c, d, 1),
        (Some(1), _) => (d, c, 1),
        (Some(stride), _) => (c, d, stride),
        (_, Some(stride)) => (d, c, stride),
        (None, None) => return rule,
    };
    let stride = if stride == 1 { String::new() } else { format!(", stride={stride}") };
    format!(
        "in a residual block both have the same shape: `nn.Conv{}d({from}, {to}, kernel_size=1{stride})` on the shortcut makes it fit",
        rest.len()
    )
}

/// How to make two shapes fit that are concatenated along `axis`.
pub(super) fn to_put_together(a: &[Dim], b: &[Dim], axis: usize) -> String {
    if a.len() != b.len() {
        return "all need as many dimensions as the first".into();
    }
    let differing: Vec<usize> = (1..a.len()).filter(|k| a[*k] != b[*k]).collect();
    if let [only] = differing[..]
        && only != axis
    {
        return format!("`dim={only}` joins them along the dimension in which they differ");
    }
    let both = a.get(2..).zip(b.get(2..)).filter(|_| axis == 1);
    both.and_then(|(a, b)| smaller(a, b))
        .unwrap_or_else(|| format!("all sizes but that of dimension {axis} have to be equal"))
}

/// One image is smaller than another by the border that convolutions without padding lose.
fn smaller(a: &[Dim], b: &[Dim]) -> Option<String> {
    let [x, y] = [a.first()?.as_const()?, b.first()?.as_const()?];
    let (large, small) = if x > y { (a, b) } else { (b, a) };
    let lost = (x - y).abs();
    let same = large
        .iter()
        .zip(small)
        .all(|(x, y)| x.as_const().zip(y.as_const()).is_some_and(|(x, y)| x - y == lost));
    (same && lost % 2 == 0 && (2..=6).contains(&lost)).then(|| {
        let sizes: Vec<String> = large.iter().map(ToString::to_string).collect();
        format!(
            "a convolution with `kernel_size={}` loses {lost} pixels; `padding={}` keeps {}",
            lost + 1,
            lost / 2,
            sizes.join(" x ")
        )
    })
}
