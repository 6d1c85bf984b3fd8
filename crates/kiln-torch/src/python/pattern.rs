//! `match`: the patterns of its cases.

use ruff_python_ast::{Pattern, Singleton, StmtMatch};

use super::exec::Flow;
use super::fault::{Fault, Result};
use super::value::{Dict, Value};
use super::{Env, Interpreter};
use crate::source::Span;

impl Interpreter {
    pub(super) fn match_statement(&mut self, env: &Env, s: &StmtMatch) -> Result<Flow> {
        let subject = self.eval(env, &s.subject)?;
        for case in &s.cases {
            if !self.fits(env, &case.pattern, &subject)? {
                continue;
            }
            if let Some(guard) = &case.guard {
                let value = self.eval(env, guard)?;
                if !self.truth_at(env, &value, guard)? {
                    continue;
                }
            }
            return self.block(env, &case.body);
        }
        Ok(Flow::Next)
    }

    /// Whether a value has the form of a pattern; names in it are bound on the way.
    fn fits(&mut self, env: &Env, pattern: &Pattern, value: &Value) -> Result<bool> {
        self.step(1)?;
        self.deeper(|this| this.fits_plainly(env, pattern, value))
            .map_err(|fault| fault.at(Span::of(env.file, pattern)))
    }

    fn fits_plainly(&mut self, env: &Env, pattern: &Pattern, value: &Value) -> Result<bool> {
        Ok(match pattern {
            Pattern::MatchValue(p) => {
                let wanted = self.eval(env, &p.value)?;
                let equal = self.ordered(ruff_python_ast::CmpOp::Eq, value, &wanted)?;
                self.truth(&equal)?
            }
            Pattern::MatchSingleton(p) => match (p.value, value) {
                (Singleton::None, Value::None) => true,
                (Singleton::True, Value::Bool(b)) => *b,
                (Singleton::False, Value::Bool(b)) => !*b,
                (Singleton::True, Value::Training) => self.truth(value)?,
                (Singleton::False, Value::Training) => !self.truth(value)?,
                _ => false,
            },
            Pattern::MatchAs(p) => {
                let fits = match &p.pattern {
                    Some(inner) => self.fits(env, inner, value)?,
                    None => true,
                };
                if let (true, Some(name)) = (fits, &p.name) {
                    env.scope.set(name, value.clone());
                }
                fits
            }
            Pattern::MatchOr(p) => {
                for one in &p.patterns {
                    if self.fits(env, one, value)? {
                        return Ok(true);
                    }
                }
                false
            }
            Pattern::MatchStar(_) => return Err(Fault::syntax("`*` is not possible here")),
            Pattern::MatchSequence(p) => {
                if !matches!(value.plain(), Value::List(_) | Value::Tuple(_) | Value::Range(_)) {
                    return Ok(false);
                }
                let items = self.items(value)?;
                let star = p.patterns.iter().position(|one| matches!(one, Pattern::MatchStar(_)));
                let Some(star) = star else {
                    return Ok(items.len() == p.patterns.len() && self.all_fit(env, &p.patterns, &items)?);
                };
                let behind = p.patterns.len() - star - 1;
                let Some(middle) = items.len().checked_sub(star + behind) else { return Ok(false) };
                if !self.all_fit(env, &p.patterns[..star], &items[..star])?
                    || !self.all_fit(env, &p.patterns[star + 1..], &items[star + middle..])?
                {
                    return Ok(false);
                }
                if let Pattern::MatchStar(rest) = &p.patterns[star]
                    && let Some(name) = &rest.name
                {
                    self.cells(middle)?;
                    env.scope.set(name, Value::list(items[star..star + middle].iter().cloned()));
                }
                true
            }
            Pattern::MatchMapping(p) => {
                let Value::Dict(dict) = self.dict_of(value)? else { return Ok(false) };
                let mut rest = dict.borrow().entries.clone();
                self.cells(rest.len())?;
                for (key, inner) in p.keys.iter().zip(&p.patterns) {
                    let key = self.eval(env, key)?;
                    let key = self.key(&key)?;
                    let Some((_, found)) = rest.shift_remove(&key) else { return Ok(false) };
                    if !self.fits(env, inner, &found)? {
                        return Ok(false);
                    }
                }
                if let Some(name) = &p.rest {
                    env.scope.set(name, Value::Dict(std::rc::Rc::new(Dict::of(rest).into())));
                }
                true
            }
            Pattern::MatchClass(p) => {
                let class = self.eval(env, &p.cls)?;
                if !self.is_instance(value, &class)? {
                    return Ok(false);
                }
                let names = match &class {
                    Value::Class(class) => class.find("__match_args__"),
                    _ => None,
                };
                for (place, inner) in p.arguments.patterns.iter().enumerate() {
                    let name = match &names {
                        Some(Value::Tuple(names)) => names.get(place).and_then(Value::as_str),
                        _ => None,
                    };
                    let part = match name {
                        Some(name) => self.attribute(value, name)?,
                        // `int(n)`, `str(text)`: the value itself.
                        None if place == 0 && !matches!(value, Value::Object(_)) => value.clone(),
                        None => return Err(Fault::type_error("the class has no attributes by place")),
                    };
                    if !self.fits(env, inner, &part)? {
                        return Ok(false);
                    }
                }
                for keyword in &p.arguments.keywords {
                    let Some(part) = self.find_attribute(value, &keyword.attr)? else { return Ok(false) };
                    if !self.fits(env, &keyword.pattern, &part)? {
                        return Ok(false);
                    }
                }
                true
            }
        })
    }

    fn all_fit(&mut self, env: &Env, patterns: &[Pattern], values: &[Value]) -> Result<bool> {
        for (pattern, value) in patterns.iter().zip(values) {
            if !self.fits(env, pattern, value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
