//! The parameters of a kernel: uniforms that a template reads by name.

use kiln_graph::Dim;

/// A word of uniform memory that may depend on symbols.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Uniform {
    /// `u32` or `i32`.
    Int(Dim),
    /// `f32`.
    Float(f32),
}

impl<D: Into<Dim>> From<D> for Uniform {
    fn from(dim: D) -> Self {
        Uniform::Int(dim.into())
    }
}

/// Parameters of a kernel: names for the template, words for the plan.
#[derive(Clone, Default)]
pub(crate) struct Params {
    names: Vec<(String, &'static str)>,
    uniforms: Vec<Uniform>,
}

impl Params {
    /// Adds an unsigned number.
    pub(crate) fn uint(&mut self, name: impl Into<String>, dim: impl Into<Dim>) {
        self.names.push((name.into(), "u32"));
        self.uniforms.push(Uniform::Int(dim.into()));
    }

    /// Adds a signed number.
    pub(crate) fn int(&mut self, name: impl Into<String>, dim: impl Into<Dim>) {
        self.names.push((name.into(), "i32"));
        self.uniforms.push(Uniform::Int(dim.into()));
    }

    /// Adds a float.
    pub(crate) fn float(&mut self, name: impl Into<String>, value: f32) {
        self.names.push((name.into(), "f32"));
        self.uniforms.push(Uniform::Float(value));
    }

    /// Whether there is a parameter of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|(n, _)| n == name)
    }

    /// Adds all parameters of `other`.
    pub(crate) fn extend(&mut self, other: Params) {
        self.names.extend(other.names);
        self.uniforms.extend(other.uniforms);
    }

    /// The fields of the WGSL struct.
    pub(crate) fn fields(&self) -> String {
        self.names.iter().map(|(name, ty)| format!("  {name}: {ty},\n")).collect()
    }

    /// The words, in the order of the fields.
    pub(crate) fn uniforms(&self) -> Vec<Uniform> {
        self.uniforms.clone()
    }
}
