//! From the templates in `shaders/` to checked WGSL.
//!
//! A template is WGSL with named values (`${ name }`) and line statements (`//% if`, `//% for`), rendered with
//! minijinja. Kernels are kept by their text, so layers with the same kernel share it, and each text is validated by
//! naga once.

use std::collections::HashMap;

use kiln_plan::{Access, Requirements, Shader};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

use crate::error::CompileError;

/// A template by its file name, with its text.
pub(crate) type Template = (&'static str, &'static str);

/// Templates of `shaders/`, by file name.
macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/", $name, ".wgsl")))),*]
    };
}
pub(crate) use templates;

/// What the templates of several families include.
const SHARED: &[Template] = templates![
    "broadcast",
    "columns_entry",
    "conv_rows",
    "functions",
    "grid",
    "halves",
    "invocation_entry",
    "params",
    "product",
    "residue_classes",
    "subgroup_entry",
    "tap",
    "workgroup_tile",
];

/// The functions of `halves.wgsl`, which go behind any kernel that calls them.
const HALVES: [&str; 6] =
    ["half_of", "ints_of_moved", "of_bytes", "of_halves", "of_moved_bytes", "to_halves"];

/// A kernel as the lowering describes it.
pub(crate) struct Kernel<'a> {
    /// The template's file name without its ending.
    pub template: &'a str,
    /// What the kernel is called in dumps.
    pub name: String,
    /// What the template reads.
    pub values: Value,
    /// How each storage buffer is bound.
    pub access: Vec<Access>,
    /// Number of 32-bit parameters.
    pub uniforms: usize,
}

/// Renders, validates and keeps kernels.
pub(crate) struct Templates {
    environment: Environment<'static>,
    by_text: HashMap<String, usize>,
    /// The kernels so far.
    pub kept: Vec<Shader>,
    /// What they ask of a device.
    pub requirements: Requirements,
}

impl Templates {
    /// With the shared templates and those of some families.
    pub(crate) fn new<'t>(families: impl IntoIterator<Item = &'t Template>) -> Result<Self, CompileError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder()
            .block_delimiters("/*%", "%*/")
            .variable_delimiters("${", "}")
            .comment_delimiters("/*#", "#*/")
            .line_statement_prefix("//%")
            .trim_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .map_err(|e| defect("syntax", &e.to_string(), ""))?;
        environment.set_syntax(syntax);
        for (name, text) in families.into_iter().chain(SHARED) {
            environment.add_template(name, text).map_err(|e| defect(name, &format!("{e:#}"), ""))?;
        }
        Ok(Self {
            environment,
            by_text: HashMap::new(),
            kept: Vec::new(),
            requirements: Requirements::default(),
        })
    }

    /// The index of the kernel in the plan's list.
    pub(crate) fn kernel(&mut self, kernel: Kernel<'_>) -> Result<usize, CompileError> {
        let mut text = self.render(kernel.template, &kernel.name, kernel.values)?;
        let halves: Vec<&str> = HALVES.into_iter().filter(|name| text.contains(name)).collect();
        if !halves.is_empty() {
            text.push_str(&self.render("halves", &kernel.name, minijinja::context! { used => halves })?);
        }
        if text.contains("f16") {
            text.insert_str(0, "enable f16;\n");
        }
        self.keep(kernel.name, text, kernel.access, kernel.uniforms)
    }

    /// The index of the kernel of a text, which is validated if it is new.
    pub(crate) fn keep(
        &mut self,
        name: String,
        text: String,
        access: Vec<Access>,
        uniforms: usize,
    ) -> Result<usize, CompileError> {
        if let Some(index) = self.by_text.get(&text) {
            return Ok(*index);
        }
        let module = validate(&name, &text)?;
        refuse_large_arrays(&name, &module, &text)?;
        self.require(&module, &text);
        let index = self.kept.len();
        self.kept.push(Shader {
            name,
            wgsl: text.clone(),
            access,
            params_size: u32::try_from(uniforms.next_multiple_of(4) * 4).unwrap_or(u32::MAX),
        });
        self.by_text.insert(text, index);
        Ok(index)
    }

    fn render(&self, template: &str, kernel: &str, values: Value) -> Result<String, CompileError> {
        let text = self.environment.get_template(template).and_then(|t| t.render(values));
        Ok(tidy(&text.map_err(|e| defect(kernel, &format!("{e:#}"), ""))?))
    }

    fn require(&mut self, module: &naga::Module, text: &str) {
        let mut layouter = naga::proc::Layouter::default();
        let sized = layouter.update(module.to_ctx()).is_ok();
        let workgroup =
            module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
        let bytes = if sized { workgroup.map(|(_, v)| layouter[v.ty].size).sum() } else { 0 };
        let invocations =
            module.entry_points.iter().map(|e| e.workgroup_size.iter().product()).max().unwrap_or(1);
        let needs = &mut self.requirements;
        needs.max_compute_workgroup_storage_size = needs.max_compute_workgroup_storage_size.max(bytes);
        needs.max_compute_invocations_per_workgroup =
            needs.max_compute_invocations_per_workgroup.max(invocations);
        // By the text: types that only expressions have are not among the module's own.
        needs.shader_int64 |= text.contains("i64");
        needs.shader_float64 |= text.contains("f64");
        needs.shader_f16 |= text.contains("f16");
        if text.contains("@builtin(subgroup_") {
            // A kernel with subgroups is written for workgroups that are one subgroup.
            needs.subgroup_size = Some(invocations);
        }
    }
}

/// Drops the blank lines that unused values leave behind.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = true;
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && blank) {
            out.push_str(line);
            out.push('\n');
        }
        blank = line.is_empty();
    }
    out
}

fn validate(name: &str, text: &str) -> Result<naga::Module, CompileError> {
    let module =
        naga::front::wgsl::parse_str(text).map_err(|e| defect(name, &e.emit_to_string(text), text))?;
    use naga::valid::Capabilities;
    let capabilities = Capabilities::SUBGROUP
        | Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SHADER_INT64
        | Capabilities::FLOAT64;
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|e| defect(name, &e.emit_to_string(text), text))?;
    Ok(module)
}

/// Private arrays of more elements than this do not stay in registers; drivers take minutes to compile them.
const MOST_PRIVATE_ELEMENTS: u32 = 64;

fn refuse_large_arrays(name: &str, module: &naga::Module, text: &str) -> Result<(), CompileError> {
    let functions =
        module.functions.iter().map(|(_, f)| f).chain(module.entry_points.iter().map(|e| &e.function));
    for variable in functions.flat_map(|f| f.local_variables.iter().map(|(_, v)| v)) {
        if let naga::TypeInner::Array { size: naga::ArraySize::Constant(count), .. } =
            module.types[variable.ty].inner
            && count.get() > MOST_PRIVATE_ELEMENTS
        {
            let message = format!("a private array of {count} elements; {MOST_PRIVATE_ELEMENTS} are allowed");
            return Err(defect(name, &message, text));
        }
    }
    Ok(())
}

fn defect(kernel: &str, message: &str, text: &str) -> CompileError {
    CompileError::Shader { kernel: kernel.into(), message: message.into(), source_text: text.into() }
}
