//! Selection of a file's model.

use std::collections::HashSet;
use std::rc::Rc;

use ruff_python_ast::Stmt;
use ruff_text_size::Ranged;

use crate::advice;
use crate::error::ImportError;
use crate::python::{Args, Fault, Interpreter, Namespace, Object, Result, Value, assigned, nearest};

/// Names in a message.
const MAX_LISTED: usize = 50;

/// A name that may refer to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Class,
    Function,
}

/// The names of a file that could be models, in its order.
fn candidates(namespace: &Namespace, statements: &[Stmt]) -> Vec<(Kind, String)> {
    let Some(scope) = &namespace.scope else { return vec![] };
    let (mut found, mut met) = (vec![], HashSet::new());
    for statement in statements {
        for name in assigned(statement) {
            let kind = match (statement, scope.own(&name)) {
                // Losses are modules, too, but what they belong to is the model.
                (Stmt::ClassDef(_), Some(Value::Class(class)))
                    if class.is_module() && !class.name.ends_with("Loss") =>
                {
                    Kind::Class
                }
                (Stmt::ClassDef(_), Some(Value::Failed(_))) => Kind::Class,
                (Stmt::Assign(_) | Stmt::AnnAssign(_), Some(value))
                    if value.as_module().is_some_and(|module| !module.class.name.ends_with("Loss")) =>
                {
                    Kind::Object
                }
                (Stmt::FunctionDef(_), Some(Value::Function(function)))
                    if function.is_without_arguments() =>
                {
                    Kind::Function
                }
                _ => continue,
            };
            if met.insert(name.clone()) {
                found.push((kind, name));
            }
        }
    }
    found
}

/// The words that definitions of the file use, but for each one's own name.
fn parts<'a>(text: &'a str, statements: &[Stmt]) -> HashSet<&'a str> {
    let mut parts = HashSet::new();
    for statement in statements {
        let own = match statement {
            Stmt::ClassDef(s) => &s.name,
            Stmt::FunctionDef(s) => &s.name,
            _ => continue,
        };
        let range = statement.range();
        let (start, end) = (u32::from(range.start()), u32::from(range.end()));
        let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        let words = text.get(range).unwrap_or_default().split(|c: char| !(c.is_alphanumeric() || c == '_'));
        parts.extend(words.filter(|word| *word != own.as_str()));
    }
    parts
}

/// The name that is meant: the one that is given, the only object that is already made, or the only definition that no
/// other one uses.
pub(crate) fn choose(
    file: &str,
    text: &str,
    statements: &[Stmt],
    namespace: &Namespace,
    given: Option<&str>,
) -> Result<String, ImportError> {
    let all = candidates(namespace, statements);
    let listed = |names: &[&String]| {
        let shown = names.iter().take(MAX_LISTED).map(|name| format!("{file}:{name}")).collect::<Vec<_>>();
        shown.join(", ") + if names.len() > MAX_LISTED { ", ..." } else { "" }
    };
    let names: Vec<&String> = all.iter().map(|(_, name)| name).collect();
    if let Some(given) = given {
        let scope = namespace.scope.as_ref();
        if scope.is_some_and(|scope| scope.own_or_deleted(given).is_some()) {
            return Ok(given.to_owned());
        }
        let near = nearest(given, names.iter().map(|name| name.as_str()));
        let help = match near {
            Some(near) => format!("did you mean `{file}:{near}`?"),
            None if names.is_empty() => "it defines no class that derives from `nn.Module`".into(),
            None => format!("it defines {}", listed(&names)),
        };
        return Err(ImportError::plain(format!("`{file}` has no `{given}`"), Some(help)));
    }
    let objects: Vec<&String> =
        all.iter().filter(|(kind, _)| *kind == Kind::Object).map(|(_, name)| name).collect();
    if objects.is_empty()
        && let Some(name) = advice::failed(namespace, statements, names.is_empty())
    {
        return Ok(name);
    }
    let parts = parts(text, statements);
    let whole: Vec<&String> = names.iter().copied().filter(|name| !parts.contains(name.as_str())).collect();
    match (&objects[..], &whole[..], &names[..]) {
        ([one], ..) | (_, [one], _) | (_, _, [one]) => return Ok((*one).clone()),
        ([], [], []) => {}
        _ => {
            return Err(ImportError::plain(
                format!("`{file}` defines several models"),
                Some(format!("say which: {}", listed(&names))),
            ));
        }
    }
    Err(ImportError::plain(
        format!("`{file}` defines no model"),
        Some(advice::without_model(namespace, statements)),
    ))
}

impl Interpreter {
    /// The module that a name refers to: itself, an instance of its class, or returned by a function.
    pub(crate) fn build(
        &mut self,
        value: &Value,
        name: &str,
        args: &[(String, Value)],
    ) -> Result<Rc<Object>> {
        let named = args.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect();
        let args = Args { positional: vec![], named };
        let made = match value {
            Value::Object(_) if args.named.is_empty() => value.clone(),
            Value::Object(_) => {
                return Err(Fault::type_error(format!(
                    "`{name}` is already made, so that `--arg` comes too late"
                ))
                .help("name its class instead"));
            }
            Value::Class(class) if class.is_module() => {
                let place = advice::arguments(class, &args)?;
                let made = self.call(value, args);
                made.map_err(|fault| place.into_iter().fold(fault, Fault::at))?
            }
            Value::Function(function) => {
                advice::function_arguments(function, name, &args)?;
                self.call(value, args)?
            }
            Value::Partial(_) => self.call(value, args)?,
            Value::Failed(fault) => return Err((**fault).clone()),
            other => {
                return Err(Fault::type_error(format!("`{name}` is a {}, not a model", other.type_name()))
                    .help("a model is a class that derives from `nn.Module`, or an `nn.Sequential`"));
            }
        };
        made.as_module().cloned().ok_or_else(|| {
            Fault::type_error(format!("`{name}` returns a {}, not a module", made.type_name()))
        })
    }
}
