//! Help for the author of a file that is not a model, based on the file as a whole.

use std::rc::Rc;

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{Expr, Stmt};
use ruff_python_parser::{Mode, ParseOptions};
use ruff_text_size::Ranged;

use crate::python::value::Function;
use crate::python::{Args, Class, Fault, Namespace, Object, Result, Value, assigned};
use crate::source::Span;

/// The error of a text that is not valid Python. The parser fails where it expected something else; the mistake is
/// often before that.
pub(crate) fn syntax(text: &str, message: &str, span: Span) -> Fault {
    let at = |byte: u32| usize::try_from(byte).unwrap_or(usize::MAX).min(text.len());
    let tokens = ruff_python_parser::parse_unchecked(text, ParseOptions::from(Mode::Module));
    let (mut open, mut around) = (vec![], None);
    for token in tokens.tokens() {
        if token.start().to_u32() >= span.start && around.is_none() {
            around = Some(open.last().copied());
        }
        match token.kind() {
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => open.push(token.range()),
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => drop(open.pop()),
            _ => {}
        }
    }
    let line_of = |byte: u32| text.get(..at(byte)).unwrap_or_default().matches('\n').count();
    let around = around.flatten();
    if let Some(bracket) = around.or(open.last().copied())
        && open.contains(&bracket)
        && line_of(bracket.start().to_u32()) < line_of(span.start) + usize::from(at(span.start) == text.len())
    {
        let place = Span { start: bracket.start().into(), end: bracket.end().into(), ..span };
        let shown = text.get(at(place.start)..at(place.end)).unwrap_or_default();
        return Fault::syntax(format!("this `{shown}` is never closed")).at(place);
    }
    let mut letters = message.chars();
    let message: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    let fault = Fault::syntax(format!("this is not valid Python: {message}")).at(span);
    let before = text.get(..at(span.start)).unwrap_or_default();
    let is_first = before.rsplit('\n').next().unwrap_or_default().trim().is_empty();
    if message.contains("ndent") {
        return fault.help(
            "the lines of a block start in the same column, and a block starts after a line \
        that ends in `:`",
        );
    }
    if message.starts_with("expected `:`") {
        return fault
            .help("lines with `class`, `def`, `if`, `else`, `for` and `while` end in a colon: `def forward(self, x):`");
    }
    if message.starts_with("expected `,`") && around.is_some() {
        return fault.help(if is_first {
            "does the line above lack a comma at its end?"
        } else {
            "arguments and elements are separated by commas"
        });
    }
    fault
}

/// The variable that would have been the model, had its line not failed. What failed because of an import that is not
/// known is left aside unless the file has nothing else: its classes may be models without it.
pub(crate) fn failed(namespace: &Namespace, statements: &[Stmt], is_all: bool) -> Option<String> {
    let scope = namespace.scope.as_ref()?;
    let mut found = vec![];
    for statement in statements {
        let value = match statement {
            Stmt::Assign(s) => Some(&*s.value),
            Stmt::AnnAssign(s) => s.value.as_deref(),
            _ => None,
        };
        let Some(value) = value else { continue };
        let names = assigned(statement).into_iter();
        found.extend(
            names
                .filter(|name| match scope.own(name) {
                    Some(Value::Failed(fault)) => is_all || !fault.0.message.contains("not known here"),
                    _ => false,
                })
                .map(|name| (name, value)),
        );
    }
    let says_model = |name: &str| {
        let name = name.to_lowercase();
        ["model", "net"].iter().any(|word| name.contains(word))
    };
    let makes_layer = |value: &Expr| {
        let Expr::Call(call) = value else { return false };
        match &*call.func {
            Expr::Attribute(of) => matches!(&*of.value, Expr::Name(name) if name.id == "nn"),
            Expr::Name(name) => name.id == "Sequential",
            _ => false,
        }
    };
    let by_name = found.iter().rev().find(|(name, _)| says_model(name));
    by_name.or_else(|| found.iter().rev().find(|(_, value)| makes_layer(value))).map(|(name, _)| name.clone())
}

/// Explains what a file without a model lacks.
pub(crate) fn without_model(namespace: &Namespace, statements: &[Stmt]) -> String {
    let classes = statements.iter().filter_map(|statement| match statement {
        Stmt::ClassDef(class) => namespace.scope.as_ref()?.own(&class.name),
        _ => None,
    });
    for class in classes {
        if let Value::Class(class) = class
            && !class.is_module()
            && class.find("forward").is_some()
        {
            let name = &class.name;
            return format!("`{name}` has a `forward`; `class {name}(nn.Module):` makes it a model");
        }
    }
    "a model is a class that derives from `nn.Module`, or an `nn.Sequential`".into()
}

fn method(class: &Rc<Class>, name: &str) -> Option<Rc<Function>> {
    match class.find(name) {
        Some(Value::Function(function)) => Some(function),
        _ => None,
    }
}

/// Checks that the command line says what a constructor needs; the place of the constructor.
pub(crate) fn arguments(class: &Rc<Class>, args: &Args) -> Result<Option<Span>> {
    let Some(init) = method(class, "__init__") else { return Ok(None) };
    let (required, all) = init.inputs();
    let given = |name: &String| args.named.iter().any(|(other, _)| **other == **name);
    let missing: Vec<&String> = required.iter().filter(|name| !given(name)).collect();
    let is_known = args.named.iter().all(|(name, _)| all.iter().any(|other| **other == **name));
    if missing.is_empty() || !is_known {
        return Ok(Some(init.place()));
    }
    let shown: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let options: Vec<String> = missing.iter().map(|name| format!("--arg {name}=10")).collect();
    let options = options.join(" ");
    Err(Fault::type_error(format!("`{}` needs {}", class.name, shown.join(", ")))
        .help(format!(
            "`{options}`, with the right number{}, or a comment above the class: `# kiln: {options}`",
            if missing.len() == 1 { "" } else { "s" }
        ))
        .at(init.place()))
}

/// Checks that the command line says what a function needs that is to give a module.
pub(crate) fn function_arguments(function: &Function, name: &str, args: &Args) -> Result<()> {
    let given = |name: &String| args.named.iter().any(|(other, _)| **other == **name);
    let missing: Vec<String> = function.required().into_iter().filter(|name| !given(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let options: Vec<String> = missing.iter().map(|name| format!("--arg {name}=10")).collect();
    Err(Fault::type_error(format!("`{name}` needs {}", shown.join(", ")))
        .help(format!(
            "`{}` passes numbers to a function that returns a module; one that computes with tensors is the \
             `forward` of a \
             class that derives from `nn.Module`, whose parameters `__init__` makes with `nn.Parameter`",
            options.join(" ")
        ))
        .at(function.place()))
}

/// `forward` has come to its end.
pub(crate) fn no_return(module: &Rc<Object>) -> Option<Fault> {
    let forward = method(&module.class, "forward")?;
    let last = forward.last()?;
    let name = match last {
        Stmt::Assign(s) => match &s.targets[..] {
            [Expr::Name(name)] => name.id.as_str(),
            _ => "x",
        },
        _ => "x",
    };
    let fault = Fault::type_error("`forward` ends without a `return`, and so returns nothing");
    Some(fault.help(format!("`return {name}` as its last line")).at(Span::of(forward.file, last)))
}

/// `def forward(x)`
pub(crate) fn no_self(module: &Rc<Object>) -> Fault {
    let fault = Fault::type_error("`forward` has no parameter for the input");
    match method(&module.class, "forward") {
        Some(forward) => {
            fault.help("`self` comes first, then the input: `def forward(self, x):`").at(forward.place())
        }
        None => fault,
    }
}
